"""The alternating direction method of multipliers."""

import jax.numpy as jnp

from ..types import Array
from .iteration import Method, Problem

State = tuple[Array, Array, Array]


def _start(problem: Problem) -> State:
    return problem.start, problem.start, jnp.zeros_like(problem.start)


def _step(problem: Problem, state: State, level: Array, weight: Array) -> State:
    x, z, multiplier = state
    shift = multiplier / weight  # the multiplier itself does not depend on the weight, which changes
    x = problem.data_step(z - shift, weight, x)
    z = problem.denoise(x + shift, level)
    return x, z, multiplier + weight * (x - z)


ADMM = Method(_start, _step, lambda state: state[1], balance=0.5)
"""As half-quadratic splitting, with a multiplier that sums the weighted differences of ``x`` and ``z``.

Reference:
    Venkatakrishnan et al., Plug-and-play priors for model based reconstruction, GlobalSIP 2013; Chan et al.,
    Plug-and-play ADMM for image restoration: fixed-point convergence and applications, TCI 2017 (falling levels).
"""
