"""RowLSTM: an LSTM over the rows of image patches; a textbook baseline."""

import flax.linen as nn
import jax.numpy as jnp
from jax import lax

from ..layers.cells import LSTM, Dense
from ..types import Array
from .base import RestorationNetwork


class RowLSTM(RestorationNetwork):
    """Stacked LSTMs over the rows of a patch; a dense layer maps each hidden state to the restored row.

    Patches overlap by half and are averaged where they overlap. Within a patch, a row depends on itself and the rows
    above it.

    Attributes:
        patch: side of a patch in pixels, even.
        width: units of each LSTM.
        layers: stacked LSTMs.

    Reference:
        Hochreiter and Schmidhuber, Long short-term memory, Neural Computation 1997; Graves, Generating sequences with
        recurrent neural networks, 2013, section 2 (stacking).
    """

    patch: int = 32
    width: int = 64
    layers: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.patch % 2:
            raise ValueError(f"`patch` must be even, so that patches overlap by half, got {self.patch}")

    @property
    def multiple(self) -> int:
        """Both sides are multiples of this."""
        return self.patch

    @nn.compact
    def body(self, x: Array) -> Array:
        """Map the padded input to the restored image or the residual."""
        patches = _overlapping(_overlapping(x, 1, self.patch), 3, self.patch)
        n, rows, _, columns, side, channels = patches.shape
        sequences = patches.transpose(2, 0, 1, 3, 4, 5).reshape(side, -1, side * channels)
        for i in range(self.layers):
            sequences = LSTM(self.width, name=f"lstm{i}")(sequences)[0]
        out = Dense(side * self.channels, name="dense")(sequences)
        out = out.reshape(side, n, rows, columns, side, self.channels).transpose(1, 2, 0, 3, 4, 5)
        return _averaged(_averaged(out, 3), 1)


def _overlapping(x: Array, axis: int, side: int) -> Array:
    """Split an axis, a multiple of ``side``, into two: pieces that overlap by half, and positions in a piece."""
    halves = x.reshape(*x.shape[:axis], -1, side // 2, *x.shape[axis + 1 :])
    pieces = halves.shape[axis] - 1
    first, second = (lax.slice_in_dim(halves, start, start + pieces, axis=axis) for start in (0, 1))
    return jnp.concatenate([first, second], axis + 1)


def _averaged(pieces: Array, axis: int) -> Array:
    """Invert :func:`_overlapping`: join pieces and average where two overlap."""
    first, second = jnp.split(pieces, 2, axis + 1)
    ends = [(0, 0)] * pieces.ndim
    total = jnp.pad(first, _with_pad(ends, axis, (0, 1))) + jnp.pad(second, _with_pad(ends, axis, (1, 0)))
    count = jnp.full(total.shape[axis], 2.0, total.dtype).at[jnp.array([0, -1])].set(1)
    mean = total / count.reshape([-1 if i == axis else 1 for i in range(total.ndim)])
    return mean.reshape(*mean.shape[:axis], -1, *mean.shape[axis + 2 :])


def _with_pad(pads: list[tuple[int, int]], axis: int, value: tuple[int, int]) -> list[tuple[int, int]]:
    return [*pads[:axis], value, *pads[axis + 1 :]]
