"""Strengths of operators: random samplers, and comparison and formatting of strengths."""

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ..types import PRNGKeyArray


@dataclass(frozen=True, repr=False)
class Sampler:
    """A random strength, drawn independently for every image.

    Attributes:
        low: lower bound, in the unit of the strength.
        high: upper bound, at least ``low``.
    """

    low: float | int
    high: float | int
    keyword: ClassVar[str]

    def __post_init__(self) -> None:
        for bound in (self.low, self.high):
            if not (isinstance(bound, Real) and math.isfinite(bound)):
                raise ValueError(f"The bounds of {self.keyword} must be finite numbers, got {bound!r}.")
        if self.low > self.high:
            raise ValueError(f"The bounds of {self.keyword} must satisfy low <= high, got {self.low}, {self.high}.")

    def __str__(self) -> str:
        return f"{self.keyword}({format_strength(self.low)}, {format_strength(self.high)})"

    def __repr__(self) -> str:
        return str(self)

    def __call__(self, key: PRNGKeyArray, shape: tuple[int, ...]) -> jax.Array:
        """Draw one value per image."""
        raise NotImplementedError


@dataclass(frozen=True, repr=False)
class Uniform(Sampler):
    """Sample a strength uniformly from [``low``, ``high``] for every image; as text ``uniform(low, high)``.

    Raises:
        ValueError: if a bound is not a finite number, or ``low`` exceeds ``high``.

    Example:
        >>> Uniform(0, 1)(jax.random.key(0), (4,)).shape
        (4,)
    """

    keyword: ClassVar[str] = "uniform"

    def __call__(self, key: PRNGKeyArray, shape: tuple[int, ...]) -> jax.Array:
        """Draw one value per image, float32 of the given shape."""
        return jax.random.uniform(key, shape, minval=self.low, maxval=self.high)


@dataclass(frozen=True, repr=False)
class LogUniform(Sampler):
    """Sample a strength log-uniformly from [``low``, ``high``] for every image; as text ``log_uniform(low, high)``.

    Raises:
        ValueError: if a bound is not a finite number, or ``low`` is not above 0 or exceeds ``high``.

    Example:
        >>> LogUniform(1, 100)(jax.random.key(0), (4,)).shape
        (4,)
    """

    keyword: ClassVar[str] = "log_uniform"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.low > 0:
            raise ValueError(f"The bounds of {self.keyword} must be above 0, got {self.low}, {self.high}.")

    def __call__(self, key: PRNGKeyArray, shape: tuple[int, ...]) -> jax.Array:
        """Draw one value per image, float32 of the given shape."""
        logarithm = jax.random.uniform(key, shape, minval=jnp.log(self.low), maxval=jnp.log(self.high))
        return jnp.clip(jnp.exp(logarithm), self.low, self.high)


def freeze(value: Any) -> Any:
    """Return an immutable copy of a strength."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list | tuple):
        return tuple(map(freeze, value))
    if isinstance(value, np.ndarray):
        value = value.copy()
        value.setflags(write=False)
    return value


def comparison_key(value: Any) -> Any:
    """Return a hashable key: arrays compare by value, 1 differs from 1.0, traced values compare by identity."""
    if isinstance(value, Tracer):
        return id(value)
    if isinstance(value, np.ndarray | jax.Array):
        return value.shape, str(value.dtype), np.asarray(value).tobytes()
    return type(value), value


def format_strength(value: Any) -> str:
    """Format a strength as text, as a fraction of 255 if that is shorter.

    Example:
        >>> format_strength(25 / 255), format_strength((0.5, 1))
        ('25/255', '(0.5, 1)')
    """
    if isinstance(value, tuple):
        return f"({', '.join(map(format_strength, value))}{',' * (len(value) == 1)})"
    if isinstance(value, np.ndarray | jax.Array):
        return f"<array {list(value.shape)}>"
    if not isinstance(value, float):
        return str(value) if isinstance(value, Sampler) else repr(value)
    fraction = f"{255 * value:.6g}"
    shorter = len(fraction) + 4 < len(repr(value)) and float(fraction) / 255 == value
    return f"{fraction}/255" if shorter else repr(value)
