"""Registry of degradation operators: each is registered once, with the ranges of its strengths."""

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar, cast

from ..types import check_count, check_image, check_range, describe_range

Function = TypeVar("Function", bound=Callable[..., Any])

RESERVED = ("uniform", "log_uniform", "identity", "one_of", "maybe", "shuffle")
"""Names of samplers and combinations in the grammar of :func:`restorax.degrade.parse`."""


class Range(NamedTuple):
    """Accept a number, or one number per image, between two bounds.

    Attributes:
        low: smallest accepted value.
        high: largest accepted value.
        exclude_low: reject ``low`` itself.
        hint: advice that the error message adds if a value exceeds ``high``.
    """

    low: float | int = -math.inf
    high: float | int = math.inf
    exclude_low: bool = False
    hint: str = ""

    def check(self, value: Any, name: str) -> None:
        """Raise a ``ValueError`` for a value out of range; traced values are not checked."""
        check_range(value, name, *self[:2], exclude_low=self.exclude_low, hint=self.hint)

    def __str__(self) -> str:
        return describe_range(*self[:2], exclude_low=self.exclude_low)


class Count(NamedTuple):
    """Accept an integer of at least ``low``, static under ``jit`` because it determines array shapes."""

    low: int = 1

    def check(self, value: Any, name: str) -> None:
        """Raise a ``ValueError`` unless the value is an integer of at least ``low``."""
        check_count(value, name, self.low)

    def __str__(self) -> str:
        return f"an integer >= {self.low}"


class Choice(NamedTuple):
    """Accept one of several strings."""

    options: tuple[str, ...]

    def check(self, value: Any, name: str) -> None:
        """Raise a ``ValueError`` unless the value is one of the options."""
        if not (isinstance(value, str) and value in self.options):
            raise ValueError(f"`{name}` must be {self}, got {value!r}.")

    def __str__(self) -> str:
        return f"one of {', '.join(map(repr, self.options))}"


INTENSITY = Range(0, 1, hint="divide by 255 for 8-bit units")
FRACTION = Range(0, 1, hint="divide percentages by 100")
NON_NEGATIVE, POSITIVE, NUMBER = Range(0), Range(0, exclude_low=True), Range()


@dataclass(frozen=True)
class Registration:
    """A registered operator and its metadata.

    Attributes:
        operator: the function, with argument checks.
        random: whether it takes a random key as its first argument.
        defaults: default values of its strengths, in order; ``inspect.Parameter.empty`` if required.
        ranges: accepted values of its strengths; flags and arrays have no range.
        channels: accepted numbers of channels; empty if any number is accepted.
        differentiable: whether its gradient with respect to the image is useful.
        examples: strengths for illustration, from weak to strong.
        reach: maps all strengths, each at its largest, to the number of pixels that the border of the image reaches
            inwards; ``None`` unless it blurs or moves.
        motion: for an operator that makes a video, the function that returns the known motion; ``None`` otherwise.
    """

    operator: Callable[..., Any]
    random: bool
    defaults: Mapping[str, Any]
    ranges: Mapping[str, Range | Count | Choice]
    channels: tuple[int, ...]
    differentiable: bool
    examples: tuple[Mapping[str, Any], ...]
    reach: Callable[[Mapping[str, Any]], int] | None = None
    motion: Callable[..., Any] | None = None

    def check(self, strengths: Mapping[str, Any]) -> None:
        """Raise a ``ValueError`` for a strength out of range."""
        for name, value in strengths.items():
            if name in self.ranges and not (value is None and self.defaults[name] is None):
                self.ranges[name].check(value, name)


REGISTRATIONS: dict[str, Registration] = {}
"""Registrations by operator name."""

OPERATORS: dict[str, Callable[..., Any]] = {}
"""Operators by name, as :func:`restorax.degrade.parse` finds them."""


