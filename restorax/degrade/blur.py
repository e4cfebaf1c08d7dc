"""Blur: arbitrary kernels, Gaussian, motion, defocus, camera shake and ringing (sinc)."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ..types import Array, Float, Image, PRNGKeyArray, Strength, per_image
from . import kernels
from .filtering import BORDERS, check_kernel, convolve, convolve_separable
from .registry import NON_NEGATIVE, NUMBER, POSITIVE, Choice, Count, Range, register

__all__ = [
    "anisotropic_blur",
    "defocus_blur",
    "gaussian_blur",
    "kernel_blur",
    "motion_blur",
    "shake_blur",
    "sinc_filter",
]

BORDER, RADIUS = Choice(tuple(BORDERS)), Count(0)

# Half width of the kernel for the largest strength.
_HALF_WIDTHS: dict[str, Callable[[float], float]] = {
    "sigma": lambda sigma: 4 * sigma,
    "length": lambda length: length / 2,
    "blur_radius": lambda radius: radius,
}


def _reach(name: str) -> Callable[[Mapping[str, Any]], int]:
    """Return the function that gives the radius of the kernel from all strengths."""
    return lambda strengths: _radius(strengths["radius"], name, strengths[name])


@register({"border": BORDER}, reach=lambda strengths: max(np.shape(strengths["kernel"])[-2:]) // 2)
def kernel_blur(
    image: Image, *, kernel: Float[Array | np.ndarray, "*kernels rows columns"], border: str = "reflect"
) -> Image:
    """Convolve every channel with a kernel.

    Small kernels are applied directly, large ones by FFT; the results agree up to rounding.

    Args:
        image: ``[*batch, height, width, channel]``.
        kernel: ``[rows, columns]`` with odd sides, or one per image ``[*batch, rows, columns]``; not normalised.
        border: ``"reflect"`` (about the centre of the edge pixel), ``"replicate"`` or ``"circular"``.

    Returns:
        Blurred image of the same shape.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if a shape does not match, a side of the kernel is even, or the border is unknown.

    Reference:
        Gonzalez and Woods, Digital Image Processing, 4th ed., sections 3.4 and 4.7.

    Example:
        >>> kernel_blur(jnp.ones((8, 8, 1)), kernel=jnp.ones((3, 3)) / 9).shape
        (8, 8, 1)
    """
    kernel = check_kernel(kernel)
    batch = image.shape[:-3]
    if kernel.ndim > 2 and (
        kernel.ndim != len(batch) + 2 or any(k not in (1, b) for k, b in zip(kernel.shape, batch, strict=False))
    ):
        raise ValueError(
            f"`kernel` must have shape [rows, columns], or one kernel per image ({batch}), got {kernel.shape}."
        )
    kernel = kernel.reshape((1,) * (len(batch) - kernel.ndim + 2) + kernel.shape).astype(image.dtype)
    return convolve(image, kernel, border)


@register(
    {"sigma": NON_NEGATIVE, "radius": RADIUS, "border": BORDER},
    examples={"sigma": (0.8, 1.6, 3)},
    reach=_reach("sigma"),
)
def gaussian_blur(image: Image, *, sigma: Strength, radius: int | None = None, border: str = "reflect") -> Image:
    """Blur with an isotropic Gaussian.

    Args:
        image: ``[*batch, height, width, channel]``.
        sigma: standard deviation in pixels, at least 0 (no blur), a scalar or one per image.
        radius: half width of the kernel in pixels, by default 4 sigma as in SciPy; required if ``sigma`` is traced,
            because it determines the kernel size.
        border: as in :func:`kernel_blur`.

    Returns:
        Blurred image of the same shape.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if a shape does not match, a strength is not accepted, or ``sigma`` is traced without ``radius``.

    Reference:
        Gonzalez and Woods, Digital Image Processing, 4th ed., section 3.5.

    Example:
        >>> gaussian_blur(jnp.ones((8, 8, 1)), sigma=0.5).shape
        (8, 8, 1)
    """
    radius = _radius(radius, "sigma", sigma)
    taps = jnp.arange(-radius, radius + 1, dtype=image.dtype).reshape((1,) * (image.ndim - 3) + (-1, 1))
    width = jnp.maximum(per_image(sigma, image)[..., 0], 1e-3)  # below this the kernel is a single pixel
    kernel = jnp.exp(-0.5 * (taps / width) ** 2)
    return convolve_separable(image, kernel / kernel.sum(-2, keepdims=True), border)


@register(
    {
        "sigma": NON_NEGATIVE,
        "ratio": Range(0, 1, exclude_low=True),
        "angle": NUMBER,
        "shape": POSITIVE,
        "radius": RADIUS,
        "border": BORDER,
    },
    examples={"sigma": (1, 2, 4), "ratio": 0.3, "angle": 30},
    reach=_reach("sigma"),
)
def anisotropic_blur(
    image: Image,
    *,
    sigma: Strength,
    ratio: Strength,
    angle: Strength,
    shape: Strength = 1.0,
    radius: int | None = None,
    border: str = "reflect",
) -> Image:
    """Blur with an anisotropic, optionally generalised Gaussian; see :func:`kernels.gaussian_kernel`.

    Args:
        image: ``[*batch, height, width, channel]``.
        sigma: standard deviation along the long axis in pixels, a scalar or one per image.
        ratio: short axis / long axis, in (0, 1], a scalar or one per image.
        angle: direction of the long axis in degrees, a scalar or one per image.
        shape: exponent of the generalised Gaussian, 1 for a Gaussian, a scalar or one per image.
        radius: half width of the kernel in pixels, by default 4 sigma; required if ``sigma`` is traced.
        border: as in :func:`kernel_blur`.

    Returns:
        Blurred image of the same shape.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if a shape does not match, a strength is not accepted, or ``sigma`` is traced without ``radius``.

    Reference:
        Wang et al., Real-ESRGAN, ICCVW 2021, section 3.2.

    Example:
        >>> anisotropic_blur(jnp.ones((8, 8, 1)), sigma=2.5, ratio=0.3, angle=30.0).shape
        (8, 8, 1)
    """
    radius = _radius(radius, "sigma", sigma)
    values = _per_kernel(image, sigma=sigma, ratio=ratio, angle=angle, shape=shape)
    return kernel_blur(image, kernel=kernels.gaussian_kernel(radius=radius, **values), border=border)


@register(
    {"length": NON_NEGATIVE, "angle": NUMBER, "radius": RADIUS, "border": BORDER},
    examples={"length": (5, 10, 20), "angle": 30},
    reach=_reach("length"),
)
def motion_blur(
    image: Image, *, length: Strength, angle: Strength = 0.0, radius: int | None = None, border: str = "reflect"
) -> Image:
    """Blur by linear motion; see :func:`kernels.motion_kernel`.

    Args:
        image: ``[*batch, height, width, channel]``.
        length: length of the motion in pixels, a scalar or one per image.
        angle: direction in degrees, counterclockwise from the horizontal, a scalar or one per image.
        radius: half width of the kernel in pixels, by default half the length; required if ``length`` is traced.
        border: as in :func:`kernel_blur`.

    Returns:
        Blurred image of the same shape.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if a shape does not match, a strength is not accepted, or ``length`` is traced without ``radius``.

    Reference:
        MATLAB ``fspecial("motion")``.

    Example:
        >>> motion_blur(jnp.ones((8, 8, 1)), length=4.0, angle=45.0).shape
        (8, 8, 1)
    """
    radius = _radius(radius, "length", length)
    values = _per_kernel(image, length=length, angle=angle)
    return kernel_blur(image, kernel=kernels.motion_kernel(radius=radius, **values), border=border)


@register(
    {"blur_radius": NON_NEGATIVE, "radius": RADIUS, "border": BORDER},
    examples={"blur_radius": (1.5, 3, 6)},
    reach=_reach("blur_radius"),
)
def defocus_blur(image: Image, *, blur_radius: Strength, radius: int | None = None, border: str = "reflect") -> Image:
    """Blur by defocus; see :func:`kernels.defocus_kernel`.

    Args:
        image: ``[*batch, height, width, channel]``.
        blur_radius: radius of the disk in pixels, a scalar or one per image.
        radius: half width of the kernel in pixels, by default ``blur_radius``; required if that is traced.
        border: as in :func:`kernel_blur`.

    Returns:
        Blurred image of the same shape.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if a shape does not match, a strength is not accepted, or ``blur_radius`` is traced without
            ``radius``.

    Reference:
        MATLAB ``fspecial("disk")``.

    Example:
        >>> defocus_blur(jnp.ones((8, 8, 1)), blur_radius=1.5).shape
        (8, 8, 1)
    """
    radius = _radius(radius, "blur_radius", blur_radius)
    values = _per_kernel(image, blur_radius=blur_radius)
    return kernel_blur(image, kernel=kernels.defocus_kernel(radius=radius, **values), border=border)


@register(
    {"cutoff": Range(0, math.pi + 1e-6, exclude_low=True), "radius": RADIUS, "border": BORDER},
    examples={"cutoff": (2, 1.3, 0.8)},
    reach=_reach("cutoff"),
)
def sinc_filter(image: Image, *, cutoff: Strength, radius: int = 10, border: str = "reflect") -> Image:
    """Remove high frequencies with an ideal low-pass filter, which causes ringing; see :func:`kernels.sinc_kernel`.

    Args:
        image: ``[*batch, height, width, channel]``.
        cutoff: cutoff frequency in radians per pixel, in (0, pi], a scalar or one per image.
        radius: half width of the kernel in pixels.
        border: as in :func:`kernel_blur`.

    Returns:
        Filtered image of the same shape, not clipped.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if a shape does not match, or a strength is not accepted.

    Reference:
        Wang et al., Real-ESRGAN, ICCVW 2021, equation 6.

    Example:
        >>> sinc_filter(jnp.ones((8, 8, 1)), cutoff=1.0).shape
        (8, 8, 1)
    """
    values = _per_kernel(image, cutoff=cutoff)
    return kernel_blur(image, kernel=kernels.sinc_kernel(radius=radius, **values), border=border)


@register(
    {"length": NON_NEGATIVE, "radius": RADIUS, "border": BORDER},
    examples={"length": (8, 16, 32)},
    reach=_reach("length"),
)
def shake_blur(
    key: PRNGKeyArray, image: Image, *, length: Strength, radius: int = 16, border: str = "reflect"
) -> Image:
    """Blur by camera shake with a random trajectory for every image; see :func:`kernels.shake_kernel`.

    Args:
        key: random key.
        image: ``[*batch, height, width, channel]``.
        length: length of the trajectory in pixels, a scalar or one per image.
        radius: half width of the kernel in pixels; the trajectory is clipped to it.
        border: as in :func:`kernel_blur`.

    Returns:
        Blurred image of the same shape.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if a shape does not match, or a strength is not accepted.

    Reference:
        Boracchi and Foi, Modeling the performance of image restoration from motion blur, TIP 2012.

    Example:
        >>> shake_blur(jax.random.key(0), jnp.ones((8, 8, 1)), length=9.0, radius=10).shape
        (8, 8, 1)
    """
    (length,) = _per_kernel(image, length=length).values()
    length = jnp.broadcast_to(length, image.shape[:-3])
    return kernel_blur(image, kernel=kernels.shake_kernel(key, length=length, radius=radius), border=border)


def _radius(radius: int | None, name: str, strength: Strength) -> int:
    """Return the given radius, or the one that the largest strength requires."""
    if radius is not None:
        return radius
    if isinstance(strength, Tracer) or callable(strength):
        raise ValueError(f"`radius` must be given if `{name}` is traced, because it determines the kernel size.")
    return max(1, math.ceil(_HALF_WIDTHS[name](float(np.max(np.asarray(strength), initial=0)))))


def _per_kernel(image: Image, **strengths: Strength) -> dict[str, jax.Array]:
    """Reshape strengths to scalars or to the batch axes of the image."""
    return {
        name: jnp.asarray(value, image.dtype) if jnp.ndim(value) == 0 else per_image(value, image)[..., 0, 0, 0]
        for name, value in strengths.items()
    }
