"""Photometric degradations: low light, gamma, haze, fading, quantisation and palettes."""

import jax
import jax.numpy as jnp
import numpy as np

from ..types import Image, PRNGKeyArray, Strength, per_image
from .registry import FRACTION, NON_NEGATIVE, NUMBER, POSITIVE, Count, Range, register
from .sensor import camera_noise

__all__ = [
    "fade",
    "gamma_change",
    "haze",
    "low_light",
    "palette",
    "quantisation",
    "vignetting",
]


@register(
    {"exposure": Range(0, 1, exclude_low=True), "shot": NON_NEGATIVE, "read": NON_NEGATIVE},
    examples={"exposure": (0.3, 0.1, 0.03), "shot": 0.01, "read": 0.01},
)
def low_light(key: PRNGKeyArray, image: Image, *, exposure: Strength, shot: Strength, read: Strength) -> Image:
    """Add the sensor noise of an underexposed image that is brightened again.

    Args:
        key: random key.
        image: linear intensities ``[*batch, height, width, channel]`` in [0, 1].
        exposure: fraction of the full exposure, in (0, 1], a scalar or one per image.
        shot: variance of the shot noise at intensity 1, as in :func:`camera_noise`.
        read: standard deviation of the read noise in units of [0, 1], as in :func:`camera_noise`.

    Returns:
        Noisy image of the same shape and mean brightness, not clipped.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if a shape does not match, or a strength is out of range.

    Reference:
        Wei et al., A physics-based noise formation model for extreme low-light raw denoising, CVPR 2020.

    Example:
        >>> import jax
        >>> low_light(jax.random.key(0), jnp.full((8, 8, 1), 0.5), exposure=0.1, shot=0.01, read=0.01).shape
        (8, 8, 1)
    """
    light = per_image(exposure, image)
    return camera_noise(key, light * image, shot=shot, read=read) / light


@register({"gamma": POSITIVE}, examples={"gamma": (0.5, 1.5, 3)})
def gamma_change(image: Image, *, gamma: Strength) -> Image:
    """Apply a gamma curve, ``image ** gamma``: brighter below 1, darker above 1.

    Args:
        image: ``[*batch, height, width, channel]`` in [0, 1]; negative values are treated as 0.
        gamma: exponent above 0, a scalar or one per image.

    Returns:
        Image of the same shape.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if a shape does not match, or a strength is out of range.

    Reference:
        Gonzalez and Woods, Digital Image Processing, 4th ed., section 3.2.

    Example:
        >>> float(gamma_change(jnp.full((1, 1, 1), 0.5), gamma=2.0)[0, 0, 0])
        0.25
    """
    # The gradient of the power at 0 is infinite for exponents below 1.
    return jnp.where(image > 0, jnp.where(image > 0, image, 1) ** per_image(gamma, image), 0)


@register({"transmission": FRACTION, "airlight": NUMBER}, examples={"transmission": (0.8, 0.5, 0.25)})
def haze(image: Image, *, transmission: Strength, airlight: Strength = 1.0) -> Image:
    """Add homogeneous haze, ``t * image + (1 - t) * airlight``, with one transmission per image.

    Args:
        image: ``[*batch, height, width, channel]`` in [0, 1].
        transmission: transmitted fraction t of the light, in [0, 1], a scalar or one per image.
        airlight: intensity of the airlight, a scalar or one per image.

    Returns:
        Hazy image of the same shape.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if a shape does not match, or a strength is out of range.

    Reference:
        Koschmieder, Theorie der horizontalen Sichtweite, 1924; He et al., Single image haze removal using dark channel
        prior, CVPR 2009, equation 1.

    Example:
        >>> float(haze(jnp.zeros((1, 1, 1)), transmission=0.75)[0, 0, 0])
        0.25
    """
    transmission = per_image(transmission, image)
    return transmission * image + (1 - transmission) * per_image(airlight, image)


@register(
    {"contrast": FRACTION, "saturation": FRACTION, "level": NUMBER},
    examples={"contrast": (0.8, 0.5, 0.25), "saturation": (0.8, 0.5, 0.25)},
)
def fade(image: Image, *, contrast: Strength, saturation: Strength = 1.0, level: Strength = 0.5) -> Image:
    """Reduce contrast and saturation, as in faded prints.

    Args:
        image: ``[*batch, height, width, channel]`` in [0, 1].
        contrast: factor on the difference to ``level``, in [0, 1], a scalar or one per image.
        saturation: factor on the difference to the mean of the channels, in [0, 1], a scalar or one per image.
        level: intensity that is preserved, a scalar or one per image.

    Returns:
        Faded image of the same shape.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if a shape does not match, or a strength is out of range.

    Reference:
        Wan et al., Bringing old photos back to life, CVPR 2020, section 4.1 (colour fading).

    Example:
        >>> float(fade(jnp.ones((1, 1, 1)), contrast=0.5)[0, 0, 0])
        0.75
    """
    level = per_image(level, image)
    gray = image.mean(-1, keepdims=True)
    image = gray + per_image(saturation, image) * (image - gray)
    return level + per_image(contrast, image) * (image - level)