def register(
    ranges: Mapping[str, Range | Count | Choice] | None = None,
    *,
    examples: Mapping[str, Any] | None = None,
    channels: tuple[int, ...] = (),
    differentiable: bool = True,
    reach: Callable[[Mapping[str, Any]], int] | None = None,
    motion: Callable[..., Any] | None = None,
) -> Callable[[Function], Function]:
    """Register a function as an operator: its arguments are checked, and ``parse`` and ``OPERATORS`` include it.

    The function must be pure and take ``(image, *, ...)``, or ``(key, image, *, ...)`` if it is random; it returns an
    image or an ``Observation``. It receives a checked float32 or float64 image ``[*batch, height, width, channel]``
    and strengths within their ranges; traced strengths are not checked.

    Args:
        ranges: accepted values by strength: ``Range``, ``Count`` or ``Choice``. Flags and arrays have none.
        examples: strengths for illustration; a tuple holds three values from weak to strong.
        channels: accepted numbers of channels; empty if any number is accepted.
        differentiable: whether the gradient with respect to the image is useful.
        reach: for blur and motion, maps all strengths, each at its largest, to the number of pixels that the border of
            the image reaches inwards; evaluation and training crop them.
        motion: for an operator that adds an axis of frames and whose result is ground truth, a function of the same
            arguments, all given, that returns the known motion (``restorax.degrade.Motion``).

    Returns:
        A decorator that returns the function with argument checks.

    Raises:
        TypeError: if the function has another signature, or a range names none of its strengths.
        ValueError: if the name is taken, or a default or an example is out of range.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from restorax.degrade import parse
        >>> from restorax.types import per_image
        >>> @register({"amount": Range(0, 1)}, examples={"amount": (0.1, 0.3, 0.9)})
        ... def darken(image, *, amount):
        ...     return image * (1 - per_image(amount, image))
        >>> float(parse("darken(amount=0.75)")(jax.random.key(0), jnp.ones((8, 8, 1))).image[0, 0, 0])
        0.25
    """
    ranges, examples = dict(ranges or {}), dict(examples or {})

    def decorate(function: Function) -> Function:
        name, (random, defaults) = function.__name__, _signature(function)
        for strength in (*ranges, *examples):
            if strength not in defaults:
                raise TypeError(f"{name} has no strength {strength!r}; it has {', '.join(defaults) or 'none'}.")

        def check(image: Any, strengths: Mapping[str, Any]) -> Any:
            image = check_image(image, full_precision=True)
            if channels and image.shape[-1] not in channels:
                accepted = " or ".join(map(str, channels))
                raise ValueError(f"The image of {name} must have {accepted} channels, got {image.shape[-1]}.")
            registration.check(strengths)
            return image

        def with_key(key, image, **strengths):
            return function(key, check(image, strengths), **strengths)

        def without_key(image, **strengths):
            return function(check(image, strengths), **strengths)

        checked: Callable[..., Any] = with_key if random else without_key
        operator = functools.wraps(function)(checked)
        levels = _example_levels(examples)
        registration = Registration(operator, random, defaults, ranges, channels, differentiable, levels, reach, motion)
        for strengths in ({n: v for n, v in defaults.items() if v is not inspect.Parameter.empty}, *levels):
            registration.check(strengths)
        existing = OPERATORS.get(name)
        if not name.isidentifier():
            raise ValueError(f"The name {name!r} is not an identifier; define the operator with def.")
        # Running the same definition again is accepted, as in a notebook.
        origin = (function.__module__, function.__qualname__)
        if name in RESERVED or (existing and (existing.__module__, existing.__qualname__) != origin):
            raise ValueError(f"The name {name!r} is taken; rename the operator.")
        REGISTRATIONS[name], OPERATORS[name] = registration, operator
        return cast(Function, operator)

    return decorate


def _signature(function: Callable[..., Any]) -> tuple[bool, dict[str, Any]]:
    """Return whether a function takes a key, and the defaults of its strengths."""
    parameters = list(inspect.signature(function).parameters.values())
    leading = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    strengths = [p for p in parameters if p.kind is p.KEYWORD_ONLY]
    if leading not in (["image"], ["key", "image"]) or len(leading) + len(strengths) < len(parameters):
        raise TypeError(
            f"{function.__name__} must take (image, *, ...) or (key, image, *, ...) with keyword-only strengths, got "
            f"{inspect.signature(function)}."
        )
    return leading[0] == "key", {p.name: p.default for p in strengths}


def _example_levels(examples: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    """Return one dictionary of strengths per position in the tuples of the examples."""
    if not examples:
        return ()
    lengths = {len(value) for value in examples.values() if isinstance(value, tuple)}
    if len(lengths) > 1:
        raise ValueError(f"`examples` must have tuples of equal length, got lengths {sorted(lengths)}.")
    levels = range(max(lengths, default=1))
    return tuple({n: v[i] if isinstance(v, tuple) else v for n, v in examples.items()} for i in levels)
