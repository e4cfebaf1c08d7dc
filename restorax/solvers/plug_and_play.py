"""Restoration of images with a known linear degradation by a denoiser of the zoo."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ..degrade import Expression, parse
from ..types import Array, Float, Image, Observation, Strength, check_count, check_image, check_range
from ..zoo import Restorer
from .admm import ADMM
from .data_steps import data_step, harmonic
from .hqs import HQS
from .iteration import Problem, Schedule, default_schedule, iterate
from .linear import Linear, LinearParts, adjoint_of, check_linear, kind_of, read_parts
from .priors import Denoiser, as_function, check_denoiser
from .proximal_gradient import PROXIMAL_GRADIENT
from .red import RED

METHODS = {"hqs": HQS, "admm": ADMM, "red": RED, "pg": PROXIMAL_GRADIENT}
"""Methods by name."""

FIRST_LEVEL, LAST_LEVEL = 49 / 255, 1 / 255
"""Noise levels of the denoiser in the first iteration, and in the last one of an observation without noise."""

_GRADIENT = 0.05  # root mean square of the differences between neighbours in photographs
_HARMONIC_STEPS = 40  # of conjugate gradients for the first image
_DATA_STEPS = 12  # of conjugate gradients per iteration


class _Static(NamedTuple):
    """What a compiled program is made for."""

    operator: LinearParts | Linear
    shape: tuple[int, int, int]
    kind: str
    method: str
    denoiser: Denoiser | None


def solve(
    degradation: str | Expression | Linear,
    observed: Image | Observation | Float[Array | np.ndarray, "..."],
    denoiser: str | Restorer | Denoiser | None = None,
    *,
    noise: Strength | None = None,
    iterations: int = 8,
    method: str = "hqs",
    shape: tuple[int, int, int] | None = None,
    schedule: Schedule | None = None,
) -> Array:
    """Restore an image with a known linear degradation and Gaussian noise, by a denoiser as the prior.

    The degradation is any chain of linear operators; no network is trained for it. Where it blurs, the scene is taken
    to go on beyond the image, and the unknown rim is solved for too, unless the border is ``"circular"``. Compiled,
    and differentiable in the observation, the noise, the schedule and what a function closes over.

    Args:
        degradation: text such as ``"motion_blur(length=15, angle=30)"``, a parsed degradation, or a linear function of
            one image ``[height, width, channel]`` that returns an array of any shape. Gaussian noise at the end of a
            text is the noise of the observation.
        observed: ``[*batch, height, width, channel]`` in [0, 1], or ``[*batch, ...]`` of the shape that a function
            returns; an ``Observation`` with the mask of known pixels where pixels are missing at random.
        denoiser: entry, or name of an entry, that is told its noise level; or a function ``(image, level) -> image``.
            By default the best entry of the zoo for the channels. A gray entry denoises the mean and the differences
            of the channels of colour images.
        noise: standard deviation of the noise in [0, 1], a scalar or one per image; 0 for none.
        iterations: number of iterations; the proximal gradient method needs 50 and more.
        method: ``"hqs"``, ``"admm"``, ``"red"`` or ``"pg"`` (proximal gradient).
        shape: shape of one restored image, by default that of the observation.
        schedule: noise levels and weights of the iterations, instead of those that follow from the noise.

    Returns:
        Restored images ``[*batch, *shape]``, clipped to [0, 1].

    Raises:
        FileNotFoundError: if there is no such entry.
        TypeError: if the observation is not floating point.
        ValueError: if the degradation is not linear, which names the operator; if the observation contains NaN or has
            another shape; if the noise is negative or missing; if the denoiser is not told its noise level; if the
            method is unknown.

    Reference:
        Venkatakrishnan et al., Plug-and-play priors for model based reconstruction, GlobalSIP 2013; Zhang et al.,
        Plug-and-play image restoration with deep denoiser prior, TPAMI 2022.

    Example:
        >>> import restorax
        >>> blurred = restorax.degrade.gaussian_blur(jnp.full((20, 24, 1), 0.5), sigma=0.6)
        >>> restored = solve("gaussian_blur(sigma=0.6)", blurred, noise=1 / 255, iterations=1)
        >>> restored.shape, bool(abs(restored - 0.5).max() < 0.05)
        ((20, 24, 1), True)
    """
    check_count(iterations, "iterations")
    if method not in METHODS:
        raise ValueError(f"`method` must be one of {', '.join(map(repr, METHODS))}, got {method!r}")
    image, condition = observed if isinstance(observed, Observation) else (observed, None)
    values = _checked(image)
    if isinstance(degradation, str):
        degradation = parse(degradation)
    if isinstance(degradation, Expression):
        operator: LinearParts | Linear = read_parts(degradation)
        values = check_image(values, "observed")
        rim, last = operator.rim, tuple(values.shape[-3:])
        if shape not in (None, last):
            raise ValueError(f"`shape` is that of the observation, {last}, for a degradation as text; got {shape}")
        mask = operator.mask(tuple(values.shape), condition)
        noise = operator.noise if noise is None else noise
        outer, batch, kind = (last[0] + 2 * rim, last[1] + 2 * rim, last[2]), values.shape[:-3], operator.kind
    else:
        operator, rim, mask = degradation, 0, None
        outer, batch, kind = _check_function(operator, values, shape)
    if noise is None:
        raise ValueError("`noise`, the standard deviation of the noise in [0, 1], is required; 0 for none")
    check_range(noise, "noise", 0, 1, hint="divide by 255 for 8-bit units")
    levels = _per_image(noise, batch)
    prior = check_denoiser(denoiser, outer[-1])
    restorer, function = (prior, None) if isinstance(prior, Restorer) else (None, prior)
    static = _Static(operator, outer, kind, method, function)
    flat = values.reshape(-1, *values.shape[len(batch) :])
    if mask is not None:
        mask = jnp.broadcast_to(mask, (*batch, *mask.shape[-3:])).reshape(-1, *mask.shape[-3:])
    program = _solve_all if _is_traced((values, mask, levels, restorer, schedule), operator, outer) else _compiled
    restored = program(static, iterations, restorer, flat, mask, levels, schedule)
    inner = restored[:, rim : outer[0] - rim, rim : outer[1] - rim]
    return jnp.clip(inner, 0, 1).reshape(*batch, *inner.shape[1:])


def _checked(image: Any) -> Array:
    """Return the observation as an array, without NaN."""
    values = jnp.asarray(image)
    if not jnp.issubdtype(values.dtype, jnp.floating):
        raise TypeError(f"`observed` must be floating point in [0, 1], got {values.dtype}; divide 8-bit values by 255")
    if not isinstance(values, Tracer) and not bool(jnp.isfinite(values).all()):
        raise ValueError("`observed` must be finite, got NaN or infinity")
    return values.astype(jnp.float32)


def _check_function(
    operator: Linear, observed: Array, shape: tuple[int, int, int] | None
) -> tuple[tuple[int, int, int], tuple[int, ...], str]:
    """Check a function against the observation; return the shape of the image, the batch axes and the kind."""
    name = getattr(operator, "__name__", type(operator).__name__)
    if not callable(operator):
        raise TypeError(f"`degradation` must be text, a degradation or a function, got {name}")
    if shape is None:
        if observed.ndim < 3:
            raise ValueError(f"`shape` of the restored image is required for an observation of shape {observed.shape}")
        shape = (observed.shape[-3], observed.shape[-2], observed.shape[-1])
    if len(shape) != 3 or min(shape) < 1:
        raise ValueError(f"`shape` must be (height, width, channels), got {shape}")
    try:
        returned = jax.eval_shape(operator, jax.ShapeDtypeStruct(shape, jnp.float32))
    except TypeError as error:
        raise ValueError(f"{name} does not accept an image of shape {shape}: {error}") from None
    measured = tuple(getattr(returned, "shape", ()))
    if observed.shape[observed.ndim - len(measured) :] != measured or observed.ndim < len(measured):
        raise ValueError(f"{name} returns shape {measured} for images {shape}, but `observed` has {observed.shape}")
    check_linear(operator, shape, name)
    return shape, observed.shape[: observed.ndim - len(measured)], kind_of(operator, shape)


def _per_image(noise: Strength, batch: tuple[int, ...]) -> Array:
    values = jnp.asarray(noise, jnp.float32)
    if values.shape not in ((), batch):
        raise ValueError(f"`noise` must be a number or one per image {batch}, got shape {values.shape}")
    return jnp.broadcast_to(values, batch).reshape(-1)


def _is_traced(arguments: Any, operator: LinearParts | Linear, shape: tuple[int, ...]) -> bool:
    """Return whether an argument, or a value that a function closes over, is traced."""
    leaves = jax.tree.leaves(arguments)
    if not isinstance(operator, LinearParts):
        leaves += jax.make_jaxpr(operator)(jax.ShapeDtypeStruct(shape, jnp.float32)).consts
    return any(isinstance(leaf, Tracer) for leaf in leaves)


def _solve_all(
    static: _Static,
    iterations: int,
    restorer: Restorer | None,
    observed: Array,
    mask: Array | None,
    noise: Array,
    schedule: Schedule | None,
) -> Array:
    """Solve a flat batch of images."""
    method, shape = METHODS[static.method], static.shape
    prior = restorer if static.denoiser is None else static.denoiser
    assert prior is not None
    denoise = as_function(prior)

    def one(y: Array, known: Array | None, level: Array) -> Array:
        operator = static.operator
        if isinstance(operator, LinearParts):
            forward: Linear = functools.partial(operator.apply, mask=known)
        else:
            forward = operator
        adjoint = adjoint_of(forward, shape)
        numbers = schedule or default_schedule(level, iterations, method.balance, FIRST_LEVEL, LAST_LEVEL)
        problem = Problem(
            start=harmonic(forward, y, shape, jnp.maximum(level, 1 / 255) ** 2 / _GRADIENT**2, _HARMONIC_STEPS),
            data_step=data_step(forward, y, shape, static.kind, _DATA_STEPS),
            denoise=denoise,
            gradient=lambda x: adjoint(forward(x) - y),
            normal=lambda x: adjoint(forward(x)),
        )
        return iterate(method, problem, numbers)

    return jax.vmap(one)(observed, mask, noise)


@functools.lru_cache(maxsize=32)
def _program(static: _Static, iterations: int, shapes: tuple[tuple[int, ...], ...]) -> Callable[..., Array]:
    """Return a compiled function for observations of one shape; its programs leave memory with it."""
    return jax.jit(functools.partial(_solve_all, static, iterations))


def _compiled(static: _Static, iterations: int, restorer: Restorer | None, *arrays: Any) -> Array:
    shapes = tuple(np.shape(leaf) for leaf in jax.tree.leaves(arrays))
    return _program(static, iterations, shapes)(restorer, *arrays)
