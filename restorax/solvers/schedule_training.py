"""Schedules trained by gradient through the iterations."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from ..degrade import Chain, Expression, Op, gaussian_noise, parse
from ..types import Array, Image, check_count, check_image
from ..zoo import Restorer
from .iteration import Schedule, default_schedule
from .linear import read_parts
from .plug_and_play import solve
from .priors import Denoiser
from .programs import FIRST_LEVEL, LAST_LEVEL, METHODS

MOST = 16
"""Largest number of iterations whose schedule is trained: 32 numbers."""


def train_schedule(
    degradation: str | Expression,
    clean: Image,
    denoiser: str | Restorer | Denoiser | None = None,
    *,
    noise: float,
    iterations: int = 8,
    method: str = "hqs",
    steps: int = 60,
    learning_rate: float = 0.05,
    batch: int = 4,
    seed: int = 0,
    report: Callable[[int, float], None] | None = None,
) -> Schedule:
    """Train the noise levels and the weights of :func:`restorax.solve` for a degradation.

    The iterations are unrolled: the logarithms of both are optimised by Adam for the squared error, from the default
    schedule. The loss of a batch is one compiled program, whose backward pass computes every iteration again.

    Args:
        degradation: text or parsed degradation, linear and without noise.
        clean: training patches ``[patches, height, width, channel]`` in [0, 1], larger than twice the border of the
            degradation.
        denoiser: as in :func:`restorax.solve`.
        noise: standard deviation of the noise in [0, 1].
        iterations: number of iterations, at most 16.
        method: as in :func:`restorax.solve`.
        steps: of the optimiser.
        learning_rate: of the logarithms.
        batch: patches per step.
        seed: of noise, masks and batches.
        report: called with the step and the loss.

    Returns:
        The trained schedule, or the default one if its loss on all patches is smaller.

    Raises:
        ValueError: if a number of iterations is not from 1 to 16, or as :func:`restorax.solve`.

    Reference:
        Zhang et al., Deep unfolding network for image super-resolution (USRNet), CVPR 2020, section 4.

    Example:
        >>> patches = jnp.linspace(0, 1, 2 * 24 * 24).reshape(2, 24, 24, 1)
        >>> shrink = lambda image, level: image / (1 + level**2)
        >>> train_schedule("gaussian_blur(sigma=0.5)", patches, shrink, noise=0.1, iterations=2, steps=1).levels.shape
        (2,)
    """
    check_count(iterations, "iterations")
    check_count(steps, "steps")
    if iterations > MOST:
        raise ValueError(f"`iterations` must be at most {MOST}, got {iterations}")
    clean = check_image(clean)
    blur = parse(degradation) if isinstance(degradation, str) else degradation
    chain = Chain(blur, Op(gaussian_noise, sigma=noise))
    read_parts(chain)  # refuses what is not linear
    start = default_schedule(jnp.asarray(noise), iterations, METHODS[method].balance or 0.23, FIRST_LEVEL, LAST_LEVEL)

    def loss(logarithms: Schedule, key: Array, chosen: Array) -> Array:
        observed, target = chain.observe(key, chosen)
        schedule = jax.tree.map(jnp.exp, logarithms)
        restored = solve(
            chain, observed, denoiser, noise=noise, iterations=iterations, method=method, schedule=schedule
        )
        return ((restored - jnp.asarray(target)) ** 2).mean()

    import optax

    value, slope = jax.jit(loss), jax.jit(jax.value_and_grad(loss))
    logarithms = jax.tree.map(jnp.log, start)
    optimiser = optax.adam(learning_rate)
    state = optimiser.init(logarithms)
    key = jax.random.key(seed)
    before = float(value(logarithms, key, clean)), logarithms
    for step in range(1, steps + 1):
        noise_key, batch_key = jax.random.split(jax.random.fold_in(key, step))
        chosen = clean[jax.random.choice(batch_key, len(clean), (min(batch, len(clean)),), replace=False)]
        error, slopes = slope(logarithms, noise_key, chosen)
        updates, state = optimiser.update(slopes, state)
        logarithms = jax.tree.map(jnp.add, logarithms, updates)
        if report:
            report(step, float(error))
    after = float(value(logarithms, key, clean)), logarithms
    return jax.tree.map(jnp.exp, min(before, after, key=lambda one: one[0])[1])
