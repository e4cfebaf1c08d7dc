"""Resampling: MATLAB's ``imresize``, and images that have been small."""

import jax
import jax.numpy as jnp
import numpy as np

from ..types import Array, Float, Image, check_image

_KERNELS = {
    "area": (0.5, lambda x: ((x >= -0.5) & (x < 0.5)).astype(float)),
    "bilinear": (1.0, lambda x: np.maximum(1 - np.abs(x), 0)),
    "bicubic": (2.0, lambda x: _cubic(np.abs(x))),
    "lanczos": (3.0, lambda x: np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)),
}


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
        TypeError: if the image is not floating point.
        ValueError: if the shape does not fit, a side is below 1, or the method is unknown.

    Reference:
        MATLAB ``imresize``; Keys, Cubic convolution interpolation, TASSP 1981.

    Example:
        >>> resize(jnp.ones((9, 12, 3)), height=3, width=6).shape
        (3, 6, 3)
    """
    image = check_image(image)
    if height < 1 or width < 1:
        raise ValueError(f"a size of {height} x {width} is not possible; both sides must be at least 1")
    if method not in _KERNELS:
        raise ValueError(f"method {method!r} is unknown; accepted are {', '.join(_KERNELS)}")
    rows = jnp.asarray(_weights(image.shape[-3], height, method), image.dtype)
    columns = jnp.asarray(_weights(image.shape[-2], width, method), image.dtype)
    exact = jax.lax.Precision.HIGHEST
    return jnp.einsum("yi,...ijc,xj->...yxc", rows, image, columns, precision=exact)


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
        TypeError: if the image is not floating point.
        ValueError: if the shape does not fit, the factor is below 1, or a method is unknown.

    Reference:
        Kim et al., Accurate image super-resolution using very deep convolutional networks (VDSR), CVPR 2016.

    Example:
        >>> low_resolution(jnp.ones((9, 12, 3)), factor=3).shape
        (9, 12, 3)
    """
    image = check_image(image)
    if factor < 1:
        raise ValueError(f"a factor of {factor} is not possible; it must be at least 1")
    height, width = image.shape[-3:-1]
    small = resize(image, height=-(-height // factor), width=-(-width // factor), method=method)
    return resize(small, height=height, width=width, method=back)


def _weights(old: int, new: int, method: str) -> np.ndarray:
    """The linear map along one axis, ``[new, old]``."""
    support, kernel = _KERNELS[method]
    scale = new / old
    widening = max(1 / scale, 1)
    centre = (np.arange(new) + 0.5) / scale - 0.5
    first = np.floor(centre - support * widening).astype(int)
    taps = first[:, None] + np.arange(int(np.ceil(2 * support * widening)) + 2)
    values = kernel((centre[:, None] - taps) / widening)
    values /= values.sum(1, keepdims=True)
    mirrored = np.where(taps % (2 * old) < old, taps % (2 * old), 2 * old - 1 - taps % (2 * old))
    matrix = np.zeros((new, old))
    np.add.at(matrix, (np.arange(new)[:, None], mirrored), values)
    return matrix


def _cubic(x: np.ndarray) -> np.ndarray:
    """Keys' kernel with a = -0.5 at distances ``x``."""
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0))
