"""ReNet: recurrent layers that sweep an image in four directions, without convolutions."""

import flax.linen as nn
import jax.numpy as jnp

from ..layers.cells import GRU, LSTM
from ..layers.conv import Conv, small_normal
from ..layers.resample import pixel_shuffle, pixel_unshuffle
from ..types import Array
from .base import RestorationNetwork

_CELLS = {"lstm": LSTM, "gru": GRU}


class ReNet(RestorationNetwork):
    """Every layer sweeps columns down and up, then rows right and left; every output depends on the whole image.

    A step is a block of ``patch`` x ``patch`` pixels. The last layer maps each hidden state back to its block.

    Attributes:
        patch: side of a block in pixels.
        width: units per direction.
        layers: pairs of a vertical and a horizontal sweep.
        cell: ``"lstm"`` or ``"gru"``.

    Reference:
        Visin et al., ReNet: a recurrent neural network based alternative to convolutional networks, 2015, section 2.
    """

    patch: int = 2
    width: int = 64
    layers: int = 2
    cell: str = "lstm"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.cell not in _CELLS:
            raise ValueError(f"`cell` must be one of {', '.join(_CELLS)}, got {self.cell!r}")

    @property
    def multiple(self) -> int:
        """Both sides are multiples of this."""
        return self.patch

    @nn.compact
    def body(self, x: Array) -> Array:
        """Map the padded input to the restored image or the residual."""

        def sweep(x: Array, axis: int, name: str) -> Array:
            """Run both directions along one axis and concatenate their hidden states."""
            sequence = jnp.moveaxis(x, axis, 0)
            cells = (_CELLS[self.cell](self.width, name=f"{name}_{way}") for way in ("forward", "backward"))
            states = [cell(sequence, reverse=i == 1)[0] for i, cell in enumerate(cells)]
            return jnp.moveaxis(jnp.concatenate(states, axis=-1), 0, axis)

        x = pixel_unshuffle(x, self.patch)
        for i in range(self.layers):
            x = sweep(x, 1, f"vertical{i}")
            x = sweep(x, 2, f"horizontal{i}")
        x = Conv(self.patch**2 * self.channels, size=1, init=small_normal, name="tail")(x)
        return pixel_shuffle(x, self.patch)
