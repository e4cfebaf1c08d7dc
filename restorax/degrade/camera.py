"""A digital camera: from a developed image to linear raw intensities, and back."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..types import Array, Float, Image, PRNGKeyArray, check_image
from .mosaic import Planes, split_channels
from .registry import Choice

__all__ = [
    "Camera",
    "process",
    "sample_camera",
    "unprocess",
]

CURVE = Choice(("gamma", "srgb"))

_XYZ_TO_CAMERA = np.array(
    [
        [[1.0234, -0.2969, -0.2266], [-0.5625, 1.6328, -0.0469], [-0.0703, 0.2188, 0.6406]],
        [[0.4913, -0.0541, -0.0202], [-0.6130, 1.3513, 0.2906], [-0.1564, 0.2151, 0.7183]],
        [[0.8380, -0.2630, -0.0639], [-0.2887, 1.0725, 0.2496], [-0.0627, 0.1427, 0.5438]],
        [[0.6596, -0.2079, -0.0562], [-0.4782, 1.3016, 0.1933], [-0.0970, 0.1581, 0.5181]],
    ]
)
"""Matrices of four cameras of the Darmstadt Noise Dataset (Brooks et al., CVPR 2019)."""

_RGB_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
"""IEC 61966-2-1 (sRGB, D65)."""

_KNEE = 0.9  # of the linear intensity, above which highlights are preserved
_BISECTIONS, _NEWTON_STEPS = 3, 2


class Camera(NamedTuple):
    """Parameters of a camera, one set or one per image.

    Attributes:
        matrix: linear sRGB to camera RGB, ``[3, 3]`` or ``[*batch, 3, 3]``; its rows sum to 1, so that gray stays gray.
        red: white balance gain of red, at least 1, relative to green; a scalar or ``[*batch]``.
        blue: white balance gain of blue.
        exposure: intensity of white in the green channel, in (0, 1].
    """

    matrix: Float[Array | np.ndarray, "*batch 3 3"]
    red: Float[Array | np.ndarray, "*batch"] | float
    blue: Float[Array | np.ndarray, "*batch"] | float
    exposure: Float[Array | np.ndarray, "*batch"] | float


def sample_camera(key: PRNGKeyArray, batch: tuple[int, ...] = ()) -> Camera:
    """Draw the parameters of a camera for every image.

    The matrix is a random convex combination of four published matrices, with rows normalised to sum 1. The gains are
    uniform, red in [1.5, 2.4] and blue in [1.5, 2.1], and the exposure is normal, 0.8 with deviation 0.1, in [0.5, 1].

    Args:
        key: random key.
        batch: batch axes of the images.

    Returns:
        Parameters with these batch axes.

    Reference:
        Brooks et al., Unprocessing images for learned raw denoising, CVPR 2019, section 3; the gains have wider ranges,
        which include artificial light.

    Example:
        >>> sample_camera(jax.random.key(0), (2,)).matrix.shape
        (2, 3, 3)
    """
    weight_key, red_key, blue_key, exposure_key = jax.random.split(key, 4)
    weights = jax.random.uniform(weight_key, (*batch, 4), minval=1e-3)
    matrices = jnp.asarray(_XYZ_TO_CAMERA @ _RGB_TO_XYZ, jnp.float32)
    matrix = jnp.einsum("...k,kij->...ij", weights, matrices, precision="highest")
    return Camera(
        matrix / matrix.sum(-1, keepdims=True),
        jax.random.uniform(red_key, batch, minval=1.5, maxval=2.4),
        jax.random.uniform(blue_key, batch, minval=1.5, maxval=2.1),
        jnp.clip(0.8 + 0.1 * jax.random.normal(exposure_key, batch), 0.5, 1),
    )


def unprocess(image: Image, camera: Camera, *, curve: str = "gamma", tone: bool = True) -> Image:
    """Convert a developed image to linear raw intensities, the inverse of :func:`process`.

    The tone curve and the gamma are inverted, the colours become those of the camera, and the white balance and the
    exposure are divided out. Highlights above 0.9 are divided by less, white by 1, so that it saturates the sensor.

    Args:
        image: ``[*batch, height, width, 3]``, clipped to [0, 1].
        camera: its parameters.
        curve: ``"gamma"``, the power 2.2, or ``"srgb"``, the exact curve of sRGB.
        tone: invert the tone curve ``3 x^2 - 2 x^3``.

    Returns:
        Raw intensities of the same shape, mostly in [0, 1]; saturated colours can be slightly negative.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if the image is not RGB, or the curve is unknown.

    Reference:
        Brooks et al., Unprocessing images for learned raw denoising, CVPR 2019, section 3; IEC 61966-2-1 (sRGB).

    Example:
        >>> unprocess(jnp.ones((4, 4, 3)), sample_camera(jax.random.key(0))).shape
        (4, 4, 3)
    """
    return jnp.stack(unprocess_planes(_checked_planes(image, curve), camera, curve, tone), -1)


def process(raw: Image, camera: Camera, *, curve: str = "gamma", tone: bool = True) -> Image:
    """Develop raw intensities: white balance, exposure, colour matrix, gamma and tone curve.

    ``process(unprocess(image, camera), camera)`` is the image, highlights included.

    Args:
        raw: demosaicked raw intensities ``[*batch, height, width, 3]``.
        camera: its parameters.
        curve: as in :func:`unprocess`.
        tone: apply the tone curve ``3 x^2 - 2 x^3``.

    Returns:
        Image of the same shape in [0, 1].

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if the image is not RGB, or the curve is unknown.

    Reference:
        Brooks et al., Unprocessing images for learned raw denoising, CVPR 2019, section 3; IEC 61966-2-1 (sRGB).

    Example:
        >>> process(jnp.ones((4, 4, 3)), sample_camera(jax.random.key(0))).shape
        (4, 4, 3)
    """
    return jnp.stack(process_planes(_checked_planes(raw, curve), camera, curve, tone), -1)


def unprocess_planes(planes: Planes, camera: Camera, curve: str = "gamma", tone: bool = True) -> Planes:
    """Apply :func:`unprocess` to red, green and blue."""
    red, green, blue = (_decode(jnp.clip(plane, 0, 1), curve, tone) for plane in planes)
    red, green, blue = _mix(jnp.asarray(camera.matrix, red.dtype), (red, green, blue))
    highlight = _highlight((red + green + blue) / 3)
    red_gain, green_gain, blue_gain = (_attenuation(gain, highlight) for gain in attenuations(camera, red))
    return red * red_gain, green * green_gain, blue * blue_gain


def process_planes(planes: Planes, camera: Camera, curve: str = "gamma", tone: bool = True) -> Planes:
    """Apply :func:`process` to red, green and blue."""
    gains = attenuations(camera, planes[0])
    highlight = _highlight(_intensity_before(planes, gains))
    red, green, blue = (plane / _attenuation(gain, highlight) for plane, gain in zip(planes, gains, strict=True))
    inverse = jnp.linalg.inv(jnp.asarray(camera.matrix, planes[0].dtype))
    red, green, blue = (_encode(jnp.clip(plane, 0, 1), curve, tone) for plane in _mix(inverse, (red, green, blue)))
    return red, green, blue


def _checked_planes(image: Image, curve: str) -> Planes:
    image = check_image(image, full_precision=True)
    if image.shape[-1] != 3:
        raise ValueError(f"`image` must have 3 channels, got {image.shape[-1]}.")
    CURVE.check(curve, "curve")
    return split_channels(image)


def attenuations(camera: Camera, plane: jax.Array) -> list[jax.Array]:
    """Return the ratio of raw to balanced intensity of red, green and blue, ``[*batch or ones, 1, 1]``."""
    red, blue, exposure = (jnp.asarray(x, plane.dtype)[..., None, None] for x in camera[1:])
    ones = (1,) * (plane.ndim - 2)
    return [x.reshape(ones[: plane.ndim - x.ndim] + x.shape) for x in (exposure / red, exposure, exposure / blue)]


def _highlight(intensity: jax.Array) -> jax.Array:
    """Return 0 below the knee, rising to 1 at white."""
    return jnp.clip((intensity - _KNEE) / (1 - _KNEE), 0, 1) ** 2


def _attenuation(gain: jax.Array, highlight: jax.Array) -> jax.Array:
    """Raise an attenuation below 1 towards 1 in highlights."""
    return gain + highlight * jnp.maximum(1 - gain, 0)


def _intensity_before(planes: Planes, gains: list[jax.Array]) -> jax.Array:
    """Find the mean intensity before attenuation, which depends on it: at least ``_KNEE``, at most 1.

    The equation is monotonic. Bisection comes close to its root, and Newton's method refines it.
    """

    def excess(intensity):
        highlight, value, derivative = _highlight(intensity), intensity, 1.0
        for plane, gain in zip(planes, gains, strict=True):
            attenuation = _attenuation(gain, highlight)
            before = plane / (3 * attenuation)
            value = value - before
            derivative = derivative + before / attenuation * jnp.maximum(1 - gain, 0)
        slope = 2 * (intensity - _KNEE) / (1 - _KNEE) ** 2
        return value, 1 + slope * (derivative - 1)

    low = jnp.zeros_like(planes[0]) + _KNEE
    step = (1 - _KNEE) / 2
    for _ in range(_BISECTIONS):
        low = jnp.where(excess(low + step)[0] < 0, low + step, low)
        step = step / 2
    intensity = jax.lax.stop_gradient(low + step)
    for _ in range(_NEWTON_STEPS):
        value, derivative = excess(intensity)
        intensity = jnp.clip(intensity - value / jnp.maximum(derivative, 1), _KNEE, 1)
    return intensity


def _mix(matrix: jax.Array, planes: Planes) -> Planes:
    """Multiply the colour of every pixel by a matrix ``[*batch or none, 3, 3]``."""
    matrix = matrix.reshape((1,) * (planes[0].ndim - matrix.ndim) + matrix.shape)[..., None, None]
    red, green, blue = (
        matrix[..., i, 0, :, :] * planes[0] + matrix[..., i, 1, :, :] * planes[1] + matrix[..., i, 2, :, :] * planes[2]
        for i in range(3)
    )
    return red, green, blue


def _decode(plane: jax.Array, curve: str, tone: bool) -> jax.Array:
    """Invert the tone curve and the gamma."""
    if tone:
        plane = _inverse_tone(plane)
    if curve == "gamma":
        return _power(plane, 2.2)
    return jnp.where(plane <= 0.04045, plane / 12.92, _power((plane + 0.055) / 1.055, 2.4))


def _inverse_tone(plane: jax.Array) -> jax.Array:
    """Solve ``3 y^2 - 2 y^3 = x``: three terms of the series at 0, then three Newton steps, exact in float32.

    The closed form, ``1/2 - sin(arcsin(1 - 2 x) / 3)``, takes ten times as long on CPU.
    """
    # The curve is symmetric about (1/2, 1/2); its inverse has no finite gradient at 0 and 1.
    small = jnp.maximum(jnp.minimum(plane, 1 - plane), 1e-12)
    root = jnp.sqrt(small / 3)
    y = root * (1 + root * (1 / 3 + root * (5 / 18)))
    for _ in range(3):
        y = y - ((3 - 2 * y) * y**2 - small) / (6 * y * (1 - y))
    return jnp.where(plane < 0.5, y, 1 - y)


def _encode(plane: jax.Array, curve: str, tone: bool) -> jax.Array:
    """Apply the gamma and the tone curve."""
    if curve == "gamma":
        plane = _power(plane, 1 / 2.2)
    else:
        plane = jnp.where(plane <= 0.0031308, 12.92 * plane, 1.055 * _power(plane, 1 / 2.4) - 0.055)
    return (3 - 2 * plane) * plane**2 if tone else plane


def _power(plane: jax.Array, exponent: float) -> jax.Array:
    """Raise to a power through the logarithm, several times faster on CPU; the gradient is finite at 0."""
    return jnp.exp(exponent * jnp.log(jnp.maximum(plane, 1e-8)))
