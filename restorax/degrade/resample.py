"""Resampling: MATLAB's ``imresize``, and images that have been small."""

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
    """Resize as MATLAB's ``imresize`` does: kernels widened when shrinking, borders mirrored.

    Args:
        image: ``[*batch, old_height, old_width, channel]``.
        height: rows of the result.
        width: columns of the result.
        method: ``"area"`` (box), ``"bilinear"``, ``"bicubic"`` (a = -0.5) or ``"lanczos"`` (three lobes).

    Returns:
        ``[*batch, height, width, channel]``, not clipped.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if the shape does not fit, a side is below 1, or the method is unknown.

    Reference:
        MATLAB ``imresize``; Keys, Cubic convolution interpolation, TASSP 1981.

    Example:
        >>> resize(jnp.ones((9, 12, 3)), height=3, width=6).shape
        (3, 6, 3)
    """
    image = check_image(image, exact=True)
    check_count(height, "height")
    check_count(width, "width")
    METHOD.check(method, "method")
    rows = jnp.asarray(_weights(image.shape[-3], height, method), image.dtype)
    columns = jnp.asarray(_weights(image.shape[-2], width, method), image.dtype)
    exact = jax.lax.Precision.HIGHEST
    return jnp.einsum("yi,...ijc,xj->...yxc", rows, image, columns, precision=exact)


@register({"factor": Count(), "method": METHOD, "back": METHOD}, examples={"factor": (2, 3, 4)})
def low_resolution(image: Image, *, factor: int, method: str = "bicubic", back: str = "bicubic") -> Image:
    """Shrink by a whole factor and enlarge to the old size: the input of super-resolution at one size.

    Args:
        image: ``[*batch, height, width, channel]``.
        factor: at least 1; the small image has ``ceil(side / factor)`` pixels.
        method: of shrinking, as in :func:`resize`.
        back: of enlarging.

    Returns:
        Image of the same shape, not clipped.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if the shape does not fit, the factor is below 1, or a method is unknown.

    Reference:
        Kim et al., Accurate image super-resolution using very deep convolutional networks (VDSR), CVPR 2016.

    Example:
        >>> low_resolution(jnp.ones((9, 12, 3)), factor=3).shape
        (9, 12, 3)
    """
    height, width = image.shape[-3:-1]
    small = resize(image, height=-(-height // factor), width=-(-width // factor), method=method)
    return resize(small, height=height, width=width, method=back)


@register({"factor": Range(0, 1, above=True), "method": METHOD, "back": METHOD}, examples={"factor": (0.7, 0.4, 0.2)})
def rescale(image: Image, *, factor: Strength, method: str = "bicubic", back: str = "bicubic") -> Image:
    """Shrink by any factor, traced and one per image, and enlarge to the old size.

    The small image has ``round(side * factor)`` pixels a side. The size of the program does not depend on it: both
    steps are products with matrices as large as the image's sides.

    Args:
        image: ``[*batch, height, width, channel]``.
        factor: small side over old side, in (0, 1], a scalar or one per image; may be traced.
        method: of shrinking, as in :func:`resize`.
        back: of enlarging.

    Returns:
        Image of the same shape, not clipped.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if the shapes do not fit, the factor lies outside its range, or a method is unknown.

    Reference:
        Zhang et al., Designing a practical degradation model for deep blind image super-resolution (BSRGAN), ICCV
        2021, section 3.2 (resizing as a degradation).

    Example:
        >>> rescale(jnp.ones((9, 12, 3)), factor=0.4).shape
        (9, 12, 3)
    """
    factor = per_image(factor, image)[..., 0, 0, 0]
    exact = jax.lax.Precision.HIGHEST
    for axis, product in ((-3, "...yi,...ijc->...yjc"), (-2, "...xj,...ijc->...ixc")):
        side = image.shape[axis]
        small = jnp.clip(jnp.round(side * factor), 1, side)
        shrink = _traced_weights(side, side, small, method)
        enlarge = _traced_weights(side, small, side, back)
        matrix = jnp.einsum("...ys,...si->...yi", enlarge, shrink, precision=exact)
        image = jnp.einsum(product, matrix, image, precision=exact)
    return image


def _traced_weights(capacity: int, old: Strength, new: Strength, method: str) -> jax.Array:
    """:func:`_weights` for sizes up to a capacity, ``[*batch, capacity, capacity]``; zero beyond them."""
    support, kernel = _KERNELS[method]
    sizes = jnp.broadcast_arrays(jnp.asarray(old, jnp.float32), jnp.asarray(new, jnp.float32))
    old, new = (size[..., None, None] for size in sizes)
    ones = (1,) * (old.ndim - 2)
    row, column = jnp.arange(capacity).reshape(*ones, -1, 1), jnp.arange(capacity).reshape(*ones, 1, -1)
    # Mirrored borders: a pixel stands at all its mirror images, as far as the widest kernel reaches.
    turns = range(-math.ceil(support / 2) - 1, math.ceil(support / 2) + 2)
    places = [place + 2 * old * turn for turn in turns for place in (column, -1 - column)]
    distances = (((2 * row + 1) * old - (2 * place + 1) * new) / (2 * jnp.maximum(old, new)) for place in places)
    values = sum(kernel(distance, jnp) for distance in distances)
    values = jnp.where((column < old) & (row < new), values, 0)
    total = values.sum(-1, keepdims=True)
    return (values / jnp.where(total > 0, total, 1)).astype(jnp.float32)


def _weights(old: int, new: int, method: str) -> np.ndarray:
    """The linear map along one axis, ``[new, old]``."""
    support, kernel = _KERNELS[method]
    row = np.arange(new)[:, None]
    reach = support * max(old / new, 1)
    taps = np.floor((row + 0.5) * old / new - 0.5 - reach).astype(int) + np.arange(int(np.ceil(2 * reach)) + 2)
    # Over one denominator, so that pixels on the edge of a box are not decided by rounding.
    values = kernel(((2 * row + 1) * old - (2 * taps + 1) * new) / (2 * max(old, new)), np)
    values /= values.sum(1, keepdims=True)
    mirrored = np.where(taps % (2 * old) < old, taps % (2 * old), 2 * old - 1 - taps % (2 * old))
    matrix = np.zeros((new, old))
    np.add.at(matrix, (row, mirrored), values)
    return matrix


def _cubic(x, xp):
    """Keys' kernel with a = -0.5 at distances ``x``, in the arithmetic of NumPy or JAX."""
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return xp.where(x <= 1, near, xp.where(x <= 2, far, 0))
