"""Blur in the Fourier domain: what it does to a spectrum, and its regularised inverse."""

import jax.numpy as jnp
import numpy as np

from ..types import Array


def windows(image: Array, side: int) -> Array:
    """Squares that cover an image, spread evenly, each overlapping the next by half or more.

    Args:
        image: ``[batch, height, width]``; what is smaller than a square is reflected.
        side: of the squares, even.

    Returns:
        ``[batch, count, side, side]``.

    Example:
        >>> windows(jnp.ones((2, 64, 96)), 64).shape
        (2, 2, 64, 64)
    """
    image = jnp.pad(image, ((0, 0), *((0, max(0, side - length)) for length in image.shape[1:])), mode="reflect")
    rows, columns = (_starts(length, side) + np.arange(side) for length in image.shape[1:])
    squares = jnp.take(jnp.take(image, rows, axis=1), columns, axis=3)
    return squares.swapaxes(2, 3).reshape(image.shape[0], -1, side, side)


def _starts(length: int, side: int) -> np.ndarray:
    count = 1 + -(-(length - side) // (side // 2))
    return np.round(np.linspace(0, length - side, count)).astype(int)[:, None]


def cepstrum(square: Array, lags: int) -> Array:
    """Inverse transform of the logarithm of a power spectrum, in which a blur adds to what the image had.

    Args:
        square: ``[..., side, side]``, tapered towards its borders by a Hann window before the transform.
        lags: largest lag in pixels, less than half the side.

    Returns:
        ``[..., 2 * lags + 1, 2 * lags + 1]``, orthonormal, lag zero in the middle; its own mirror image.

    Reference:
        Bogert, Healy and Tukey, The quefrency alanysis of time series for echoes, 1963; Cannon, Blind deconvolution of
        spatially invariant image blurs with phase, IEEE TASSP 1976.

    Example:
        >>> cepstrum(jnp.ones((3, 64, 64)), 20).shape
        (3, 41, 41)
    """
    side = square.shape[-1]
    bell = np.sin(np.pi * (np.arange(side) + 0.5) / side) ** 2
    taper = jnp.asarray(np.outer(bell, bell), square.dtype)
    level = square.mean((-2, -1), keepdims=True)
    spectrum = jnp.fft.rfft2((square - level) * taper.reshape((1,) * (square.ndim - 2) + taper.shape), norm="ortho")
    # Flat squares have no spectrum; the floor lies well below noise of one gray level.
    log = jnp.log(spectrum.real**2 + spectrum.imag**2 + 1e-7)
    quefrencies = jnp.fft.irfft2(log, (side, side), norm="ortho")
    return jnp.roll(quefrencies, (lags, lags), (-2, -1))[..., : 2 * lags + 1, : 2 * lags + 1]


def margin(kernel: Array) -> int:
    """Rows and columns by which :func:`periodic` has to continue an image for a kernel: its side, in sixteens.

    Example:
        >>> margin(jnp.ones((1, 17, 17)))
        32
    """
    return 16 * -(-kernel.shape[-1] // 16)


def periodic(image: Array, beyond: int) -> Array:
    """Continue an image downwards and to the right so that it may be repeated without a seam.

    What is added fades from the reflection of one border into that of the opposite one.

    Args:
        image: ``[batch, height, width, channel]``.
        beyond: rows and columns to add.

    Returns:
        ``[batch, height + beyond, width + beyond, channel]``.

    Reference:
        After Liu and Jia, Reducing boundary artifacts in image deconvolution, ICIP 2008.

    Example:
        >>> periodic(jnp.ones((1, 8, 8, 1)), 4).shape
        (1, 12, 12, 1)
    """
    for axis in (1, 2):
        reach = [(0, 0)] * 4
        reach[axis] = (beyond, beyond)
        before, after = (
            jnp.take(jnp.pad(image, reach, mode="symmetric"), where, axis=axis)
            for where in (np.arange(beyond), np.arange(-beyond, 0))
        )
        way = (np.arange(beyond) + 0.5) / beyond
        share = jnp.asarray(way**2 * (3 - 2 * way), image.dtype).reshape([-1 if i == axis else 1 for i in range(4)])
        image = jnp.concatenate([image, (1 - share) * after + share * before], axis)
    return image


def transfer(kernel: Array, size: tuple[int, ...]) -> Array:
    """What blurring with a kernel multiplies every frequency by.

    Args:
        kernel: ``[batch, side, side]``, an odd side.
        size: height and width of the image.

    Returns:
        Complex numbers ``[batch, height, width // 2 + 1]``, real up to rounding if the kernel is its own mirror image.

    Example:
        >>> transfer(jnp.ones((1, 1, 1)), (4, 4)).shape
        (1, 4, 3)
    """
    side = kernel.shape[-1]
    padded = jnp.pad(kernel, ((0, 0), *((0, length - side) for length in size)))
    return jnp.fft.rfft2(jnp.roll(padded, (-(side // 2), -(side // 2)), (1, 2)))


def roughness(size: tuple[int, ...]) -> Array:
    """Power that the differences along rows and columns give to every frequency, ``[1, height, width // 2 + 1]``.

    Images have about the same power in all frequencies of their differences.

    Example:
        >>> float(roughness((4, 4))[0, 2, 2])
        8.0
    """
    rows, columns = np.fft.fftfreq(size[0])[:, None], np.fft.rfftfreq(size[1])
    return jnp.asarray(4 - 2 * np.cos(2 * np.pi * rows) - 2 * np.cos(2 * np.pi * columns), jnp.float32)[None]


def wiener(image: Array, kernel: Array, balances: Array) -> Array:
    """Undo a known blur by Wiener filters, which give up on frequencies that noise has taken.

    Args:
        image: ``[batch, height, width, channel]``, at least as large as the kernel.
        kernel: ``[batch, side, side]``, an odd side.
        balances: ``[count]``, power of the noise over that of the differences of the image; small is sharp and noisy.

    Returns:
        ``[batch, height, width, channel * count]``, the result for the first balance first.

    Reference:
        Gonzalez and Woods, Digital Image Processing, 4th ed., section 5.9 (constrained least squares).

    Example:
        >>> wiener(jnp.ones((1, 8, 8, 1)), jnp.ones((1, 1, 1)), jnp.ones(2)).shape
        (1, 8, 8, 2)
    """
    height, width = image.shape[1:3]
    image = periodic(image, margin(kernel))
    size = image.shape[1:3]
    response, spectrum = transfer(kernel, size)[..., None], jnp.fft.rfft2(image, axes=(1, 2))
    # What is rough in no way, the mean, a blur leaves as it is.
    noise = balances.reshape(-1, 1, 1, 1, 1) * roughness(size)[None, ..., None]
    power = response.real**2 + response.imag**2
    inverses = response.conj()[None] / (power[None] + noise + 1e-6)
    restored = jnp.fft.irfft2(inverses * spectrum[None], size, axes=(2, 3))[:, :, :height, :width]
    return jnp.concatenate(list(restored), axis=-1)
