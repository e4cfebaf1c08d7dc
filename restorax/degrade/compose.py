"""Degradations as data: operators with their strengths, and combinations of them.

All are frozen, hashable and callable, ``(key, clean) -> Observation``; ``str()`` gives their text, which
:func:`restorax.degrade.parse` reads back.
"""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from ..types import Image, Observation, PRNGKeyArray, check_range
from .registry import REGISTRATIONS, Range, Registration
from .strengths import Sampler, frozen, hashable, text


class Expression:
    """What all degradations have in common that are data: a text, equality and the operators in them."""

    @property
    def operators(self) -> tuple["Op", ...]:
        """The operators in it, in the order in which they are written."""
        raise NotImplementedError

    def replace(self, **strengths: Any) -> "Expression":
        """Give other values to strengths wherever they are given.

        Args:
            **strengths: values by name; ``None`` removes the strength, so that the operator's default holds.

        Returns:
            A degradation of the same form.

        Raises:
            ValueError: if no operator in it gives such a strength, or a value lies outside its range.

        Example:
            >>> from restorax.degrade import parse
            >>> str(parse("maybe(gaussian_noise(sigma=0.1)) + jpeg(quality=30)").replace(sigma=0.2))
            'maybe(gaussian_noise(sigma=0.2)) + jpeg(quality=30)'
        """
        used = dict.fromkeys(name for op in self.operators for name in op.strengths)
        for name in strengths:
            if name not in used:
                raise ValueError(f"'{self}' gives no strength {name!r}; it gives {', '.join(used) or 'none'}.")
        return self._replaced(strengths)

    def __call__(self, key: PRNGKeyArray, clean: Image) -> Observation:
        """Degrade an image or a batch of images."""
        raise NotImplementedError

    def _replaced(self, strengths: dict[str, Any]) -> "Expression":
        raise NotImplementedError

    def _identity(self) -> tuple:
        """What makes two degradations equal."""
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        return self._identity() == other._identity() if isinstance(other, Expression) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._identity())

    def __repr__(self) -> str:
        return f"parse({str(self)!r})"


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Op(Expression):
    """An operator with its strengths.

    The key is split into one for the operator and one for every strength, in their order.

    Args:
        operator: a primitive operator, random ``(key, image, *, ...)`` or not ``(image, *, ...)``.
        **strengths: its keyword arguments; a sampler such as :class:`Uniform` is drawn anew for every image.

    Raises:
        TypeError: if the operator has no such strength, or lacks one that was not given.
        ValueError: if a strength, or a bound of a sampler, lies outside the range that the operator is registered with.

    Example:
        >>> from restorax.degrade import Uniform, gaussian_noise
        >>> blind = Op(gaussian_noise, sigma=Uniform(0, 55 / 255))
        >>> str(blind)
        'gaussian_noise(sigma=uniform(0, 55/255))'
        >>> blind(jax.random.key(0), jnp.zeros((2, 8, 8, 1))).image.shape
        (2, 8, 8, 1)
    """

    operator: Callable[..., Any]
    _strengths: tuple[tuple[str, Any], ...]
    _random: bool

    def __init__(self, operator: Callable[..., Any], **strengths: Any) -> None:
        name, parameters = operator.__name__, inspect.signature(operator).parameters
        accepted = {p.name: p.default for p in parameters.values() if p.kind is p.KEYWORD_ONLY}
        for strength in strengths:
            if strength not in accepted:
                raise TypeError(f"{name} has no strength {strength!r}; it has {', '.join(accepted) or 'none'}.")
        for strength, default in accepted.items():
            if default is inspect.Parameter.empty and strength not in strengths:
                raise TypeError(f"{name} needs the strength {strength!r}.")
        given = {strength: frozen(value) for strength, value in strengths.items()}
        registration = REGISTRATIONS.get(name)
        if registration and registration.operator is operator:
            _check(registration, given)
        object.__setattr__(self, "operator", operator)
        object.__setattr__(self, "_strengths", tuple(given.items()))
        object.__setattr__(self, "_random", next(iter(parameters)) == "key")

    @property
    def name(self) -> str:
        """The operator's name."""
        return self.operator.__name__

    @property
    def strengths(self) -> dict[str, Any]:
        """The strengths that are given, in their order."""
        return dict(self._strengths)

    @property
    def operators(self) -> tuple["Op", ...]:
        """Itself alone."""
        return (self,)

    def __call__(self, key: PRNGKeyArray, clean: Image) -> Observation:
        """Draw the strengths and apply the operator."""
        operator_key, *sampler_keys = jax.random.split(key, 1 + len(self._strengths))
        drawn = {
            name: value(sampler_key, clean.shape[:-3]) if callable(value) else value
            for sampler_key, (name, value) in zip(sampler_keys, self._strengths, strict=True)
        }
        out = self.operator(operator_key, clean, **drawn) if self._random else self.operator(clean, **drawn)
        return out if isinstance(out, Observation) else Observation(out)

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{name}={text(value)}' for name, value in self._strengths)})"

    def _replaced(self, strengths: dict[str, Any]) -> "Op":
        mine = {name: strengths.get(name, value) for name, value in self._strengths}
        return Op(self.operator, **{n: v for n, v in mine.items() if v is not None or n not in strengths})

    def _identity(self) -> tuple:
        return (Op, self.operator, *((name, hashable(value)) for name, value in self._strengths))


