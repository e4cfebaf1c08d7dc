"""Resampling: resizing as in MATLAB's ``imresize``, and low-resolution images at the original size."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from ..types import Array, Float, Image, Strength, check_count, check_image, per_image
from .registry import Choice, Count, Range, register

__all__ = [
    "low_resolution",
    "rescale",
    "resize",
]

_KERNELS = {
    "area": (0.5, lambda x, xp: xp.where((x >= -0.5) & (x < 0.5), 1.0, 0.0)),
    "bilinear": (1.0, lambda x, xp: xp.maximum(1 - abs(x), 0)),
    "bicubic": (2.0, lambda x, xp: _cubic(abs(x), xp)),
    "lanczos": (3.0, lambda x, xp: xp.where(abs(x) < 3, xp.sinc(x) * xp.sinc(x / 3), 0)),
}

METHOD = Choice(tuple(_KERNELS))


def resize(
    image: Image, *, height: int, width: int, method: str = "bicubic"
) -> Float[Array, "*batch new_height new_width channel"]:
    """Resize as MATLAB's ``imresize`` does: antialiased when downsampling, with mirrored borders.

    Args:
        image: ``[*batch, old_height, old_width, channel]``.
        height: new number of rows.
        width: new number of columns.
        method: ``"area"`` (box), ``"bilinear"``, ``"bicubic"`` (a = -0.5) or ``"lanczos"`` (three lobes).

    Returns:
        ``[*batch, height, width, channel]``, not clipped.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if the shape does not match, a side is below 1, or the method is unknown.

    Reference:
        MATLAB ``imresize``; Keys, Cubic convolution interpolation, TASSP 1981.

    Example:
        >>> resize(jnp.ones((9, 12, 3)), height=3, width=6).shape
        (3, 6, 3)
    """
    image = check_image(image, full_precision=True)
    check_count(height, "height")
    check_count(width, "width")
    METHOD.check(method, "method")
    rows = jnp.asarray(_weights(image.shape[-3], height, method), image.dtype)
    columns = jnp.asarray(_weights(image.shape[-2], width, method), image.dtype)
    return jnp.einsum("yi,...ijc,xj->...yxc", rows, image, columns, precision="highest")


@register({"factor": Count(), "method": METHOD, "back": METHOD}, examples={"factor": (2, 3, 4)})
def low_resolution(image: Image, *, factor: int, method: str = "bicubic", back: str = "bicubic") -> Image:
    """Downsample by an integer factor and upsample to the original size, as in super-resolution.

    Args:
        image: ``[*batch, height, width, channel]``.
        factor: at least 1; the low-resolution sides are ``ceil(side / factor)``.
        method: downsampling method, as in :func:`resize`.
        back: upsampling method.

    Returns:
        Image of the same shape, not clipped.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if the shape does not match, the factor is not accepted, or a method is unknown.

    Reference:
        Kim et al., Accurate image super-resolution using very deep convolutional networks (VDSR), CVPR 2016.

    Example:
        >>> low_resolution(jnp.ones((9, 12, 3)), factor=3).shape
        (9, 12, 3)
    """
    height, width = image.shape[-3:-1]
    small = resize(image, height=-(-height // factor), width=-(-width // factor), method=method)
    return resize(small, height=height, width=width, method=back)


@register(
    {"factor": Range(0, 1, exclude_low=True), "method": METHOD, "back": METHOD}, examples={"factor": (0.7, 0.4, 0.2)}
)
def rescale(image: Image, *, factor: Strength, method: str = "bicubic", back: str = "bicubic") -> Image:
    """Downsample by any factor, traced or one per image, and upsample to the original size.

    The low-resolution sides are ``round(side * factor)``. Both steps are products with matrices of the size of the
    image, so array shapes do not depend on the factor.

    Args:
        image: ``[*batch, height, width, channel]``.
        factor: low-resolution side / original side, in (0, 1], a scalar or one per image.
        method: downsampling method, as in :func:`resize`.
        back: upsampling method.

    Returns:
        Image of the same shape, not clipped.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if a shape does not match, the factor is out of range, or a method is unknown.

    Reference:
        Zhang et al., Designing a practical degradation model for deep blind image super-resolution (BSRGAN), ICCV
        2021, section 3.2 (resizing as a degradation).

    Example:
        >>> rescale(jnp.ones((9, 12, 3)), factor=0.4).shape
        (9, 12, 3)
    """
    factor = per_image(factor, image)[..., 0, 0, 0]
    for axis, product in ((-3, "...yi,...ijc->...yjc"), (-2, "...xj,...ijc->...ixc")):
        side = image.shape[axis]
        small = jnp.clip(jnp.round(side * factor), 1, side)
        downsample = _traced_weights(side, side, small, method)
        upsample = _traced_weights(side, small, side, back)
        matrix = jnp.einsum("...ys,...si->...yi", upsample, downsample, precision="highest")
        image = jnp.einsum(product, matrix, image, precision="highest")
    return image


def _traced_weights(capacity: int, old: Strength, new: Strength, method: str) -> jax.Array:
    """Compute :func:`_weights` for traced sizes, zero-padded to ``[*batch, capacity, capacity]``."""
    support, kernel = _KERNELS[method]
    sizes = jnp.broadcast_arrays(jnp.asarray(old, jnp.float32), jnp.asarray(new, jnp.float32))
    old, new = (size[..., None, None] for size in sizes)
    ones = (1,) * (old.ndim - 2)
    row, column = jnp.arange(capacity).reshape(*ones, -1, 1), jnp.arange(capacity).reshape(*ones, 1, -1)
    # Mirrored borders: sum over all mirror images of a pixel within the support of the kernel.
    periods = range(-math.ceil(support / 2) - 1, math.ceil(support / 2) + 2)
    mirrored = [position + 2 * old * period for period in periods for position in (column, -1 - column)]
    distances = (((2 * row + 1) * old - (2 * x + 1) * new) / (2 * jnp.maximum(old, new)) for x in mirrored)
    values = sum(kernel(distance, jnp) for distance in distances)
    values = jnp.where((column < old) & (row < new), values, 0)
    total = values.sum(-1, keepdims=True)
    return (values / jnp.where(total > 0, total, 1)).astype(jnp.float32)


def _weights(old: int, new: int, method: str) -> np.ndarray:
    """Compute the interpolation matrix along one axis, ``[new, old]``."""
    support, kernel = _KERNELS[method]
    row = np.arange(new)[:, None]
    reach = support * max(old / new, 1)
    taps = np.floor((row + 0.5) * old / new - 0.5 - reach).astype(int) + np.arange(int(np.ceil(2 * reach)) + 2)
    # A common denominator keeps pixels on the edge of a box exact.
    values = kernel(((2 * row + 1) * old - (2 * taps + 1) * new) / (2 * max(old, new)), np)
    values /= values.sum(1, keepdims=True)
    mirrored = np.where(taps % (2 * old) < old, taps % (2 * old), 2 * old - 1 - taps % (2 * old))
    matrix = np.zeros((new, old))
    np.add.at(matrix, (row, mirrored), values)
    return matrix


def _cubic(x, xp):
    """Evaluate Keys' kernel with a = -0.5 at distances ``x``; ``xp`` is NumPy or JAX."""
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return xp.where(x <= 1, near, xp.where(x <= 2, far, 0))
