"""Photon and sensor noise: shot (Poisson), camera (Poisson-Gaussian), EMCCD and avalanche photodiode."""

import jax
import jax.numpy as jnp

from ..types import Image, PRNGKeyArray, Strength, per_image
from .distributions import gamma, poisson
from .registry import FRACTION, NON_NEGATIVE, POSITIVE, Range, register

__all__ = [
    "apd_noise",
    "camera_noise",
    "emccd_noise",
    "shot_noise",
]


@register({"peak": POSITIVE}, examples={"peak": (100, 20, 4)}, differentiable=False)
def shot_noise(key: PRNGKeyArray, image: Image, *, peak: Strength) -> Image:
    """Apply shot noise, ``Poisson(peak * image) / peak``.

    Args:
        key: random key.
        image: ``[*batch, height, width, channel]`` in [0, 1]; negative values are treated as 0.
        peak: mean number of photoelectrons at intensity 1, above 0, a scalar or one per image.

    Returns:
        Noisy image of the same shape with mean ``image`` and variance ``image / peak``; not differentiable.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if a shape does not match, or a strength is out of range.

    Reference:
        Foi et al., Practical Poissonian-Gaussian noise modeling, TIP 2008, section II.

    Example:
        >>> shot_noise(jax.random.key(0), jnp.full((8, 8, 1), 0.5), peak=30).shape
        (8, 8, 1)
    """
    peak = per_image(peak, image)
    return _photoelectrons(key, image, peak) / peak


@register({"shot": NON_NEGATIVE, "read": NON_NEGATIVE}, examples={"shot": (0.005, 0.02, 0.08), "read": 0.02})
def camera_noise(key: PRNGKeyArray, image: Image, *, shot: Strength, read: Strength) -> Image:
    """Add Gaussian noise of variance ``shot * image + read**2``, the common model of raw camera images.

    Args:
        key: random key.
        image: linear intensities ``[*batch, height, width, channel]`` in [0, 1]; negative values
            have no shot noise.
        shot: variance of the shot noise at intensity 1 (1 / photoelectrons), at least 0, a scalar or one per image.
        read: standard deviation of the read noise in units of [0, 1], a scalar or one per image.

    Returns:
        Noisy image of the same shape, not clipped.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if a shape does not match, or a strength is out of range.

    Reference:
        Foi et al., Practical Poissonian-Gaussian noise modeling, TIP 2008, equation 3; Brooks et al., Unprocessing
        images for learned raw denoising, CVPR 2019, section 3.1.

    Example:
        >>> camera_noise(jax.random.key(0), jnp.full((8, 8, 1), 0.5), shot=0.01, read=0.02).shape
        (8, 8, 1)
    """
    variance = per_image(shot, image) * jnp.maximum(image, 0) + per_image(read, image) ** 2
    # The square root has no finite gradient at 0.
    deviation = jnp.where(variance > 0, jnp.sqrt(jnp.where(variance > 0, variance, 1)), 0)
    return image + deviation * jax.random.normal(key, image.shape, image.dtype)


