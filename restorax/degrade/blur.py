"""Blur: filtering with any kernel, and the kernels of the field as operators."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from ..types import Array, Float, Image, PRNGKeyArray, Strength, per_image
from . import kernels
from .filtering import BORDERS, filtered, filtered_separably
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


@register({"border": BORDER})
def kernel_blur(
    image: Image, *, kernel: Float[Array | np.ndarray, "*kernels rows columns"], border: str = "reflect"
) -> Image:
    """Convolve every channel with a kernel.

    Small kernels are applied by shifting and adding, large ones through the Fourier transform; the results agree to
    rounding.

    Args:
        image: ``[*batch, height, width, channel]``.
        kernel: ``[rows, columns]`` with odd sides, or one per image ``[*batch, rows, columns]``. It is used as given:
            its sum scales the brightness.
        border: ``"reflect"`` (mirrored about the edge pixel), ``"replicate"`` or ``"circular"``.

    Returns:
        Blurred image of the same shape.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: for shapes that do not fit, even sides, or an unknown border.

    Reference:
        Gonzalez and Woods, Digital Image Processing, 4th ed., sections 3.4 and 4.7.

    Example:
        >>> kernel_blur(jnp.ones((8, 8, 1)), kernel=jnp.ones((3, 3)) / 9).shape
        (8, 8, 1)
    """
    kernel = jnp.asarray(kernel)
    if kernel.ndim < 2 or kernel.shape[-2] % 2 == 0 or kernel.shape[-1] % 2 == 0:
        raise ValueError(f"the kernel has shape {kernel.shape}; [rows, columns] with odd sides is needed")
    batch = image.shape[:-3]
    if kernel.ndim > 2 and (
        kernel.ndim != len(batch) + 2 or any(k not in (1, b) for k, b in zip(kernel.shape, batch, strict=False))
    ):
        raise ValueError(f"kernels of shape {kernel.shape} do not fit the batch axes {batch}")
    kernel = kernel.reshape((1,) * (len(batch) - kernel.ndim + 2) + kernel.shape).astype(image.dtype)
    return filtered(image, kernel, border)


@register({"sigma": NON_NEGATIVE, "radius": RADIUS, "border": BORDER}, examples={"sigma": (0.8, 1.6, 3)})
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
        TypeError: if the image is not float32 or float64.
        ValueError: for shapes that do not fit, an unknown border, or a traced sigma without a radius.

    Reference:
        Gonzalez and Woods, Digital Image Processing, 4th ed., section 3.5.

    Example:
        >>> gaussian_blur(jnp.ones((8, 8, 1)), sigma=1.5).shape
        (8, 8, 1)
    """
    radius = _radius(radius, "sigma", sigma, lambda largest: 4 * largest)
    taps = jnp.arange(-radius, radius + 1, dtype=image.dtype).reshape((1,) * (image.ndim - 3) + (-1, 1))
    width = jnp.maximum(per_image(sigma, image)[..., 0], 1e-3)  # below this the kernel is a single pixel
    kernel = jnp.exp(-0.5 * (taps / width) ** 2)
    return filtered_separably(image, kernel / kernel.sum(-2, keepdims=True), border)


