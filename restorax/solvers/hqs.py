"""Half-quadratic splitting."""

from ..types import Array
from .iteration import Method, Problem

State = tuple[Array, Array]


def _start(problem: Problem) -> State:
    return problem.start, problem.start


def _step(problem: Problem, state: State, level: Array, weight: Array) -> State:
    x, z = state
    x = problem.data_step(z, weight, x)
    return x, problem.denoise(x, level)


HQS = Method(_start, _step, lambda state: state[1], balance=0.23)
"""Data step and denoiser in turn: ``x = argmin |Ax - y|^2 + w |x - z|^2``, ``z = D(x)``.

Reference:
    Geman and Yang, Nonlinear image recovery with half-quadratic regularization, TIP 1995; Zhang et al., Plug-and-play
    image restoration with deep denoiser prior (DPIR), TPAMI 2022, equation 6.
"""
