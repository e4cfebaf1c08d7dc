"""Elementwise primitives."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from .graph import Graph
from .rules import RULES, rule
from .tensor import Tensor, common_axes, constant, element_type, expanded, named, value

_SAME_TYPE = {
    **{"add": "Add", "sub": "Sub", "mul": "Mul", "pow": "Pow", "max": "Max", "min": "Min", "neg": "Neg"},
    **{"abs": "Abs", "exp": "Exp", "log": "Log", "sqrt": "Sqrt", "tanh": "Tanh", "logistic": "Sigmoid"},
    **{"sign": "Sign", "floor": "Floor", "ceil": "Ceil", "sin": "Sin", "cos": "Cos", "erf": "Erf", "asinh": "Asinh"},
}
_COMPARISONS = {
    **{"eq": "Equal", "lt": "Less", "le": "LessOrEqual", "gt": "Greater", "ge": "GreaterOrEqual"},
    **{"and": "And", "or": "Or", "xor": "Xor", "not": "Not"},
}


def apply(graph: Graph, op: str, inputs: Sequence[Tensor], dtype: Any, **attributes: Any) -> Tensor:
    """Add an elementwise node; inputs are broadcast by ONNX, and repeated axes stay short.

    Args:
        graph: receives the node.
        op: operator of ONNX.
        inputs: tensors of one shape, or scalars.
        dtype: type of the result.
        **attributes: of the node.

    Returns:
        The result.
    """
    axes, largest = common_axes(list(inputs)), max(inputs, key=lambda x: len(x.shape))
    if graph.parent is not None:
        # Broadcasting over the last axis is slow; what comes from before the loop is repeated there, once.
        last = frozenset(axes[-1:])
        inputs = [
            x if x.constant is not None or graph.home(x.name) is graph else expanded(graph, x, last) for x in inputs
        ]
    names = [named(graph, x, axes if x.shape else ()) for x in inputs]
    everywhere = frozenset(range(len(axes)))
    repeated = everywhere.intersection(*(x.repeated if x.shape else everywhere for x in inputs))
    return Tensor(largest.shape, np.dtype(dtype), graph.node(op, names, **attributes), axes=axes, repeated=repeated)


def _same_type(op: str, graph: Graph, inputs: Sequence[Tensor], params: dict, outputs: Sequence) -> Tensor:
    return apply(graph, op, inputs, inputs[0].dtype)


RULES.update({primitive: partial(_same_type, op) for primitive, op in _SAME_TYPE.items()})


def _comparison(op: str, graph: Graph, inputs: Sequence[Tensor], params: dict, outputs: Sequence) -> Tensor:
    if op in ("And", "Or", "Xor", "Not") and inputs[0].dtype != np.bool_:
        raise NotImplementedError("bitwise operations on integers")
    return apply(graph, op, inputs, np.bool_)


RULES.update({primitive: partial(_comparison, op) for primitive, op in _COMPARISONS.items()})


def _is_value(x: Tensor, number: float | int) -> bool:
    return x.constant is not None and x.constant.size == 1 and x.constant.item() == number


@rule("add")
def _add(graph: Graph, inputs: Sequence[Tensor], params: dict, outputs: Sequence) -> Tensor:
    for x, other in (inputs, inputs[::-1]):
        if _is_value(other, 0) and len(x.shape) == len(outputs[0].shape):
            return x  # layers add zero so that arrays vary over the same mesh axes
    return apply(graph, "Add", inputs, inputs[0].dtype)


@rule("max")
def _max(graph: Graph, inputs: Sequence[Tensor], params: dict, outputs: Sequence) -> Tensor:
    for x, other in (inputs, inputs[::-1]):
        if _is_value(other, 0) and len(x.shape) == len(outputs[0].shape) and x.dtype.kind == "f":
            return apply(graph, "Relu", [x], x.dtype)
    return apply(graph, "Max", inputs, inputs[0].dtype)


@rule("ne")
def _ne(graph: Graph, inputs: Sequence[Tensor], params: dict, outputs: Sequence) -> Tensor:
    return apply(graph, "Not", [apply(graph, "Equal", inputs, np.bool_)], np.bool_)


@rule("div")
def _div(graph: Graph, inputs: Sequence[Tensor], params: dict, outputs: Sequence) -> Tensor:
    return apply(graph, "Div", inputs, inputs[0].dtype)


@rule("rem")
def _rem(graph: Graph, inputs: Sequence[Tensor], params: dict, outputs: Sequence) -> Tensor:
    return apply(graph, "Mod", inputs, inputs[0].dtype, fmod=1)


@rule("clamp")
def _clamp(graph: Graph, inputs: Sequence[Tensor], params: dict, outputs: Sequence) -> Tensor:
    low, x, high = inputs
    return apply(graph, "Min", [apply(graph, "Max", [x, low], x.dtype), high], x.dtype)


@rule("select_n")
def _select(graph: Graph, inputs: Sequence[Tensor], params: dict, outputs: Sequence) -> Tensor:
    which, *cases = inputs
    if which.dtype != np.bool_ or len(cases) != 2:
        raise NotImplementedError("a choice among more than two arrays")
    return apply(graph, "Where", [which, cases[1], cases[0]], cases[0].dtype)


@rule("convert_element_type")
def _convert(graph: Graph, inputs: Sequence[Tensor], params: dict, outputs: Sequence) -> Tensor:
    return cast(graph, inputs[0], params["new_dtype"])


def cast(graph: Graph, x: Tensor, dtype: Any) -> Tensor:
    """Convert a tensor to another type."""
    return x if x.dtype == dtype else apply(graph, "Cast", [x], dtype, to=element_type(dtype))


@rule("integer_pow", "square")
def _integer_pow(graph: Graph, inputs: Sequence[Tensor], params: dict, outputs: Sequence) -> Tensor:
    (x,), exponent = inputs, params.get("y", 2)
    if exponent == 2:
        return apply(graph, "Mul", [x, x], x.dtype)
    return apply(graph, "Pow", [x, _like(x, exponent)], x.dtype)


@rule("rsqrt")
def _rsqrt(graph: Graph, inputs: Sequence[Tensor], params: dict, outputs: Sequence) -> Tensor:
    return apply(graph, "Reciprocal", [apply(graph, "Sqrt", inputs, inputs[0].dtype)], inputs[0].dtype)


@rule("erfc")
def _erfc(graph: Graph, inputs: Sequence[Tensor], params: dict, outputs: Sequence) -> Tensor:
    (x,) = inputs
    return apply(graph, "Sub", [_like(x, 1), apply(graph, "Erf", [x], x.dtype)], x.dtype)


@rule("log1p")
def _log1p(graph: Graph, inputs: Sequence[Tensor], params: dict, outputs: Sequence) -> Tensor:
    """``log(u) * x / (u - 1)`` with ``u = 1 + x`` rounded, in which the error of rounding cancels (Kahan)."""
    (x,) = inputs
    one = _like(x, 1)
    u = apply(graph, "Add", [x, one], x.dtype)
    ratio = apply(graph, "Div", [x, apply(graph, "Sub", [u, one], x.dtype)], x.dtype)
    scaled = apply(graph, "Mul", [apply(graph, "Log", [u], x.dtype), ratio], x.dtype)
    return apply(graph, "Where", [apply(graph, "Equal", [u, one], np.bool_), x, scaled], x.dtype)


@rule("expm1")
def _expm1(graph: Graph, inputs: Sequence[Tensor], params: dict, outputs: Sequence) -> Tensor:
    """``2 t / (1 - t)`` with ``t = tanh(x / 2)`` below 1, which keeps the digits that ``exp(x) - 1`` cancels."""
    (x,) = inputs
    one = _like(x, 1)
    t = apply(graph, "Tanh", [apply(graph, "Mul", [x, _like(x, 0.5)], x.dtype)], x.dtype)
    doubled, rest = apply(graph, "Add", [t, t], x.dtype), apply(graph, "Sub", [one, t], x.dtype)
    small = apply(graph, "Div", [doubled, rest], x.dtype)
    large = apply(graph, "Sub", [apply(graph, "Exp", [x], x.dtype), one], x.dtype)
    return apply(graph, "Where", [apply(graph, "Less", [x, one], np.bool_), small, large], x.dtype)


@rule("is_finite")
def _is_finite(graph: Graph, inputs: Sequence[Tensor], params: dict, outputs: Sequence) -> Tensor:
    wrong = [apply(graph, op, inputs, np.bool_) for op in ("IsNaN", "IsInf")]
    return apply(graph, "Not", [apply(graph, "Or", wrong, np.bool_)], np.bool_)


@rule("copy", "copy_p", "stop_gradient", "pvary")
def _identity(graph: Graph, inputs: Sequence[Tensor], params: dict, outputs: Sequence) -> Tensor:
    return inputs[0]


@rule("optimization_barrier")
def _barrier(graph: Graph, inputs: Sequence[Tensor], params: dict, outputs: Sequence) -> list[Tensor]:
    return list(inputs)


@rule("dim_as_value")
def _dim_as_value(graph: Graph, inputs: Sequence[Tensor], params: dict, outputs: Sequence) -> Tensor:
    name = graph.node("Squeeze", [graph.size(params["dim"])])
    return cast(graph, value(name, (), np.int64), outputs[0].dtype)


def _like(x: Tensor, number: float | int) -> Tensor:
    return constant(np.array(number, x.dtype))
