"""Building a degradation from operators: fix or randomise their strengths, then apply them in order."""

import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ..types import Degradation, Image, Observation, PRNGKeyArray

Sampler = Callable[[PRNGKeyArray, tuple[int, ...]], jax.Array]
"""Draws one strength per image: ``(key, batch_shape) -> array``."""


def uniform(low: float | int, high: float | int) -> Sampler:
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
    return lambda key, shape: jax.random.uniform(key, shape, minval=low, maxval=high)


def stage(operator: Callable[..., Any], **strengths: Any) -> Degradation:
    """Turn an operator into a degradation by giving its strengths.

    Args:
        operator: a primitive operator, random ``(key, image, *, ...)`` or not ``(image, *, ...)``.
        **strengths: its keyword arguments; a sampler such as :func:`uniform` is drawn anew for every image.

    Returns:
        A pure function ``(key, clean) -> Observation``.

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

    def degrade(key: PRNGKeyArray, clean: Image) -> Observation:
        operator_key, *sampler_keys = jax.random.split(key, 1 + len(strengths))
        drawn = {
            name: value(sampler_key, clean.shape[:-3]) if callable(value) else value
            for sampler_key, (name, value) in zip(sampler_keys, strengths.items(), strict=True)
        }
        out = operator(operator_key, clean, **drawn) if is_random else operator(clean, **drawn)
        return out if isinstance(out, Observation) else Observation(out)

    return degrade


def chain(*stages: Degradation) -> Degradation:
    """Apply degradations in order, each with its own key; their conditions are concatenated.

    Args:
        *stages: pure functions ``(key, clean) -> Observation``.

    Returns:
        One pure function ``(key, clean) -> Observation``; with no stages, the identity.

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
        return Observation(image, jnp.concatenate(conditions, -1) if conditions else None)

    return degrade
