"""SpatialRNN: recursive filters in four directions with coefficients predicted per pixel."""

import flax.linen as nn
import jax.numpy as jnp

from ..layers.conv import Conv, small_normal
from ..layers.recurrence import linear_recurrence
from ..layers.resample import pixel_shuffle, pixel_unshuffle
from ..types import Array
from .base import RestorationNetwork


class SpatialRNN(RestorationNetwork):
    """Filter features along rows and columns in both directions by ``h[t] = p h[t-1] + (1 - p) x[t]``.

    One small network extracts features; another predicts the coefficients ``p`` in (-1, 1) per pixel, direction and
    channel; a convolution merges the four directions. A filter smooths (p > 0) or sharpens (p < 0) over any distance
    and preserves constant images; several in sequence undo spatially varying blur. Smaller than the published
    deblurring network, whose coefficients come from a VGG-16 encoder.

    Attributes:
        width: channels of the features.
        passes: number of filters in sequence, each in four directions.

    Reference:
        Zhang et al., Dynamic scene deblurring using spatially variant recurrent neural networks, CVPR 2018, section 3;
        Liu et al., Learning recursive filters for low-level vision via a hybrid neural network, ECCV 2016, equation 3.
    """

    width: int = 32
    passes: int = 3

    @property
    def multiple(self) -> int:
        """Both sides are multiples of this."""
        return 4

    @nn.compact
    def body(self, x: Array) -> Array:
        """Map the padded input to the restored image or the residual."""
        x = pixel_unshuffle(x)
        coefficients = _Coefficients(4 * self.passes * self.width, self.width, name="coefficients")(x)
        x = Conv(self.width, relu=True, name="head0")(x)
        x = Conv(self.width, relu=True, name="head1")(x)
        skip = x
        for i, p in enumerate(jnp.split(coefficients, self.passes, axis=-1)):
            x = Conv(self.width, relu=True, name=f"join{i}")(_filter(x, p))
        x = Conv(self.width, relu=True, name="tail0")(x + skip)
        return pixel_shuffle(Conv(4 * self.channels, init=small_normal, name="tail1")(x))


class _Coefficients(nn.Module):
    """Predict filter coefficients in (-1, 1) from features at two resolutions."""

    features: int
    width: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        fine = Conv(self.width, relu=True, name="fine")(x)
        coarse = Conv(2 * self.width, size=1, relu=True, name="shrink")(pixel_unshuffle(fine))
        for i in range(2):
            coarse = Conv(2 * self.width, relu=True, name=f"coarse{i}")(coarse)
        joined = fine + pixel_shuffle(Conv(4 * self.width, size=1, name="grow")(coarse))
        out = Conv(self.features, init=nn.initializers.lecun_normal(), name="out")(joined)
        return jnp.tanh(out.astype(jnp.float32))


def _filter(x: Array, coefficients: Array) -> Array:
    """Filter in four directions and concatenate, ``[batch, height, width, 4 * features]``."""
    directions = ((1, False), (1, True), (2, False), (2, True))
    states = [
        linear_recurrence(p, (1 - p) * x.astype(jnp.float32), axis=axis, reverse=reverse)
        for p, (axis, reverse) in zip(jnp.split(coefficients, 4, axis=-1), directions, strict=True)
    ]
    return jnp.concatenate(states, axis=-1).astype(x.dtype)
