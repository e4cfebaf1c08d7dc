"""Own derivatives of functions, tuned for reverse mode and valid in forward mode and of any order."""

from collections.abc import Callable
from functools import partial

import jax
from jax.custom_derivatives import SymbolicZero

from ..types import Array


def with_derivatives(function: Callable[..., Array], *derivatives: Callable[..., Array]) -> Callable[..., Array]:
    """Give a function its own derivatives, whose transposes reverse mode runs.

    ``jax.custom_vjp`` would exclude ``jax.jvp``, ``jax.linearize`` and Hessian-vector products.

    Args:
        function: maps arrays to one array.
        *derivatives: for each input, ``(*inputs, output, tangent) -> tangent of the output``, linear in the tangent of
            that input. The values of ``output`` must not be used, only its shape and type.

    Returns:
        The function with its derivatives. The backward pass keeps the inputs only.

    Example:
        >>> square = with_derivatives(lambda x: x * x, lambda x, y, dx: 2 * x * dx)
        >>> [float(y) for y in jax.jvp(square, (3.0,), (1.0,))], float(jax.grad(square)(3.0))
        ([9.0, 6.0], 6.0)
    """
    # Networks repeat layers: each shape is traced and transposed once.
    derivatives = tuple(jax.jit(jax.checkpoint(derivative, prevent_cse=False)) for derivative in derivatives)
    wrapped = jax.custom_jvp(lambda *inputs: function(*inputs))

    def jvp(inputs, tangents):
        output = wrapped(*inputs)
        parts = [
            derivative(*inputs, output, tangent)
            for derivative, tangent in zip(derivatives, tangents, strict=True)
            if not isinstance(tangent, SymbolicZero)
        ]
        return output, sum(parts[1:], parts[0])

    wrapped.defjvp(jvp, symbolic_zeros=True)
    return wrapped


def transposed(gradient: Callable[..., Array]) -> Callable[..., Array]:
    """Turn a gradient into the derivative of which it is the transpose; reverse mode transposes it back.

    Args:
        gradient: ``(*inputs, g) -> gradient of an input``, linear in ``g``, the gradient of the output.

    Returns:
        A derivative for :func:`with_derivatives`.

    Example:
        >>> double = with_derivatives(lambda x: 2 * x, transposed(lambda x, g: 2 * g))
        >>> float(jax.grad(double)(1.0))
        2.0
    """

    def derivative(*arguments: Array) -> Array:
        *inputs, output, tangent = arguments
        return jax.linear_transpose(partial(gradient, *inputs), output)(tangent)[0]

    return derivative
