"""Blur kernels: non-negative or oscillating, always of unit sum, ``[*batch, 2 radius + 1, 2 radius + 1]``.

Strengths may be traced and one per image; ``radius`` is static, because it fixes the size of the program. Angles are in
degrees, counted from the row axis towards the upper edge, as in MATLAB's ``fspecial``.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from ..types import Array, Float, PRNGKeyArray, Strength, check_count

Kernel = Float[Array, "*batch rows columns"]

_SAMPLES = 9  # per pixel and axis, where an edge of a kernel is anti-aliased


def gaussian_kernel(
    *, sigma: Strength, radius: int, ratio: Strength = 1.0, angle: Strength = 0.0, shape: Strength = 1.0
) -> Kernel:
    """Gaussian, isotropic or not, generalised or not: ``exp(-(u^2 / s^2 + v^2 / (ratio s)^2)^shape / 2)``.

    Args:
        sigma: standard deviation along the long axis in pixels.
        radius: half width in pixels.
        ratio: short axis over long axis, in (0, 1].
        angle: direction of the long axis in degrees.
        shape: 1 for a Gaussian; below 1 peaked with long tails, above 1 a plateau.

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
    # The epsilon keeps the slope of the power finite at the centre.
    distance = (along / sigma) ** 2 + (across / (ratio * sigma)) ** 2
    return _unit_sum(jnp.exp(-0.5 * (distance + 1e-12) ** shape))


def motion_kernel(*, length: Strength, angle: Strength, radius: int) -> Kernel:
    """Straight motion at constant speed: a line of one pixel's width, anti-aliased.

    Args:
        length: of the path in pixels; 1 or less leaves the image nearly as it is.
        angle: direction in degrees.
        radius: half width in pixels; covers lengths up to ``2 radius + 1``.

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
    # Overlap of a pixel-wide box with the path, lengthwise, times a pixel-wide tent crosswise.
    half = jnp.maximum(length, 1) / 2
    lengthwise = jnp.clip(half + 0.5 - jnp.abs(along), 0, 1)
    crosswise = jnp.clip(1 - jnp.abs(across), 0, 1)
    return _unit_sum(lengthwise * crosswise)


def defocus_kernel(*, blur_radius: Strength, radius: int) -> Kernel:
    """Out of focus: a disk, anti-aliased.

    Args:
        blur_radius: radius of the disk in pixels; below 0.5 nearly nothing happens.
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
    """Ideal low-pass on a circle of frequencies: ringing, as sharpening and resizing leave it.

    Args:
        cutoff: largest frequency in radians per pixel, in (0, pi].
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
    away = jnp.where(distance > 0, distance, 1)
    value = cutoff * _bessel_j1(cutoff * away, math.pi * 2**0.5 * radius) / (2 * jnp.pi * away)
    return _unit_sum(jnp.where(distance > 0, value, cutoff**2 / (4 * jnp.pi)))


def shake_kernel(
    key: PRNGKeyArray, *, length: Strength, radius: int, smoothness: float = 0.3, steps: int = 64
) -> Kernel:
    """Camera shake: a random smooth path, travelled at its own varying speed.

    The path is a Gaussian process in time with a squared-exponential covariance, shifted to the centre and scaled to
    its length; pixels are weighted by the time spent near them.

    Args:
        key: random key; one path for every kernel.
        length: distance travelled in pixels, one kernel for each value.
        radius: half width in pixels; the path is held inside.
        smoothness: correlation time as a share of the exposure, above 0.
        steps: points on the path, at least 2; those of large kernels are joined by straight lines.

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
    travelled = jnp.sqrt((jnp.diff(path) ** 2).sum(-2)).sum(-1)[..., None, None]
    path = (path - path.mean(-1, keepdims=True)) * length / travelled
    path = jnp.clip(path, -radius, radius)
    # A long path of few points would fall apart into dots.
    place = np.linspace(0, steps - 1, max(1, math.ceil(radius / 16)) * (steps - 1) + 1)
    first = np.minimum(place.astype(int), steps - 2)
    part = jnp.asarray(place - first, path.dtype).reshape((1,) * (path.ndim - 1) + (-1,))
    path = path[..., first] * (1 - part) + path[..., first + 1] * part
    pixels = jnp.arange(-radius, radius + 1.0).reshape((1,) * (path.ndim - 2) + (-1, 1))
    near = [jnp.clip(1 - jnp.abs(path[..., i : i + 1, :] - pixels), 0, 1) for i in (0, 1)]
    return _unit_sum(jnp.einsum("...yt,...xt->...yx", *near))


def _strengths(*values: Strength) -> list[jax.Array]:
    """Strengths broadcast against each other, with two axes for the kernel behind those of the batch."""
    arrays = [jnp.asarray(value, jnp.float32) for value in values]
    batch = jnp.broadcast_shapes(*(a.shape for a in arrays))
    return [jnp.broadcast_to(a, batch)[..., None, None] for a in arrays]


def _grid(radius: int) -> tuple[jax.Array, jax.Array]:
    check_count(radius, "radius", 0)
    offsets = jnp.arange(-radius, radius + 1, dtype=jnp.float32)
    return offsets[:, None], offsets[None, :]


def _rotated(radius: int, angle: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Coordinates along and across a direction; rows count downwards, angles upwards."""
    y, x = (c.reshape((1,) * (angle.ndim - 2) + c.shape) for c in _grid(radius))
    cosine, sine = jnp.cos(jnp.deg2rad(angle)), jnp.sin(jnp.deg2rad(angle))
    return x * cosine - y * sine, x * sine + y * cosine


def _unit_sum(kernel: jax.Array) -> jax.Array:
    return kernel / kernel.sum((-2, -1), keepdims=True)


def _bessel_j1(x: jax.Array, largest: float) -> jax.Array:
    """Bessel function of the first kind and order one, from its integral by the trapezoidal rule.

    ``J1(x) = mean over t in [0, 2 pi) of cos(t - x sin t)``: the integrand is periodic, so the rule converges
    exponentially once it has more points than ``x``, which is at most ``largest``.
    """
    points = 32 + max(96, math.ceil(largest))
    t = jnp.arange(points) * (2 * jnp.pi / points)
    phase = t.reshape((1,) * x.ndim + (points,)) - x[..., None] * jnp.sin(t).reshape((1,) * x.ndim + (points,))
    return jnp.cos(phase).mean(-1)
