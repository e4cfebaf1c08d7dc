"""Enhancement by cameras and editors: sharpening and reduction of chroma noise."""

import jax.numpy as jnp

from ..types import Image, Strength, per_image
from .blur import gaussian_blur
from .codec import RGB_TO_YCC, YCC_TO_RGB
from .registry import NON_NEGATIVE, Count, register

__all__ = [
    "chroma_blur",
    "unsharp_mask",
]


@register({"amount": NON_NEGATIVE, "sigma": NON_NEGATIVE, "radius": Count(0)}, examples={"amount": (0.5, 1, 3)})
def unsharp_mask(image: Image, *, amount: Strength, sigma: Strength = 1.0, radius: int | None = None) -> Image:
    """Sharpen by an unsharp mask, ``image + amount * (image - blurred)``, without clipping.

    Args:
        image: ``[*batch, height, width, channel]``.
        amount: factor on the details, at least 0, a scalar or one per image.
        sigma: standard deviation of the Gaussian blur in pixels, at least 0, a scalar or one per image.
        radius: half width of the kernel in pixels, by default 4 sigma; required if ``sigma`` is traced.

    Returns:
        Sharpened image of the same shape, with halos at edges.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if a shape does not match, a strength is not accepted, or ``sigma`` is traced without ``radius``.

    Reference:
        Gonzalez and Woods, Digital Image Processing, 4th ed., section 3.6 (unsharp masking).

    Example:
        >>> unsharp_mask(jnp.ones((8, 8, 1)), amount=0.5).shape
        (8, 8, 1)
    """
    detail = image - gaussian_blur(image, sigma=sigma, radius=radius)
    return image + per_image(amount, image) * detail


@register({"sigma": NON_NEGATIVE, "radius": Count(0)}, examples={"sigma": (1, 2, 4)}, channels=(3,))
def chroma_blur(image: Image, *, sigma: Strength, radius: int | None = None) -> Image:
    """Blur the chroma and keep the luma, the simplest reduction of chroma noise, which bleeds colours over edges.

    Args:
        image: RGB, ``[*batch, height, width, 3]``.
        sigma: standard deviation of the Gaussian blur in pixels, at least 0, a scalar or one per image.
        radius: half width of the kernel in pixels, by default 4 sigma; required if ``sigma`` is traced.

    Returns:
        Image of the same shape with the same luma, not clipped; linear in ``image``.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if the image is not RGB, a shape does not match, a strength is not accepted, or ``sigma`` is traced
            without ``radius``.

    Reference:
        JFIF 1.02 (colour space).

    Example:
        >>> chroma_blur(jnp.ones((8, 8, 3)), sigma=1).shape
        (8, 8, 3)
    """
    ycc = jnp.matmul(image, RGB_TO_YCC.T, precision="highest")
    chroma = gaussian_blur(ycc[..., 1:], sigma=sigma, radius=radius)
    return jnp.matmul(jnp.concatenate([ycc[..., :1], chroma], -1), YCC_TO_RGB.T, precision="highest")
