"""JAX functions as ONNX graphs.

:func:`to_onnx` traces a function and writes its jaxpr as nodes of ONNX. The primitives that the networks of
``restorax.models`` use are covered, one file per group; others are refused by name.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import onnx
from jax.export import is_symbolic_dim

from . import loops, reductions  # noqa: F401, they register rules
from .graph import OPSET, Graph
from .interpreter import convert
from .tensor import dense, real, typed, value

__all__ = ["OPSET", "to_onnx"]


def to_onnx(
    function: Callable[..., Any],
    inputs: Sequence[jax.ShapeDtypeStruct],
    *,
    input_names: Sequence[str],
    output_names: Sequence[str],
) -> onnx.ModelProto:
    """Trace a function and write it as an ONNX model.

    Constants that float16 holds exactly are stored in it and converted when the model is loaded.

    Args:
        function: of arrays, traceable by JAX.
        inputs: shapes and types of its arguments; sizes may be symbols of ``jax.export.symbolic_shape``.
        input_names: names of the inputs of the model.
        output_names: names of its outputs, those of the function in the order of ``jax.tree.leaves``.

    Returns:
        The checked model, of opset :data:`OPSET`.

    Raises:
        NotImplementedError: if the function uses an operation that has no form here; the message names it.

    Example:
        >>> import jax.numpy as jnp
        >>> x = jax.ShapeDtypeStruct((2, 3), jnp.float32)
        >>> [node.op_type for node in to_onnx(jnp.tanh, [x], input_names=["x"], output_names=["y"]).graph.node]
        ['Tanh', 'Identity']
    """
    closed = jax.make_jaxpr(function)(*inputs)
    graph = Graph()
    for name, spec in zip(input_names, inputs, strict=True):
        for axis, size in enumerate(spec.shape):
            if is_symbolic_dim(size):
                graph.symbols.setdefault(str(size), (name, axis))
    tensors = [value(name, spec.shape, spec.dtype) for name, spec in zip(input_names, inputs, strict=True)]
    results = real(convert(graph, closed.jaxpr, closed.consts, tensors))
    for name, x in zip(output_names, results, strict=True):
        graph.rename(dense(graph, x), name)
    described = [typed(n, x.dtype, x.shape) for n, x in zip(output_names, results, strict=True)]
    return graph.model([typed(n, s.dtype, s.shape) for n, s in zip(input_names, inputs, strict=True)], described)
