"""Strengths of operators: samplers that draw them, and what lets a strength be compared and written."""

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from ..types import PRNGKeyArray


@dataclass(frozen=True, repr=False)
class Sampler:
    """A strength that is drawn anew for every image, between two bounds.

    Attributes:
        low: smallest value, in the unit of the strength.
        high: largest value, not below ``low``.
    """

    low: float | int
    high: float | int
    word: ClassVar[str]

    def __post_init__(self) -> None:
        for bound in (self.low, self.high):
            if not (isinstance(bound, Real) and math.isfinite(bound)):
                raise ValueError(f"The bounds of {self.word} must be finite numbers, got {bound!r}.")
        if self.low > self.high:
            raise ValueError(f"The bounds of {self.word} must be in order, got {self.low}, {self.high}.")

    def __str__(self) -> str:
        return f"{self.word}({text(self.low)}, {text(self.high)})"

    def __repr__(self) -> str:
        return str(self)

    def __call__(self, key: PRNGKeyArray, shape: tuple[int, ...]) -> jax.Array:
        """Draw one value per image."""
        raise NotImplementedError


@dataclass(frozen=True, repr=False)
class Uniform(Sampler):
    """Draw a strength uniformly between ``low`` and ``high`` for every image; in text ``uniform(low, high)``.

    Raises:
        ValueError: if ``low`` exceeds ``high``, or one of them is not a finite number.

    Example:
        >>> Uniform(0, 1)(jax.random.key(0), (4,)).shape
        (4,)
    """

    word: ClassVar[str] = "uniform"

    def __call__(self, key: PRNGKeyArray, shape: tuple[int, ...]) -> jax.Array:
        """Draw one value per image, float32 of the given shape."""
        return jax.random.uniform(key, shape, minval=self.low, maxval=self.high)


@dataclass(frozen=True, repr=False)
class LogUniform(Sampler):
    """Draw a strength whose logarithm is uniform, for every image; in text ``log_uniform(low, high)``.

    Raises:
        ValueError: if ``low`` is not above 0 or exceeds ``high``, or one of them is not a finite number.

    Example:
        >>> LogUniform(1, 100)(jax.random.key(0), (4,)).shape
        (4,)
    """

    word: ClassVar[str] = "log_uniform"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.low > 0:
            raise ValueError(f"The bounds of {self.word} must be above 0, got {self.low}, {self.high}.")

    def __call__(self, key: PRNGKeyArray, shape: tuple[int, ...]) -> jax.Array:
        """Draw one value per image, float32 of the given shape."""
        logarithm = jax.random.uniform(key, shape, minval=jnp.log(self.low), maxval=jnp.log(self.high))
        return jnp.clip(jnp.exp(logarithm), self.low, self.high)


def frozen(value: Any) -> Any:
    """A strength that cannot change any more."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list | tuple):
        return tuple(map(frozen, value))
    if isinstance(value, np.ndarray):
        value = value.copy()
        value.setflags(write=False)
    return value


def hashable(value: Any) -> Any:
    """A strength as something to compare: arrays by their values, 1 unlike 1.0, what is traced by identity."""
    if isinstance(value, jax.core.Tracer):
        return id(value)
    if isinstance(value, np.ndarray | jax.Array):
        return value.shape, str(value.dtype), np.asarray(value).tobytes()
    return type(value), value


def text(value: Any) -> str:
    """A strength as it is written, as a fraction of 255 where that is shorter."""
    if isinstance(value, tuple):
        return f"({', '.join(map(text, value))}{',' * (len(value) == 1)})"
    if isinstance(value, np.ndarray | jax.Array):
        return f"<array {list(value.shape)}>"
    if not isinstance(value, float):
        return str(value) if isinstance(value, Sampler) else repr(value)
    fraction = f"{255 * value:.6g}"
    shorter = len(fraction) + 4 < len(repr(value)) and float(fraction) / 255 == value
    return f"{fraction}/255" if shorter else repr(value)
