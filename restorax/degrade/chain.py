"""Building a degradation from operators: fix or randomise their strengths, then apply them in order."""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..types import Degradation, Image, Observation, PRNGKeyArray

Sampler = Callable[[PRNGKeyArray, tuple[int, ...]], jax.Array]
"""Draws one strength per image: ``(key, batch_shape) -> array``."""


class Range(NamedTuple):
    """A sampler that says between which values it draws, so that they can be checked where draws are traced.

    Attributes:
        draw: the sampler.
        low: smallest value.
        high: largest value.
    """

    draw: Sampler
    low: float | int
    high: float | int

    def __call__(self, key: PRNGKeyArray, shape: tuple[int, ...]) -> jax.Array:
        """Draw one value per image."""
        return self.draw(key, shape)


def uniform(low: float | int, high: float | int) -> Range:
    """Draw a strength uniformly between ``low`` and ``high`` for every image.

    Args:
        low: smallest value, in the unit of the strength.
        high: largest value, not below ``low``.

    Returns:
        A sampler for :func:`stage`.

    Raises:
        ValueError: if ``low`` exceeds ``high``.

    Example:
        >>> uniform(0, 1)(jax.random.key(0), (4,)).shape
        (4,)
    """
    if low > high:
        raise ValueError(f"uniform({low}, {high}): the first value must not exceed the second")
    return Range(lambda key, shape: jax.random.uniform(key, shape, minval=low, maxval=high), low, high)


def log_uniform(low: float | int, high: float | int) -> Range:
    """Draw a strength whose logarithm is uniform between those of ``low`` and ``high``, for every image.

    Args:
        low: smallest value, above 0, in the unit of the strength.
        high: largest value, not below ``low``.

    Returns:
        A sampler for :func:`stage`.

    Raises:
        ValueError: if ``low`` is not positive or exceeds ``high``.

    Example:
        >>> log_uniform(1, 100)(jax.random.key(0), (4,)).shape
        (4,)
    """
    if not 0 < low <= high:
        raise ValueError(f"log_uniform({low}, {high}): the values must be positive and in order")

    def draw(key, shape):
        logarithm = jax.random.uniform(key, shape, minval=jnp.log(low), maxval=jnp.log(high))
        return jnp.clip(jnp.exp(logarithm), low, high)

    return Range(draw, low, high)


def stage(operator: Callable[..., Any], **strengths: Any) -> Degradation:
    """Turn an operator into a degradation by giving its strengths.

    Args:
        operator: a primitive operator, random ``(key, image, *, ...)`` or not ``(image, *, ...)``.
        **strengths: its keyword arguments; a sampler such as :func:`uniform` is drawn anew for every image.

    Returns:
        A pure function ``(key, clean) -> Observation``. What its samplers draw is checked too: their bounds must be
        strengths that the operator accepts.

    Raises:
        TypeError: if the operator has no such strength, or lacks one that was not given.

    Example:
        >>> from restorax.degrade import gaussian_noise
        >>> blind = stage(gaussian_noise, sigma=uniform(0, 55 / 255))
        >>> blind(jax.random.key(0), jnp.zeros((2, 8, 8, 1))).image.shape
        (2, 8, 8, 1)
    """
    signature = inspect.signature(operator)
    accepted = [p.name for p in signature.parameters.values() if p.kind is p.KEYWORD_ONLY]
    name = getattr(operator, "__name__", str(operator))
    for given in strengths:
        if given not in accepted:
            raise TypeError(f"{name} has no strength {given!r}; accepted are {', '.join(accepted)}")
    for p in signature.parameters.values():
        if p.kind is p.KEYWORD_ONLY and p.default is p.empty and p.name not in strengths:
            raise TypeError(f"{name} needs the strength {p.name!r}")
    is_random = next(iter(signature.parameters)) == "key"
    ranges = {name: value for name, value in strengths.items() if isinstance(value, Range)}

    def apply(key: PRNGKeyArray, clean: Image, strengths: dict[str, Any]) -> Observation:
        out = operator(key, clean, **strengths) if is_random else operator(clean, **strengths)
        return out if isinstance(out, Observation) else Observation(out)

    def degrade(key: PRNGKeyArray, clean: Image) -> Observation:
        operator_key, *sampler_keys = jax.random.split(key, 1 + len(strengths))
        drawn = {
            name: value(sampler_key, clean.shape[:-3]) if callable(value) else value
            for sampler_key, (name, value) in zip(sampler_keys, strengths.items(), strict=True)
        }
        if any(isinstance(drawn[name], jax.core.Tracer) for name in ranges):
            # Nothing is known of a traced draw: the operator says what it thinks of the bounds, without computing.
            for bound in ("low", "high"):
                known = drawn | {name: getattr(value, bound) for name, value in ranges.items()}
                jax.eval_shape(partial(apply, strengths=known), operator_key, clean)
        return apply(operator_key, clean, drawn)

    return degrade


