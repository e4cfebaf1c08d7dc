"""Layer normalisation over channels, with a memory-efficient gradient."""

import jax
import jax.numpy as jnp
from jax import lax

from ..types import Array
from .varying_axes import match_varying_axes

_EPSILON = 1e-6


def layer_norm(x: Array, scale: Array, bias: Array) -> Array:
    """Normalise the channels of every pixel to mean 0 and variance 1, then scale and shift them.

    1e-6 is added to the variance. Statistics are computed in float32, whatever the type of ``x``.

    Args:
        x: ``[..., channel]``.
        scale: ``[channel]``.
        bias: ``[channel]``.

    Returns:
        Same shape and type as ``x``.

    Reference:
        Ba, Kiros and Hinton, Layer normalization, 2016, over the channels of one pixel as in Chen et al., Simple
        baselines for image restoration, ECCV 2022.

    Example:
        >>> layer_norm(jnp.array([1.0, 3.0]), jnp.ones(2), jnp.zeros(2)).round(3).tolist()
        [-1.0, 1.0]
    """
    x, scale, bias = match_varying_axes(x, scale, bias)
    flat = x.reshape(-1, x.shape[-1])
    return _normalise(flat, scale.reshape(1, -1), bias.reshape(1, -1)).reshape(x.shape)


def _mean(x: Array) -> Array:
    return x.mean(1, keepdims=True)


# Automatic differentiation would store three arrays of the size of x; x, mean and variance suffice.
@jax.custom_vjp
def _normalise(x: Array, scale: Array, bias: Array) -> Array:
    return _normalise_fwd(x, scale, bias)[0]


def _normalise_fwd(x, scale, bias):
    wide = x.astype(jnp.float32)
    mean = _mean(wide)
    rate = lax.rsqrt(_mean((wide - mean) ** 2) + _EPSILON)
    return ((wide - mean) * rate * scale + bias).astype(x.dtype), (x, mean, rate, scale)


def _normalise_bwd(saved, g):
    x, mean, rate, scale = saved
    g = g.astype(jnp.float32)
    normal = (x.astype(jnp.float32) - mean) * rate
    scaled = g * scale
    grad_x = rate * (scaled - _mean(scaled) - normal * _mean(scaled * normal))
    return grad_x.astype(x.dtype), (g * normal).sum(0, keepdims=True), g.sum(0, keepdims=True)


_normalise.defvjp(_normalise_fwd, _normalise_bwd)
