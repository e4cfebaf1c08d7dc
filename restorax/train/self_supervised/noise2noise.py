"""Noise2Noise: two shots of a scene."""

import jax.numpy as jnp

from ...types import Array
from .base import Restore


def noise2noise(restore: Restore, keys: Array, first: Array, second: Array) -> Array:
    """Mean squared difference to a second shot with independent noise of mean zero: ``mean((f(y1) - y2)**2)``.

    In expectation it is the squared error to the clean image plus the noise variance, so the gradient is the same.

    Args:
        restore: the network, ``image -> image``.
        keys: unused; of the other losses.
        first: noisy images ``[batch, height, width, channel]``.
        second: other shots of the same scenes.

    Returns:
        The loss.

    Reference:
        Lehtinen et al., Noise2Noise: learning image restoration without clean data, ICML 2018, equation 6.

    Example:
        >>> float(noise2noise(lambda y: 0 * y, jnp.zeros(1), jnp.ones((1, 2, 2, 1)), jnp.ones((1, 2, 2, 1)) / 2))
        0.25
    """
    return jnp.mean((restore(first) - second) ** 2)
