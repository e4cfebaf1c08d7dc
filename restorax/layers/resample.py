"""Pixel shuffling, pooling, upsampling, and pull-push hole filling."""

import jax.numpy as jnp

from ..types import Array


def pixel_unshuffle(x: Array, factor: int = 2) -> Array:
    """Rearrange every ``factor`` x ``factor`` block of pixels into the channels of one pixel.

    Args:
        x: ``[batch, height, width, channel]``, both sides multiples of ``factor``.
        factor: side of the block.

    Returns:
        ``[batch, height / factor, width / factor, factor**2 * channel]``.

    Reference:
        Shi et al., Real-time single image super-resolution with ESPCN, CVPR 2016 (the inverse).

    Example:
        >>> pixel_unshuffle(jnp.ones((1, 4, 6, 3))).shape
        (1, 2, 3, 12)
    """
    n, h, w, c = x.shape
    x = x.reshape(n, h // factor, factor, w // factor, factor, c).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(n, h // factor, w // factor, factor * factor * c)


def pixel_shuffle(x: Array, factor: int = 2) -> Array:
    """Rearrange channels into blocks of pixels: the inverse of :func:`pixel_unshuffle`.

    Args:
        x: ``[batch, height, width, factor**2 * channel]``.
        factor: side of the block that replaces one pixel.

    Returns:
        ``[batch, factor * height, factor * width, channel]``.

    Reference:
        Shi et al., Real-time single image super-resolution with ESPCN, CVPR 2016.

    Example:
        >>> pixel_shuffle(jnp.ones((1, 2, 3, 12))).shape
        (1, 4, 6, 3)
    """
    n, h, w, c = x.shape
    x = x.reshape(n, h, w, factor, factor, c // factor**2).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(n, h * factor, w * factor, c // factor**2)


def max_pool(x: Array) -> Array:
    """Take the maximum of every 2x2 block of pixels.

    Args:
        x: ``[batch, height, width, channel]``, both sides even.

    Returns:
        ``[batch, height / 2, width / 2, channel]``.

    Example:
        >>> max_pool(jnp.arange(8.0).reshape(1, 2, 4, 1))[0, :, :, 0].tolist()
        [[5.0, 7.0]]
    """
    # Not jnp.max: its gradient compares with a stored maximum, which a fused recomputation may not equal.
    x = jnp.where(x[:, ::2] > x[:, 1::2], x[:, ::2], x[:, 1::2])
    return jnp.where(x[:, :, ::2] > x[:, :, 1::2], x[:, :, ::2], x[:, :, 1::2])


def repeat_pixels(x: Array, factor: int = 2) -> Array:
    """Upsample by repeating every pixel ``factor`` x ``factor`` times.

    Args:
        x: ``[batch, height, width, channel]``.
        factor: side of the block that replaces one pixel.

    Returns:
        ``[batch, factor * height, factor * width, channel]``.

    Example:
        >>> repeat_pixels(jnp.arange(2.0).reshape(1, 1, 2, 1))[0, :, :, 0].tolist()
        [[0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]]
    """
    n, h, w, c = x.shape
    return jnp.broadcast_to(x[:, :, None, :, None], (n, h, factor, w, factor, c)).reshape(n, h * factor, w * factor, c)


def pull_push(image: Array, mask: Array) -> Array:
    """Fill holes smoothly, each from the finest scale at which it has known pixels.

    Known pixels are averaged over blocks of side 2, 4, 8, ... up to the whole image (pull); from the coarsest scale to
    the finest, unknown values are interpolated linearly from the next coarser scale (push).

    Args:
        image: ``[batch, height, width, channel]``; values at unknown pixels are ignored.
        mask: 1 where known, 0 where not, ``[batch, height, width, 1]``.

    Returns:
        ``[batch, height, width, channel]``, equal to ``image`` where known; 0.5 if no pixel is known.

    Reference:
        Gortler et al., The Lumigraph, SIGGRAPH 1996, section 4.2.

    Example:
        >>> mask = jnp.zeros((1, 4, 4, 1)).at[0, 1, 1].set(1)
        >>> float(pull_push(0.25 * mask, mask)[0, 3, 3, 0])
        0.25
    """
    height, width = image.shape[1:3]
    if height == width == 1:
        return jnp.where(mask > 0, image, 0.5)
    to_even = ((0, 0), (0, height % 2), (0, width % 2), (0, 0))
    weighted, known = (_sum_blocks(jnp.pad(x, to_even)) for x in (jnp.where(mask > 0, image, 0), mask))
    mean = weighted / jnp.maximum(known, 1)
    coarse = pull_push(mean, (known > 0).astype(mask.dtype))
    return jnp.where(mask > 0, image, double(coarse)[:, :height, :width])


def _sum_blocks(x: Array) -> Array:
    n, h, w, c = x.shape
    return x.reshape(n, h // 2, 2, w // 2, 2, c).sum((2, 4))


def halve(x: Array) -> Array:
    """Halve the resolution by averaging 2x2 blocks.

    Args:
        x: ``[batch, height, width, channel]``, both sides even.

    Returns:
        ``[batch, height / 2, width / 2, channel]``.

    Example:
        >>> halve(jnp.arange(4.0).reshape(1, 2, 2, 1)).item()
        1.5
    """
    return _sum_blocks(x) / 4


def double(x: Array) -> Array:
    """Double the resolution by linear interpolation, with aligned pixel centres.

    Args:
        x: ``[batch, height, width, channel]``.

    Returns:
        ``[batch, 2 * height, 2 * width, channel]``.

    Example:
        >>> double(jnp.arange(2.0).reshape(1, 1, 2, 1))[0, 0, :, 0].tolist()
        [0.0, 0.25, 0.75, 1.0]
    """
    for axis in (1, 2):
        before = jnp.concatenate([x.take(jnp.array([0]), axis), _drop(x, axis, -1)], axis)
        after = jnp.concatenate([_drop(x, axis, 0), x.take(jnp.array([-1]), axis)], axis)
        pair = jnp.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], axis + 1)
        x = pair.reshape(*x.shape[:axis], 2 * x.shape[axis], *x.shape[axis + 1 :])
    return x


def _drop(x: Array, axis: int, index: int) -> Array:
    size = x.shape[axis]
    start = 1 if index == 0 else 0
    return x[(slice(None),) * axis + (slice(start, start + size - 1),)]
