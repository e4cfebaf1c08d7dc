"""Linear recurrences along one axis."""

from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from ..types import Array


def linear_recurrence(a: Array, b: Array, *, axis: int, reverse: bool = False) -> Array:
    """Scan ``h[t] = a[t] * h[t - 1] + b[t]`` along one axis, starting from zero.

    The carry is kept in float32 whatever the types of ``a`` and ``b``, because bfloat16 cannot tell 0.999 from 1.
    The backward pass is one scan the other way that needs only ``a`` and ``h``.

    Args:
        a: decay, of any shape.
        b: input, of the shape of ``a``.
        axis: the axis along which time runs.
        reverse: whether time runs from the end to the start.

    Returns:
        All states ``h``, float32, of the shape of ``a``.

    Raises:
        ValueError: if the shapes differ.

    Reference:
        Martin and Cundy, Parallelizing linear recurrent neural nets over sequence length, ICLR 2018, section 2.

    Example:
        >>> linear_recurrence(jnp.full(4, 0.5), jnp.ones(4), axis=0).tolist()
        [1.0, 1.5, 1.75, 1.875]
    """
    if a.shape != b.shape:
        raise ValueError(f"decay {a.shape} and input {b.shape} must have one shape")
    a, b = (jnp.moveaxis(x, axis, 0).astype(jnp.float32) for x in (a, b))
    return jnp.moveaxis(_scan(a, b, reverse), 0, axis)


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def _scan(a: Array, b: Array, reverse: bool) -> Array:
    def step(h, ab):
        h = ab[0] * h + ab[1]
        return h, h

    return lax.scan(step, jnp.zeros_like(b, shape=b.shape[1:]), (a, b), reverse=reverse)[1]


def _scan_fwd(a, b, reverse):
    h = _scan(a, b, reverse)
    return h, (a, h)


def _scan_bwd(reverse, saved, g):
    # dL/db[t] = g[t] + a[t + 1] dL/db[t + 1] is the same recurrence run backwards; dL/da[t] = dL/db[t] h[t - 1].
    a, h = saved
    grad_b = _scan(_delay(a, -1, reverse), g, not reverse)
    return grad_b * _delay(h, 1, reverse), grad_b


def _delay(x: Array, steps: int, reverse: bool) -> Array:
    """``x`` one step later (1) or earlier (-1) in time, zero where there is none."""
    later = (steps == 1) != reverse
    zero = jnp.zeros_like(x[:1])
    return jnp.concatenate([zero, x[:-1]] if later else [x[1:], zero])


_scan.defvjp(_scan_fwd, _scan_bwd)
