"""ReNet: recurrent layers that sweep an image in four directions, and nothing else."""

import flax.linen as nn
import jax.numpy as jnp

from ..layers.cells import GRU, LSTM
from ..layers.conv import Conv, small_normal
from ..layers.frame import framed
from ..layers.resample import pixel_shuffle, pixel_unshuffle
from ..types import Array, Condition, DTypeLike, Image

_CELLS = {"lstm": LSTM, "gru": GRU}


class ReNet(nn.Module):
    """Every layer sweeps the columns down and up, then the rows right and left; every output sees the whole image.

    Steps are squares of ``patch`` pixels. After the last layer each hidden state becomes its square again.

    Attributes:
        channels: image channels.
        patch: side in pixels of the squares that are steps.
        width: units of each of the two directions.
        layers: pairs of a vertical and a horizontal sweep.
        cell: ``"lstm"`` or ``"gru"``.
        residual: predict the difference to the input instead of the image.
        condition_channels: channels of the condition map, 0 for a blind network.
        masked: the condition is a mask of known pixels: holes are filled first, known pixels copied through.
        dtype: type of the activations; gates and carry stay float32, parameters too.

    Reference:
        Visin et al., ReNet: a recurrent neural network based alternative to convolutional networks, 2015, section 2.
    """

    channels: int = 1
    patch: int = 2
    width: int = 64
    layers: int = 2
    cell: str = "lstm"
    residual: bool = True
    condition_channels: int = 0
    masked: bool = False
    dtype: DTypeLike = jnp.float32

    @property
    def receptive_field(self) -> None:
        """``None``: an output pixel sees the whole image."""
        return None

    @nn.compact
    def __call__(self, image: Image, condition: Condition | None = None) -> Image:
        """Restore ``[*batch, height, width, channels]``, any height and width."""
        if self.cell not in _CELLS:
            raise ValueError(f"cell {self.cell!r} is unknown; accepted are {' and '.join(_CELLS)}")

        def sweep(x: Array, axis: int, name: str) -> Array:
            """Both directions along one axis; their hidden states side by side."""
            sequence = jnp.moveaxis(x, axis, 0)
            cells = (_CELLS[self.cell](self.width, name=f"{name}_{way}") for way in ("forward", "backward"))
            states = [cell(sequence, reverse=i == 1)[0] for i, cell in enumerate(cells)]
            return jnp.moveaxis(jnp.concatenate(states, axis=-1), 0, axis)

        def network(x):
            x = pixel_unshuffle(x, self.patch)
            for i in range(self.layers):
                x = sweep(x, 1, f"vertical{i}")
                x = sweep(x, 2, f"horizontal{i}")
            x = Conv(self.patch**2 * self.channels, size=1, init=small_normal, name="tail")(x)
            return pixel_shuffle(x, self.patch)

        return framed(
            network,
            image,
            condition,
            channels=self.channels,
            condition_channels=self.condition_channels,
            masked=self.masked,
            residual=self.residual,
            multiple=self.patch,
            dtype=self.dtype,
        )