@dataclass(frozen=True, init=False, eq=False, repr=False)
class _Combination(Expression):
    """Degradations that are combined."""

    parts: tuple[Expression, ...]
    word: ClassVar[str] = ""

    def __init__(self, *parts: Expression) -> None:
        for part in parts:
            if not isinstance(part, Expression):
                raise TypeError(f"{part!r} is not a degradation; write Op(operator, ...).")
        object.__setattr__(self, "parts", parts)

    @property
    def operators(self) -> tuple[Op, ...]:
        """The operators in it, in the order in which they are written."""
        return tuple(op for part in self.parts for op in part.operators)

    def __str__(self) -> str:
        return f"{self.word}({', '.join(map(str, (*self.parts, *self._options())))})"

    def _options(self) -> tuple[str, ...]:
        """What is written behind the parts."""
        return ()

    def _replaced(self, strengths: dict[str, Any]) -> "Expression":
        return self._of(part._replaced(strengths) for part in self.parts)

    def _of(self, parts) -> "Expression":
        return type(self)(*parts)

    def _identity(self) -> tuple:
        return (type(self), *(part._identity() for part in self.parts), self._options())


class Chain(_Combination):
    """Apply degradations in order; their conditions are concatenated. In text ``a + b``.

    The key is split into one for each; a chain of one is that one, and a chain in a chain becomes part of it.

    Args:
        *parts: degradations; with none, the identity.

    Raises:
        TypeError: if a part is not a degradation.
        ValueError: (when applied) if frames are made of an image that has a condition already.

    Example:
        >>> from restorax.degrade import gaussian_noise, missing_pixels
        >>> both = Chain(Op(gaussian_noise, sigma=0.1), Op(missing_pixels, missing=0.5))
        >>> both(jax.random.key(0), jnp.zeros((8, 8, 1))).condition.shape
        (8, 8, 1)
    """

    def __init__(self, *parts: Expression) -> None:
        flat = (part.parts if isinstance(part, Chain) else (part,) for part in parts)
        super().__init__(*(part for several in flat for part in several))

    def __call__(self, key: PRNGKeyArray, clean: Image) -> Observation:
        """Apply every part to what the one before it has made."""
        if len(self.parts) == 1:
            return self.parts[0](key, clean)
        image, conditions = clean, []
        for part_key, part in zip(jax.random.split(key, max(len(self.parts), 1)), self.parts, strict=False):
            image, condition = part(part_key, image)
            if condition is not None:
                conditions.append(condition)
        if any(condition.shape[:-1] != image.shape[:-1] for condition in conditions):
            raise ValueError("A degradation that makes frames must stand before those that bring a condition.")
        return Observation(image, jnp.concatenate(conditions, -1) if conditions else None)

    def __str__(self) -> str:
        return " + ".join(map(str, self.parts))

    def _identity(self) -> tuple:
        return self.parts[0]._identity() if len(self.parts) == 1 else super()._identity()