@register(
    {
        "sigma": NON_NEGATIVE,
        "ratio": Range(0, 1, above=True),
        "angle": NUMBER,
        "shape": POSITIVE,
        "radius": RADIUS,
        "border": BORDER,
    },
    examples={"sigma": (1, 2, 4), "ratio": 0.3, "angle": 30},
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
    """Blur with a Gaussian that is longer in one direction; see :func:`kernels.gaussian_kernel`.

    Args:
        image: ``[*batch, height, width, channel]``.
        sigma: standard deviation along the long axis in pixels, a scalar or one per image.
        ratio: short axis over long axis, in (0, 1], a scalar or one per image.
        angle: direction of the long axis in degrees, a scalar or one per image.
        shape: exponent of a generalised Gaussian, 1 for the Gaussian, a scalar or one per image.
        radius: half width of the kernel in pixels, by default 4 sigma; needed when ``sigma`` is traced.
        border: as in :func:`kernel_blur`.

    Returns:
        Blurred image of the same shape.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: for shapes that do not fit, an unknown border, or a traced sigma without a radius.

    Reference:
        Wang et al., Real-ESRGAN, ICCVW 2021, section 3.2.

    Example:
        >>> anisotropic_blur(jnp.ones((8, 8, 1)), sigma=2.0, ratio=0.3, angle=30.0).shape
        (8, 8, 1)
    """
    radius = _radius(radius, "sigma", sigma, lambda largest: 4 * largest)
    values = _per_kernel(image, sigma=sigma, ratio=ratio, angle=angle, shape=shape)
    return kernel_blur(image, kernel=kernels.gaussian_kernel(radius=radius, **values), border=border)


@register(
    {"length": NON_NEGATIVE, "angle": NUMBER, "radius": RADIUS, "border": BORDER},
    examples={"length": (5, 10, 20), "angle": 30},
)
def motion_blur(
    image: Image, *, length: Strength, angle: Strength = 0.0, radius: int | None = None, border: str = "reflect"
) -> Image:
    """Blur by straight motion; see :func:`kernels.motion_kernel`.

    Args:
        image: ``[*batch, height, width, channel]``.
        length: of the path in pixels, a scalar or one per image.
        angle: direction in degrees, counted upwards from the row axis, a scalar or one per image.
        radius: half width of the kernel in pixels, by default half the length; needed when ``length`` is traced.
        border: as in :func:`kernel_blur`.

    Returns:
        Blurred image of the same shape.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: for shapes that do not fit, an unknown border, or a traced length without a radius.

    Reference:
        MATLAB ``fspecial("motion")``.

    Example:
        >>> motion_blur(jnp.ones((8, 8, 1)), length=5.0, angle=45.0).shape
        (8, 8, 1)
    """
    radius = _radius(radius, "length", length, lambda largest: largest / 2)
    values = _per_kernel(image, length=length, angle=angle)
    return kernel_blur(image, kernel=kernels.motion_kernel(radius=radius, **values), border=border)


@register({"blur_radius": NON_NEGATIVE, "radius": RADIUS, "border": BORDER}, examples={"blur_radius": (1.5, 3, 6)})
def defocus_blur(image: Image, *, blur_radius: Strength, radius: int | None = None, border: str = "reflect") -> Image:
    """Blur by a lens out of focus; see :func:`kernels.defocus_kernel`.

    Args:
        image: ``[*batch, height, width, channel]``.
        blur_radius: radius of the disk in pixels, a scalar or one per image.
        radius: half width of the kernel in pixels; needed when ``blur_radius`` is traced.
        border: as in :func:`kernel_blur`.

    Returns:
        Blurred image of the same shape.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: for shapes that do not fit, an unknown border, or a traced strength without a radius.

    Reference:
        MATLAB ``fspecial("disk")``.

    Example:
        >>> defocus_blur(jnp.ones((8, 8, 1)), blur_radius=3.0).shape
        (8, 8, 1)
    """
    radius = _radius(radius, "blur_radius", blur_radius, lambda largest: largest)
    values = _per_kernel(image, blur_radius=blur_radius)
    return kernel_blur(image, kernel=kernels.defocus_kernel(radius=radius, **values), border=border)


@register(
    {"cutoff": Range(0, math.pi + 1e-6, above=True), "radius": RADIUS, "border": BORDER},
    examples={"cutoff": (2, 1.3, 0.8)},
)
def sinc_filter(image: Image, *, cutoff: Strength, radius: int = 10, border: str = "reflect") -> Image:
    """Cut high frequencies off sharply, which rings; see :func:`kernels.sinc_kernel`.

    Args:
        image: ``[*batch, height, width, channel]``.
        cutoff: largest frequency in radians per pixel, in (0, pi], a scalar or one per image.
        radius: half width of the kernel in pixels.
        border: as in :func:`kernel_blur`.

    Returns:
        Filtered image of the same shape, not clipped.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: for shapes that do not fit, or an unknown border.

    Reference:
        Wang et al., Real-ESRGAN, ICCVW 2021, equation 6.

    Example:
        >>> sinc_filter(jnp.ones((8, 8, 1)), cutoff=1.0).shape
        (8, 8, 1)
    """
    values = _per_kernel(image, cutoff=cutoff)
    return kernel_blur(image, kernel=kernels.sinc_kernel(radius=radius, **values), border=border)


@register({"length": NON_NEGATIVE, "radius": RADIUS, "border": BORDER}, examples={"length": (8, 16, 32)})
def shake_blur(
    key: PRNGKeyArray, image: Image, *, length: Strength, radius: int = 16, border: str = "reflect"
) -> Image:
    """Blur by camera shake, a path of its own for every image; see :func:`kernels.shake_kernel`.

    Args:
        key: random key.
        image: ``[*batch, height, width, channel]``.
        length: distance travelled in pixels, a scalar or one per image.
        radius: half width of the kernel in pixels; the path is held inside.
        border: as in :func:`kernel_blur`.

    Returns:
        Blurred image of the same shape.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: for shapes that do not fit, or an unknown border.

    Reference:
        Boracchi and Foi, Modeling the performance of image restoration from motion blur, TIP 2012.

    Example:
        >>> shake_blur(jax.random.key(0), jnp.ones((8, 8, 1)), length=9.0).shape
        (8, 8, 1)
    """
    (length,) = _per_kernel(image, length=length).values()
    length = jnp.broadcast_to(length, image.shape[:-3])
    return kernel_blur(image, kernel=kernels.shake_kernel(key, length=length, radius=radius), border=border)


def _radius(radius: int | None, name: str, strength: Strength, needed) -> int:
    if radius is not None:
        return radius
    if isinstance(strength, jax.core.Tracer):
        raise ValueError(f"{name} is traced, so the kernel size is unknown; give radius=, enough for the largest")
    return max(1, math.ceil(needed(float(np.max(np.asarray(strength), initial=0)))))


def _per_kernel(image: jax.Array, **strengths: Strength) -> dict[str, jax.Array]:
    """Strengths with exactly the batch axes of the image, or none."""
    return {
        name: jnp.asarray(value, image.dtype) if jnp.ndim(value) == 0 else per_image(value, image)[..., 0, 0, 0]
        for name, value in strengths.items()
    }
