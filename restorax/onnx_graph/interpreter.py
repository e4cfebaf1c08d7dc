"""Walk through a jaxpr: fold constants, enter calls, and apply the rules of the primitives."""

import math
from collections.abc import Sequence
from typing import Any, cast

import jax
import numpy as np
from jax.export import is_symbolic_dim
from jax.extend import core

from .fourier import COMPLEX_RULES, is_complex, parts
from .graph import Graph
from .rules import RULES
from .tensor import Complex, Tensor, constant, expanded

_LARGEST_FOLDED = 2**22  # elements
_NOT_FOLDED = ("broadcast_in_dim", "iota", "dim_as_value", "platform_index", "transpose")

Array = Tensor | Complex


def convert(graph: Graph, jaxpr: Any, constants: Sequence[Any], inputs: Sequence[Array]) -> list[Array]:
    """Add the equations of a jaxpr to a graph.

    Args:
        graph: receives the nodes.
        jaxpr: a ``jax.extend.core.Jaxpr``.
        constants: values of its constants.
        inputs: tensors, one for each input of the jaxpr.

    Returns:
        Its outputs.

    Raises:
        NotImplementedError: if a primitive, or this use of it, has no rule; the message names it.
    """
    entries = (*map(constant, constants), *inputs)
    known: dict[Any, Array] = dict(zip((*jaxpr.constvars, *jaxpr.invars), entries, strict=True))

    def read(atom: Any) -> Array:
        if isinstance(atom, core.Literal):
            return constant(np.asarray(atom.val, cast(Any, atom.aval).dtype))
        return known[atom]

    for equation in jaxpr.eqns:
        results = _convert_equation(graph, equation, [read(atom) for atom in equation.invars])
        known.update(zip(equation.outvars, results, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def opened(jaxpr: Any) -> tuple[Any, Sequence[Any]]:
    """Return a jaxpr and the values of its constants, of a closed jaxpr or of one without constants."""
    return (jaxpr.jaxpr, jaxpr.consts) if hasattr(jaxpr, "consts") else (jaxpr, ())


def _convert_equation(graph: Graph, equation: Any, inputs: list[Array]) -> list[Array]:
    name, params, outputs = equation.primitive.name, equation.params, [v.aval for v in equation.outvars]
    inner = next((params[key] for key in ("jaxpr", "call_jaxpr", "fun_jaxpr") if key in params), None)
    if inner is not None and name not in RULES:  # a call, perhaps with derivatives of its own
        return convert(graph, *opened(inner), inputs)
    if _can_be_folded(equation, inputs):
        return _folded(graph, equation, inputs)
    # What does not change from step to step is computed before the loop.
    graph = graph.home(*(part.name for x in inputs for part in (parts(x) if isinstance(x, Complex) else (x,))))
    with_complex = any(map(is_complex, inputs)) or name == "fft" or any(o.dtype.kind == "c" for o in outputs)
    rules = COMPLEX_RULES if with_complex else RULES
    if name not in rules:
        numbers = " of complex numbers" if with_complex and name in RULES else ""
        raise NotImplementedError(f"{name}{numbers} has no form in ONNX here")
    try:
        result = rules[name](graph, inputs, params, outputs)
    except NotImplementedError as error:
        if "no form in ONNX" in str(error):
            raise
        raise NotImplementedError(f"{name} has no form in ONNX here for {error}") from error
    return result if isinstance(result, list) else [result]


def _can_be_folded(equation: Any, inputs: Sequence[Array]) -> bool:
    """Tell whether an equation can be computed now, without spreading out repeated values."""
    if equation.primitive.name in _NOT_FOLDED or not inputs:
        return False
    if not all(isinstance(x, Tensor) and x.constant is not None for x in inputs):
        return False
    shapes = [variable.aval.shape for variable in (*equation.invars, *equation.outvars)]
    if any(is_symbolic_dim(size) for shape in shapes for size in shape):
        return False
    has_body = any(hasattr(parameter, "jaxpr") for parameter in equation.params.values())
    return not has_body and sum(map(math.prod, shapes)) <= _LARGEST_FOLDED


def _folded(graph: Graph, equation: Any, inputs: Sequence[Any]) -> list[Array]:
    arrays = [jax.numpy.asarray(expanded(graph, x).constant) for x in inputs]
    results = equation.primitive.bind(*arrays, **equation.params)
    return [constant(np.asarray(one)) for one in (results if equation.primitive.multiple_results else [results])]
