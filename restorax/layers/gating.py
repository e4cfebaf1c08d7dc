"""Gated activations: one half of the channels weights the other half."""

import jax.numpy as jnp

from ..types import Array


def simple_gate(x: Array) -> Array:
    """Multiply the first half of the channels by the second.

    Args:
        x: ``[..., 2 * channel]``.

    Returns:
        ``[..., channel]``.

    Reference:
        Chen et al., Simple baselines for image restoration, ECCV 2022, equation 4.

    Example:
        >>> simple_gate(jnp.array([2.0, 3.0, 5.0, 7.0])).tolist()
        [10.0, 21.0]
    """
    first, second = jnp.split(x, 2, axis=-1)
    return first * second
