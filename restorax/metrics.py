"""Quality of a restored image: one value per image, under jit and vmap."""

import jax
import jax.numpy as jnp
import numpy as np

from .types import Array, Float, Image, check_image

_TAPS = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
_TAPS = (_TAPS / _TAPS.sum()).astype(np.float32)


def psnr(image: Image, reference: Image) -> Float[Array, "*batch"]:
    """Peak signal-to-noise ratio in dB for a data range of 1.

    Args:
        image: ``[*batch, height, width, channel]`` in [0, 1].
        reference: the clean image, same shape.

    Returns:
        One value per image ``[*batch]``; infinite for equal images.

    Raises:
        TypeError: if an image is not floating point.
        ValueError: if the shapes differ.

    Reference:
        Huynh-Thu and Ghanbari, Scope of validity of PSNR, Electronics Letters 44(13), 2008.

    Example:
        >>> round(float(psnr(jnp.zeros((8, 8, 1)), jnp.full((8, 8, 1), 0.1))), 3)
        20.0
    """
    image, reference = _pair(image, reference)
    return -10 * jnp.log10(jnp.mean((image - reference) ** 2, axis=(-3, -2, -1)))


def ssim(image: Image, reference: Image) -> Float[Array, "*batch"]:
    """Structural similarity with the settings of its paper.

    Gaussian window of 11 x 11 with sigma 1.5, only where it lies inside the image, K1 = 0.01, K2 = 0.03, data range
    1; the mean over positions and channels.

    Args:
        image: ``[*batch, height, width, channel]`` in [0, 1], at least 11 x 11.
        reference: the clean image, same shape.

    Returns:
        One value per image ``[*batch]``, at most 1.

    Raises:
        TypeError: if an image is not floating point.
        ValueError: if the shapes differ, or a side is below 11.

    Reference:
        Wang et al., Image quality assessment: from error visibility to structural similarity, TIP 2004, section III.

    Example:
        >>> float(ssim(jnp.ones((16, 16, 3)), jnp.ones((16, 16, 3))))
        1.0
    """
    luminance, structure = _similarity(*_pair(image, reference, "ssim", 11))
    return jnp.mean(luminance * structure, axis=(-3, -2, -1))


def ms_ssim(image: Image, reference: Image) -> Float[Array, "*batch"]:
    """Structural similarity at five scales, each half the one before; settings as for :func:`ssim`.

    Args:
        image: ``[*batch, height, width, channel]`` in [0, 1], at least 176 x 176.
        reference: the clean image, same shape.

    Returns:
        One value per image ``[*batch]``, at most 1: the mean over the channels. Negative similarities count as 0.

    Raises:
        TypeError: if an image is not floating point.
        ValueError: if the shapes differ, or a side is below 176.

    Reference:
        Wang et al., Multi-scale structural similarity for image quality assessment, Asilomar 2003, equation 7.

    Example:
        >>> float(ms_ssim(jnp.ones((176, 180, 3)), jnp.ones((176, 180, 3))))
        1.0
    """
    image, reference = _pair(image, reference, "ms_ssim", 11 * 2**4)
    product, weights = jnp.ones(()), (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
    for scale, weight in enumerate(weights):
        if scale:
            image, reference = _halved(image), _halved(reference)
        luminance, structure = _similarity(image, reference)
        kept = luminance * structure if scale == len(weights) - 1 else structure
        mean = kept.mean(axis=(-3, -2))
        # The slope of a power below 1 is infinite at 0: its gradient would not be a number.
        product = product * jnp.where(mean > 0, jnp.where(mean > 0, mean, 1) ** weight, 0)
    return product.mean(-1)


def psnr_b(image: Image, reference: Image) -> Float[Array, "*batch"]:
    """PSNR that also counts steps across the 8 x 8 grid of JPEG, as far as they exceed those elsewhere.

    Args:
        image: ``[*batch, height, width, channel]`` in [0, 1], at least 16 x 16, the grid beginning at its corner.
        reference: the clean image, same shape.

    Returns:
        One value per image ``[*batch]`` in dB, at most that of :func:`psnr`; several channels count as one.

    Raises:
        TypeError: if an image is not floating point.
        ValueError: if the shapes differ, or a side is below 16.

    Reference:
        Yim and Bovik, Quality assessment of deblocked images, TIP 2011, section III.

    Example:
        >>> blocks = jnp.repeat(jnp.array([0.4, 0.6]), 8).reshape(1, 16, 1) * jnp.ones((16, 1, 1))
        >>> round(float(psnr_b(blocks, jnp.full((16, 16, 1), 0.5))), 2)
        16.02
    """
    image, reference = _pair(image, reference, "psnr_b", 16)
    across, inside = [], []
    for axis in (-3, -2):
        steps = jnp.moveaxis(jnp.diff(image, axis=axis) ** 2, axis, -1)
        at_edge = np.arange(1, image.shape[axis]) % 8 == 0
        for found, where in ((across, at_edge), (inside, ~at_edge)):
            found.append(steps[..., where].reshape(*image.shape[:-3], -1))
    excess = jnp.concatenate(across, -1).mean(-1) - jnp.concatenate(inside, -1).mean(-1)
    blocking = np.log2(8) / np.log2(min(image.shape[-3:-1])) * jnp.maximum(excess, 0)
    return -10 * jnp.log10(jnp.mean((image - reference) ** 2, axis=(-3, -2, -1)) + blocking)


@jax.jit  # outside of jit every tap would be compiled alone
def _similarity(x: jax.Array, y: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Luminance, and contrast with structure, at every position of the window."""
    mean_x, mean_y, square_x, square_y, product = _window(jnp.stack([x, y, x * x, y * y, x * y]))
    var_x, var_y, covariance = square_x - mean_x**2, square_y - mean_y**2, product - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return luminance, (2 * covariance + c2) / (var_x + var_y + c2)


def _halved(x: jax.Array) -> jax.Array:
    """Means of 2 x 2 pixels; an odd last row or column is left out."""
    height, width = (side // 2 for side in x.shape[-3:-1])
    x = x[..., : 2 * height, : 2 * width, :]
    return x.reshape(*x.shape[:-3], height, 2, width, 2, x.shape[-1]).mean((-4, -2))


def _pair(image: Image, reference: Image, metric: str = "psnr", smallest: int = 1) -> tuple[jax.Array, jax.Array]:
    image, reference = check_image(image), check_image(reference, "reference")
    if image.shape != reference.shape:
        raise ValueError(f"image {image.shape} and reference {reference.shape} must have one shape")
    if min(image.shape[-3:-1]) < smallest:
        side, given = f"{smallest} x {smallest}", f"{image.shape[-3]} x {image.shape[-2]}"
        raise ValueError(f"{metric} needs images of at least {side} pixels, not {given}")
    return image.astype(jnp.float32), reference.astype(jnp.float32)


def _window(x: jax.Array) -> jax.Array:
    """Gaussian average at every position where the whole window lies inside."""
    for axis in (x.ndim - 3, x.ndim - 2):
        size = x.shape[axis] - len(_TAPS) + 1
        x = sum(float(t) * jax.lax.slice_in_dim(x, i, i + size, axis=axis) for i, t in enumerate(_TAPS))
    return x