@register(
    {"peak": POSITIVE, "gain": Range(1), "read": NON_NEGATIVE}, examples={"peak": (100, 20, 4)}, differentiable=False
)
def emccd_noise(
    key: PRNGKeyArray, image: Image, *, peak: Strength, gain: Strength = 300.0, read: Strength = 40.0
) -> Image:
    """Apply shot noise amplified by the electron-multiplying register of an EMCCD.

    ``n ~ Poisson(peak * image)`` electrons become ``Gamma(n, gain)`` in the register (mean ``gain * n``, excess noise
    factor 2), read noise is added, and the result is divided by ``gain * peak``.

    Args:
        key: random key.
        image: ``[*batch, height, width, channel]`` in [0, 1]; negative values are treated as 0.
        peak: mean number of photoelectrons at intensity 1, above 0, a scalar or one per image.
        gain: mean gain of the register, at least 1, a scalar or one per image.
        read: standard deviation of the read noise in electrons at the output, a scalar or one per image.

    Returns:
        Noisy image of the same shape with mean ``image`` and variance
        ``2 * image / peak + (read / (gain * peak))**2``; not differentiable, not clipped.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if a shape does not match, or a strength is out of range.

    Reference:
        Basden et al., Photon counting strategies with low-light-level CCDs, MNRAS 345, 2003, equation 1; Robbins and
        Hadwen, The noise performance of electron multiplying CCDs, IEEE Trans. Electron Devices 50, 2003.

    Example:
        >>> emccd_noise(jax.random.key(0), jnp.full((8, 8, 1), 0.5), peak=10).shape
        (8, 8, 1)
    """
    count_key, register_key, read_key = jax.random.split(key, 3)
    peak, gain = per_image(peak, image), per_image(gain, image)
    electrons = _photoelectrons(count_key, image, peak)
    amplified = gamma(register_key, jnp.maximum(electrons, 1))
    amplified = jnp.where(electrons > 0, amplified, 0)
    noise = per_image(read, image) / gain * jax.random.normal(read_key, image.shape, image.dtype)
    return (amplified + noise) / peak


@register(
    {"peak": POSITIVE, "gain": Range(1), "ionisation": FRACTION, "read": NON_NEGATIVE},
    examples={"peak": (100, 20, 4)},
    differentiable=False,
)
def apd_noise(
    key: PRNGKeyArray,
    image: Image,
    *,
    peak: Strength,
    gain: Strength = 100.0,
    ionisation: Strength = 0.02,
    read: Strength = 0.0,
) -> Image:
    """Apply shot noise amplified by an avalanche photodiode, with McIntyre's excess noise.

    ``n ~ Poisson(peak * image)`` electrons are multiplied independently, with mean ``gain`` and excess noise factor
    ``F = k * gain + (1 - k) * (2 - 1 / gain)``. Their sum is drawn from the Gamma distribution of the same mean and
    variance; read noise is added, and the result is divided by ``gain * peak``.

    Args:
        key: random key.
        image: ``[*batch, height, width, channel]`` in [0, 1]; negative values are treated as 0.
        peak: mean number of photoelectrons at intensity 1, above 0, a scalar or one per image.
        gain: mean gain M, at least 1, a scalar or one per image.
        ionisation: ratio k of the ionisation coefficients of holes and electrons, in [0, 1], a scalar or one per
            image; about 0.02 for silicon, 0.45 for InGaAs.
        read: standard deviation of the read noise in electrons at the output, a scalar or one per image.

    Returns:
        Noisy image of the same shape with mean ``image`` and variance
        ``F * image / peak + (read / (gain * peak))**2``; not differentiable, not clipped.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if a shape does not match, or a strength is out of range.

    Reference:
        McIntyre, Multiplication noise in uniform avalanche diodes, IEEE Trans. Electron Devices 13, 1966.

    Example:
        >>> apd_noise(jax.random.key(0), jnp.full((8, 8, 1), 0.5), peak=50).shape
        (8, 8, 1)
    """
    count_key, register_key, read_key = jax.random.split(key, 3)
    peak, gain, k = per_image(peak, image), per_image(gain, image), per_image(ionisation, image)
    excess = k * gain + (1 - k) * (2 - 1 / gain)
    electrons = _photoelectrons(count_key, image, peak)
    # For n electrons the sum has mean n and variance n (F - 1) in units of the gain: Gamma(n / (F - 1), F - 1).
    scale = jnp.maximum(excess - 1, 1e-3)
    amplified = scale * gamma(register_key, jnp.maximum(electrons, 1) / scale)
    amplified = jnp.where(electrons > 0, amplified, 0)
    noise = per_image(read, image) / gain * jax.random.normal(read_key, image.shape, image.dtype)
    return (amplified + noise) / peak


def _photoelectrons(key: PRNGKeyArray, image: Image, peak: jax.Array) -> jax.Array:
    """Sample photoelectron counts."""
    return poisson(key, jnp.maximum(peak * image, 0))
