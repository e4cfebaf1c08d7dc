"""Degradations as linear operators: what is linear in them, their adjoint, and the noise that follows."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ..degrade import REGISTRATIONS, Chain, Expression, Op
from ..degrade.compose import crop_border
from ..degrade.strengths import Sampler
from ..types import Array, PRNGKeyArray

Linear = Callable[[Array], Array]

_TOLERANCE = 1e-4  # relative, of float32 sums over an image
_PROBE = 48  # side of the image on which operators written as text are checked


class LinearParts(NamedTuple):
    """The linear operators of a degradation written as text, in order, and the noise after them.

    Attributes:
        blurs: operators before the crop of the rim.
        others: operators after it that keep the size, without masks.
        masks: operators that remove pixels, which come last.
        noise: standard deviation of the Gaussian noise at the end; ``None`` without.
        rim: pixels by which the unknown image exceeds the observed one on every side.
        circular: whether blur wraps around the border.
    """

    blurs: tuple[Op, ...]
    others: tuple[Op, ...]
    masks: tuple[Op, ...]
    noise: float | None
    rim: int
    circular: bool

    @property
    def kind(self) -> str:
        """``"diagonal"``, ``"circular"`` or ``"general"``: how the operator is inverted."""
        if not (self.blurs or self.others):
            return "diagonal"
        return "circular" if self.circular and not (self.others or self.masks) else "general"

    @property
    def shift_invariant(self) -> bool:
        """Whether an image can be solved in tiles, with its mask cut alike."""
        return not self.others and not self.circular

    def apply(self, image: Array, mask: Array | None) -> Array:
        """Apply the operators to an image ``[height + 2 rim, width + 2 rim, channel]``."""
        key = jax.random.key(0)  # of operators without randomness
        for op in self.blurs:
            image = jnp.asarray(op(key, image).image)
        image = jnp.asarray(crop_border(image, self.rim))
        for op in self.others:
            image = jnp.asarray(op(key, image).image)
        return image if mask is None else image * mask

    def mask(self, shape: tuple[int, ...], observed: Array | None) -> Array | None:
        """Return the mask of known values that the operators without randomness imply, or the one that was observed.

        Args:
            shape: of the observed image, ``[*batch, height, width, channel]``.
            observed: condition of the observation, ``[*batch, height, width, k]``.

        Raises:
            ValueError: if a mask is random and was not observed.
        """
        known = None
        for op in self.masks:
            condition = observed
            if not REGISTRATIONS[op.name].random:
                condition = op(jax.random.key(0), jnp.ones(shape, jnp.float32)).condition
            if condition is None:
                raise ValueError(
                    f"{op.name} removes random pixels; give the mask of known ones, as "
                    "`observed=Observation(image, mask)`"
                )
            known = condition if known is None else known * condition
        return known


def read_parts(degradation: Expression) -> LinearParts:
    """Separate a degradation into linear operators and Gaussian noise.

    Args:
        degradation: an operator, or operators in a chain, with fixed strengths.

    Returns:
        The parts.

    Raises:
        ValueError: if an operator is not linear, is random or comes in an order that is not supported; the message
            names it.

    Example:
        >>> from restorax.degrade import parse
        >>> parts = read_parts(parse("motion_blur(length=15) + gaussian_noise(sigma=0.01)"))
        >>> [op.name for op in parts.blurs], parts.noise, parts.rim
        (['motion_blur'], 0.01, 8)
    """
    noise, blurs, others, masks = None, [], [], []
    for part in degradation.parts if isinstance(degradation, Chain) else (degradation,):
        if not isinstance(part, Op):
            raise ValueError(f"'{part}' is random; give the degradation that was applied")
        removes = part.name.startswith("missing_") or part.name == "bayer_mosaic"
        if noise is not None and not removes:
            raise ValueError(f"gaussian_noise must come last, got {part.name} after it")
        if sampled := [name for name, value in part.strengths.items() if isinstance(value, Sampler)]:
            raise ValueError(f"{part.name} has a random {sampled[0]}; give the value that was applied")
        if part.name == "gaussian_noise":
            noise = float(part.strengths["sigma"])
        elif removes:
            masks.append(part)
        elif masks:
            raise ValueError(f"{masks[-1].name} must come after the other operators, got {part.name} after it")
        else:
            _check_linear(part)
            if part.border and others:
                raise ValueError(f"{part.name} must come before {others[-1].name}")
            (blurs if part.border else others).append(part)
    wraps = {op.strengths.get("border") == "circular" for op in blurs}
    if len(wraps) > 1:
        raise ValueError("blurs with a circular border and with others cannot be combined; give all the same border")
    circular = wraps == {True}
    rim = 0 if circular else Chain(*blurs).border
    return LinearParts(tuple(blurs), tuple(others), tuple(masks), noise, rim, circular)


@functools.lru_cache(maxsize=256)
def _check_linear(op: Op) -> None:
    """Check an operator on a small image."""
    registration = REGISTRATIONS.get(op.name)
    if registration is not None and registration.random:
        remedy = "as kernel_blur" if op.border else "as a function of the image"
        raise ValueError(f"{op.name} is random; give what was applied {remedy}")
    if registration is not None and not registration.differentiable:
        raise _refusal(op.name)
    channels = 1 if registration is None or not registration.channels else registration.channels[-1]
    key = jax.random.key(0)
    check_linear(lambda x: jnp.asarray(op(key, x).image), (_PROBE, _PROBE, channels), op.name)


def _refusal(name: str) -> ValueError:
    return ValueError(f"{name} is not linear; `solve` inverts linear operators with Gaussian noise after them")


def check_linear(operator: Linear, shape: tuple[int, ...], name: str) -> Linear:
    """Check that a function is linear, and that JAX can transpose it.

    Args:
        operator: function of an image.
        shape: of the image.
        name: in error messages.

    Returns:
        The adjoint.

    Raises:
        ValueError: if it is not linear or not real.
    """
    refusal = _refusal(name)
    image = jax.ShapeDtypeStruct(shape, jnp.float32)
    observed = jax.eval_shape(operator, image)
    if not (isinstance(observed, jax.ShapeDtypeStruct) and jnp.issubdtype(observed.dtype, jnp.floating)):
        raise ValueError(f"{name} must return one real array, got {observed}")
    adjoint = adjoint_of(operator, shape)
    try:
        jax.eval_shape(adjoint, observed)
    except Exception:  # JAX raises several kinds for what it cannot transpose
        raise refusal from None

    def deviation(key: PRNGKeyArray) -> Array:
        """Compare sums, zero, and the two sides of <Ax, y> = <x, A'y>."""
        first, second, third = (jax.random.split(key, 3)[i] for i in range(3))
        x, z = (jax.random.uniform(k, shape) - 0.4 for k in (first, second))
        y = jax.random.normal(third, observed.shape)
        a, b = operator(x), operator(z)
        size = jnp.abs(a).max() + jnp.abs(b).max() + 1e-6
        product, other = (a * y).sum(), (x * adjoint(y)).sum()
        norms = jnp.sqrt((a**2).sum() * (y**2).sum()) + 1e-6
        return jnp.stack(
            [
                jnp.abs(operator(x - 2 * z) - (a - 2 * b)).max() / size,
                jnp.abs(operator(jnp.zeros(shape))).max() / size,
                jnp.abs(product - other) / norms,
            ]
        ).max()

    found = _evaluated(deviation)
    if not isinstance(found, Tracer) and not float(found) < _TOLERANCE:
        raise refusal
    return adjoint


