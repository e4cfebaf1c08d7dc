"""Combinations of degradations: chains, random choices and random orders."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from ..types import Image, Observation, PRNGKeyArray, check_range
from .expression import Cropped, Expression, Op, crop_border
from .motion import Motion
from .strengths import format_strength

__all__ = ["Chain", "Expression", "Maybe", "OneOf", "Op", "Shuffle", "crop_border"]


@dataclass(frozen=True, init=False, eq=False, repr=False)
class _Combination(Expression):
    """Base class of combinations of degradations."""

    parts: tuple[Expression, ...]
    keyword: ClassVar[str] = ""

    def __init__(self, *parts: Expression) -> None:
        for part in parts:
            if not isinstance(part, Expression):
                raise TypeError(f"{part!r} is not a degradation; write Op(operator, ...).")
        object.__setattr__(self, "parts", parts)

    @property
    def operators(self) -> tuple[Op, ...]:
        """The operators that it contains, in the order of its text."""
        return tuple(op for part in self.parts for op in part.operators)

    def __str__(self) -> str:
        return f"{self.keyword}({', '.join(map(str, (*self.parts, *self._options())))})"

    def _options(self) -> tuple[str, ...]:
        """Arguments in the text after the parts."""
        return ()

    def _replaced(self, strengths: dict[str, Any]) -> "Expression":
        return self._with_parts(part._replaced(strengths) for part in self.parts)

    def _with_parts(self, parts) -> "Expression":
        return type(self)(*parts)

    def _reach(self) -> int:
        return sum(part._reach() for part in self.parts)

    def _identity(self) -> tuple:
        return (type(self), *(part._identity() for part in self.parts), self._options())


class Chain(_Combination):
    """Apply degradations in order and concatenate their conditions; as text ``a + b``.

    The key is split into one per part. Nested chains are flattened, and a chain of one part equals that part.

    Args:
        *parts: degradations; an empty chain is the identity, as text ``identity()``.

    Raises:
        TypeError: if a part is not a degradation.
        ValueError: when applied, if a degradation that adds a frame axis follows one that returns a condition.

    Example:
        >>> from restorax.degrade import gaussian_noise, missing_pixels
        >>> both = Chain(Op(gaussian_noise, sigma=0.1), Op(missing_pixels, missing=0.5))
        >>> both(jax.random.key(0), jnp.zeros((8, 8, 1))).condition.shape
        (8, 8, 1)
    """

    def __init__(self, *parts: Expression) -> None:
        flattened = (part.parts if isinstance(part, Chain) else (part,) for part in parts)
        super().__init__(*(part for inner in flattened for part in inner))

    def _degrade(self, key: PRNGKeyArray, clean: Image, draws: tuple[int, ...]) -> tuple[Observation, Cropped]:
        if len(self.parts) == 1:
            return self.parts[0]._degrade(key, clean, draws)
        image, truth, conditions = clean, clean, []
        for number, (part_key, part) in enumerate(zip(self._part_keys(key), self.parts, strict=False)):
            (image, condition), made = part._degrade(part_key, image, draws)
            if condition is not None:
                conditions.append(condition)
            if isinstance(part, Op) and part._makes_video:
                if number:
                    raise ValueError(f"{part.name} must come first, since its result is ground truth.")
                truth, draws = made, (*draws, 1)
        if any(condition.shape[:-1] != image.shape[:-1] for condition in conditions):
            raise ValueError("A degradation that adds a frame axis must come before those that return a condition.")
        return Observation(image, jnp.concatenate(conditions, -1) if conditions else None), truth

    def _part_keys(self, key: PRNGKeyArray) -> jax.Array:
        return jax.random.split(key, max(len(self.parts), 1))

    def _motion(self, key: PRNGKeyArray, clean: Image) -> Motion:
        if len(self.parts) < 2:
            return self.parts[0]._motion(key, clean) if self.parts else super()._motion(key, clean)
        return self.parts[0]._motion(self._part_keys(key)[0], clean)

    def __str__(self) -> str:
        return " + ".join(map(str, self.parts)) or "identity()"

    def _identity(self) -> tuple:
        return self.parts[0]._identity() if len(self.parts) == 1 else super()._identity()


@dataclass(frozen=True, init=False, eq=False, repr=False)
class OneOf(_Combination):
    """Apply one degradation, chosen at random for every image; as text ``one_of(a, b, weights=(3, 1))``.

    All of them are computed and one is selected, so the cost is their sum.

    Args:
        *parts: degradations, all with conditions of the same shape or all without.
        weights: relative probabilities, one per degradation; equal by default.

    Raises:
        TypeError: if a part is not a degradation.
        ValueError: if there are no parts or the weights are invalid; when applied, if the conditions differ or a part
            adds a frame axis.

    Example:
        >>> from restorax.degrade import gaussian_noise, jpeg
        >>> either = OneOf(Op(gaussian_noise, sigma=0.1), Op(jpeg, quality=30))
        >>> either(jax.random.key(0), jnp.zeros((4, 8, 8, 1))).image.shape
        (4, 8, 8, 1)
    """

    weights: tuple[float | int, ...] | None
    keyword: ClassVar[str] = "one_of"

    def __init__(self, *parts: Expression, weights: tuple[float | int, ...] | None = None) -> None:
        if not parts:
            raise ValueError("one_of must have at least one degradation, got 0.")
        super().__init__(*parts)
        if weights is not None:
            weights = tuple(np.asarray(weights).tolist())
            check_range(weights, "weights", 0)
            if len(weights) != len(parts) or not 0 < sum(weights) < math.inf:
                raise ValueError(
                    f"`weights` must be one number per degradation ({len(parts)}), not all 0, got {weights}."
                )
        object.__setattr__(self, "weights", weights)

    def _degrade(self, key: PRNGKeyArray, clean: Image, draws: tuple[int, ...]) -> tuple[Observation, Cropped]:
        weights = np.ones(len(self.parts)) if self.weights is None else np.asarray(self.weights, float)
        edges = np.cumsum(weights / weights.sum())[:-1]
        choice_key, *part_keys = jax.random.split(key, 1 + len(self.parts))
        observed = [part._degrade(k, clean, draws)[0] for k, part in zip(part_keys, self.parts, strict=True)]
        _check_same_shape(self.keyword, clean, *(o.image for o in observed))
        if len({None if o.condition is None else o.condition.shape for o in observed}) > 1:
            raise ValueError("one_of must have degradations with conditions of the same shape, or all without.")
        drawn = jnp.broadcast_to(jax.random.uniform(choice_key, draws), clean.shape[:-3])
        choice = jnp.searchsorted(edges, drawn, "right")[..., None, None, None]
        select = lambda *images: jnp.select([choice == i for i in range(len(images))], images)  # noqa: E731
        return jax.tree.map(select, *observed), clean

    def _options(self) -> tuple[str, ...]:
        return () if self.weights is None else (f"weights={format_strength(self.weights)}",)

    def _reach(self) -> int:
        return max(part._reach() for part in self.parts)

    def _with_parts(self, parts) -> "OneOf":
        return OneOf(*parts, weights=self.weights)


@dataclass(frozen=True, init=False, eq=False, repr=False)
class Maybe(_Combination):
    """Apply a degradation to every image with a given probability; as text ``maybe(a, probability=0.3)``.

    Args:
        part: a degradation without a condition.
        probability: in [0, 1].

    Raises:
        TypeError: if the part is not a degradation.
        ValueError: if the probability is out of range; when applied, if the part returns a condition or adds a frame
            axis.

    Example:
        >>> from restorax.degrade import jpeg
        >>> Maybe(Op(jpeg, quality=30), 0.3)(jax.random.key(0), jnp.zeros((4, 8, 8, 1))).image.shape
        (4, 8, 8, 1)
    """

    probability: float | int
    keyword: ClassVar[str] = "maybe"

    def __init__(self, part: Expression, probability: float | int = 0.5) -> None:
        super().__init__(part)
        check_range(probability, "probability", 0, 1)
        object.__setattr__(self, "probability", probability)

    def _degrade(self, key: PRNGKeyArray, clean: Image, draws: tuple[int, ...]) -> tuple[Observation, Cropped]:
        choice_key, part_key = jax.random.split(key)
        (image, condition), _ = self.parts[0]._degrade(part_key, clean, draws)
        if condition is not None:
            raise ValueError("maybe must have a degradation without a condition.")
        _check_same_shape(self.keyword, clean, image)
        applied = jax.random.uniform(choice_key, draws)[..., None, None, None] < self.probability
        return Observation(jnp.where(applied, image, clean)), clean

    def _options(self) -> tuple[str, ...]:
        return () if self.probability == 0.5 else (f"probability={format_strength(self.probability)}",)

    def _with_parts(self, parts) -> "Maybe":
        return Maybe(*parts, probability=self.probability)


class Shuffle(_Combination):
    """Apply degradations in a random order, the same for all images of a call; as text ``shuffle(a, b)``.

    Every part is compiled once. Under ``vmap`` the order differs between images, and every part is computed at every
    position.

    Args:
        *parts: degradations without conditions.

    Raises:
        TypeError: if a part is not a degradation.
        ValueError: if there are no parts; when applied, if a part returns a condition or adds a frame axis.

    Reference:
        Zhang et al., Designing a practical degradation model for deep blind image super-resolution (BSRGAN), ICCV
        2021, section 3.3.

    Example:
        >>> from restorax.degrade import gaussian_noise, jpeg
        >>> mixed = Shuffle(Op(gaussian_noise, sigma=0.1), Op(jpeg, quality=30))
        >>> mixed(jax.random.key(0), jnp.zeros((4, 8, 8, 1))).image.shape
        (4, 8, 8, 1)
    """

    keyword: ClassVar[str] = "shuffle"

    def __init__(self, *parts: Expression) -> None:
        if not parts:
            raise ValueError("shuffle must have at least one degradation, got 0.")
        super().__init__(*parts)

    def _degrade(self, key: PRNGKeyArray, clean: Image, draws: tuple[int, ...]) -> tuple[Observation, Cropped]:
        order_key, *part_keys = jax.random.split(key, 1 + len(self.parts))
        branches = [self._branch(part, draws) for part in self.parts]

        def step(image, index_and_key):
            index, part_key = index_and_key
            return jax.lax.switch(index, branches, part_key, image), None

        order = jax.random.permutation(order_key, len(self.parts))
        return Observation(jax.lax.scan(step, jnp.asarray(clean), (order, jnp.stack(part_keys)))[0]), clean

    def _branch(self, part: Expression, draws: tuple[int, ...]) -> Callable[..., jax.Array]:
        def apply(key: PRNGKeyArray, image: Image) -> jax.Array:
            observed, _ = part._degrade(key, image, draws)
            if observed.condition is not None:
                raise ValueError("shuffle must have degradations without conditions.")
            _check_same_shape(self.keyword, image, observed.image)
            return jnp.asarray(observed.image)

        return apply


def _check_same_shape(keyword: str, clean: Image, *images: Image) -> None:
    """Reject an added frame axis: selection would broadcast it against the batch and mix images."""
    for image in images:
        if image.shape != clean.shape:
            raise ValueError(f"{keyword} must have degradations that keep the shape; apply `burst` before it.")
