"""Noise2Void: pixels that the network cannot see."""

import jax
import jax.numpy as jnp

from ...types import Array
from .base import Restore, masked_error


def noise2void(
    restore: Restore,
    keys: Array,
    noisy: Array,
    target: Array,
    *,
    amount: float = 0.03,
    radius: int = 2,
    rows: bool = False,
    columns: bool = False,
) -> Array:
    """Predict hidden pixels from their surroundings: the mean of ``(f(y')_i - y_i)**2`` over the hidden pixels ``i``.

    In ``y'`` a hidden pixel has the value of a random neighbour. The noise must be independent between pixels, with
    mean zero. Whole lines are hidden for noise that is constant or correlated along them.

    Args:
        restore: the network, ``image -> image``.
        keys: random keys, one per image.
        noisy: noisy images ``[batch, height, width, channel]``.
        target: images that the output is compared with: in training the noisy ones again; with clean ones, the loss is
            its supervised counterpart.
        amount: share of pixels, or of lines, that are hidden.
        radius: largest distance of the neighbour in rows and columns.
        rows: hide whole rows, each replaced by a row nearby.
        columns: hide whole columns.

    Returns:
        The loss.

    Reference:
        Krull et al., Noise2Void: learning denoising from single noisy images, CVPR 2019, equation 10; Broaddus et al.,
        Removing structured noise with self-supervised blind-spot networks, ISBI 2020 (lines).

    Example:
        >>> flat = jnp.full((1, 16, 16, 1), 0.5)
        >>> float(noise2void(lambda y: y, jax.random.split(jax.random.key(0), 1), flat, flat))
        0.0
    """
    hide = lambda key, image: _hide(key, image, amount, radius, rows)  # noqa: E731
    if columns:
        noisy, target, original = noisy.swapaxes(1, 2), target.swapaxes(1, 2), restore
        restore = lambda image: original(image.swapaxes(1, 2)).swapaxes(1, 2)  # noqa: E731
        hide = lambda key, image: _hide(key, image, amount, radius, True)  # noqa: E731
    visible, hidden = jax.vmap(hide)(keys, noisy)
    return masked_error(restore(visible), target, hidden)


def _hide(key: Array, image: Array, amount: float, radius: int, lines: bool) -> tuple[Array, Array]:
    """Replace random pixels or rows of ``[height, width, channel]`` by neighbours; return the mask too."""
    height, width = image.shape[:2]
    shape = (height, 1) if lines else (height, width)
    mask_key, offset_key = jax.random.split(key)
    hidden = jax.random.bernoulli(mask_key, amount, shape)
    side = 1 if lines else 2 * radius + 1
    count = (2 * radius + 1) * side  # of neighbours, without the pixel in the middle
    number = jax.random.randint(offset_key, shape, 0, count - 1)
    number += number >= count // 2
    top = jnp.arange(height)[:, None] + number // side - radius
    left = jnp.arange(width)[None, :] + (0 if lines else number % side - radius)
    top, left = (jnp.abs(place) for place in jnp.broadcast_arrays(top, left))  # reflected at the border
    top, left = (jnp.where(p >= n, 2 * n - 2 - p, p) for p, n in ((top, height), (left, width)))
    hidden = jnp.broadcast_to(hidden, (height, width))
    return jnp.where(hidden[..., None], image[top, left], image), hidden
