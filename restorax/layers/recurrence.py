"""Linear recurrences along one axis, real or rotating."""

from functools import partial
from typing import Literal

import jax
import jax.numpy as jnp
from jax import lax

from ..types import Array, DTypeLike
from .varying_axes import match_varying_axes

Kind = Literal["scan", "associative", "auto"]
Parts = tuple[Array, ...]  # a real array, or real and imaginary part


def linear_recurrence(
    a: Array,
    b: Array | tuple[Array, Array],
    *,
    axis: int,
    angle: Array | None = None,
    reverse: bool = False,
    kind: Kind = "auto",
    dtype: DTypeLike = jnp.float32,
) -> Array | tuple[Array, Array]:
    """Scan ``h[t] = a[t] * h[t - 1] + b[t]`` along one axis, starting from zero.

    With an ``angle`` the state also turns: ``h[t] = a[t] exp(i angle[t]) h[t - 1] + b[t]``, where ``b`` and ``h`` are
    pairs of real and imaginary part.

    The backward pass is one recurrence the other way and needs nothing but ``a`` and ``h``. ``"scan"`` takes one step
    after the other, ``"associative"`` about ``2 log2(length)`` parallel ones at twice the memory traffic. ``"auto"``
    scans on CPU, where that is 2 to 8 times faster (``python -m benchmarks.recurrence``), and on TPU, where memory
    traffic is the bottleneck (De et al.); it is associative on GPU, where launching a step costs more than its work.
    The last two choices were not measured here.

    Args:
        a: decay, of any shape.
        b: input, of the shape of ``a``; a pair of them if there is an ``angle``.
        axis: the axis along which time runs.
        angle: radians by which the state turns in each step, of the shape of ``a``.
        reverse: whether time runs from the end to the start.
        kind: how it is computed.
        dtype: type of the carry and of the result, whatever the types of ``a`` and ``b``: bfloat16 cannot tell 0.999
            from 1.

    Returns:
        All states ``h``, of the shape of ``a``; a pair of them if there is an ``angle``.

    Raises:
        ValueError: if shapes differ, ``b`` is a pair without an ``angle`` or the reverse, or ``kind`` is unknown.

    Reference:
        Martin and Cundy, Parallelizing linear recurrent neural nets over sequence length, ICLR 2018, section 2;
        Orvieto et al., Resurrecting recurrent neural networks for long sequences, ICML 2023, section 3.2 (rotation);
        De et al., Griffin, 2024, section 4.2 (on TPU).

    Example:
        >>> linear_recurrence(jnp.full(4, 0.5), jnp.ones(4), axis=0).tolist()
        [1.0, 1.5, 1.75, 1.875]
    """
    inputs = b if isinstance(b, tuple) else (b,)
    if kind not in ("scan", "associative", "auto"):
        raise ValueError(f"kind {kind!r} is unknown; accepted are scan, associative and auto")
    if len(inputs) != (1 if angle is None else 2):
        raise ValueError("the input is a pair (real, imaginary) with an angle, and one array without")
    shapes = {x.shape for x in (a, *inputs, *(() if angle is None else (angle,)))}
    if len(shapes) > 1:
        raise ValueError(f"decay, input and angle must have one shape, not {' and '.join(map(str, sorted(shapes)))}")
    if angle is None:
        decay = (a,)
    else:
        angle, length = angle.astype(dtype), a.astype(dtype)
        decay = (length * jnp.cos(angle), length * jnp.sin(angle))
    parts = match_varying_axes(*(jnp.moveaxis(x, axis, 0) for x in (*decay, *inputs)))
    states = _recur(parts[: len(decay)], parts[len(decay) :], reverse, kind, jnp.dtype(dtype))
    states = tuple(jnp.moveaxis(h, 0, axis) for h in states)
    return states[0] if angle is None else states


@partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def _recur(a: Parts, b: Parts, reverse: bool, kind: Kind, dtype: jnp.dtype) -> Parts:
    scan, associate = (partial(f, reverse=reverse, dtype=dtype) for f in (_scan, _associate))
    if kind == "auto":
        return lax.platform_dependent(a, b, cuda=associate, rocm=associate, default=scan)
    return scan(a, b) if kind == "scan" else associate(a, b)


def _scan(a: Parts, b: Parts, *, reverse: bool, dtype: jnp.dtype) -> Parts:
    def step(h, ab):
        a, b = jax.tree.map(lambda x: x.astype(dtype), ab)
        h = _plus(_times(a, h), b)
        return h, h

    start = tuple(jnp.zeros_like(x, dtype, shape=x.shape[1:]) for x in b)
    return lax.scan(step, start, (a, b), reverse=reverse)[1]


def _associate(a: Parts, b: Parts, *, reverse: bool, dtype: jnp.dtype) -> Parts:
    def after(first, second):
        return _times(second[0], first[0]), _plus(_times(second[0], first[1]), second[1])

    steps = jax.tree.map(lambda x: x.astype(dtype), (a, b))
    return lax.associative_scan(after, steps, reverse=reverse)[1]


def _recur_fwd(a, b, reverse, kind, dtype):
    h = _recur(a, b, reverse, kind, dtype)
    # Of the inputs the backward pass needs the types alone; empty arrays carry them.
    return h, (a, h, tuple(x[:0] for x in b))


def _recur_bwd(reverse, kind, dtype, saved, g):
    # dL/db[t] = g[t] + conj(a[t + 1]) dL/db[t + 1] is the same recurrence run the other way, and
    # dL/da[t] = dL/db[t] conj(h[t - 1]), where a gradient is dL/dRe + i dL/dIm.
    a, h, b = saved
    later = _conjugate(tuple(_delay(x, -1, reverse) for x in a))
    grad_b = _recur(later, g, not reverse, kind, dtype)
    grad_a = _times(grad_b, _conjugate(tuple(_delay(x, 1, reverse) for x in h)))
    like = lambda grads, values: tuple(x.astype(y.dtype) for x, y in zip(grads, values, strict=True))  # noqa: E731
    return like(grad_a, a), like(grad_b, b)


_recur.defvjp(_recur_fwd, _recur_bwd)


def _delay(x: Array, steps: int, reverse: bool) -> Array:
    """``x`` one step later (1) or earlier (-1) in time, zero where there is none."""
    later = (steps == 1) != reverse
    zero = jnp.zeros_like(x[:1])
    return jnp.concatenate([zero, x[:-1]] if later else [x[1:], zero])


def _times(x: Parts, y: Parts) -> Parts:
    if len(x) == 1:
        return (x[0] * y[0],)
    return x[0] * y[0] - x[1] * y[1], x[0] * y[1] + x[1] * y[0]


def _plus(x: Parts, y: Parts) -> Parts:
    return tuple(p + q for p, q in zip(x, y, strict=True))


def _conjugate(x: Parts) -> Parts:
    return (x[0], *(-part for part in x[1:]))
