"""What the losses for noisy images share."""

from collections.abc import Callable

import jax.numpy as jnp

from ...types import Array

Restore = Callable[[Array], Array]


def masked_error(restored: Array, target: Array, hidden: Array) -> Array:
    """Return the mean squared difference of images ``[batch, height, width, channel]`` over a mask without channels."""
    squares = jnp.where(hidden[..., None], (restored - target) ** 2, 0)
    return squares.sum() / jnp.maximum(hidden.sum() * target.shape[-1], 1)
