"""How much of an image shows features from which a blur can be read, and how much of it contradicts a blur."""

from functools import reduce

import jax.numpy as jnp
import numpy as np
from jax import lax

from ..types import Array

BLOCK = 16
_BINOMIAL = np.array([1, 4, 6, 4, 1]) / 16
_DIFFERENCE = np.array([-0.5, 0, 0.5])
_SLOPE = 2 / 255  # of an edge that counts, per pixel, in both directions
_SLACK, _LEAST_STEP = 1.3, 5 / 255  # of a step that contradicts a kernel, since kernels are estimates
_MOST_NOISE = 0.15  # five deviations of noise; textures are not noise
_NOISE = float(np.sum(_BINOMIAL**2) * np.sum(np.convolve(_BINOMIAL, _DIFFERENCE) ** 2))


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
    smooth = _correlated(_correlated(image, 1, _BINOMIAL), 2, _BINOMIAL)
    down, right = (_correlated(smooth, axis, _DIFFERENCE) for axis in (1, 2))
    rows, columns, both = _blocks(down * down), _blocks(right * right), _blocks(down * right)
    smaller = (rows + columns) / 2 - jnp.sqrt(((rows - columns) / 2) ** 2 + both**2)
    return (smaller > _SLOPE**2 + 2 * _NOISE * _noise_level(image).reshape(-1, 1, 1) ** 2).mean((1, 2))


def contradicting_share(image: Array, kernel: Array) -> Array:
    """Measure the share of neighbouring pixels that differ by more than a blur kernel permits.

    Neighbours in an image in [0, 1] that was blurred differ by at most the sum of the positive differences between the
    kernel and the kernel shifted by one pixel. An image with sharper edges was not blurred by this kernel. Neighbours
    in a row, in a column and on both diagonals are compared.

    Args:
        image: ``[batch, height, width]`` in [0, 1], with noise.
        kernel: ``[batch, side, side]``, nonnegative, of unit sum.

    Returns:
        ``[batch]``, 0 if nothing contradicts.

    Example:
        >>> image = jnp.zeros((1, 32, 32)).at[:, :, 16:].set(1)
        >>> contradicting_share(image, jnp.full((1, 3, 3), 1 / 9)).tolist()  # one pixel in 32, in three directions
        [0.091796875]
    """
    size = image.shape[1:]
    image = jnp.pad(image, ((0, 0), *((0, max(0, BLOCK - side)) for side in size)), mode="edge")
    noise = jnp.minimum(5 * _noise_level(image), _MOST_NOISE)
    padded, count = jnp.pad(kernel, ((0, 0), (1, 1), (1, 1))), jnp.zeros_like(noise)
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        most = jnp.maximum(padded - jnp.roll(padded, (down, right), (1, 2)), 0).sum((1, 2))
        most = _SLACK * most + _LEAST_STEP + noise
        flipped = image[:, :, ::-1] if right < 0 else image
        steps = flipped[:, down:, abs(right) :] - flipped[:, : image.shape[1] - down, : image.shape[2] - abs(right)]
        count += (jnp.abs(steps) > most.reshape(-1, 1, 1)).sum((1, 2))
    return count / (size[0] * size[1])


def _noise_level(image: Array) -> Array:
    """Estimate the deviation of the noise, ``[batch]``, from differences of differences."""
    mixed = image - jnp.roll(image, 1, 1)
    mixed = _blocks(jnp.abs(mixed - jnp.roll(mixed, 1, 2)))
    # The mean of |x| is sqrt(2 / pi) sigma; four pixels of equal variance were added and subtracted.
    return jnp.median(mixed, axis=(1, 2)) * np.sqrt(np.pi / 2) / 2


def _correlated(image: Array, axis: int, taps: np.ndarray) -> Array:
    """Correlate with an odd number of taps along an axis; borders are repeated."""
    pads = [(0, 0)] * image.ndim
    pads[axis] = (len(taps) // 2, len(taps) // 2)
    padded, side = jnp.pad(image, pads, mode="edge"), image.shape[axis]
    shifted = (lax.slice_in_dim(padded, start, start + side, axis=axis) for start in range(len(taps)))
    return reduce(jnp.add, (float(tap) * part for tap, part in zip(taps, shifted, strict=True)))


def _blocks(image: Array) -> Array:
    """Average over whole blocks, ``[batch, rows, columns]``."""
    rows, columns = (side // BLOCK for side in image.shape[1:])
    whole = image[:, : rows * BLOCK, : columns * BLOCK]
    return whole.reshape(-1, rows, BLOCK, columns, BLOCK).mean((2, 4))
