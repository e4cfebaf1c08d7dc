"""The operators by name. Each is registered once, beside its function, with the ranges of its strengths."""

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar, cast

from ..types import check_count, check_image, check_range, range_text

Function = TypeVar("Function", bound=Callable[..., Any])

WORDS = ("uniform", "log_uniform", "one_of", "maybe", "shuffle")
"""Names with a meaning of their own in the language of :func:`restorax.degrade.parse`."""


class Range(NamedTuple):
    """A strength that is a number, or one number per image.

    Attributes:
        low: smallest value.
        high: largest value.
        above: ``low`` itself is not accepted.
        hint: advice for a value above ``high``.
    """

    low: float | int = -math.inf
    high: float | int = math.inf
    above: bool = False
    hint: str = ""

    def check(self, value: Any, name: str) -> None:
        """Raise a ``ValueError`` for a value outside the range; a traced one passes."""
        check_range(value, name, *self[:2], above=self.above, hint=self.hint)

    def __str__(self) -> str:
        return range_text(*self[:2], above=self.above)


class Count(NamedTuple):
    """A strength that is an integer of at least ``low`` and fixes the size of the program."""

    low: int = 1

    def check(self, value: Any, name: str) -> None:
        """Raise a ``ValueError`` for anything but an integer of at least ``low``."""
        check_count(value, name, self.low)

    def __str__(self) -> str:
        return f"an integer >= {self.low}"


class Choice(NamedTuple):
    """A strength that is one of a few strings."""

    options: tuple[str, ...]

    def check(self, value: Any, name: str) -> None:
        """Raise a ``ValueError`` for anything but one of the options."""
        if not (isinstance(value, str) and value in self.options):
            raise ValueError(f"`{name}` must be {self}, got {value!r}.")

    def __str__(self) -> str:
        return f"one of {', '.join(map(repr, self.options))}"


INTENSITY = Range(0, 1, hint="divide by 255 for 8-bit units")
SHARE = Range(0, 1, hint="divide percentages by 100")
NON_NEGATIVE, POSITIVE, NUMBER = Range(0), Range(0, above=True), Range()


@dataclass(frozen=True)
class Registration:
    """What is known of an operator.

    Attributes:
        operator: the function, with its checks.
        random: whether it takes a key first.
        defaults: its strengths in order; ``inspect.Parameter.empty`` for those that must be given.
        ranges: what its strengths accept; flags and arrays have no range.
        channels: numbers of channels that it accepts; any number if empty.
        differentiable: whether its gradient with respect to the image says anything.
        examples: strengths that show what it does, from weak to strong.
    """

    operator: Callable[..., Any]
    random: bool
    defaults: Mapping[str, Any]
    ranges: Mapping[str, Range | Count | Choice]
    channels: tuple[int, ...]
    differentiable: bool
    examples: tuple[Mapping[str, Any], ...]

    def check(self, strengths: Mapping[str, Any]) -> None:
        """Raise a ``ValueError`` for a strength outside its range."""
        for name, value in strengths.items():
            if name in self.ranges and not (value is None and self.defaults[name] is None):
                self.ranges[name].check(value, name)


REGISTRATIONS: dict[str, Registration] = {}
"""Registrations by the name of the operator."""

OPERATORS: dict[str, Callable[..., Any]] = {}
"""Operators by the name under which :func:`restorax.degrade.parse` knows them."""


