"""SURE: an unbiased estimate of the squared error from the noise level."""

import jax
import jax.numpy as jnp

from ...types import Array
from .base import Restore

_STEP = 1e-3  # of the finite difference


def sure(restore: Restore, keys: Array, noisy: Array, target: Array, *, sigma: float) -> Array:
    """Estimate the mean squared error: ``mean((f(y) - y)**2) - sigma**2 + 2 sigma**2 mean(b (f(y + e b) - f(y)) / e)``.

    The noise must be white and Gaussian, on images that are not clipped; ``b`` is a random sign per value.

    Args:
        restore: the network, ``image -> image``, in float32.
        keys: random keys, one per image.
        noisy: noisy images ``[batch, height, width, channel]``.
        target: unused; of the other losses.
        sigma: standard deviation of the noise, in units of [0, 1].

    Returns:
        The loss; it may be negative on small images.

    Reference:
        Soltanayev and Chun, Training deep learning based denoisers without ground truth data, NeurIPS 2018, equation 9;
        Ramani et al., Monte-Carlo SURE, IEEE TIP 2008.

    Example:
        >>> noisy = 0.1 * jax.random.normal(jax.random.key(0), (1, 64, 64, 1))
        >>> round(float(sure(lambda y: y, jax.random.split(jax.random.key(1), 1), noisy, noisy, sigma=0.1)), 4)
        0.01
    """
    sign = jax.vmap(lambda key: jax.random.rademacher(key, noisy.shape[1:], noisy.dtype))(keys)
    restored = restore(noisy)
    divergence = jnp.mean(sign * (restore(noisy + _STEP * sign) - restored)) / _STEP
    return jnp.mean((restored - noisy) ** 2) - sigma**2 + 2 * sigma**2 * divergence
