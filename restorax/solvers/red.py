"""Regularisation by denoising."""

from ..types import Array
from .iteration import Method, Problem


def _step(problem: Problem, x: Array, level: Array, weight: Array) -> Array:
    return problem.data_step(problem.denoise(x, level), weight, x)


RED = Method(lambda problem: problem.start, _step, lambda x: x, balance=0.5)
"""Fixed points of ``A'(Ax - y) + w (x - D(x)) = 0``: the image satisfies the observation, up to ``w``.

Reference:
    Romano, Elad and Milanfar, The little engine that could: regularization by denoising (RED), SIAM Journal on Imaging
    Sciences 2017, section 4.2 (fixed-point strategy).
"""
