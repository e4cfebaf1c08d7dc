"""Shared types: image arrays, observations, degradations and conditions, and the checks of function arguments.

Shape annotations use these axis names:

    *batch    any number of leading axes, including none
    height    rows
    width     columns
    channel   1 (gray), 3 (RGB) or more; always the last axis
    k         channels of a condition map

Images have values in [0, 1]. Every intensity, such as a noise level, has the same unit: the field's "sigma 25" is
``25 / 255``.
"""

import math
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, PRNGKeyArray, Real

__all__ = [
    "Array",
    "Condition",
    "ConditionLike",
    "ConditionMap",
    "DTypeLike",
    "Degradation",
    "Float",
    "Image",
    "Observation",
    "PRNGKeyArray",
    "Params",
    "Strength",
]

Image = Float[Array | np.ndarray, "*batch height width channel"]
ConditionMap = Float[Array | np.ndarray, "*batch height width k"]
ConditionLike = float | int | Float[Array | np.ndarray, "..."] | Bool[Array | np.ndarray, "..."]
Strength = float | int | Real[Array | np.ndarray, "..."]
Params = Mapping[str, Any]


class Condition(StrEnum):
    """The condition of a non-blind network: a map of one channel in [0, 1], given besides the image.

    Example:
        >>> Condition("noise_level").channels, Condition.NONE.channels
        (1, 0)
    """

    NONE = "none"
    MASK = "mask"
    NOISE_LEVEL = "noise_level"
    JPEG_QUALITY = "jpeg_quality"

    @classmethod
    def _missing_(cls, value: object) -> None:
        raise ValueError(f"`condition` must be one of {', '.join(repr(str(c)) for c in cls)}, got {value!r}.")

    @property
    def channels(self) -> int:
        """Number of channels of the condition map, 0 or 1."""
        return int(self is not Condition.NONE)

    @property
    def description(self) -> str | None:
        """Description of the condition map for model cards; ``None`` without a condition."""
        return _DESCRIPTIONS.get(self)


_DESCRIPTIONS = {
    Condition.MASK: "mask of known pixels, 1 known and 0 missing",
    Condition.NOISE_LEVEL: (
        "standard deviation of the noise at every pixel, in the unit of the image (25 / 255 for sigma 25)"
    ),
    Condition.JPEG_QUALITY: "JPEG quality / 100",
}


class Observation(NamedTuple):
    """A degraded image, with a condition if something about the degradation is known.

    Attributes:
        image: degraded image, ``[*batch, height, width, channel]``.
        condition: ``None``, or a map ``[*batch, height, width, k]`` for non-blind restorers: a noise level, a mask of
            known pixels or a JPEG quality.
    """

    image: Image
    condition: jax.Array | None = None


Degradation = Callable[[PRNGKeyArray, jax.Array], Observation]
"""A pure function ``(key, clean) -> Observation``."""


def check_image(image: Any, name: str = "image", *, full_precision: bool = False) -> jax.Array:
    """Check the shape and dtype of an image and return it as a JAX array.

    Args:
        image: array-like, floating point, ``[*batch, height, width, channel]``.
        name: name of the argument in error messages.
        full_precision: reject 16-bit floats, which cannot represent pixel counts and coordinates.

    Returns:
        The same values as a JAX array.

    Raises:
        TypeError: if the dtype is not floating point, or has fewer than 32 bits and ``full_precision`` is set.
        ValueError: if there are fewer than three axes, or height, width or channel is 0.

    Example:
        >>> check_image(np.zeros((4, 4, 1), np.uint8))
        Traceback (most recent call last):
        TypeError: `image` must be floating point in [0, 1], got uint8; divide 8-bit values by 255.
    """
    image = jnp.asarray(image)
    if not jnp.issubdtype(image.dtype, jnp.floating):
        hint = "; divide 8-bit values by 255" if image.dtype == jnp.uint8 else ""
        raise TypeError(f"`{name}` must be floating point in [0, 1], got {image.dtype}{hint}.")
    if full_precision and jnp.finfo(image.dtype).bits < 32:
        raise TypeError(f"`{name}` must be float32 or float64, got {image.dtype}; convert it after degrading.")
    if image.ndim < 3:
        raise ValueError(f"`{name}` must have shape [*batch, height, width, channel], got {image.shape}.")
    if 0 in image.shape[-3:]:
        raise ValueError(f"`{name}` must have height, width and channel of at least 1, got shape {image.shape}.")
    return image


def per_image(strength: Strength, image: Image) -> jax.Array:
    """Reshape a scalar, or one value per image, to broadcast against a batch of images.

    Args:
        strength: scalar, or an array that broadcasts against the batch axes of ``image``.
        image: ``[*batch, height, width, channel]``.

    Returns:
        ``strength`` in the dtype of ``image``, ``[*ones or batch, 1, 1, 1]``.

    Raises:
        ValueError: if ``strength`` does not broadcast against the batch axes.

    Example:
        >>> per_image(jnp.ones(2), jnp.zeros((2, 8, 8, 1))).shape
        (2, 1, 1, 1)
    """
    values = jnp.asarray(strength, image.dtype)
    batch = image.shape[:-3]
    ranks_match = values.ndim in (0, len(batch))
    if not ranks_match or any(s not in (1, b) for s, b in zip(values.shape, batch, strict=False)):
        raise ValueError(
            f"A strength must be a scalar or have one value per image (batch shape {batch}), got shape {values.shape}."
        )
    return values.reshape((1,) * (len(batch) - values.ndim) + values.shape + (1, 1, 1))


