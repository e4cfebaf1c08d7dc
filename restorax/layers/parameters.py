"""Parameters of layers."""

import flax.linen as nn
from flax.errors import ScopeParamShapeError

from ..types import Array


def param(module: nn.Module, name: str, init: nn.initializers.Initializer, shape: tuple[int, ...]) -> Array:
    """Return a parameter, initialised if it is new, as ``module.param`` does.

    Where a parameter exists, Flax traces its initialiser to compare the shapes, in half of the time of tracing a
    network; this compares them directly.

    Args:
        module: the module that holds the parameter.
        name: name in the module.
        init: initialiser, called with a key and the shape.
        shape: shape of the parameter.

    Returns:
        The parameter.

    Raises:
        flax.errors.ScopeParamShapeError: if the parameter exists in another shape.

    Example:
        >>> import jax
        >>> class Gain(nn.Module):
        ...     @nn.compact
        ...     def __call__(self, x):
        ...         return x * param(self, "gain", nn.initializers.ones, x.shape)
        >>> x = jax.numpy.ones(2)
        >>> Gain().apply(Gain().init(jax.random.key(0), x), x).tolist()
        [1.0, 1.0]
    """
    if not module.has_variable("params", name):
        return module.param(name, init, shape)
    value = module.get_variable("params", name)
    if value.shape != shape:
        raise ScopeParamShapeError(name, "/".join(module.path), value.shape, shape)
    return value
