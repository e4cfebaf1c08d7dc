"""Missing pixels. The mask of known pixels (1 known, 0 missing) comes back as the condition."""

import jax
import jax.numpy as jnp

from ..types import Image, Observation, PRNGKeyArray, Strength, check_image, per_image


def missing_pixels(key: PRNGKeyArray, image: Image, *, missing: Strength) -> Observation:
    """Set a share of the pixels to zero, the same ones in every channel.

    The share is exact: ``round(missing * height * width)`` pixels of every image are gone.

    Args:
        key: random key.
        image: ``[*batch, height, width, channel]`` in [0, 1].
        missing: fraction of missing pixels in [0, 1], a scalar or one per image.

    Returns:
        The image with holes, and the mask of known pixels ``[*batch, height, width, 1]``.

    Raises:
        TypeError: if the image is not floating point.
        ValueError: if the shapes do not fit.

    Reference:
        Ulyanov et al., Deep image prior, CVPR 2018, section 3 (50 % missing).

    Example:
        >>> holes, mask = missing_pixels(jax.random.key(0), jnp.ones((10, 10, 3)), missing=0.3)
        >>> int(mask.sum())
        70
    """
    image = check_image(image)
    *batch, height, width, _ = image.shape
    pixels = height * width
    count = jnp.round(per_image(missing, image)[..., 0, 0] * pixels).astype(jnp.int32)
    count = jnp.clip(jnp.broadcast_to(count, (*batch, 1)), 0, pixels)

    # The `count` pixels with the smallest draws are missing. Draws may collide, so those equal to the threshold
    # are taken in order until the count is full: exact, with a single sort.
    draws = jax.random.bits(key, (*batch, pixels), jnp.uint32)
    threshold = jnp.take_along_axis(jnp.sort(draws, axis=-1), jnp.maximum(count - 1, 0), axis=-1)
    below, equal = draws < threshold, draws == threshold
    still_to_take = count - below.sum(-1, keepdims=True)
    gone = (below | (equal & (jnp.cumsum(equal, axis=-1) <= still_to_take))) & (count > 0)

    mask = 1 - gone.reshape(*batch, height, width, 1).astype(image.dtype)
    return Observation(image * mask, mask)
