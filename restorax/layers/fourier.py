"""Blur in the Fourier domain: cepstra, transfer functions and Wiener filters."""

import jax.numpy as jnp
import numpy as np

from ..types import Array


def extract_windows(image: Array, side: int) -> Array:
    """Cut evenly spaced square windows that cover an image and overlap by half or more.

    Args:
        image: ``[batch, height, width]``; images smaller than a window are reflected.
        side: side of a window, even.

    Returns:
        ``[batch, count, side, side]``.

    Example:
        >>> extract_windows(jnp.ones((2, 64, 96)), 64).shape
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
    """Compute the inverse transform of the log power spectrum, in which blur is an additive term.

    Args:
        square: ``[..., side, side]``; a Hann window is applied first.
        lags: largest lag in pixels, less than half the side.

    Returns:
        ``[..., 2 * lags + 1, 2 * lags + 1]``, orthonormal, lag zero at the centre; point-symmetric.

    Reference:
        Bogert, Healy and Tukey, The quefrency alanysis of time series for echoes, 1963; Cannon, Blind deconvolution of
        spatially invariant image blurs with phase, IEEE TASSP 1976.

    Example:
        >>> cepstrum(jnp.ones((3, 64, 64)), 20).shape
        (3, 41, 41)
    """
    side = square.shape[-1]
    hann = np.sin(np.pi * (np.arange(side) + 0.5) / side) ** 2
    taper = jnp.asarray(np.outer(hann, hann), square.dtype)
    level = square.mean((-2, -1), keepdims=True)
    spectrum = jnp.fft.rfft2((square - level) * taper.reshape((1,) * (square.ndim - 2) + taper.shape), norm="ortho")
    # The floor keeps flat windows finite; it lies well below noise of one gray level.
    log = jnp.log(spectrum.real**2 + spectrum.imag**2 + 1e-7)
    quefrencies = jnp.fft.irfft2(log, (side, side), norm="ortho")
    return jnp.roll(quefrencies, (lags, lags), (-2, -1))[..., : 2 * lags + 1, : 2 * lags + 1]


def required_margin(kernel: Array) -> int:
    """Return the margin that :func:`extend_periodic` needs for a kernel: its side, rounded up to a multiple of 16.

    Example:
        >>> required_margin(jnp.ones((1, 17, 17)))
        32
    """
    return 16 * -(-kernel.shape[-1] // 16)


def extend_periodic(image: Array, margin: int) -> Array:
    """Extend an image downwards and to the right so that it tiles without a seam.

    The margin fades from the reflection of one border to that of the opposite border.

    Args:
        image: ``[batch, height, width, channel]``.
        margin: rows and columns to add.

    Returns:
        ``[batch, height + margin, width + margin, channel]``.

    Reference:
        After Liu and Jia, Reducing boundary artifacts in image deconvolution, ICIP 2008.

    Example:
        >>> extend_periodic(jnp.ones((1, 8, 8, 1)), 4).shape
        (1, 12, 12, 1)
    """
    for axis in (1, 2):
        pads = [(0, 0)] * 4
        pads[axis] = (margin, margin)
        before, after = (
            jnp.take(jnp.pad(image, pads, mode="symmetric"), where, axis=axis)
            for where in (np.arange(margin), np.arange(-margin, 0))
        )
        position = (np.arange(margin) + 0.5) / margin
        weight = jnp.asarray(position**2 * (3 - 2 * position), image.dtype).reshape(
            [-1 if i == axis else 1 for i in range(4)]
        )
        image = jnp.concatenate([image, (1 - weight) * after + weight * before], axis)
    return image


def transfer_function(kernel: Array, size: tuple[int, ...]) -> Array:
    """Compute the factor by which blurring with a kernel multiplies every frequency.

    Args:
        kernel: ``[batch, side, side]``, odd side.
        size: height and width of the image.

    Returns:
        Complex numbers ``[batch, height, width // 2 + 1]``, real up to rounding if the kernel is point-symmetric.

    Example:
        >>> transfer_function(jnp.ones((1, 1, 1)), (4, 4)).shape
        (1, 4, 3)
    """
    side = kernel.shape[-1]
    padded = jnp.pad(kernel, ((0, 0), *((0, length - side) for length in size)))
    return jnp.fft.rfft2(jnp.roll(padded, (-(side // 2), -(side // 2)), (1, 2)))


def gradient_power(size: tuple[int, ...]) -> Array:
    """Compute the power response of differences along rows and columns, ``[1, height, width // 2 + 1]``.

    The differences of natural images have a nearly white spectrum.

    Example:
        >>> float(gradient_power((4, 4))[0, 2, 2])
        8.0
    """
    rows, columns = np.fft.fftfreq(size[0])[:, None], np.fft.rfftfreq(size[1])
    return jnp.asarray(4 - 2 * np.cos(2 * np.pi * rows) - 2 * np.cos(2 * np.pi * columns), jnp.float32)[None]


def wiener(image: Array, kernel: Array, noise_to_signal: Array) -> Array:
    """Undo a known blur by Wiener filters, which attenuate frequencies dominated by noise.

    Args:
        image: ``[batch, height, width, channel]``, at least as large as the kernel.
        kernel: ``[batch, side, side]``, an odd side.
        noise_to_signal: ``[count]``, power of the noise over that of the image's differences; small is sharp and noisy.

    Returns:
        ``[batch, height, width, channel * count]``, the result for the first ratio first.

    Reference:
        Gonzalez and Woods, Digital Image Processing, 4th ed., section 5.9 (constrained least squares).

    Example:
        >>> wiener(jnp.ones((1, 8, 8, 1)), jnp.ones((1, 1, 1)), jnp.ones(2)).shape
        (1, 8, 8, 2)
    """
    height, width = image.shape[1:3]
    image = extend_periodic(image, required_margin(kernel))
    size = image.shape[1:3]
    response, spectrum = transfer_function(kernel, size)[..., None], jnp.fft.rfft2(image, axes=(1, 2))
    # The mean has no differences, and a blur preserves it.
    noise = noise_to_signal.reshape(-1, 1, 1, 1, 1) * gradient_power(size)[None, ..., None]
    power = response.real**2 + response.imag**2
    inverses = response.conj()[None] / (power[None] + noise + 1e-6)
    restored = jnp.fft.irfft2(inverses * spectrum[None], size, axes=(2, 3))[:, :, :height, :width]
    return jnp.concatenate(list(restored), axis=-1)
