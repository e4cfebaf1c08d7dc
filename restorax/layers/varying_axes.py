"""Helper for ``shard_map``: let arrays vary over the same mesh axes."""

import jax.numpy as jnp

from ..types import Array


def match_varying_axes(*arrays: Array) -> tuple[Array, ...]:
    """Make arrays vary over the same mesh axes, as scan carries and conditional branches require.

    Under ``shard_map(check_vma=True)``, the gradient of a replicated kernel is summed over devices where the kernel is
    made varying. A custom gradient rule must therefore receive kernel and image with the same varying axes. Outside
    ``shard_map`` nothing is computed.

    Args:
        *arrays: of any shapes and types.

    Returns:
        The same values.

    Example:
        >>> [x.shape for x in match_varying_axes(jnp.ones(3), jnp.ones((2, 2)))]
        [(3,), (2, 2)]
    """
    # The compiler removes the addition of zero; unlike jax.lax.pvary, it works in every JAX release.
    zeros = [jnp.zeros_like(x, jnp.float32, shape=()) for x in arrays]
    return tuple(x + sum(zeros[1:], zeros[0]).astype(x.dtype) for x in arrays)
