"""Noise2Self: a grid of pixels that the network cannot see."""

import jax
import jax.numpy as jnp
import numpy as np

from ...types import Array
from .base import Restore, masked_error

_KERNEL = np.array([[1, 2, 1], [2, 0, 2], [1, 2, 1]], np.float32) / 12


def noise2self(restore: Restore, keys: Array, noisy: Array, target: Array, *, grid: int = 4) -> Array:
    """Predict the pixels of a random grid from all others: the mean of ``(f(y')_i - y_i)**2`` over the grid.

    In ``y'`` a pixel of the grid has the mean of its eight neighbours. The noise must be independent between pixels,
    with mean zero.

    Args:
        restore: the network, ``image -> image``.
        keys: random keys, one per image.
        noisy: noisy images ``[batch, height, width, channel]``.
        target: images that the output is compared with: in training the noisy ones again; with clean ones, the loss is
            its supervised counterpart.
        grid: distance of the pixels of the grid.

    Returns:
        The loss.

    Reference:
        Batson and Royer, Noise2Self: blind denoising by self-supervision, ICML 2019, equation 3 and section 3.

    Example:
        >>> flat = jnp.full((1, 16, 16, 1), 0.5)
        >>> float(noise2self(lambda y: y, jax.random.split(jax.random.key(0), 1), flat, flat))
        0.0
    """
    phases = jax.vmap(lambda key: jax.random.randint(key, (2,), 0, grid))(keys)
    visible, hidden = hide_grid(noisy, phases, grid)
    return masked_error(restore(visible), target, hidden)


def hide_grid(image: Array, phases: Array, grid: int) -> tuple[Array, Array]:
    """Replace the pixels of a grid by the mean of their neighbours.

    Args:
        image: ``[batch, height, width, channel]``.
        phases: row and column of the first pixel of each image, ``[batch, 2]``.
        grid: distance of the pixels.

    Returns:
        The images, and the mask of replaced pixels ``[batch, height, width]``.
    """
    height, width = image.shape[1:3]
    rows = jnp.arange(height)[None] % grid == phases[:, :1]
    columns = jnp.arange(width)[None] % grid == phases[:, 1:]
    hidden = rows[:, :, None] & columns[:, None, :]
    wide = jnp.pad(image, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
    shifts = [(i, j) for i in range(3) for j in range(3)]
    means = sum(_KERNEL[i, j] * wide[:, i : i + height, j : j + width] for i, j in shifts)
    return jnp.where(hidden[..., None], means, image), hidden