@register({"strength": FRACTION}, examples={"strength": (0.2, 0.5, 0.9)})
def vignetting(image: Image, *, strength: Strength) -> Image:
    """Darken towards the corners by the cosine-fourth law of natural vignetting.

    The intensity is multiplied by ``cos(angle)^4 = 1 / (1 + t^2 r^2)^2``, where r is the distance from the centre, 1 at
    the corners, and t is such that the corners lose the given fraction.

    Args:
        image: ``[*batch, height, width, channel]``; the law holds for linear intensities.
        strength: fraction of the intensity that the corners lose, in [0, 1], a scalar or one per image.

    Returns:
        Image of the same shape.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if a shape does not match, or a strength is out of range.

    Reference:
        Goldman, Vignette and exposure calibration and compensation, TPAMI 2010, section 2 (cosine-fourth law).

    Example:
        >>> round(float(vignetting(jnp.ones((9, 9, 1)), strength=0.5)[0, 0, 0]), 3)
        0.5
    """
    height, width = image.shape[-3:-1]
    y, x = ((jnp.arange(side, dtype=image.dtype) + 0.5 - side / 2) for side in (height, width))
    corner = max(((height - 1) ** 2 + (width - 1) ** 2) / 4, 1e-6)
    squares = (y.reshape(-1, 1, 1) ** 2 + x.reshape(1, -1, 1) ** 2) / corner
    squares = squares.reshape((1,) * (image.ndim - 3) + squares.shape)
    # The largest strength leaves a thousandth, because a black corner is at an infinite angle.
    tangent = jnp.maximum(1 - per_image(strength, image), 1e-3) ** -0.5 - 1
    return image / (1 + tangent * squares) ** 2


@register({"levels": Range(2)}, examples={"levels": (16, 8, 4)}, differentiable=False)
def quantisation(image: Image, *, levels: Strength) -> Image:
    """Clip to [0, 1] and round to evenly spaced levels (bit-depth reduction, posterisation).

    Args:
        image: ``[*batch, height, width, channel]`` in [0, 1].
        levels: number of levels, at least 2 (``2**bits``), a scalar or one per image.

    Returns:
        Image of the same shape; its gradient is zero almost everywhere.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if a shape does not match, or a strength is out of range.

    Reference:
        Gonzalez and Woods, Digital Image Processing, 4th ed., section 2.4.

    Example:
        >>> float(quantisation(jnp.full((1, 1, 1), 0.4), levels=3)[0, 0, 0])
        0.5
    """
    steps = jnp.maximum(jnp.round(per_image(levels, image)), 2) - 1
    return jnp.round(jnp.clip(image, 0, 1) * steps) / steps


@register({"colours": Count(), "iterations": Count(0)}, examples={"colours": (64, 16, 6)}, differentiable=False)
def palette(image: Image, *, colours: int = 16, iterations: int = 10) -> Image:
    """Reduce each image to a palette of its own, as in GIF and indexed PNG files, without dithering.

    The palette is found by k-means, initialised with pixels at evenly spaced ranks of brightness.

    Args:
        image: ``[*batch, height, width, channel]``.
        colours: size of the palette, at least 1.
        iterations: iterations of Lloyd's algorithm.

    Returns:
        Image of the same shape with at most ``colours`` distinct pixel values.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if a shape does not match, or a strength is out of range.

    Reference:
        Heckbert, Color image quantization for frame buffer display, SIGGRAPH 1982; Lloyd, Least squares quantization
        in PCM, IEEE Trans. Information Theory 28, 1982.

    Example:
        >>> len(jnp.unique(palette(jnp.linspace(0, 1, 64).reshape(8, 8, 1), colours=4)))
        4
    """
    *batch, height, width, channels = image.shape
    pixels = image.reshape(*batch, height * width, channels)
    order = jnp.argsort(pixels.sum(-1), axis=-1)
    ranks = ((jnp.arange(colours) + 0.5) * (height * width / colours)).astype(int)
    centres = jnp.take_along_axis(pixels, order[..., ranks, None], -2)

    def update(_, centres):
        assignment = jax.nn.one_hot(_nearest(pixels, centres), colours, dtype=image.dtype)
        count = assignment.sum(-2)[..., None]
        means = jnp.einsum("...pk,...pc->...kc", assignment, pixels, precision="highest") / jnp.maximum(count, 1)
        return jnp.where(count > 0, means, centres)

    centres = jax.lax.stop_gradient(jax.lax.fori_loop(0, iterations, update, centres))
    return jnp.take_along_axis(centres, _nearest(pixels, centres)[..., None], -2).reshape(image.shape)


def _nearest(pixels: jax.Array | np.ndarray, centres: jax.Array) -> jax.Array:
    """Return the index of the nearest centre ``[*batch, k, channel]`` for each pixel ``[*batch, pixel, channel]``."""
    return ((jnp.asarray(pixels)[..., :, None, :] - centres[..., None, :, :]) ** 2).sum(-1).argmin(-1)
