"""Depthwise convolution, with a fast implementation for CPU."""

import functools

import jax
import jax.numpy as jnp
from jax import lax

from ..types import Array
from . import conv
from .varying_axes import match_varying_axes


def depthwise_conv(x: Array, kernel: Array, bias: Array) -> Array:
    """Convolve every channel with its own kernel and add a bias.

    The result has the type of ``x``; kernel and bias may stay float32 beside bfloat16 activations. On a CPU, the
    convolution and its gradients are sums of shifted products, which XLA runs 30 times faster than its grouped
    convolution.

    Args:
        x: ``[batch, height, width, channel]``.
        kernel: ``[size, size, 1, channel]``, of odd size.
        bias: ``[channel]``.

    Returns:
        Same shape as ``x``; borders are padded with zeros.

    Example:
        >>> depthwise_conv(jnp.ones((1, 3, 3, 2)), jnp.ones((3, 3, 1, 2)), jnp.zeros(2))[0, :, :, 0].tolist()
        [[4.0, 6.0, 4.0], [6.0, 9.0, 6.0], [4.0, 6.0, 4.0]]
    """
    x, kernel = match_varying_axes(x, kernel.astype(x.dtype))
    return _depthwise(x, kernel) + bias.astype(x.dtype).reshape(1, 1, 1, -1)


@jax.custom_vjp
def _depthwise(x: Array, kernel: Array) -> Array:
    return lax.platform_dependent(x, kernel, cpu=_shifted, default=_grouped)


def _depthwise_fwd(x, kernel):
    return _depthwise(x, kernel), (x, kernel)


def _depthwise_bwd(saved, g):
    x, kernel = saved
    grad_x = _depthwise(g, kernel[::-1, ::-1])
    return grad_x, lax.platform_dependent(x, kernel, g, cpu=_shifted_kernel_gradient, default=_grouped_kernel_gradient)


_depthwise.defvjp(_depthwise_fwd, _depthwise_bwd)


def _grouped(x, kernel):
    return conv.xla_conv_bias_act(x, kernel, groups=x.shape[-1])


def _grouped_kernel_gradient(x, kernel, g):
    return jax.vjp(lambda kernel: _grouped(x, kernel), kernel)[1](g)[0]


def _shifted(x, kernel):
    size, height, lanes = kernel.shape[0], x.shape[1], x.shape[2] * x.shape[3]
    # bfloat16 arithmetic would convert every product and sum to float32 and back: seven times slower.
    rows = _long_rows(x.astype(jnp.float32), size)
    taps = lax.optimization_barrier(jnp.tile(kernel[:, :, 0].astype(jnp.float32), (1, 1, x.shape[2])))
    taps_of_rows = (
        rows[:, i : i + height, j * x.shape[3] :][..., :lanes] * taps[i, j].reshape(1, 1, -1)
        for i in range(size)
        for j in range(size)
    )
    total = functools.reduce(jnp.add, taps_of_rows)
    return total.reshape(x.shape).astype(x.dtype)


def _shifted_kernel_gradient(x, kernel, g):
    n, height, width, channels = x.shape
    size, lanes = kernel.shape[0], width * channels
    rows, flat = _long_rows(x, size), g.reshape(n, height, lanes)

    # Accumulate row by row, so that no product is stored.
    def add_row(y, sums):
        incoming = lax.dynamic_slice_in_dim(flat, y, 1, 1).astype(jnp.float32)
        above = [lax.dynamic_slice_in_dim(rows, y + i, 1, 1) for i in range(size)]
        shifted = (row[:, :, j * channels :][..., :lanes] for row in above for j in range(size))
        return tuple(total + part * incoming for total, part in zip(sums, shifted, strict=True))

    start, _ = match_varying_axes(jnp.zeros((n, 1, lanes), jnp.float32), flat)
    sums = lax.fori_loop(0, height, add_row, (start,) * size**2)
    taps = jnp.stack([total.reshape(n * width, channels).sum(0) for total in sums])
    return taps.reshape(kernel.shape).astype(kernel.dtype)


def _long_rows(x: Array, size: int) -> Array:
    """Pad with zeros and merge width and channels into one axis, so that inner loops are long."""
    margin = size // 2
    # Without the barriers, XLA would recompute and pad x for every shift.
    padded = jnp.pad(lax.optimization_barrier(x), ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    return lax.optimization_barrier(padded.reshape(*padded.shape[:2], -1))
