"""Neighbor2Neighbor: two images made of neighbouring pixels of a noisy one."""

import jax
import jax.numpy as jnp
import numpy as np

from ...types import Array
from .base import Restore

# Each row is a pixel of a cell of 2 x 2 and one of its two neighbours in the cell; pixels are numbered by rows.
_CHOICES = np.array([(0, 1), (0, 2), (1, 0), (1, 3), (2, 0), (2, 3), (3, 1), (3, 2)])


def neighbor2neighbor(restore: Restore, keys: Array, noisy: Array, target: Array, *, gamma: float = 2.0) -> Array:
    """Predict a pixel from its neighbour: ``mean(d**2) + gamma * mean((d - (g1(f(y)) - g2(f(y))))**2)``.

    Here ``d = f(g1(y)) - g2(y)``, and ``g1`` and ``g2`` choose two neighbours in every cell of 2 x 2 pixels. The second
    term makes up for the difference between neighbours of the clean image; ``f(y)`` in it has no gradient. The noise
    must be independent between pixels, with mean zero.

    Args:
        restore: the network, ``image -> image``.
        keys: random keys, one per image.
        noisy: noisy images ``[batch, height, width, channel]``; an odd last row or column is left out.
        target: images that the output is compared with: in training the noisy ones again; with clean ones, the loss is
            its supervised counterpart.
        gamma: weight of the second term; the paper uses 2 for synthetic noise and 16 for that of cameras.

    Returns:
        The loss.

    Reference:
        Huang et al., Neighbor2Neighbor: self-supervised denoising from single noisy images, CVPR 2021, equation 11.

    Example:
        >>> flat = jnp.full((1, 4, 4, 1), 0.5)
        >>> float(neighbor2neighbor(lambda y: y, jax.random.split(jax.random.key(0), 1), flat, flat))
        0.0
    """
    choices = jax.vmap(lambda key: jax.random.randint(key, _cells(noisy), 0, len(_CHOICES)))(keys)
    first, second = (jnp.asarray(_CHOICES)[choices, side] for side in (0, 1))
    whole = jax.lax.stop_gradient(restore(noisy))
    difference = restore(_choose(noisy, first)) - _choose(target, second)
    regular = difference - (_choose(whole, first) - _choose(whole, second))
    return jnp.mean(difference**2) + gamma * jnp.mean(regular**2)


def _cells(image: Array) -> tuple[int, int]:
    return image.shape[1] // 2, image.shape[2] // 2


def _choose(image: Array, numbers: Array) -> Array:
    """Choose a pixel of every cell by its number, ``[batch, rows, columns]``."""
    rows, columns = _cells(image)
    cells = image[:, : 2 * rows, : 2 * columns].reshape(len(image), rows, 2, columns, 2, -1)
    cells = cells.swapaxes(2, 3).reshape(len(image), rows, columns, 4, -1)
    return jnp.take_along_axis(cells, numbers[..., None, None], axis=3)[..., 0, :]
