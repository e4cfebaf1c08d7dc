"""SURE: an unbiased estimate of the squared error from the level of the noise."""

import jax
import jax.numpy as jnp

from ...types import Array
from .base import Restore, draw_noise

_STEP = 1e-2  # of the finite difference, relative to the noise


def sure(restore: Restore, keys: Array, noisy: Array, target: Array, **level: float) -> Array:
    """Estimate the mean squared error: ``mean((f(y) - y)**2) - mean(b**2) + 2 mean(b (f(y + e b) - f(y)) / e)``.

    Here ``b`` is random with the covariance of the noise; for white noise, ``sigma`` with a random sign. The noise must
    be Gaussian, or nearly so, on images that are not clipped.

    Args:
        restore: the network, ``image -> image``, in float32.
        keys: random keys, one per image.
        noisy: noisy images ``[batch, height, width, channel]``.
        target: unused; of the other losses.
        **level: the noise, ``sigma``, ``shot``, ``gain``, ``rows`` and ``columns``, as in
            :func:`restorax.train.self_supervised.base.draw_noise`.

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
    probe = draw_noise(keys, noisy, jax.random.rademacher, **level)
    restored = restore(noisy)
    change = (restore(noisy + _STEP * probe) - restored) / _STEP
    return jnp.mean((restored - noisy) ** 2) - jnp.mean(probe**2) + 2 * jnp.mean(probe * change)