def check_condition(condition: Any, image: Image, *, mask: bool = False) -> jax.Array:
    """Expand a condition to a map with one value for every pixel of an image.

    Args:
        condition: a number, an array of one number per image (the leading batch axes of ``image``), or a map
            ``[height, width]`` or ``[*batch, height, width, 1]`` whose batch axes broadcast; floating point or boolean.
        image: ``[*batch, height, width, channel]``.
        mask: accept maps only; the same number for all pixels of an image is no mask.

    Returns:
        ``[*batch, height, width, 1]`` in the dtype of ``image``.

    Raises:
        TypeError: if the dtype is neither floating point nor boolean.
        ValueError: if the shape is none of these.

    Example:
        >>> images = jnp.zeros((2, 5, 4, 3))
        >>> check_condition(25 / 255, images).shape, check_condition(jnp.array([0.1, 0.2]), images)[1, 0, 0].tolist()
        ((2, 5, 4, 1), [0.20000000298023224])
    """
    value = jnp.asarray(condition, image.dtype if isinstance(condition, int | float) else None)
    if not jnp.issubdtype(value.dtype, jnp.floating) and value.dtype != jnp.bool_:
        raise TypeError(f"`condition` must be floating point or boolean, got {value.dtype}.")
    *batch, height, width, _ = image.shape
    numbers = not mask and value.shape == tuple(batch[: value.ndim])
    full = value.shape[-3:] == (height, width, 1)
    flat = value.shape == (height, width)
    fits = full and value.ndim <= image.ndim
    fits = fits and all(v in (1, b) for v, b in zip(value.shape[-4::-1], batch[::-1], strict=False))
    if not (numbers or flat or fits):
        one = "" if mask else ", or be a number or one number per image"
        raise ValueError(
            f"`condition` must have the shape of a map, ({height}, {width}) or ({height}, {width}, 1){one}; got "
            f"{value.shape} for images of shape {image.shape}."
        )
    if numbers and not full:
        value = value.reshape(value.shape + (1,) * (image.ndim - value.ndim))
    elif flat:
        value = value[..., None]
    return jnp.broadcast_to(value, (*batch, height, width, 1)).astype(image.dtype)


def check_range(
    value: Any,
    name: str,
    low: float | int = -math.inf,
    high: float | int = math.inf,
    *,
    exclude_low: bool = False,
    hint: str = "",
) -> None:
    """Raise an error for numbers outside a range; traced values are not checked.

    Args:
        value: a number or an array of numbers.
        name: name of the argument in error messages.
        low: smallest accepted value.
        high: largest accepted value.
        exclude_low: reject ``low`` itself.
        hint: advice that the message adds if the value exceeds ``high``.

    Raises:
        ValueError: if a value is out of range or not a number.

    Example:
        >>> check_range(25, "sigma", 0, 1, hint="divide by 255 for 8-bit units")
        Traceback (most recent call last):
        ValueError: `sigma` must be in [0, 1], got 25; divide by 255 for 8-bit units.
    """
    if isinstance(value, Tracer):
        return
    values = np.ravel(value)
    if not jnp.issubdtype(values.dtype, jnp.number):
        raise ValueError(f"`{name}` must be a number, got {value!r}.")
    outside = values[~((values > low if exclude_low else values >= low) & (values <= high))]
    if outside.size:
        advice = f"; {hint}" if hint and outside[0] > high else ""
        accepted = describe_range(low, high, exclude_low=exclude_low)
        raise ValueError(f"`{name}` must be {accepted}, got {outside[0]:g}{advice}.")


def describe_range(low: float | int, high: float | int, *, exclude_low: bool = False) -> str:
    """Describe a range of numbers in words; see :func:`check_range` for the arguments.

    Example:
        >>> describe_range(0, 1, exclude_low=True), describe_range(2, math.inf)
        ('in (0, 1]', 'at least 2')
    """
    if high < math.inf:
        return f"in {'(' if exclude_low else '['}{low:.6g}, {high:.6g}]"
    if low > -math.inf:
        return f"{'above' if exclude_low else 'at least'} {low:.6g}"
    return "a number"


def check_count(value: Any, name: str, low: int = 1) -> None:
    """Raise an error unless the value is a static integer of at least ``low``.

    Raises:
        ValueError: if it is not an integer, too small, or traced.

    Example:
        >>> check_count(2.5, "radius")
        Traceback (most recent call last):
        ValueError: `radius` must be an integer >= 1, got 2.5.
    """
    if not isinstance(value, int | np.integer) or value < low:
        got = "a traced value" if isinstance(value, Tracer) else repr(value)
        raise ValueError(f"`{name}` must be an integer >= {low}, got {got}.")
