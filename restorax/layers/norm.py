"""Layer normalisation over channels, with a memory-efficient gradient."""

from functools import partial

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


# Automatic differentiation would store three arrays of the size of x; x, mean and rate suffice.
@jax.custom_jvp
def _normalise(x: Array, scale: Array, bias: Array) -> Array:
    return _normal(x, *_statistics(x), scale, bias)


def _statistics(x):
    x = x.astype(jnp.float32)
    mean = _mean(x)
    return mean, lax.rsqrt(_mean((x - mean) ** 2) + _EPSILON)


def _normal(x, mean, rate, scale, bias):
    return ((x.astype(jnp.float32) - mean) * rate * scale + bias).astype(x.dtype)


@_normalise.defjvp
def _normalise_jvp(primals, tangents):
    x, scale, bias = primals
    statistics = _statistics(x)
    return _normal(x, *statistics, scale, bias), _tangent(x, *statistics, scale, tangents)


@partial(jax.checkpoint, prevent_cse=False)
def _tangent(x, mean, rate, scale, tangents):
    dx, dscale, dbias = (tangent.astype(jnp.float32) for tangent in tangents)
    normal = (x.astype(jnp.float32) - mean) * rate
    dnormal = rate * (dx - _mean(dx) - normal * _mean(dx * normal))
    return (dnormal * scale + normal * dscale + dbias).astype(x.dtype)
