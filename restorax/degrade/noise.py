"""Additive, multiplicative and impulse noise; photon and sensor noise is in ``sensor.py``."""

import jax
import jax.numpy as jnp

from ..types import Array, Float, Image, Observation, PRNGKeyArray, Strength, per_image
from .filtering import check_kernel, convolve_valid
from .registry import FRACTION, INTENSITY, NON_NEGATIVE, register

__all__ = [
    "correlated_noise",
    "dead_pixels",
    "gaussian_noise",
    "impulse_noise",
    "salt_and_pepper_noise",
    "speckle_noise",
    "stripe_noise",
    "uniform_noise",
]


@register({"sigma": INTENSITY}, examples={"sigma": (15 / 255, 25 / 255, 50 / 255)})
def gaussian_noise(
    key: PRNGKeyArray, image: Image, *, sigma: Strength, per_pixel: bool = False, with_level: bool = False
) -> Image | Observation:
    """Add white Gaussian noise without clipping.

    Args:
        key: random key.
        image: ``[*batch, height, width, channel]`` in [0, 1].
        sigma: standard deviation in [0, 1] (``25 / 255`` for "sigma 25"): a scalar, one per image, or a map with
            the axes of the image, ``[*batch, height, width, 1 or channel]``.
        per_pixel: use the same noise in all channels (gray noise).
        with_level: return ``sigma`` as the condition, for non-blind restorers.

    Returns:
        Noisy image of the same shape; if ``with_level`` is set, an observation with the condition
        ``[*batch, height, width, 1]``, or with the channels of ``sigma`` if that is a map.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if a shape does not match, or a strength is out of range.

    Reference:
        Zhang et al., Beyond a Gaussian denoiser, TIP 2017, section I; Zhang et al., FFDNet, TIP 2018 (the map).

    Example:
        >>> gaussian_noise(jax.random.key(0), jnp.zeros((8, 8, 1)), sigma=25 / 255).shape
        (8, 8, 1)
    """
    level = _noise_level(sigma, image)
    noisy = image + level * jax.random.normal(key, _noise_shape(image, per_pixel), image.dtype)
    return Observation(noisy, jnp.broadcast_to(level, (*image.shape[:-1], level.shape[-1]))) if with_level else noisy


@register({"sigma": INTENSITY}, examples={"sigma": (15 / 255, 25 / 255, 50 / 255)})
def correlated_noise(
    key: PRNGKeyArray, image: Image, *, sigma: Strength, kernel: Float[Array, "rows columns"] | None = None
) -> Image:
    """Add spatially correlated Gaussian noise, white noise filtered by a kernel, without clipping.

    Args:
        key: random key.
        image: ``[*batch, height, width, channel]`` in [0, 1].
        sigma: standard deviation of the filtered noise in [0, 1], a scalar or one per image.
        kernel: filter ``[rows, columns]`` with odd sides, normalised to preserve the variance; by default a 3 x 3
            binomial, similar to the correlation after demosaicking and compression.

    Returns:
        Noisy image of the same shape.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if a shape does not match, sigma is out of range, or a side of the kernel is even.

    Reference:
        Maekinen et al., Collaborative filtering of correlated noise, TIP 2020, equation 2.

    Example:
        >>> correlated_noise(jax.random.key(0), jnp.zeros((8, 8, 1)), sigma=0.1).shape
        (8, 8, 1)
    """
    taps = jnp.outer(jnp.array([1.0, 2, 1]), jnp.array([1.0, 2, 1])) if kernel is None else check_kernel(kernel)
    if taps.ndim != 2:
        raise ValueError(f"`kernel` must have shape [rows, columns], got {taps.shape}.")
    taps = (taps / jnp.sqrt((taps**2).sum())).astype(image.dtype)
    *batch, height, width, channels = image.shape
    rows, columns = taps.shape
    white = jax.random.normal(key, (*batch, height + rows - 1, width + columns - 1, channels), image.dtype)
    noise = convolve_valid(white, taps.reshape((1,) * len(batch) + taps.shape), (height, width))
    return image + per_image(sigma, image) * noise


@register({"amplitude": INTENSITY}, examples={"amplitude": (0.1, 0.2, 0.4)})
def uniform_noise(key: PRNGKeyArray, image: Image, *, amplitude: Strength) -> Image:
    """Add noise distributed uniformly in [-amplitude, amplitude], without clipping.

    Args:
        key: random key.
        image: ``[*batch, height, width, channel]`` in [0, 1].
        amplitude: maximum deviation, in [0, 1], a scalar or one per image.

    Returns:
        Noisy image of the same shape.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if a shape does not match, or a strength is out of range.

    Reference:
        Gonzalez and Woods, Digital Image Processing, 4th ed., section 5.2.

    Example:
        >>> uniform_noise(jax.random.key(0), jnp.zeros((8, 8, 1)), amplitude=0.1).shape
        (8, 8, 1)
    """
    return image + per_image(amplitude, image) * jax.random.uniform(key, image.shape, image.dtype, -1, 1)


@register({"sigma": NON_NEGATIVE}, examples={"sigma": (0.15, 0.3, 0.6)})
def speckle_noise(key: PRNGKeyArray, image: Image, *, sigma: Strength) -> Image:
    """Multiply by Gaussian noise of mean 1, without clipping.

    Args:
        key: random key.
        image: ``[*batch, height, width, channel]`` in [0, 1].
        sigma: standard deviation of the factor, at least 0, a scalar or one per image.

    Returns:
        Noisy image of the same shape.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if a shape does not match, or a strength is out of range.

    Reference:
        MATLAB ``imnoise(I, "speckle")``; Hendrycks and Dietterich, ImageNet-C, ICLR 2019.

    Example:
        >>> speckle_noise(jax.random.key(0), jnp.zeros((8, 8, 1)), sigma=0.2).shape
        (8, 8, 1)
    """
    return image * (1 + per_image(sigma, image) * jax.random.normal(key, image.shape, image.dtype))


