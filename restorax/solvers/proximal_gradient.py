"""The proximal gradient method with momentum."""

import jax
import jax.numpy as jnp

from ..types import Array
from .iteration import Method, Problem

_POWER_STEPS = 12

State = tuple[Array, Array, Array, Array]


def _start(problem: Problem) -> State:
    """Return both images, the momentum and the largest eigenvalue of ``A'A``."""
    pattern = jnp.cos(jnp.arange(problem.start.size, dtype=jnp.float32)).reshape(problem.start.shape)

    def power_step(x: Array, _: None) -> tuple[Array, Array]:
        image = problem.normal(x)
        size = jnp.sqrt((image**2).sum())
        return image / jnp.maximum(size, 1e-12), size / jnp.maximum(jnp.sqrt((x**2).sum()), 1e-12)

    sizes = jax.lax.scan(power_step, 1 + pattern, None, length=_POWER_STEPS)[1]
    return problem.start, problem.start, jnp.ones(()), 1.05 * jax.lax.stop_gradient(sizes[-1])


def _step(problem: Problem, state: State, level: Array, weight: Array) -> State:
    previous, x, momentum, largest = state
    z = problem.denoise(x - problem.gradient(x) / (largest + weight), level)
    after = (1 + jnp.sqrt(1 + 4 * momentum**2)) / 2
    return z, z + (momentum - 1) / after * (z - previous), after, largest


PROXIMAL_GRADIENT = Method(_start, _step, lambda state: state[0], balance=0.0)
"""``z = D(x - A'(Ax - y) / L)``: no system is solved, so an iteration is cheap and more of them are needed.

Reference:
    Beck and Teboulle, A fast iterative shrinkage-thresholding algorithm for linear inverse problems, SIAM Journal on
    Imaging Sciences 2009; Kamilov et al., A plug-and-play priors approach for solving nonlinear imaging inverse
    problems, IEEE Signal Processing Letters 2017 (a denoiser in its place).
"""
