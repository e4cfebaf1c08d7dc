"""RowLSTM: an LSTM that reads an image patch row by row."""

import flax.linen as nn
import jax.numpy as jnp
from jax import lax

from ..layers.cells import LSTM, Dense
from ..layers.frame import framed
from ..types import Array, Condition, DTypeLike, Image


class RowLSTM(nn.Module):
    """The textbook's recurrent network on images: rows of a patch are time steps, hidden states become rows again.

    Each row of a patch is one vector; stacked LSTMs return all their hidden states; a dense layer turns each into the
    restored row. On larger images patches overlap by half and are averaged, so a pixel hears from rows below it
    through the patches that start higher or lower. A baseline, and the smallest recurrent restorer that is one.

    Attributes:
        channels: image channels.
        patch: side of a patch in pixels, even.
        width: units of each LSTM.
        layers: stacked LSTMs.
        residual: predict the difference to the input instead of the image.
        condition_channels: channels of the condition map, 0 for a blind network.
        masked: the condition is a mask of known pixels: holes are filled first, known pixels copied through.
        dtype: type of the activations; gates and carry stay float32, parameters too.

    Reference:
        Hochreiter and Schmidhuber, Long short-term memory, Neural Computation 1997; Graves, Generating sequences with
        recurrent neural networks, 2013, section 2 (stacking).
    """

    channels: int = 1
    patch: int = 32
    width: int = 64
    layers: int = 2
    residual: bool = True
    condition_channels: int = 0
    masked: bool = False
    dtype: DTypeLike = jnp.float32

    @property
    def receptive_field(self) -> int | None:
        """Side of all patches that contain an output pixel, which sees them; ``None``, all, if holes are filled."""
        if self.masked:
            return None
        return 2 * self.patch - self.patch // 2

    @nn.compact
    def __call__(self, image: Image, condition: Condition | None = None) -> Image:
        """Restore ``[*batch, height, width, channels]``, any height and width."""
        if self.patch % 2:
            raise ValueError(f"patches of {self.patch} pixels cannot overlap by half; an even side is needed")

        def network(x):
            patches = _overlapping(_overlapping(x, 1, self.patch), 3, self.patch)
            n, rows, _, columns, side, channels = patches.shape
            sequences = patches.transpose(2, 0, 1, 3, 4, 5).reshape(side, -1, side * channels)
            for i in range(self.layers):
                sequences = LSTM(self.width, name=f"lstm{i}")(sequences)[0]
            out = Dense(side * self.channels, name="dense")(sequences)
            out = out.reshape(side, n, rows, columns, side, self.channels).transpose(1, 2, 0, 3, 4, 5)
            return _averaged(_averaged(out, 3), 1)

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


def _overlapping(x: Array, axis: int, side: int) -> Array:
    """Cut an axis, a multiple of ``side``, into pieces of ``side`` that overlap by half: two axes in its place."""
    halves = x.reshape(*x.shape[:axis], -1, side // 2, *x.shape[axis + 1 :])
    pieces = halves.shape[axis] - 1
    first, second = (lax.slice_in_dim(halves, start, start + pieces, axis=axis) for start in (0, 1))
    return jnp.concatenate([first, second], axis + 1)


def _averaged(pieces: Array, axis: int) -> Array:
    """The inverse: join pieces, and take the mean where two of them overlap."""
    first, second = jnp.split(pieces, 2, axis + 1)
    ends = [(0, 0)] * pieces.ndim
    total = jnp.pad(first, _at(ends, axis, (0, 1))) + jnp.pad(second, _at(ends, axis, (1, 0)))
    count = jnp.full(total.shape[axis], 2.0, total.dtype).at[jnp.array([0, -1])].set(1)
    mean = total / count.reshape([-1 if i == axis else 1 for i in range(total.ndim)])
    return mean.reshape(*mean.shape[:axis], -1, *mean.shape[axis + 2 :])


def _at(pads: list[tuple[int, int]], axis: int, value: tuple[int, int]) -> list[tuple[int, int]]:
    return [*pads[:axis], value, *pads[axis + 1 :]]