def chain(*stages: Degradation) -> Degradation:
    """Apply degradations in order, each with its own key; their conditions are concatenated.

    Args:
        *stages: pure functions ``(key, clean) -> Observation``.

    Returns:
        One pure function ``(key, clean) -> Observation``; with no stages, the identity.

    Raises:
        ValueError: (when applied) if frames are made of an image that has a condition already.

    Example:
        >>> from restorax.degrade import gaussian_noise, missing_pixels
        >>> both = chain(stage(gaussian_noise, sigma=0.1), stage(missing_pixels, missing=0.5))
        >>> both(jax.random.key(0), jnp.zeros((8, 8, 1))).condition.shape
        (8, 8, 1)
    """
    if len(stages) == 1:
        return stages[0]

    def degrade(key: PRNGKeyArray, clean: Image) -> Observation:
        image, conditions = clean, []
        for stage_key, one in zip(jax.random.split(key, max(len(stages), 1)), stages, strict=False):
            image, condition = one(stage_key, image)
            if condition is not None:
                conditions.append(condition)
        if any(condition.shape[:-1] != image.shape[:-1] for condition in conditions):
            raise ValueError("a degradation that makes frames must stand before those that bring a condition")
        return Observation(image, jnp.concatenate(conditions, -1) if conditions else None)

    return degrade


def one_of(*stages: Degradation, weights: tuple[float | int, ...] | None = None) -> Degradation:
    """Apply one degradation, drawn anew for every image.

    All of them are computed and one is kept, so the cost is their sum.

    Args:
        *stages: pure functions ``(key, clean) -> Observation``, all with a condition of one shape or all without.
        weights: chances in proportion to these, one for each degradation; equal ones by default.

    Returns:
        One pure function ``(key, clean) -> Observation``.

    Raises:
        ValueError: if there are no stages, the weights do not fit them, or (when applied) some have a condition and
            others not, or one makes frames.

    Example:
        >>> from restorax.degrade import gaussian_noise, jpeg
        >>> either = one_of(stage(gaussian_noise, sigma=0.1), stage(jpeg, quality=30))
        >>> either(jax.random.key(0), jnp.zeros((4, 8, 8, 1))).image.shape
        (4, 8, 8, 1)
    """
    if not stages:
        raise ValueError("one_of() needs at least one degradation")
    chances = np.ones(len(stages)) if weights is None else np.asarray(weights, float)
    if chances.shape != (len(stages),) or (chances < 0).any() or not chances.sum() > 0:
        raise ValueError(f"one_of() has {len(stages)} degradations; weights {weights} are not as many chances")
    edges = np.cumsum(chances / chances.sum())[:-1]

    def degrade(key: PRNGKeyArray, clean: Image) -> Observation:
        choice_key, *stage_keys = jax.random.split(key, 1 + len(stages))
        observed = [one(stage_key, clean) for stage_key, one in zip(stage_keys, stages, strict=True)]
        _same_shape("one_of()", clean, *(o.image for o in observed))
        if len({None if o.condition is None else o.condition.shape for o in observed}) > 1:
            raise ValueError("one_of() mixes degradations with and without a condition, or with different ones")
        choice = jnp.searchsorted(edges, jax.random.uniform(choice_key, clean.shape[:-3]), "right")[
            ..., None, None, None
        ]
        pick = lambda *parts: jnp.select([choice == i for i in range(len(parts))], parts)  # noqa: E731
        return jax.tree.map(pick, *observed)

    return degrade


