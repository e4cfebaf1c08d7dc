"""Estimate the blur kernel of an image from its cepstrum."""

import flax.linen as nn
import jax.numpy as jnp

from ..types import Array
from . import fourier
from .conv import Conv, small_normal


class KernelEstimator(nn.Module):
    """Estimate one blur kernel from the cepstra of windows of an image.

    Blur repeats edges; in a cepstrum these echoes appear at their distances, whatever the image content. A cepstrum is
    point-symmetric, and so is the estimated kernel, as those of defocus and straight motion are. The estimate is
    equivariant to quarter turns and flips, so that training on one kernel serves all its orientations.

    Attributes:
        radius: half width of the kernel in pixels.
        width: features per window and per image.

    Reference:
        Cannon, Blind deconvolution of spatially invariant image blurs with phase, IEEE TASSP 1976 (the cepstrum).
    """

    radius: int
    width: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Map ``[batch, height, width]`` to nonnegative kernels of unit sum ``[batch, side, side]``."""
        # Echoes are up to twice the radius away; windows must be much larger.
        side, lags, window = 2 * self.radius + 1, 5 * self.radius // 2, 8 * self.radius
        cepstra = _orientations(jnp.arcsinh(fourier.cepstrum(fourier.extract_windows(x, window), lags)))
        x = cepstra[..., lags:].reshape(-1, 1, cepstra.shape[2], (2 * lags + 1) * (lags + 1))
        x = Conv(self.width, size=1, relu=True, name="window1")(x)
        x = Conv(self.width, size=1, relu=True, name="window2")(x).mean(2, keepdims=True)
        x = Conv(self.width, size=1, relu=True, name="image")(x)
        logits = Conv(side * side, size=1, init=small_normal, name="taps")(x).reshape(4, -1, side, side)
        logits = _undo_orientations(logits).mean(0)
        logits = (logits + logits[:, ::-1, ::-1]) / 2
        offsets = jnp.arange(-self.radius, self.radius + 1.0)
        # Start from a peak with long tails. A softmax estimates long motion worse: it saturates at taps that are rarely
        # part of a kernel.
        start = jnp.log(jnp.expm1(4 / (1 + offsets[:, None] ** 2 + offsets[None, :] ** 2) ** 1.5))
        taps = nn.softplus(4 * logits + start[None])
        return taps / taps.sum((1, 2), keepdims=True)


def _orientations(x: Array) -> Array:
    """Stack the four distinct orientations of point-symmetric arrays on a new first axis."""
    transposed = x.swapaxes(-1, -2)
    return jnp.stack([x, x[..., ::-1, :], transposed, transposed[..., ::-1, :]])


def _undo_orientations(x: Array) -> Array:
    """Rotate and flip each of the four orientations back."""
    original, flipped, transposed, both = x
    return jnp.stack(
        [original, flipped[..., ::-1, :], transposed.swapaxes(-1, -2), both[..., ::-1, :].swapaxes(-1, -2)]
    )
