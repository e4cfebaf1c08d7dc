"""Normalisation."""

import jax
import jax.numpy as jnp
from jax import lax

from ..types import Array
from .varying_axes import match_varying_axes

_EPSILON = 1e-6


def layer_norm(x: Array, scale: Array, bias: Array) -> Array:
    """Give the channels of every pixel mean zero and variance one, then scale and shift them.

    1e-6 is added to the variance. Mean and variance are computed in float32 whatever the type of ``x``.

    Args:
        x: ``[..., channel]``.
        scale: ``[channel]``.
        bias: ``[channel]``.

    Returns:
        The shape and type of ``x``.

    Reference:
        Ba, Kiros and Hinton, Layer normalization, 2016, over the channels of one pixel as in Chen et al., Simple
        baselines for image restoration, ECCV 2022.

    Example:
        >>> layer_norm(jnp.array([1.0, 3.0]), jnp.ones(2), jnp.zeros(2)).round(3).tolist()
        [-1.0, 1.0]
    """
    x, scale, bias = match_varying_axes(x, scale, bias)
    flat = x.reshape(-1, x.shape[-1])
    return _normalised(flat, scale.reshape(1, -1), bias.reshape(1, -1)).reshape(x.shape)


def _mean(x: Array) -> Array:
    return x.mean(1, keepdims=True)


# Autodiff would keep three arrays of the size of x; its mean and variance are enough.
@jax.custom_vjp
def _normalised(x: Array, scale: Array, bias: Array) -> Array:
    return _normalised_fwd(x, scale, bias)[0]


def _normalised_fwd(x, scale, bias):
    wide = x.astype(jnp.float32)
    mean = _mean(wide)
    rate = lax.rsqrt(_mean((wide - mean) ** 2) + _EPSILON)
    return ((wide - mean) * rate * scale + bias).astype(x.dtype), (x, mean, rate, scale)


def _normalised_bwd(saved, g):
    x, mean, rate, scale = saved
    g = g.astype(jnp.float32)
    normal = (x.astype(jnp.float32) - mean) * rate
    scaled = g * scale
    grad_x = rate * (scaled - _mean(scaled) - normal * _mean(scaled * normal))
    return grad_x.astype(x.dtype), (g * normal).sum(0, keepdims=True), g.sum(0, keepdims=True)


_normalised.defvjp(_normalised_fwd, _normalised_bwd)