def maybe(one: Degradation, probability: float | int = 0.5) -> Degradation:
    """Apply a degradation to an image with some probability; it must not bring a condition.

    Args:
        one: pure function ``(key, clean) -> Observation``.
        probability: in [0, 1].

    Returns:
        One pure function ``(key, clean) -> Observation``.

    Raises:
        ValueError: if the probability lies outside [0, 1], or (when applied) there is a condition, or frames are made.

    Example:
        >>> from restorax.degrade import jpeg
        >>> maybe(stage(jpeg, quality=30), 0.3)(jax.random.key(0), jnp.zeros((4, 8, 8, 1))).image.shape
        (4, 8, 8, 1)
    """
    if not 0 <= probability <= 1:
        raise ValueError(f"maybe(): probability {probability} lies outside [0, 1]")

    def degrade(key: PRNGKeyArray, clean: Image) -> Observation:
        choice_key, stage_key = jax.random.split(key)
        image, condition = one(stage_key, clean)
        if condition is not None:
            raise ValueError("maybe() cannot leave out a degradation that brings a condition")
        _same_shape("maybe()", clean, image)
        applied = jax.random.uniform(choice_key, clean.shape[:-3])[..., None, None, None] < probability
        return Observation(jnp.where(applied, image, clean))

    return degrade


def shuffle(*stages: Degradation) -> Degradation:
    """Apply degradations in a random order, the same for all images of a call; none may bring a condition.

    Under ``vmap`` the order differs from image to image, and every stage is computed in each of the turns.

    Args:
        *stages: pure functions ``(key, clean) -> Observation``.

    Returns:
        One pure function ``(key, clean) -> Observation``; every stage is compiled once.

    Raises:
        ValueError: if there are no stages, or (when applied) one brings a condition or makes frames.

    Reference:
        Zhang et al., Designing a practical degradation model for deep blind image super-resolution (BSRGAN), ICCV
        2021, section 3.3.

    Example:
        >>> from restorax.degrade import gaussian_noise, jpeg
        >>> mixed = shuffle(stage(gaussian_noise, sigma=0.1), stage(jpeg, quality=30))
        >>> mixed(jax.random.key(0), jnp.zeros((4, 8, 8, 1))).image.shape
        (4, 8, 8, 1)
    """

    if not stages:
        raise ValueError("shuffle() needs at least one degradation")

    def branch(one):
        def apply(key, image):
            observed = one(key, image)
            if observed.condition is not None:
                raise ValueError("shuffle() takes no degradations that bring a condition")
            _same_shape("shuffle()", image, observed.image)
            return observed.image

        return apply

    branches = [branch(one) for one in stages]

    def degrade(key: PRNGKeyArray, clean: Image) -> Observation:
        order_key, *stage_keys = jax.random.split(key, 1 + len(stages))

        def step(image, turn):
            return jax.lax.switch(turn[0], branches, turn[1], image), None

        order = jax.random.permutation(order_key, len(stages))
        return Observation(jax.lax.scan(step, jnp.asarray(clean), (order, jnp.stack(stage_keys)))[0])

    return degrade


def _same_shape(name: str, clean: Image, *images: Image) -> None:
    """Frames would be broadcast against the batch, and pictures mixed."""
    for image in images:
        if image.shape != clean.shape:
            raise ValueError(f"{name} takes no degradations that make frames of an image; apply them before it")
