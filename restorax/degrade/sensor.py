"""Noise of counted photons: shot, camera, and the avalanche of multiplying detectors."""

import jax
import jax.numpy as jnp

from ..types import Image, PRNGKeyArray, Strength, per_image
from .registry import NON_NEGATIVE, POSITIVE, Range, register
from .samplers import gamma, poisson

__all__ = [
    "apd_noise",
    "camera_noise",
    "emccd_noise",
    "shot_noise",
]


@register({"peak": POSITIVE}, examples={"peak": (100, 20, 4)}, differentiable=False)
def shot_noise(key: PRNGKeyArray, image: Image, *, peak: Strength) -> Image:
    """Count photons: ``Poisson(peak * image) / peak``.

    Args:
        key: random key.
        image: ``[*batch, height, width, channel]`` in [0, 1]; values below 0 count as 0.
        peak: mean number of photo-electrons at 1, above 0, a scalar or one per image.

    Returns:
        Noisy image of the same shape with mean ``image`` and variance ``image / peak``; not differentiable.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if the shapes do not fit, or a strength lies outside its range.

    Reference:
        Foi et al., Practical Poissonian-Gaussian noise modeling, TIP 2008, section II.

    Example:
        >>> shot_noise(jax.random.key(0), jnp.full((8, 8, 1), 0.5), peak=30).shape
        (8, 8, 1)
    """
    peak = per_image(peak, image)
    return _electrons(key, image, peak) / peak


@register({"shot": NON_NEGATIVE, "read": NON_NEGATIVE}, examples={"shot": (0.005, 0.02, 0.08), "read": 0.02})
def camera_noise(key: PRNGKeyArray, image: Image, *, shot: Strength, read: Strength) -> Image:
    """Add Gaussian noise of variance ``shot * image + read**2``, the usual model of raw camera files.

    Args:
        key: random key.
        image: linear intensities ``[*batch, height, width, channel]`` in [0, 1]; below 0 there is no shot noise.
        shot: variance per intensity (1 / electrons at full scale), at least 0, a scalar or one per image.
        read: standard deviation of the read noise in units of [0, 1], a scalar or one per image.

    Returns:
        Noisy image of the same shape, not clipped.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if the shapes do not fit, or a strength lies outside its range.

    Reference:
        Foi et al., Practical Poissonian-Gaussian noise modeling, TIP 2008, equation 3; Brooks et al., Unprocessing
        images for learned raw denoising, CVPR 2019, section 3.1.

    Example:
        >>> camera_noise(jax.random.key(0), jnp.full((8, 8, 1), 0.5), shot=0.01, read=0.02).shape
        (8, 8, 1)
    """
    variance = per_image(shot, image) * jnp.maximum(image, 0) + per_image(read, image) ** 2
    # The root has no finite slope at 0, where there is no noise either.
    deviation = jnp.where(variance > 0, jnp.sqrt(jnp.where(variance > 0, variance, 1)), 0)
    return image + deviation * jax.random.normal(key, image.shape, image.dtype)


@register(
    {"peak": POSITIVE, "gain": Range(1), "read": NON_NEGATIVE}, examples={"peak": (100, 20, 4)}, differentiable=False
)
def emccd_noise(
    key: PRNGKeyArray, image: Image, *, peak: Strength, gain: Strength = 300.0, read: Strength = 40.0
) -> Image:
    """Count photons through the electron-multiplying register of an EMCCD.

    ``n ~ Poisson(peak * image)`` electrons become ``Gamma(n, gain)`` in the register (mean ``gain * n``, excess noise
    factor 2), read noise is added, and the result is divided by ``gain * peak``.

    Args:
        key: random key.
        image: ``[*batch, height, width, channel]`` in [0, 1]; values below 0 count as 0.
        peak: mean number of photo-electrons at 1, above 0, a scalar or one per image.
        gain: mean multiplication, at least 1, a scalar or one per image.
        read: standard deviation of the read noise in electrons at the output, a scalar or one per image.

    Returns:
        Noisy image of the same shape with mean ``image`` and variance
        ``2 * image / peak + (read / (gain * peak))**2``; not differentiable, not clipped.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if the shapes do not fit, or a strength lies outside its range.

    Reference:
        Basden et al., Photon counting strategies with low-light-level CCDs, MNRAS 345, 2003, equation 1; Robbins and
        Hadwen, The noise performance of electron multiplying CCDs, IEEE Trans. Electron Devices 50, 2003.

    Example:
        >>> emccd_noise(jax.random.key(0), jnp.full((8, 8, 1), 0.5), peak=10).shape
        (8, 8, 1)
    """
    count_key, register_key, read_key = jax.random.split(key, 3)
    peak, gain = per_image(peak, image), per_image(gain, image)
    electrons = _electrons(count_key, image, peak)
    drawn = gamma(register_key, jnp.maximum(electrons, 1))
    multiplied = jnp.where(electrons > 0, drawn, 0)
    noise = per_image(read, image) / gain * jax.random.normal(read_key, image.shape, image.dtype)
    return (multiplied + noise) / peak


@register(
    {"peak": POSITIVE, "gain": Range(1), "ionisation": Range(0, 1), "read": NON_NEGATIVE},
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
    """Count photons through an avalanche photodiode with McIntyre's excess noise.

    ``n ~ Poisson(peak * image)`` electrons are multiplied one by one, with mean ``gain`` and excess noise factor
    ``F = k * gain + (1 - k) * (2 - 1 / gain)``. The sum of the multiplications is drawn as a Gamma variable of the
    right mean and variance; read noise is added, and the result is divided by ``gain * peak``.

    Args:
        key: random key.
        image: ``[*batch, height, width, channel]`` in [0, 1]; values below 0 count as 0.
        peak: mean number of photo-electrons at 1, above 0, a scalar or one per image.
        gain: mean multiplication M, at least 1, a scalar or one per image.
        ionisation: ratio k of the ionisation coefficients of holes and electrons, in [0, 1], a scalar or one per
            image; about 0.02 for silicon, 0.45 for InGaAs.
        read: standard deviation of the read noise in electrons at the output, a scalar or one per image.

    Returns:
        Noisy image of the same shape with mean ``image`` and variance
        ``F * image / peak + (read / (gain * peak))**2``; not differentiable, not clipped.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if the shapes do not fit, or a strength lies outside its range.

    Reference:
        McIntyre, Multiplication noise in uniform avalanche diodes, IEEE Trans. Electron Devices 13, 1966.

    Example:
        >>> apd_noise(jax.random.key(0), jnp.full((8, 8, 1), 0.5), peak=50).shape
        (8, 8, 1)
    """
    count_key, register_key, read_key = jax.random.split(key, 3)
    peak, gain, k = (
        per_image(peak, image),
        per_image(gain, image),
        per_image(ionisation, image),
    )
    excess = k * gain + (1 - k) * (2 - 1 / gain)
    electrons = _electrons(count_key, image, peak)
    # Given n electrons the sum has mean n and variance n (F - 1), in units of the gain: Gamma(n / (F - 1), F - 1).
    spread = jnp.maximum(excess - 1, 1e-3)
    drawn = spread * gamma(register_key, jnp.maximum(electrons, 1) / spread)
    multiplied = jnp.where(electrons > 0, drawn, 0)
    noise = per_image(read, image) / gain * jax.random.normal(read_key, image.shape, image.dtype)
    return (multiplied + noise) / peak


def _electrons(key: PRNGKeyArray, image: jax.Array, peak: jax.Array) -> jax.Array:
    return poisson(key, jnp.maximum(peak * image, 0))
