"""How much of an image shows features from which a blur can be read."""

import jax.numpy as jnp
import numpy as np

from ..types import Array

BLOCK = 16
_BINOMIAL = np.array([1, 4, 6, 4, 1]) / 16
_SLOPE = 2 / 255  # of an edge that counts, per pixel, in both directions
_NOISE = float(np.sum(_BINOMIAL**2) * np.sum(np.convolve(_BINOMIAL, [0.5, 0, -0.5]) ** 2))


def feature_share(image: Array) -> Array:
    """Measure the share of blocks of 16 x 16 pixels with edges in more than one direction.

    A block counts if the smaller eigenvalue of its structure tensor exceeds the square of 2 / 255 per pixel by more
    than noise explains. A single straight edge does not count: it looks the same sharp and blurred along itself.

    Args:
        image: ``[batch, height, width]`` in [0, 1]; images smaller than a block are extended by repetition.

    Returns:
        ``[batch]``, from 0 (flat, or straight lines only) to 1.

    Reference:
        Förstner and Gülch, A fast operator for detection and precise location of distinct points, 1987 (eigenvalues);
        Immerkær, Fast noise variance estimation, 1996 (noise from differences of differences).

    Example:
        >>> feature_share(jnp.full((1, 32, 32), 0.5)).tolist()
        [0.0]
    """
    image = jnp.pad(image, ((0, 0), *((0, max(0, BLOCK - side)) for side in image.shape[1:])), mode="edge")
    smooth = _smooth(_smooth(image, 1), 2)
    down, right = (_central_difference(smooth, axis) for axis in (1, 2))
    rows, columns, both = _blocks(down * down), _blocks(right * right), _blocks(down * right)
    smaller = (rows + columns) / 2 - jnp.sqrt(((rows - columns) / 2) ** 2 + both**2)
    mixed = image - jnp.roll(image, 1, 1)
    mixed = _blocks(jnp.abs(mixed - jnp.roll(mixed, 1, 2)))
    # The mean of |x| is sqrt(2 / pi) sigma; four pixels of equal variance were added and subtracted.
    variance = (jnp.median(mixed, axis=(1, 2)) * np.sqrt(np.pi / 2) / 2) ** 2
    return (smaller > _SLOPE**2 + 2 * _NOISE * variance.reshape(-1, 1, 1)).mean((1, 2))


def _smooth(image: Array, axis: int) -> Array:
    padded = _padded(image, axis, 2)
    size = image.shape[axis]
    parts = (float(weight) * _cut(padded, axis, start, size) for start, weight in enumerate(_BINOMIAL))
    return sum(parts, jnp.zeros_like(image))


def _central_difference(image: Array, axis: int) -> Array:
    padded, size = _padded(image, axis, 1), image.shape[axis]
    return (_cut(padded, axis, 2, size) - _cut(padded, axis, 0, size)) / 2


def _padded(image: Array, axis: int, margin: int) -> Array:
    pads = [(0, 0)] * image.ndim
    pads[axis] = (margin, margin)
    return jnp.pad(image, pads, mode="edge")


def _cut(image: Array, axis: int, start: int, size: int) -> Array:
    index = [slice(None)] * image.ndim
    index[axis] = slice(start, start + size)
    return image[tuple(index)]


def _blocks(image: Array) -> Array:
    """Average over whole blocks, ``[batch, rows, columns]``."""
    rows, columns = (side // BLOCK for side in image.shape[1:])
    whole = image[:, : rows * BLOCK, : columns * BLOCK]
    return whole.reshape(-1, rows, BLOCK, columns, BLOCK).mean((2, 4))
