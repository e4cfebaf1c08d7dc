"""The loop of all methods, and the schedule of noise levels and weights that it runs through."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ..types import Array
from .data_steps import DataStep
from .linear import Linear


class Problem(NamedTuple):
    """What a method works with.

    Attributes:
        start: first image, ``[height, width, channel]``.
        data_step: from :func:`restorax.solvers.data_steps.data_step`.
        denoise: function ``(image, level) -> image``.
        gradient: gradient of ``|Ax - y|^2 / 2``.
        normal: the product with ``A'A``.
    """

    start: Array
    data_step: DataStep
    denoise: Callable[[Array, Array], Array]
    gradient: Linear
    normal: Linear


class Method(NamedTuple):
    """A method: its state before the first iteration, one iteration, and the image of a state.

    Attributes:
        start: maps the problem to the state, any pytree.
        step: maps the problem, the state, a noise level and a weight to the next state.
        result: maps the state to the image.
        balance: weight of the prior at the last level.
    """

    start: Callable[[Problem], Any]
    step: Callable[[Problem, Any, Array, Array], Any]
    result: Callable[[Any], Array]
    balance: float


class Schedule(NamedTuple):
    """Two numbers per iteration, which can be trained.

    Attributes:
        levels: noise level of the denoiser, ``[iterations]``.
        weights: weight of the denoised image in the data step, ``[iterations]``.
    """

    levels: Array
    weights: Array


def default_schedule(noise: Array, iterations: int, balance: float, first: float, last: float) -> Schedule:
    """Return levels that fall geometrically to the noise of the observation, and weights that rise accordingly.

    Args:
        noise: standard deviation of the noise of the observation.
        iterations: number of iterations.
        balance: weight at the level of the noise.
        first: first level, if the noise is below it.
        last: smallest level, if the noise is below it.

    Returns:
        The schedule, ``w = balance * noise^2 / level^2``.

    Reference:
        Zhang et al., Plug-and-play image restoration with deep denoiser prior (DPIR), TPAMI 2022, section 4.2.

    Example:
        >>> schedule = default_schedule(jnp.asarray(0.01), 3, balance=0.2, first=0.16, last=0.002)
        >>> [round(float(x), 3) for x in schedule.levels]
        [0.16, 0.04, 0.01]
    """
    low = jnp.maximum(noise, last)
    high = jnp.maximum(low, first)
    share = jnp.linspace(0.0, 1.0, iterations) if iterations > 1 else jnp.ones(1)
    levels = jnp.exp((1 - share) * jnp.log(high) + share * jnp.log(low))
    return Schedule(levels, balance * low**2 / levels**2)


def iterate(method: Method, problem: Problem, schedule: Schedule) -> Array:
    """Run a method through a schedule.

    One ``lax.scan``, whose iterations are computed again in the backward pass, so memory does not grow with their
    number.
    """

    def step(state: Any, numbers: Schedule) -> tuple[Any, None]:
        return method.step(problem, state, numbers.levels, numbers.weights), None

    state, _ = jax.lax.scan(jax.checkpoint(step), method.start(problem), schedule)
    return method.result(state)
