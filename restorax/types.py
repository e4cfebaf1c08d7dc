"""The words of the library: array types and the two contracts that everything else speaks.

Shapes use these names throughout:

    *batch    any number of leading axes, also none
    height    rows of pixels
    width     columns of pixels
    channel   1 (gray), 3 (RGB) or more; always the last axis
    k         channels of a condition map

Images are linear in [0, 1]; every intensity (a noise level, say) is in the same unit, so that the
field's "sigma 25" is written 25 / 255.
"""

import math
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float, PRNGKeyArray, Real

__all__ = [
    "Array",
    "Condition",
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
Strength = float | int | Real[Array | np.ndarray, "..."]
Params = Mapping[str, Any]


class Condition(StrEnum):
    """What a non-blind network is told besides the image, as a map of one channel in [0, 1].

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
        raise ValueError(f"condition is {value!r}; accepted are {', '.join(cls)}")

    @property
    def channels(self) -> int:
        """Channels of the condition map, 0 or 1."""
        return int(self is not Condition.NONE)

    @property
    def description(self) -> str | None:
        """What the condition map holds, as model cards say it; ``None`` without a condition."""
        return _DESCRIPTIONS.get(self)


_DESCRIPTIONS = {
    Condition.MASK: "mask of known pixels, 1 known and 0 missing",
    Condition.NOISE_LEVEL: (
        "standard deviation of the noise at every pixel, in the unit of the image (25 / 255 for sigma 25)"
    ),
    Condition.JPEG_QUALITY: "JPEG quality / 100",
}


class Observation(NamedTuple):
    """What a camera or a file gives us: a degraded image and what is known about the damage.

    Attributes:
        image: degraded image, ``[*batch, height, width, channel]``.
        condition: ``None``, or a map ``[*batch, height, width, k]`` that a non-blind restorer may look at
            (a noise level, the mask of known pixels, a quality).
    """

    image: jax.Array
    condition: jax.Array | None = None


Degradation = Callable[[PRNGKeyArray, jax.Array], Observation]
"""Any pure function ``(key, clean) -> Observation``."""


def check_image(image: Any, name: str = "image", *, exact: bool = False) -> jax.Array:
    """Return ``image`` as an array, or say what is wrong with its shape or type.

    Args:
        image: anything array-like, expected as floating point ``[*batch, height, width, channel]``.
        name: how the message calls it.
        exact: refuse half precision, in which counts and coordinates of pixels go wrong.

    Returns:
        The same values as a JAX array.

    Raises:
        TypeError: if the values are not floating point, or, where that matters, of less than 32 bits.
        ValueError: if there are fewer than three axes, or an axis of the picture is empty.

    Example:
        >>> check_image(jnp.zeros((4, 4, 1))).shape
        (4, 4, 1)
    """
    image = jnp.asarray(image)
    if not jnp.issubdtype(image.dtype, jnp.floating):
        raise TypeError(
            f"{name} has type {image.dtype}; floating point in [0, 1] is needed (divide 8-bit values by 255)"
        )
    if exact and jnp.finfo(image.dtype).bits < 32:
        raise TypeError(f"{name} has type {image.dtype}; float32 is needed (convert after degrading, not before)")
    if image.ndim < 3:
        raise ValueError(f"{name} has shape {image.shape}; [*batch, height, width, channel] is needed")
    if 0 in image.shape[-3:]:
        raise ValueError(f"{name} has shape {image.shape}; height, width and channel must be at least 1")
    return image


def per_image(strength: Strength, image: jax.Array) -> jax.Array:
    """Shape a strength so that it multiplies an image: one value for all, or one per leading batch index.

    Args:
        strength: scalar, or an array that broadcasts against the leading batch axes of ``image``.
        image: ``[*batch, height, width, channel]``.

    Returns:
        ``strength`` in the type of ``image``, ``[*ones or batch, 1, 1, 1]``.

    Raises:
        ValueError: if ``strength`` does not broadcast against the batch axes.

    Example:
        >>> per_image(jnp.ones(2), jnp.zeros((2, 8, 8, 1))).shape
        (2, 1, 1, 1)
    """
    strength = jnp.asarray(strength, image.dtype)
    batch = image.shape[:-3]
    ranks_match = strength.ndim in (0, len(batch))
    if not ranks_match or any(s not in (1, b) for s, b in zip(strength.shape, batch, strict=False)):
        raise ValueError(
            f"a strength of shape {strength.shape} does not fit the batch axes {batch}; give a scalar or one per image"
        )
    return strength.reshape((1,) * (len(batch) - strength.ndim) + strength.shape + (1, 1, 1))


def check_range(
    value: Any,
    name: str,
    low: float | int = -math.inf,
    high: float | int = math.inf,
    *,
    above: bool = False,
    hint: str = "",
) -> None:
    """Refuse numbers outside a range; what is traced cannot be checked.

    Args:
        value: a number or an array of numbers.
        name: how the message calls it.
        low: smallest value that is accepted.
        high: largest value that is accepted.
        above: ``low`` itself is not accepted.
        hint: advice for a value above ``high``, appended to the message.

    Raises:
        ValueError: if a value lies outside, or is not a number.

    Example:
        >>> check_range(25, "sigma", 0, 1, hint="divide by 255 for 8-bit units")
        Traceback (most recent call last):
        ValueError: `sigma` must be in [0, 1], got 25; divide by 255 for 8-bit units.
    """
    if isinstance(value, jax.core.Tracer):
        return
    values = np.ravel(value)
    if not jnp.issubdtype(values.dtype, jnp.number):
        raise ValueError(f"`{name}` must be a number, got {value!r}.")
    outside = values[~((values > low if above else values >= low) & (values <= high))]
    if outside.size:
        advice = f"; {hint}" if hint and outside[0] > high else ""
        raise ValueError(f"`{name}` must be {range_text(low, high, above=above)}, got {outside[0]:g}{advice}.")


def range_text(low: float | int, high: float | int, *, above: bool = False) -> str:
    """Describe a range of numbers; arguments are those of :func:`check_range`.

    Example:
        >>> range_text(0, 1, above=True), range_text(2, math.inf)
        ('in (0, 1]', 'at least 2')
    """
    if high < math.inf:
        return f"in {'(' if above else '['}{low:.6g}, {high:.6g}]"
    if low > -math.inf:
        return f"{'above' if above else 'at least'} {low:.6g}"
    return "a number"


def check_count(value: Any, name: str, low: int = 1) -> None:
    """Refuse what is not an integer of at least ``low``: a number that fixes the size of the program.

    Raises:
        ValueError: if it is something else, also if it is traced.

    Example:
        >>> check_count(2.5, "radius")
        Traceback (most recent call last):
        ValueError: `radius` must be an integer >= 1, got 2.5.
    """
    if not isinstance(value, int | np.integer) or value < low:
        got = "a traced value" if isinstance(value, jax.core.Tracer) else repr(value)
        raise ValueError(f"`{name}` must be an integer >= {low}, got {got}.")
