"""Linear recurrences along one axis of an image, sequential or parallel."""

from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
from jax import lax

from ..types import Array, DTypeLike
from .derivatives import transposed
from .varying_axes import match_varying_axes

Kind = Literal["scan", "associative", "auto"]


def linear_recurrence(
    a: Array,
    b: Array,
    *,
    axis: int,
    reverse: bool = False,
    kind: Kind = "auto",
    dtype: DTypeLike = jnp.float32,
) -> Array:
    """Compute ``h[t] = a[t] * h[t - 1] + b[t]`` along one axis, starting from zero.

    The backward pass is one recurrence in the opposite direction and stores only ``a`` and ``h``. ``"scan"`` takes one
    step after the other, ``"associative"`` about ``2 log2(length)`` parallel ones at twice the memory traffic.
    ``"auto"`` scans on CPU, where that is 2 to 8 times faster (``python -m benchmarks recurrence``), and on TPU, where
    memory traffic is the bottleneck (De et al.); it is associative on GPU, where launching a step costs more than its
    work. The choices for TPU and GPU were not measured here.

    Args:
        a: decay, of any shape.
        b: input, of the shape of ``a``.
        axis: the axis along which time runs.
        reverse: whether time runs from the end to the start.
        kind: ``"scan"``, ``"associative"`` or ``"auto"``.
        dtype: type of the carry and of the result, whatever the types of ``a`` and ``b``: bfloat16 cannot tell 0.999
            from 1.

    Returns:
        All states ``h``, of the shape of ``a``.

    Raises:
        ValueError: if shapes differ or ``kind`` is unknown.

    Reference:
        Martin and Cundy, Parallelizing linear recurrent neural nets over sequence length, ICLR 2018, section 2;
        De et al., Griffin, 2024, section 4.2 (on TPU).

    Example:
        >>> linear_recurrence(jnp.full(4, 0.5), jnp.ones(4), axis=0).tolist()
        [1.0, 1.5, 1.75, 1.875]
    """
    if kind not in ("scan", "associative", "auto"):
        raise ValueError(f"`kind` must be 'scan', 'associative' or 'auto', got {kind!r}")
    if a.shape != b.shape:
        raise ValueError(f"decay and input must have the same shape, got {a.shape} and {b.shape}")
    a, b = match_varying_axes(jnp.moveaxis(a, axis, 0), jnp.moveaxis(b, axis, 0))
    return jnp.moveaxis(_recur(a, b, reverse, kind, jnp.dtype(dtype)), 0, axis)


def _recur_jvp(reverse, kind, dtype, inputs, tangents):
    (a, b), (da, db) = inputs, tangents
    h = _recur(a, b, reverse, kind, dtype)
    # Both tangents drive the same recurrence.
    drive = db.astype(dtype) + da.astype(dtype) * _shift(h, 1, reverse)
    return h, _derivative(a, h, drive, reverse, kind, dtype)


@partial(jax.jit, static_argnums=(3, 4, 5))
@partial(jax.checkpoint, static_argnums=(3, 4, 5), prevent_cse=False)
def _derivative(a, h, drive, reverse, kind, dtype):
    return transposed(partial(_input_gradient, reverse, kind, dtype))(a, h, drive)


def _input_gradient(reverse, kind, dtype, a, g):
    # dL/db[t] = g[t] + a[t + 1] dL/db[t + 1] is the same recurrence in the opposite direction.
    return _states(_shift(a, -1, reverse), g, not reverse, kind, dtype)


def _states(a: Array, b: Array, reverse: bool, kind: Kind, dtype: jnp.dtype) -> Array:
    scan, associative = (partial(f, reverse=reverse, dtype=dtype) for f in (_scan, _associative_scan))
    if kind == "auto":
        return lax.platform_dependent(a, b, cuda=associative, rocm=associative, default=scan)
    return scan(a, b) if kind == "scan" else associative(a, b)


_recur = jax.custom_jvp(_states, nondiff_argnums=(2, 3, 4))
_recur.defjvp(_recur_jvp)


def _scan(a: Array, b: Array, *, reverse: bool, dtype: jnp.dtype) -> Array:
    def step(h, ab):
        a, b = (x.astype(dtype) for x in ab)
        h = a * h + b
        return h, h

    return lax.scan(step, jnp.zeros_like(b, dtype, shape=b.shape[1:]), (a, b), reverse=reverse)[1]


def _associative_scan(a: Array, b: Array, *, reverse: bool, dtype: jnp.dtype) -> Array:
    def combine(first, second):
        return second[0] * first[0], second[0] * first[1] + second[1]

    return lax.associative_scan(combine, (a.astype(dtype), b.astype(dtype)), reverse=reverse)[1]


def _shift(x: Array, steps: int, reverse: bool) -> Array:
    """Shift ``x`` one step later (1) or earlier (-1) in time and fill with zeros."""
    later = (steps == 1) != reverse
    zero = jnp.zeros_like(x[:1])
    return jnp.concatenate([zero, x[:-1]] if later else [x[1:], zero])