@register({"amount": FRACTION}, examples={"amount": (0.05, 0.2, 0.5)})
def salt_and_pepper_noise(key: PRNGKeyArray, image: Image, *, amount: Strength, per_pixel: bool = False) -> Image:
    """Replace a random fraction of the values by 0 or 1, with equal probability.

    Args:
        key: random key.
        image: ``[*batch, height, width, channel]`` in [0, 1].
        amount: probability in [0, 1] that a value is replaced, a scalar or one per image.
        per_pixel: replace all channels of a pixel together.

    Returns:
        Noisy image of the same shape.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if a shape does not match, or a strength is out of range.

    Reference:
        Gonzalez and Woods, Digital Image Processing, 4th ed., section 5.2.

    Example:
        >>> salt_and_pepper_noise(jax.random.key(0), jnp.full((8, 8, 1), 0.5), amount=0.3).shape
        (8, 8, 1)
    """
    draw = jax.random.uniform(key, _noise_shape(image, per_pixel), image.dtype)
    amount = per_image(amount, image)
    # One draw decides whether a value is replaced, and by 0 or 1.
    return jnp.where(draw < amount, (draw < amount / 2).astype(image.dtype), image)


@register({"amount": FRACTION}, examples={"amount": (0.05, 0.2, 0.5)})
def impulse_noise(key: PRNGKeyArray, image: Image, *, amount: Strength, per_pixel: bool = False) -> Image:
    """Replace a random fraction of the values by uniform random values in [0, 1].

    Args:
        key: random key.
        image: ``[*batch, height, width, channel]`` in [0, 1].
        amount: probability in [0, 1] that a value is replaced, a scalar or one per image.
        per_pixel: replace all channels of a pixel together, each by its own value.

    Returns:
        Noisy image of the same shape.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if a shape does not match, or a strength is out of range.

    Reference:
        Garnett et al., A universal noise removal algorithm with an impulse detector, TIP 2005, section I.

    Example:
        >>> impulse_noise(jax.random.key(0), jnp.full((8, 8, 1), 0.5), amount=0.3).shape
        (8, 8, 1)
    """
    replace_key, value_key = jax.random.split(key)
    replaced = jax.random.uniform(replace_key, _noise_shape(image, per_pixel), image.dtype) < per_image(amount, image)
    return jnp.where(replaced, jax.random.uniform(value_key, image.shape, image.dtype), image)


@register({"sigma": INTENSITY}, examples={"sigma": (0.02, 0.05, 0.1)})
def stripe_noise(key: PRNGKeyArray, image: Image, *, sigma: Strength, columns: bool = False) -> Image:
    """Add one Gaussian offset per row or column, the same in all channels, without clipping.

    Args:
        key: random key.
        image: ``[*batch, height, width, channel]`` in [0, 1].
        sigma: standard deviation of the offsets in [0, 1], a scalar or one per image.
        columns: one offset per column instead of per row.

    Returns:
        Noisy image of the same shape.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if a shape does not match, or a strength is out of range.

    Reference:
        EMVA Standard 1288, release 4.0, section 8 (row and column non-uniformity).

    Example:
        >>> stripe_noise(jax.random.key(0), jnp.zeros((8, 8, 1)), sigma=0.05).shape
        (8, 8, 1)
    """
    *batch, height, width, _ = image.shape
    shape = (*batch, 1, width, 1) if columns else (*batch, height, 1, 1)
    return image + per_image(sigma, image) * jax.random.normal(key, shape, image.dtype)


@register({"amount": FRACTION, "hot": FRACTION}, examples={"amount": (0.001, 0.005, 0.02)})
def dead_pixels(key: PRNGKeyArray, image: Image, *, amount: Strength, hot: Strength = 0.5) -> Image:
    """Set a random fraction of the pixels to 0 (dead) or 1 (hot) in all channels, without a mask as condition.

    Args:
        key: random key.
        image: ``[*batch, height, width, channel]`` in [0, 1].
        amount: probability in [0, 1] that a pixel is defective, a scalar or one per image.
        hot: probability in [0, 1] that a defective pixel is hot, a scalar or one per image.

    Returns:
        Image of the same shape with defective pixels.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if a shape does not match, or a strength is out of range.

    Reference:
        EMVA Standard 1288, release 4.0, section 8 (defect pixels).

    Example:
        >>> dead_pixels(jax.random.key(0), jnp.full((8, 8, 1), 0.5), amount=0.01).shape
        (8, 8, 1)
    """
    draw = jax.random.uniform(key, _noise_shape(image, True), image.dtype)
    amount, hot = per_image(amount, image), per_image(hot, image)
    return jnp.where(draw < amount, (draw < amount * hot).astype(image.dtype), image)


def _noise_shape(image: Image, per_pixel: bool) -> tuple[int, ...]:
    return (*image.shape[:-1], 1) if per_pixel else image.shape


def _noise_level(sigma: Strength, image: Image) -> jax.Array:
    """Reshape a noise level that is a scalar, one value per image, or a map with the axes of the image."""
    if jnp.ndim(sigma) != image.ndim:
        return per_image(sigma, image)
    sigma = jnp.asarray(sigma, image.dtype)
    if any(s not in (1, i) for s, i in zip(sigma.shape, image.shape, strict=True)):
        raise ValueError(f"`sigma` must broadcast to the image shape {image.shape}, got shape {sigma.shape}.")
    return sigma