def register(
    ranges: Mapping[str, Range | Count | Choice] | None = None,
    *,
    examples: Mapping[str, Any] | None = None,
    channels: tuple[int, ...] = (),
    differentiable: bool = True,
) -> Callable[[Function], Function]:
    """Make a function an operator: checked at every call, known to ``parse``, listed in ``OPERATORS``.

    The function is pure, ``(key, image, *, ...)`` if it is random and ``(image, *, ...)`` if not, and returns an image
    or an ``Observation``. It sees a checked image, ``[*batch, height, width, channel]`` in float32 or float64, and
    strengths inside their ranges, unless they are traced.

    Args:
        ranges: what its strengths accept, by name: ``Range``, ``Count`` or ``Choice``. Flags and arrays need none.
        examples: strengths that show what it does; a tuple holds three values from weak to strong.
        channels: numbers of channels that it accepts; any number if empty.
        differentiable: whether its gradient with respect to the image says anything.

    Returns:
        A decorator, which returns the function with its checks.

    Raises:
        TypeError: if the function has other parameters than described, or a range belongs to none of them.
        ValueError: if the name is taken, or a default or an example lies outside its range.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from restorax.degrade import parse
        >>> from restorax.types import per_image
        >>> @register({"amount": SHARE}, examples={"amount": (0.1, 0.3, 0.9)})
        ... def darken(image, *, amount):
        ...     return image * (1 - per_image(amount, image))
        >>> float(parse("darken(amount=0.75)")(jax.random.key(0), jnp.ones((8, 8, 1))).image[0, 0, 0])
        0.25
    """
    ranges, examples = dict(ranges or {}), dict(examples or {})

    def enter(function: Function) -> Function:
        name, (random, defaults) = function.__name__, _signature(function)
        for strength in (*ranges, *examples):
            if strength not in defaults:
                raise TypeError(f"{name} has no strength {strength!r}; it has {', '.join(defaults) or 'none'}.")

        def checked(image: Any, strengths: Mapping[str, Any]) -> Any:
            image = check_image(image, exact=True)
            if channels and image.shape[-1] not in channels:
                raise ValueError(f"{name} takes images with {_or(channels)} channels, got {image.shape[-1]}.")
            registration.check(strengths)
            return image

        def with_key(key, image, **strengths):
            return function(key, checked(image, strengths), **strengths)

        def without_key(image, **strengths):
            return function(checked(image, strengths), **strengths)

        operator = functools.wraps(function)(with_key if random else without_key)
        shown = _ladder(examples)
        registration = Registration(operator, random, defaults, ranges, channels, differentiable, shown)
        for strengths in ({n: v for n, v in defaults.items() if v is not inspect.Parameter.empty}, *shown):
            registration.check(strengths)
        taken = OPERATORS.get(name)
        # The same definition may run again, as in a notebook.
        if not name.isidentifier():
            raise ValueError(f"The name {name!r} is not an identifier; define the operator with def.")
        if name in WORDS or (taken and (taken.__module__, taken.__qualname__) != _origin(function)):
            raise ValueError(f"The name {name!r} is taken; give the operator another one.")
        REGISTRATIONS[name], OPERATORS[name] = registration, operator
        return cast(Function, operator)

    return enter


def _signature(function: Callable[..., Any]) -> tuple[bool, dict[str, Any]]:
    """Whether a function is random, and the defaults of its strengths."""
    parameters = list(inspect.signature(function).parameters.values())
    leading = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    strengths = [p for p in parameters if p.kind is p.KEYWORD_ONLY]
    if leading not in (["image"], ["key", "image"]) or len(leading) + len(strengths) < len(parameters):
        raise TypeError(
            f"{function.__name__} takes {inspect.signature(function)}; an operator must take (image, *, ...) or "
            "(key, image, *, ...), with keyword-only strengths."
        )
    return leading[0] == "key", {p.name: p.default for p in strengths}


def _origin(function: Callable[..., Any]) -> tuple[str, str]:
    return function.__module__, function.__qualname__


def _ladder(examples: Mapping[str, Any]) -> tuple[dict[str, Any], ...]:
    """One dictionary of strengths for each place of the tuples among the examples."""
    if not examples:
        return ()
    lengths = {len(value) for value in examples.values() if isinstance(value, tuple)}
    if len(lengths) > 1:
        raise ValueError(f"Examples must have one length, got {sorted(lengths)}.")
    places = range(max(lengths, default=1))
    return tuple({n: v[i] if isinstance(v, tuple) else v for n, v in examples.items()} for i in places)


def _or(values: tuple[int, ...]) -> str:
    return " or ".join(map(str, values))
