"""Recorrupted2Recorrupted: a pair from one noisy image and further noise."""

import jax
import jax.numpy as jnp

from ...types import Array
from .base import Restore, draw_noise, is_unclipped


def recorrupted(
    restore: Restore,
    keys: Array,
    noisy: Array,
    target: Array,
    *,
    alpha: float = 0.5,
    unclipped: bool = False,
    **level: float,
) -> Array:
    """Predict one recorruption of an image from another: ``mean((f(y + alpha z) - (y - z / alpha))**2)``.

    Here ``z`` is drawn with the covariance of the noise, and then the noise of the two is not correlated. The noise
    must be Gaussian, or nearly so. The network learns noise that is stronger by ``sqrt(1 + alpha**2)``.

    Args:
        restore: the network, ``image -> image``.
        keys: random keys, one per image.
        noisy: noisy images ``[batch, height, width, channel]``.
        target: unused; of the other losses.
        alpha: share of the noise that the input gets.
        unclipped: leave out pixels whose noise is clipped at black or white, and not of mean zero.
        **level: the noise, ``sigma``, ``shot``, ``gain``, ``rows`` and ``columns``, as in
            :func:`restorax.train.self_supervised.base.draw_noise`.

    Returns:
        The loss.

    Reference:
        Pang et al., Recorrupted-to-Recorrupted: unsupervised deep learning for image denoising, CVPR 2021, equation 8.

    Example:
        >>> flat = jnp.full((1, 4, 4, 1), 0.5)
        >>> float(recorrupted(lambda y: y, jax.random.split(jax.random.key(0), 1), flat, flat, sigma=0.0))
        0.0
    """
    noise = draw_noise(keys, noisy, jax.random.normal, **level)
    squares = (restore(noisy + alpha * noise) - (noisy - noise / alpha)) ** 2
    if not unclipped:
        return jnp.mean(squares)
    counts = is_unclipped(noisy, **level)
    return jnp.where(counts, squares, 0).sum() / jnp.maximum(counts.sum(), 1)