@dataclass(frozen=True, init=False, eq=False, repr=False)
class OneOf(_Combination):
    """Apply one degradation, drawn anew for every image. In text ``one_of(a, b, weights=(3, 1))``.

    All of them are computed and one is kept, so the cost is their sum.

    Args:
        *parts: degradations, all with a condition of one shape or all without.
        weights: probabilities up to a common factor, one per degradation; equal by default.

    Raises:
        TypeError: if a part is not a degradation.
        ValueError: if there are no parts, the weights do not fit them, or (when applied) some have a condition and
            others not, or one makes frames.

    Example:
        >>> from restorax.degrade import gaussian_noise, jpeg
        >>> either = OneOf(Op(gaussian_noise, sigma=0.1), Op(jpeg, quality=30))
        >>> either(jax.random.key(0), jnp.zeros((4, 8, 8, 1))).image.shape
        (4, 8, 8, 1)
    """

    weights: tuple[float | int, ...] | None
    word: ClassVar[str] = "one_of"

    def __init__(self, *parts: Expression, weights: tuple[float | int, ...] | None = None) -> None:
        if not parts:
            raise ValueError("one_of must have at least one degradation, got none.")
        super().__init__(*parts)
        if weights is not None:
            weights = tuple(np.asarray(weights).tolist())
            check_range(weights, "weights", 0)
            if len(weights) != len(parts) or not 0 < sum(weights) < math.inf:
                raise ValueError(
                    f"`weights` must be one number per degradation, not all 0, got {weights} for {len(parts)}."
                )
        object.__setattr__(self, "weights", weights)

    def __call__(self, key: PRNGKeyArray, clean: Image) -> Observation:
        """Apply all parts and keep one for every image."""
        chances = np.ones(len(self.parts)) if self.weights is None else np.asarray(self.weights, float)
        edges = np.cumsum(chances / chances.sum())[:-1]
        choice_key, *part_keys = jax.random.split(key, 1 + len(self.parts))
        observed = [part(part_key, clean) for part_key, part in zip(part_keys, self.parts, strict=True)]
        _same_shape(self.word, clean, *(o.image for o in observed))
        if len({None if o.condition is None else o.condition.shape for o in observed}) > 1:
            raise ValueError("one_of cannot mix degradations with and without a condition, or with different ones.")
        choice = jnp.searchsorted(edges, jax.random.uniform(choice_key, clean.shape[:-3]), "right")[
            ..., None, None, None
        ]
        pick = lambda *images: jnp.select([choice == i for i in range(len(images))], images)  # noqa: E731
        return jax.tree.map(pick, *observed)

    def _options(self) -> tuple[str, ...]:
        return () if self.weights is None else (f"weights={text(self.weights)}",)

    def _of(self, parts) -> "OneOf":
        return OneOf(*parts, weights=self.weights)


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Maybe(_Combination):
    """Apply a degradation to an image with some probability. In text ``maybe(a, probability=0.3)``.

    Args:
        part: a degradation that brings no condition.
        probability: in [0, 1].

    Raises:
        TypeError: if the part is not a degradation.
        ValueError: if the probability lies outside [0, 1], or (when applied) there is a condition, or frames are made.

    Example:
        >>> from restorax.degrade import jpeg
        >>> Maybe(Op(jpeg, quality=30), 0.3)(jax.random.key(0), jnp.zeros((4, 8, 8, 1))).image.shape
        (4, 8, 8, 1)
    """

    probability: float | int
    word: ClassVar[str] = "maybe"

    def __init__(self, part: Expression, probability: float | int = 0.5) -> None:
        super().__init__(part)
        check_range(probability, "probability", 0, 1)
        object.__setattr__(self, "probability", probability)

    def __call__(self, key: PRNGKeyArray, clean: Image) -> Observation:
        """Apply the part and keep the result for some of the images."""
        choice_key, part_key = jax.random.split(key)
        image, condition = self.parts[0](part_key, clean)
        if condition is not None:
            raise ValueError("maybe cannot leave out a degradation that brings a condition.")
        _same_shape(self.word, clean, image)
        applied = jax.random.uniform(choice_key, clean.shape[:-3])[..., None, None, None] < self.probability
        return Observation(jnp.where(applied, image, clean))

    def _options(self) -> tuple[str, ...]:
        return () if self.probability == 0.5 else (f"probability={text(self.probability)}",)

    def _of(self, parts) -> "Maybe":
        return Maybe(*parts, probability=self.probability)


