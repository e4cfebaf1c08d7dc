"""Read the blur of an image off its cepstrum."""

import flax.linen as nn
import jax.numpy as jnp

from ..types import Array
from . import fourier
from .conv import Conv, small_normal


class KernelReader(nn.Module):
    """Reads one blur kernel off the cepstra of all parts of an image.

    Echoes of edges stand in a cepstrum at the distances at which the blur repeats them, whatever the image shows.
    Cepstra know no sign, so kernels are their own mirror images, as those of defocus and straight motion are. What is
    turned by a right angle or mirrored is read turned or mirrored: each kernel teaches four directions.

    Attributes:
        radius: half width of the kernel in pixels.
        width: features of a window, and of their mean.

    Reference:
        Cannon, Blind deconvolution of spatially invariant image blurs with phase, IEEE TASSP 1976 (the cepstrum).
    """

    radius: int
    width: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Map ``[batch, height, width]`` to kernels ``[batch, side, side]`` that are not negative and sum to 1."""
        # Echoes of edges are up to twice the radius away; windows must be larger by far.
        side, lags, window = 2 * self.radius + 1, 5 * self.radius // 2, 8 * self.radius
        cepstra = _turned(jnp.arcsinh(fourier.cepstrum(fourier.windows(x, window), lags)))
        x = cepstra[..., lags:].reshape(-1, 1, cepstra.shape[2], (2 * lags + 1) * (lags + 1))
        x = Conv(self.width, size=1, relu=True, name="window1")(x)
        x = Conv(self.width, size=1, relu=True, name="window2")(x).mean(2, keepdims=True)
        x = Conv(self.width, size=1, relu=True, name="image")(x)
        logits = Conv(side * side, size=1, init=small_normal, name="taps")(x).reshape(4, -1, side, side)
        logits = _turned_back(logits).mean(0)
        logits = (logits + logits[:, ::-1, ::-1]) / 2
        offsets = jnp.arange(-self.radius, self.radius + 1.0)
        # A peak with long tails to start from. A softmax reads long motion worse: what is rarely part of a kernel it
        # pushes to where its slope is nothing.
        start = jnp.log(jnp.expm1(4 / (1 + offsets[:, None] ** 2 + offsets[None, :] ** 2) ** 1.5))
        taps = nn.softplus(4 * logits + start[None])
        return taps / taps.sum((1, 2), keepdims=True)


def _turned(x: Array) -> Array:
    """The four ways to turn and mirror what is its own mirror image, on a new first axis."""
    turned = x.swapaxes(-1, -2)
    return jnp.stack([x, x[..., ::-1, :], turned, turned[..., ::-1, :]])


def _turned_back(x: Array) -> Array:
    plain, mirrored, turned, both = x
    return jnp.stack([plain, mirrored[..., ::-1, :], turned.swapaxes(-1, -2), both[..., ::-1, :].swapaxes(-1, -2)])
