"""Convolution of images with kernels that may differ between them, by sums of shifts or Fourier transforms."""

import jax
import jax.numpy as jnp

BORDERS = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}
"""What stands beyond the border, with NumPy's name for it."""

_DIRECT = 11 * 11  # taps up to which shifting and adding beats two Fourier transforms on CPU


def filtered(image: jax.Array, kernel: jax.Array, border: str) -> jax.Array:
    """Convolve every channel, by the faster of the two ways.

    Args:
        image: ``[*batch, height, width, channel]``.
        kernel: ``[*batch or ones, rows, columns]`` with odd sides.
        border: ``"reflect"``, ``"replicate"`` or ``"circular"``.

    Returns:
        Image of the same shape.
    """
    rows, columns = kernel.shape[-2:]
    padded = _padded(image, rows // 2, columns // 2, border)
    way = shifted_sum if rows * columns <= _DIRECT else _through_fourier
    return way(padded, kernel, image.shape[-3:-1])


def filtered_separably(image: jax.Array, kernel: jax.Array, border: str) -> jax.Array:
    """Convolve rows and columns with one symmetric kernel ``[*batch or ones, taps, 1]``; else as :func:`filtered`."""
    height, width = image.shape[-3:-1]
    reach = kernel.shape[-2] // 2
    padded = _padded(image, reach, reach, border)
    columns = shifted_sum(padded, kernel, (height, width + 2 * reach))
    return shifted_sum(columns, jnp.swapaxes(kernel, -1, -2), (height, width))


def shifted_sum(padded: jax.Array, kernel: jax.Array, size: tuple[int, int]) -> jax.Array:
    """Sum of shifted images, weighted by a kernel: convolution where it needs no border.

    Args:
        padded: ``[*batch, height + rows - 1, width + columns - 1, channel]``.
        kernel: ``[*batch or ones, rows, columns]``.
        size: ``(height, width)``.

    Returns:
        ``[*batch, height, width, channel]``.
    """
    (height, width), channels = size, padded.shape[-1]
    rows, columns = kernel.shape[-2:]
    # Width and channels as one axis make long loops; the barrier keeps what made the image from being computed again
    # for every tap.
    long = jax.lax.optimization_barrier(padded.reshape(*padded.shape[:-2], padded.shape[-2] * channels))
    flipped = kernel[..., ::-1, ::-1, None, None]
    total = sum(
        flipped[..., i, j, :, :] * long[..., i : i + height, j * channels : (j + width) * channels]
        for i in range(rows)
        for j in range(columns)
    )
    return total.reshape(*padded.shape[:-3], height, width, channels)


def _through_fourier(padded: jax.Array, kernel: jax.Array, size: tuple[int, int]) -> jax.Array:
    rows, columns = kernel.shape[-2:]
    lengths = [_fast_length(side) for side in padded.shape[-3:-1]]
    spectrum = jnp.fft.rfft2(padded, lengths, axes=(-3, -2)) * jnp.fft.rfft2(kernel[..., None], lengths, axes=(-3, -2))
    whole = jnp.fft.irfft2(spectrum, lengths, axes=(-3, -2))
    # The first rows and columns are wrapped around; what is needed begins where the kernel lies inside.
    return whole[..., rows - 1 : rows - 1 + size[0], columns - 1 : columns - 1 + size[1], :].astype(padded.dtype)


def _fast_length(side: int) -> int:
    """The next length with only the factors 2, 3 and 5."""
    while True:
        rest = side
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return side
        side += 1


def _padded(image: jax.Array, rows: int, columns: int, border: str) -> jax.Array:
    pads = [(0, 0)] * (image.ndim - 3) + [(rows, rows), (columns, columns), (0, 0)]
    return jnp.pad(image, pads, mode=BORDERS[border])
