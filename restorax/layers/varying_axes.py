"""Arrays inside ``shard_map``: which of them differ from device to device."""

import jax.numpy as jnp

from ..types import Array


def match_varying_axes(*arrays: Array) -> tuple[Array, ...]:
    """Let arrays vary over the same mesh axes, as carries of scans and branches of conditionals must.

    A kernel that is the same on every device, beside an image that is not, has its gradient summed over the devices
    where it starts to vary; inside ``shard_map(check_vma=True)`` a rule for gradients must not mix the two. Outside of
    ``shard_map`` nothing is computed.

    Args:
        *arrays: of any shapes and types.

    Returns:
        The same values.

    Example:
        >>> [x.shape for x in match_varying_axes(jnp.ones(3), jnp.ones((2, 2)))]
        [(3,), (2, 2)]
    """
    # Adding zero is removed by the compiler, and works under every release of JAX.
    zeros = [jnp.zeros_like(x, jnp.float32, shape=()) for x in arrays]
    return tuple(x + sum(zeros[1:], zeros[0]).astype(x.dtype) for x in arrays)
