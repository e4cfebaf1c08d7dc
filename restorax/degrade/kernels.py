"""Blur kernels of unit sum, ``[*batch, 2 radius + 1, 2 radius + 1]``.

Strengths may be traced and may differ between images; ``radius`` is static because it determines the shape. Angles are
in degrees, counterclockwise from the horizontal, as in MATLAB's ``fspecial``.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from ..types import Array, Float, PRNGKeyArray, Strength, check_count

Kernel = Float[Array, "*batch rows columns"]

_SAMPLES = 9  # per pixel and axis, for anti-aliasing


def gaussian_kernel(
    *, sigma: Strength, radius: int, ratio: Strength = 1.0, angle: Strength = 0.0, shape: Strength = 1.0
) -> Kernel:
    """Compute a generalised anisotropic Gaussian, ``exp(-(u^2 / s^2 + v^2 / (ratio s)^2)^shape / 2)``.

    Args:
        sigma: standard deviation along the long axis in pixels.
        radius: half width in pixels.
        ratio: short axis / long axis, in (0, 1].
        angle: direction of the long axis in degrees.
        shape: exponent; 1 for a Gaussian, below 1 for heavy tails, above 1 for a flat top.

    Returns:
        Kernel of unit sum.

    Reference:
        Wang et al., Real-ESRGAN, ICCVW 2021, section 3.2 (generalised Gaussian kernels).

    Example:
        >>> gaussian_kernel(sigma=1.6, radius=6).shape
        (13, 13)
    """
    sigma, ratio, angle, shape = _strengths(sigma, ratio, angle, shape)
    along, across = _rotated(radius, angle)
    sigma = jnp.maximum(sigma, 1e-3)  # below this the kernel is a single pixel
    # The epsilon keeps the gradient of the power finite at the centre.
    distance = (along / sigma) ** 2 + (across / (ratio * sigma)) ** 2
    return _unit_sum(jnp.exp(-0.5 * (distance + 1e-12) ** shape))


def motion_kernel(*, length: Strength, angle: Strength, radius: int) -> Kernel:
    """Compute the kernel of linear motion at constant speed: an anti-aliased line, one pixel wide.

    Args:
        length: length of the motion in pixels; up to 1 the image hardly changes.
        angle: direction in degrees.
        radius: half width in pixels, enough for lengths up to ``2 radius + 1``.

    Returns:
        Kernel of unit sum.

    Reference:
        MATLAB ``fspecial("motion")``; Gonzalez and Woods, Digital Image Processing, 4th ed., section 5.6.

    Example:
        >>> [round(float(x), 3) for x in motion_kernel(length=3.0, angle=0.0, radius=2)[2]]
        [0.0, 0.333, 0.333, 0.333, 0.0]
    """
    length, angle = _strengths(length, angle)
    along, across = _rotated(radius, angle)
    # A pixel-wide box overlapping the line along the motion, times a tent of one pixel across it.
    half = jnp.maximum(length, 1) / 2
    box = jnp.clip(half + 0.5 - jnp.abs(along), 0, 1)
    tent = jnp.clip(1 - jnp.abs(across), 0, 1)
    return _unit_sum(box * tent)


def defocus_kernel(*, blur_radius: Strength, radius: int) -> Kernel:
    """Compute the kernel of a defocused lens: an anti-aliased disk.

    Args:
        blur_radius: radius of the disk in pixels; below 0.5 the image hardly changes.
        radius: half width of the kernel in pixels, at least ``blur_radius``.

    Returns:
        Kernel of unit sum.

    Reference:
        MATLAB ``fspecial("disk")``; Hendrycks and Dietterich, ImageNet-C, ICLR 2019 (defocus).

    Example:
        >>> defocus_kernel(blur_radius=3.0, radius=4).shape
        (9, 9)
    """
    check_count(radius, "radius", 0)
    (blur_radius,) = _strengths(blur_radius)
    fine = (jnp.arange(_SAMPLES * (2 * radius + 1)) + 0.5) / _SAMPLES - radius - 0.5
    y, x = fine[:, None], fine[None, :]
    distance = jnp.sqrt(y**2 + x**2).reshape((1,) * (blur_radius.ndim - 2) + (fine.size, fine.size))
    inside = jnp.clip((jnp.maximum(blur_radius, 0.5) - distance) * _SAMPLES + 0.5, 0, 1)
    side = 2 * radius + 1
    return _unit_sum(inside.reshape(*inside.shape[:-2], side, _SAMPLES, side, _SAMPLES).mean((-3, -1)))


def sinc_kernel(*, cutoff: Strength, radius: int) -> Kernel:
    """Compute an ideal circular low-pass filter, which causes the ringing of sharpened or resized images.

    Args:
        cutoff: cutoff frequency in radians per pixel, in (0, pi].
        radius: half width in pixels.

    Returns:
        Kernel of unit sum, with negative lobes.

    Reference:
        Wang et al., Real-ESRGAN, ICCVW 2021, equation 6.

    Example:
        >>> sinc_kernel(cutoff=1.0, radius=10).shape
        (21, 21)
    """
    (cutoff,) = _strengths(cutoff)
    y, x = _grid(radius)
    distance = jnp.sqrt(y**2 + x**2)
    distance = distance.reshape((1,) * (cutoff.ndim - 2) + distance.shape)
    nonzero = jnp.where(distance > 0, distance, 1)
    value = cutoff * _bessel_j1(cutoff * nonzero, math.pi * 2**0.5 * radius) / (2 * jnp.pi * nonzero)
    return _unit_sum(jnp.where(distance > 0, value, cutoff**2 / (4 * jnp.pi)))


def shake_kernel(
    key: PRNGKeyArray, *, length: Strength, radius: int, smoothness: float = 0.3, steps: int = 64
) -> Kernel:
    """Sample the kernel of camera shake: a random smooth trajectory with varying speed.

    The trajectory is a Gaussian process in time with a squared-exponential covariance, centred and scaled to the given
    length; pixels are weighted by the time spent near them.

    Args:
        key: random key; every kernel has its own trajectory.
        length: length of the trajectory in pixels; one kernel per value.
        radius: half width in pixels; the trajectory is clipped to it.
        smoothness: correlation time as a fraction of the exposure, above 0.
        steps: number of points on the trajectory, at least 2; interpolated linearly for large kernels.

    Returns:
        Kernel of unit sum.

    Reference:
        Delbracio and Sapiro, Hand-held video deblurring via efficient Fourier aggregation, TCI 2015; Boracchi and
        Foi, Modeling the performance of image restoration from motion blur, TIP 2012 (random trajectories).

    Example:
        >>> shake_kernel(jax.random.key(0), length=15.0, radius=10).shape
        (21, 21)
    """
    check_count(radius, "radius", 0)
    (length,) = _strengths(length)
    time = jnp.arange(steps) / steps
    covariance = jnp.exp(-0.5 * ((time[:, None] - time[None, :]) / smoothness) ** 2) + 1e-5 * jnp.eye(steps)
    white = jax.random.normal(key, (*length.shape[:-2], 2, steps))
    path = jnp.einsum("ts,...s->...t", jnp.linalg.cholesky(covariance), white)
    path_length = jnp.sqrt((jnp.diff(path) ** 2).sum(-2)).sum(-1)[..., None, None]
    path = (path - path.mean(-1, keepdims=True)) * length / path_length
    path = jnp.clip(path, -radius, radius)
    # Without interpolation a long trajectory would break up into dots.
    position = np.linspace(0, steps - 1, max(1, math.ceil(radius / 16)) * (steps - 1) + 1)
    first = np.minimum(position.astype(int), steps - 2)
    fraction = jnp.asarray(position - first, path.dtype).reshape((1,) * (path.ndim - 1) + (-1,))
    path = path[..., first] * (1 - fraction) + path[..., first + 1] * fraction
    pixels = jnp.arange(-radius, radius + 1.0).reshape((1,) * (path.ndim - 2) + (-1, 1))
    weights = [jnp.clip(1 - jnp.abs(path[..., i : i + 1, :] - pixels), 0, 1) for i in (0, 1)]
    return _unit_sum(jnp.einsum("...yt,...xt->...yx", *weights))


def _strengths(*values: Strength) -> list[jax.Array]:
    """Broadcast strengths against each other and append two axes for the kernel."""
    arrays = [jnp.asarray(value, jnp.float32) for value in values]
    batch = jnp.broadcast_shapes(*(a.shape for a in arrays))
    return [jnp.broadcast_to(a, batch)[..., None, None] for a in arrays]


def _grid(radius: int) -> tuple[jax.Array, jax.Array]:
    check_count(radius, "radius", 0)
    offsets = jnp.arange(-radius, radius + 1, dtype=jnp.float32)
    return offsets[:, None], offsets[None, :]


def _rotated(radius: int, angle: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return coordinates along and across a direction; rows increase downwards, angles counterclockwise."""
    y, x = (c.reshape((1,) * (angle.ndim - 2) + c.shape) for c in _grid(radius))
    cosine, sine = jnp.cos(jnp.deg2rad(angle)), jnp.sin(jnp.deg2rad(angle))
    return x * cosine - y * sine, x * sine + y * cosine


def _unit_sum(kernel: jax.Array) -> jax.Array:
    return kernel / kernel.sum((-2, -1), keepdims=True)


def _bessel_j1(x: jax.Array, largest: float) -> jax.Array:
    """Compute the Bessel function J1 from its integral by the trapezoidal rule.

    ``J1(x) = mean over t in [0, 2 pi) of cos(t - x sin t)``: the integrand is periodic, so the rule converges
    exponentially once it has more points than ``x``, which is at most ``largest``.
    """
    points = 32 + max(96, math.ceil(largest))
    t = jnp.arange(points) * (2 * jnp.pi / points)
    phase = t.reshape((1,) * x.ndim + (points,)) - x[..., None] * jnp.sin(t).reshape((1,) * x.ndim + (points,))
    return jnp.cos(phase).mean(-1)
