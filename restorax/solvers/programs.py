"""Compiled functions that solve observations of one shape."""

import functools
from collections.abc import Callable
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ..degrade.quantisation_intervals import JpegIntervals
from ..types import Array
from ..zoo import Restorer
from .admm import ADMM
from .data_steps import data_step, harmonic
from .hqs import HQS
from .iteration import Problem, Schedule, default_schedule, iterate
from .linear import Linear, LinearParts, adjoint_of
from .observation import Forward, Known
from .priors import Denoiser, as_function
from .proximal_gradient import PROXIMAL_GRADIENT
from .red import RED

METHODS = {"hqs": HQS, "admm": ADMM, "red": RED, "pg": PROXIMAL_GRADIENT}
"""Methods by name."""

FIRST_LEVEL, LAST_LEVEL = 49 / 255, 0.5 / 255
"""Noise levels of the denoiser in the first iteration, and in the last one of an observation without noise."""

DATA_STEPS = 12
"""Steps of conjugate gradients per iteration."""

_FIRST_OF_JPEG = 12 / 255  # more smooths what the quantisation left

_GRADIENT = 0.05  # root mean square of the differences between neighbours in photographs
_HARMONIC_STEPS = 40  # of conjugate gradients for the first image
_PROGRAMS = 32


class Program(NamedTuple):
    """What a program is compiled for.

    Attributes:
        forward: the degradation.
        method: key of ``METHODS``.
        iterations: number of iterations.
        denoiser: a function that denoises, ``None`` for an entry of the zoo.
    """

    forward: Forward
    method: str
    iterations: int
    denoiser: Denoiser | None


def run(
    program: Program,
    restorer: Restorer | None,
    observed: Array,
    known: Known,
    noise: Array,
    schedule: Schedule | None,
) -> Array:
    """Solve a flat batch of observations; compiled, unless an argument is traced.

    Args:
        program: what to run.
        restorer: entry of the zoo that denoises.
        observed: ``[batch, ...]``.
        known: masks ``[batch, height, width, k]`` or intervals with a batch axis, or ``None``.
        noise: ``[batch]``.
        schedule: noise levels and weights, by default those that follow from the noise.

    Returns:
        ``[batch, height, width, channel]``, clipped to [0, 1].
    """
    arrays = (restorer, observed, known, noise, schedule)
    if any(isinstance(leaf, Tracer) for leaf in (*jax.tree.leaves(arrays), *program.forward.constants())):
        return _solve_all(program, *arrays)
    shapes = tuple(np.shape(leaf) for leaf in jax.tree.leaves(arrays[1:]))
    return _compiled(program, shapes)(*arrays)


@functools.lru_cache(maxsize=_PROGRAMS)
def _compiled(program: Program, shapes: tuple[tuple[int, ...], ...]) -> Callable[..., Array]:
    """Return a compiled function for observations of one shape; its programs leave memory with it."""
    return jax.jit(functools.partial(_solve_all, program))


def _solve_all(
    program: Program,
    restorer: Restorer | None,
    observed: Array,
    known: Known,
    noise: Array,
    schedule: Schedule | None,
) -> Array:
    method = METHODS[program.method]
    denoise = as_function(cast(Restorer, restorer)) if program.denoiser is None else program.denoiser

    def one(y: Array, mask: Known, level: Array) -> Array:
        quantised = isinstance(mask, JpegIntervals)
        problem = _of_intervals(y, mask, denoise) if quantised else _of_operator(program, y, mask, level, denoise)
        levels = (_FIRST_OF_JPEG, 4 * LAST_LEVEL) if quantised else (FIRST_LEVEL, LAST_LEVEL)
        numbers = schedule or default_schedule(level, program.iterations, method.balance, *levels)
        restored = iterate(method, problem, numbers)
        return mask.project(restored) if quantised else restored

    rim, (height, width, _) = program.forward.rim, program.forward.shape
    return jnp.clip(jax.vmap(one)(observed, known, noise)[:, rim : height - rim, rim : width - rim], 0, 1)


def _of_operator(program: Program, observed: Array, mask: Array | None, noise: Array, denoise: Denoiser) -> Problem:
    operator, shape = program.forward.operator, program.forward.shape
    if isinstance(operator, LinearParts):
        forward: Linear = functools.partial(operator.apply, mask=mask)
    else:
        forward = cast(Linear, operator)
    adjoint = adjoint_of(forward, shape)
    smoothness = jnp.maximum(noise, 1 / 255) ** 2 / _GRADIENT**2
    return Problem(
        start=harmonic(forward, observed, shape, smoothness, _HARMONIC_STEPS),
        data_step=data_step(forward, observed, shape, program.forward.kind, DATA_STEPS),
        denoise=denoise,
        gradient=lambda x: adjoint(forward(x) - observed),
        normal=lambda x: adjoint(forward(x)),
    )


def _of_intervals(observed: Array, intervals: JpegIntervals, denoise: Denoiser) -> Problem:
    """Return the problem of a JPEG image, whose data term is 0 in the intervals and infinite elsewhere."""
    return Problem(
        start=observed,
        data_step=lambda z, weight, guess: intervals.project(z),
        denoise=denoise,
        gradient=lambda x: x - intervals.project(x),
        normal=lambda x: x,
    )
