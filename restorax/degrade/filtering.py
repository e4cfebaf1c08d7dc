"""Convolution of images with one kernel, or one kernel per image: direct, separable or by FFT."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from ..types import Array, Image

BORDERS = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}
"""Border modes, with the names of ``numpy.pad``."""

_MAX_DIRECT_TAPS = 11 * 11  # larger kernels are faster by FFT on CPU


def check_kernel(kernel: Array | np.ndarray) -> Array:
    """Check that a kernel has odd sides and return it as a JAX array.

    Raises:
        ValueError: if the shape is not ``[..., rows, columns]`` with odd sides.
    """
    kernel = jnp.asarray(kernel)
    if kernel.ndim < 2 or kernel.shape[-2] % 2 == 0 or kernel.shape[-1] % 2 == 0:
        raise ValueError(f"`kernel` must have shape [rows, columns] with odd sides, got {kernel.shape}.")
    return kernel


def convolve(image: Image, kernel: jax.Array, border: str) -> jax.Array:
    """Convolve every channel with a kernel: directly if it is small, by FFT otherwise.

    Args:
        image: ``[*batch, height, width, channel]``.
        kernel: ``[*batch or ones, rows, columns]`` with odd sides.
        border: ``"reflect"``, ``"replicate"`` or ``"circular"``.

    Returns:
        Image of the same shape.
    """
    rows, columns = kernel.shape[-2:]
    padded = _pad(image, rows // 2, columns // 2, border)
    convolve_padded = convolve_valid if rows * columns <= _MAX_DIRECT_TAPS else _convolve_fft
    return convolve_padded(padded, kernel, image.shape[-3:-1])


def convolve_separable(image: Image, kernel: jax.Array, border: str) -> jax.Array:
    """Convolve the columns, then the rows, with a symmetric kernel ``[*batch or ones, taps, 1]``."""
    height, width = image.shape[-3:-1]
    radius = kernel.shape[-2] // 2
    padded = _pad(image, radius, radius, border)
    columns = convolve_valid(padded, kernel, (height, width + 2 * radius))
    return convolve_valid(columns, jnp.swapaxes(kernel, -1, -2), (height, width))


def convolve_valid(padded: jax.Array, kernel: jax.Array, size: tuple[int, ...]) -> jax.Array:
    """Convolve without padding, as a weighted sum of shifted images.

    Args:
        padded: ``[*batch, height + rows - 1, width + columns - 1, channel]``.
        kernel: ``[*batch or ones, rows, columns]``.
        size: ``(height, width)``.

    Returns:
        ``[*batch, height, width, channel]``.
    """
    (height, width), channels = size, padded.shape[-1]
    rows, columns = kernel.shape[-2:]
    # One axis of width and channels gives long inner loops. The barrier prevents XLA from recomputing the image for
    # every tap.
    rows_of_values = jax.lax.optimization_barrier(padded.reshape(*padded.shape[:-2], padded.shape[-2] * channels))
    flipped = kernel[..., ::-1, ::-1, None, None]
    taps = (
        flipped[..., i, j, :, :] * rows_of_values[..., i : i + height, j * channels : (j + width) * channels]
        for i in range(rows)
        for j in range(columns)
    )
    total = functools.reduce(jnp.add, taps)
    return total.reshape(*padded.shape[:-3], height, width, channels)


def _convolve_fft(padded: jax.Array, kernel: jax.Array, size: tuple[int, ...]) -> jax.Array:
    rows, columns = kernel.shape[-2:]
    lengths = [_next_fast_length(side) for side in padded.shape[-3:-1]]
    spectrum = jnp.fft.rfft2(padded, lengths, axes=(-3, -2)) * jnp.fft.rfft2(kernel[..., None], lengths, axes=(-3, -2))
    convolved = jnp.fft.irfft2(spectrum, lengths, axes=(-3, -2))
    # The first rows - 1 rows and columns - 1 columns are contaminated by wrap-around.
    return convolved[..., rows - 1 : rows - 1 + size[0], columns - 1 : columns - 1 + size[1], :].astype(padded.dtype)


def _next_fast_length(side: int) -> int:
    """Return the smallest length from ``side`` up whose prime factors are 2, 3 and 5."""
    while True:
        rest = side
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return side
        side += 1


def _pad(image: Image, rows: int, columns: int, border: str) -> jax.Array:
    pads = [(0, 0)] * (image.ndim - 3) + [(rows, rows), (columns, columns), (0, 0)]
    return jnp.pad(image, pads, mode=BORDERS[border])
