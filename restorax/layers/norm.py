"""Normalisation."""

import jax
import jax.numpy as jnp
from jax import lax

from ..types import Array

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
    flat = x.reshape(-1, x.shape[-1]).astype(jnp.float32)
    normal = lax.platform_dependent(flat, cpu=_by_products, default=_plain)
    return (normal * scale.reshape(1, -1) + bias.reshape(1, -1)).reshape(x.shape).astype(x.dtype)


def _plain(x: Array) -> Array:
    centred = x - x.mean(-1, keepdims=True)
    return centred * lax.rsqrt((centred**2).mean(-1, keepdims=True) + _EPSILON)


@jax.custom_vjp
def _by_products(x: Array) -> Array:
    return _by_products_fwd(x)[0]


def _mean(x: Array) -> Array:
    """Mean of every row, as a matrix product: a CPU is faster at those than at reductions."""
    return x @ jnp.full((x.shape[1], 1), 1 / x.shape[1], x.dtype)


def _by_products_fwd(x):
    centred = x - _mean(x)
    rate = lax.rsqrt(_mean(centred**2) + _EPSILON)
    return centred * rate, (centred, rate)


def _by_products_bwd(saved, g):
    centred, rate = saved
    normal = centred * rate
    return (rate * (g - _mean(g) - normal * _mean(g * normal)),)


_by_products.defvjp(_by_products_fwd, _by_products_bwd)