class Shuffle(_Combination):
    """Apply degradations in a random order, the same for all images of a call. In text ``shuffle(a, b)``.

    Every part is compiled once. Under ``vmap`` the order differs between images, and all parts are computed in every
    position.

    Args:
        *parts: degradations that bring no condition.

    Raises:
        TypeError: if a part is not a degradation.
        ValueError: if there are no parts, or (when applied) one brings a condition or makes frames.

    Reference:
        Zhang et al., Designing a practical degradation model for deep blind image super-resolution (BSRGAN), ICCV
        2021, section 3.3.

    Example:
        >>> from restorax.degrade import gaussian_noise, jpeg
        >>> mixed = Shuffle(Op(gaussian_noise, sigma=0.1), Op(jpeg, quality=30))
        >>> mixed(jax.random.key(0), jnp.zeros((4, 8, 8, 1))).image.shape
        (4, 8, 8, 1)
    """

    word: ClassVar[str] = "shuffle"

    def __init__(self, *parts: Expression) -> None:
        if not parts:
            raise ValueError("shuffle must have at least one degradation, got none.")
        super().__init__(*parts)

    def __call__(self, key: PRNGKeyArray, clean: Image) -> Observation:
        """Draw an order and apply the parts in it."""
        order_key, *part_keys = jax.random.split(key, 1 + len(self.parts))
        branches = [self._branch(part) for part in self.parts]

        def step(image, turn):
            return jax.lax.switch(turn[0], branches, turn[1], image), None

        order = jax.random.permutation(order_key, len(self.parts))
        return Observation(jax.lax.scan(step, jnp.asarray(clean), (order, jnp.stack(part_keys)))[0])

    def _branch(self, part: Expression) -> Callable[..., jax.Array]:
        def apply(key, image):
            observed = part(key, image)
            if observed.condition is not None:
                raise ValueError("shuffle takes no degradations that bring a condition.")
            _same_shape(self.word, image, observed.image)
            return observed.image

        return apply


def _check(registration: Registration, strengths: dict[str, Any]) -> None:
    """Refuse what lies outside its range; of a sampler, its bounds. Other callables are drawn unchecked."""
    for name, value in strengths.items():
        drawn = isinstance(value, Sampler) and isinstance(registration.ranges.get(name), Range)
        if drawn:
            registration.check({name: value.low})
            registration.check({name: value.high})
        elif isinstance(value, Sampler) or not callable(value):
            registration.check({name: value})


def _same_shape(word: str, clean: Image, *images: Image) -> None:
    """Frames would be broadcast against the batch, and images mixed."""
    for image in images:
        if image.shape != clean.shape:
            raise ValueError(f"{word} takes no degradations that make frames of an image; apply them before it.")
