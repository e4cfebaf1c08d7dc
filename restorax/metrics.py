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
    image, reference = _pair(image, reference)
    if min(image.shape[-3:-1]) < 11:
        raise ValueError(f"ssim needs images of at least 11 x 11 pixels, not {image.shape[-3]} x {image.shape[-2]}")
    mean_x, mean_y = _window(image), _window(reference)
    var_x = _window(image * image) - mean_x**2
    var_y = _window(reference * reference) - mean_y**2
    covariance = _window(image * reference) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (var_x + var_y + c2)
    return jnp.mean(luminance * structure, axis=(-3, -2, -1))


def _pair(image: Image, reference: Image) -> tuple[jax.Array, jax.Array]:
    image, reference = check_image(image), check_image(reference, "reference")
    if image.shape != reference.shape:
        raise ValueError(f"image {image.shape} and reference {reference.shape} must have one shape")
    return image.astype(jnp.float32), reference.astype(jnp.float32)


def _window(x: jax.Array) -> jax.Array:
    """Gaussian average at every position where the whole window lies inside."""
    for axis in (x.ndim - 3, x.ndim - 2):
        size = x.shape[axis] - len(_TAPS) + 1
        x = sum(float(t) * jax.lax.slice_in_dim(x, i, i + size, axis=axis) for i, t in enumerate(_TAPS))
    return x
