"""Recorrupted2Recorrupted: a pair from one noisy image and further noise."""

import jax
import jax.numpy as jnp

from ...types import Array
from .base import Restore


def recorrupted(
    restore: Restore, keys: Array, noisy: Array, target: Array, *, sigma: float, alpha: float = 0.5
) -> Array:
    """Predict one recorruption of an image from another: ``mean((f(y + alpha z) - (y - z / alpha))**2)``.

    The noise must be white and Gaussian; ``z`` is drawn with the same standard deviation, and then the noise of the two
    is independent. The network learns noise that is stronger by ``sqrt(1 + alpha**2)``.

    Args:
        restore: the network, ``image -> image``.
        keys: random keys, one per image.
        noisy: noisy images ``[batch, height, width, channel]``.
        target: unused; of the other losses.
        sigma: standard deviation of the noise, in units of [0, 1].
        alpha: share of the noise that the input gets.

    Returns:
        The loss.

    Reference:
        Pang et al., Recorrupted-to-Recorrupted: unsupervised deep learning for image denoising, CVPR 2021, equation 8.

    Example:
        >>> flat = jnp.full((1, 4, 4, 1), 0.5)
        >>> float(recorrupted(lambda y: y, jax.random.split(jax.random.key(0), 1), flat, flat, sigma=0.0))
        0.0
    """
    noise = sigma * jax.vmap(lambda key: jax.random.normal(key, noisy.shape[1:], noisy.dtype))(keys)
    return jnp.mean((restore(noisy + alpha * noise) - (noisy - noise / alpha)) ** 2)
