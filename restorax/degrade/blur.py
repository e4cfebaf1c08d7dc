"""Blur."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from ..types import Image, Strength, check_image, per_image

_PAD_MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def gaussian_blur(image: Image, *, sigma: Strength, radius: int | None = None, border: str = "reflect") -> Image:
    """Blur with an isotropic Gaussian, separably.

    Args:
        image: ``[*batch, height, width, channel]``.
        sigma: standard deviation in pixels, at least 0 (0 leaves the image as it is), a scalar or one per image.
        radius: half width of the kernel in pixels. By default 4 sigma, as SciPy has it; it must be given when
            ``sigma`` is traced, because it fixes the size of the program.
        border: ``"reflect"`` (mirrored about the edge pixel), ``"replicate"`` or ``"circular"``.

    Returns:
        Blurred image of the same shape.

    Raises:
        TypeError: if the image is not floating point.
        ValueError: for shapes that do not fit, an unknown border, or a traced sigma without a radius.

    Reference:
        Gonzalez and Woods, Digital Image Processing, 4th ed., section 3.5.

    Example:
        >>> gaussian_blur(jnp.ones((8, 8, 1)), sigma=1.5).shape
        (8, 8, 1)
    """
    image = check_image(image)
    if border not in _PAD_MODES:
        raise ValueError(f"border {border!r} is unknown; accepted are {', '.join(_PAD_MODES)}")
    if radius is None:
        if isinstance(sigma, jax.core.Tracer):
            raise ValueError("sigma is traced and the kernel size unknown; give radius= (4 times the largest sigma)")
        radius = max(1, math.ceil(4 * float(np.max(np.asarray(sigma)))))

    taps = jnp.arange(-radius, radius + 1, dtype=image.dtype)
    distance = taps.reshape((1,) * (image.ndim - 1) + (-1,))
    width = jnp.maximum(per_image(sigma, image), 1e-3)  # below this the kernel is a single pixel
    kernel = jnp.exp(-0.5 * (distance / width) ** 2)
    kernel = kernel / kernel.sum(-1, keepdims=True)
    for axis in (image.ndim - 3, image.ndim - 2):
        image = _filter_along(image, kernel, axis, _PAD_MODES[border])
    return image


def _filter_along(image: jax.Array, kernel: jax.Array, axis: int, mode: str) -> jax.Array:
    taps, size = kernel.shape[-1], image.shape[axis]
    pads = [(0, 0)] * image.ndim
    pads[axis] = (taps // 2, taps // 2)
    padded = jnp.pad(image, pads, mode=mode)
    shifted = (jax.lax.slice_in_dim(padded, i, i + size, axis=axis) for i in range(taps))
    return sum(kernel[..., i : i + 1] * part for i, part in enumerate(shifted))