def _evaluated(function: Callable[[PRNGKeyArray], Array]) -> Array:
    """Compute now, also while JAX traces, unless the function closes over traced values."""
    with jax.ensure_compile_time_eval():
        return jax.jit(function)(jax.random.key(0))


def adjoint_of(operator: Linear, shape: tuple[int, ...]) -> Linear:
    """Return the adjoint of a linear function of images of a shape.

    Example:
        >>> crop = lambda x: x[2:-2, 2:-2]
        >>> adjoint_of(crop, (8, 8, 1))(jnp.ones((4, 4, 1))).shape
        (8, 8, 1)
    """
    transpose = jax.linear_transpose(operator, jax.ShapeDtypeStruct(shape, jnp.float32))
    return lambda y: transpose(y)[0]


def kind_of(operator: Linear, shape: tuple[int, ...]) -> str:
    """Tell a diagonal operator and a circular convolution of every channel from other linear functions.

    Args:
        operator: linear function of an image.
        shape: of the image, ``[height, width, channel]``.

    Returns:
        ``"diagonal"``, ``"circular"`` or ``"general"``.

    Example:
        >>> kind_of(lambda x: 2 * x, (8, 8, 1)), kind_of(lambda x: jnp.roll(x, 1, 0), (8, 8, 1))
        ('diagonal', 'circular')
    """
    if jax.eval_shape(operator, jax.ShapeDtypeStruct(shape, jnp.float32)).shape != shape:
        return "general"

    def deviations(key: PRNGKeyArray) -> Array:
        x = jax.random.normal(key, shape)
        observed = operator(x)
        convolved = jnp.fft.irfft2(transfer_of(operator, shape) * jnp.fft.rfft2(x, axes=(0, 1)), shape[:2], axes=(0, 1))
        alike = jnp.stack([operator(jnp.ones(shape)) * x, convolved])
        return jnp.abs(alike - observed[None]).max((1, 2, 3)) / (jnp.abs(observed).max() + 1e-6)

    found = _evaluated(deviations)
    if isinstance(found, Tracer):
        return "general"
    diagonal, circular = np.asarray(found) < _TOLERANCE
    return "diagonal" if diagonal else "circular" if circular else "general"


def transfer_of(operator: Linear, shape: tuple[int, ...]) -> Array:
    """Return the transfer function of a circular convolution, ``[height, width // 2 + 1, channel]``."""
    impulse = jnp.zeros(shape).at[0, 0].set(1)
    return jnp.fft.rfft2(operator(impulse), axes=(0, 1))
