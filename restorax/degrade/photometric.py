"""Light and levels: what happens to intensities, pixel by pixel."""

import jax
import jax.numpy as jnp

from ..types import Image, PRNGKeyArray, Strength, per_image
from .registry import NON_NEGATIVE, NUMBER, POSITIVE, SHARE, Count, Range, register
from .sensor import camera_noise

__all__ = [
    "fade",
    "gamma_change",
    "haze",
    "low_light",
    "palette",
    "quantisation",
]


@register(
    {"exposure": Range(0, 1, above=True), "shot": NON_NEGATIVE, "read": NON_NEGATIVE},
    examples={"exposure": (0.3, 0.1, 0.03), "shot": 0.01, "read": 0.01},
)
def low_light(key: PRNGKeyArray, image: Image, *, exposure: Strength, shot: Strength, read: Strength) -> Image:
    """Take the picture with too little light and brighten it again: sensor noise, amplified.

    Args:
        key: random key.
        image: linear intensities ``[*batch, height, width, channel]`` in [0, 1].
        exposure: share of the light that there was, in (0, 1], a scalar or one per image.
        shot: variance per intensity of the sensor, as in :func:`camera_noise`.
        read: standard deviation of its read noise in units of [0, 1], as in :func:`camera_noise`.

    Returns:
        Noisy image of the same shape and mean brightness, not clipped.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if the shapes do not fit, or a strength lies outside its range.

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
    """Raise to a power: below 1 brighter, above 1 darker.

    Args:
        image: ``[*batch, height, width, channel]`` in [0, 1]; values below 0 count as 0.
        gamma: exponent above 0, a scalar or one per image.

    Returns:
        Image of the same shape.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if the shapes do not fit, or a strength lies outside its range.

    Reference:
        Gonzalez and Woods, Digital Image Processing, 4th ed., section 3.2.

    Example:
        >>> float(gamma_change(jnp.full((1, 1, 1), 0.5), gamma=2.0)[0, 0, 0])
        0.25
    """
    # The slope of the power at 0 is infinite for exponents below 1.
    return jnp.where(image > 0, jnp.where(image > 0, image, 1) ** per_image(gamma, image), 0)


@register({"transmission": SHARE, "airlight": NUMBER}, examples={"transmission": (0.8, 0.5, 0.25)})
def haze(image: Image, *, transmission: Strength, airlight: Strength = 1.0) -> Image:
    """Mix with a veil of even light: ``t * image + (1 - t) * airlight``, one transmission for the whole image.

    Args:
        image: ``[*batch, height, width, channel]`` in [0, 1].
        transmission: share t of the light that comes through, in [0, 1], a scalar or one per image.
        airlight: intensity of the veil, a scalar or one per image.

    Returns:
        Hazy image of the same shape.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if the shapes do not fit, or a strength lies outside its range.

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
    {"contrast": SHARE, "saturation": SHARE, "level": NUMBER},
    examples={"contrast": (0.8, 0.5, 0.25), "saturation": (0.8, 0.5, 0.25)},
)
def fade(image: Image, *, contrast: Strength, saturation: Strength = 1.0, level: Strength = 0.5) -> Image:
    """Bleach as old prints do: contrast shrinks around a level, colours towards gray.

    Args:
        image: ``[*batch, height, width, channel]`` in [0, 1].
        contrast: factor on the distance to the level, in [0, 1], a scalar or one per image.
        saturation: factor on the distance to the mean of the channels, in [0, 1], a scalar or one per image.
        level: intensity that stays, a scalar or one per image.

    Returns:
        Faded image of the same shape.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if the shapes do not fit, or a strength lies outside its range.

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


@register({"levels": Range(2)}, examples={"levels": (16, 8, 4)}, differentiable=False)
def quantisation(image: Image, *, levels: Strength) -> Image:
    """Round to evenly spaced levels: bit-depth reduction (``2**bits``) and posterising; clips to [0, 1].

    Args:
        image: ``[*batch, height, width, channel]`` in [0, 1].
        levels: number of levels, at least 2, a scalar or one per image.

    Returns:
        Image of the same shape; its gradient is zero almost everywhere.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if the shapes do not fit, or a strength lies outside its range.

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
    """Reduce to few colours, chosen for each image, as GIF and indexed PNG files do; without dithering.

    The palette is that of k-means, begun at pixels evenly spaced in the order of brightness.

    Args:
        image: ``[*batch, height, width, channel]``.
        colours: size of the palette, at least 1.
        iterations: of Lloyd's algorithm.

    Returns:
        Image of the same shape with at most ``colours`` different pixels.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if the shape does not fit or there is no colour.

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
    middles = ((jnp.arange(colours) + 0.5) * (height * width / colours)).astype(int)
    centres = jnp.take_along_axis(pixels, order[..., middles, None], -2)

    def lloyd(_, centres):
        chosen = jax.nn.one_hot(_nearest(pixels, centres), colours, dtype=image.dtype)
        count = chosen.sum(-2)[..., None]
        means = jnp.einsum("...pk,...pc->...kc", chosen, pixels, precision="highest") / jnp.maximum(count, 1)
        return jnp.where(count > 0, means, centres)

    centres = jax.lax.stop_gradient(jax.lax.fori_loop(0, iterations, lloyd, centres))
    return jnp.take_along_axis(centres, _nearest(pixels, centres)[..., None], -2).reshape(image.shape)


def _nearest(pixels: jax.Array, centres: jax.Array) -> jax.Array:
    """Index of the closest of ``[*batch, k, channel]`` for each of ``[*batch, pixel, channel]``."""
    return ((pixels[..., :, None, :] - centres[..., None, :, :]) ** 2).sum(-1).argmin(-1)
