"""Reductions, running sums and sorting."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from jax.export import is_symbolic_dim

from .elementwise import apply, cast
from .graph import Graph
from .rules import RULES, rule
from .tensor import Tensor, constant, expanded, named, value

_REDUCTIONS = {"reduce_sum": "ReduceSum", "reduce_max": "ReduceMax", "reduce_min": "ReduceMin"}


def _reduce(op: str, graph: Graph, inputs: Sequence[Tensor], params: dict, outputs: Sequence) -> Tensor:
    x, axes = inputs[0], tuple(params["axes"])
    if not axes:
        return x
    # The largest of equal elements is any of them; their sum is not.
    x = expanded(graph, x, frozenset(axes)) if op == "ReduceSum" else x
    where = graph.constant(np.array([x.axis(axis) for axis in axes], np.int64))
    name = graph.node(op, [named(graph, x, x.axes), where], keepdims=0)
    kept = [axis for axis in range(len(x.shape)) if axis not in axes]
    place = {axis: new for new, axis in enumerate(kept)}
    order = tuple(place[axis] for axis in x.axes if axis in place)
    repeated = frozenset(place[axis] for axis in x.repeated if axis in place)
    return Tensor(tuple(outputs[0].shape), x.dtype, name, axes=order, repeated=repeated)


RULES.update({primitive: partial(_reduce, op) for primitive, op in _REDUCTIONS.items()})


def _reduce_bool(op: str, graph: Graph, inputs: Sequence[Tensor], params: dict, outputs: Sequence) -> Tensor:
    return cast(graph, _reduce(op, graph, [cast(graph, inputs[0], np.int32)], params, outputs), np.bool_)


RULES.update({"reduce_or": partial(_reduce_bool, "ReduceMax"), "reduce_and": partial(_reduce_bool, "ReduceMin")})


@rule("cumsum")
def _cumsum(graph: Graph, inputs: Sequence[Tensor], params: dict, outputs: Sequence) -> Tensor:
    x = expanded(graph, inputs[0], frozenset([params["axis"]]))
    axis = graph.constant(np.array(x.axis(params["axis"]), np.int64))
    name = graph.node("CumSum", [named(graph, x, x.axes), axis], reverse=int(params["reverse"]))
    return Tensor(x.shape, x.dtype, name, axes=x.axes, repeated=x.repeated)


@rule("sort")
def _sort(graph: Graph, inputs: Sequence[Tensor], params: dict, outputs: Sequence) -> Tensor:
    if len(inputs) > 1:
        raise NotImplementedError("sorting of several arrays together")
    axis = params["dimension"]
    x = expanded(graph, inputs[0], frozenset([axis]))
    size = [named(graph, x, x.axes), graph.size(x.shape[axis])]
    name = graph.outputs_of("TopK", size, 2, axis=x.axis(axis), largest=0)[0]
    return Tensor(x.shape, x.dtype, name, axes=x.axes, repeated=x.repeated)


def _arg(op: str, graph: Graph, inputs: Sequence[Tensor], params: dict, outputs: Sequence) -> Tensor:
    (axis,) = params["axes"]
    x = expanded(graph, inputs[0])
    name = graph.node(op, [named(graph, x, x.axes)], axis=x.axis(axis), keepdims=0)
    order = tuple(a - (a > axis) for a in x.axes if a != axis)
    return cast(graph, value(name, outputs[0].shape, np.int64, order), outputs[0].dtype)


RULES.update({"argmax": partial(_arg, "ArgMax"), "argmin": partial(_arg, "ArgMin")})


def _pool(op: str, graph: Graph, inputs: Sequence[Tensor], params: dict, outputs: Sequence) -> Tensor:
    """Pool windows over the two middle axes of an image, ``[batch, height, width, channel]``."""
    x, window, strides = inputs[0], params["window_dimensions"], params["window_strides"]
    pads = params["padding"]
    plain = all(set(params[name]) == {1} for name in ("base_dilation", "window_dilation"))
    if len(window) != 4 or (window[0], window[3], strides[0], strides[3]) != (1, 1, 1, 1) or not plain:
        raise NotImplementedError("pooling of anything but blocks of pixels")
    if any(is_symbolic_dim(width) for side in pads for width in side) or pads[0] != (0, 0) or pads[3] != (0, 0):
        raise NotImplementedError("pooling with padding that depends on the size")
    options: dict[str, Any] = {"count_include_pad": 1} if op == "AveragePool" else {}
    name = graph.node(
        op,
        [named(graph, expanded(graph, x), (0, 3, 1, 2))],
        kernel_shape=window[1:3],
        strides=strides[1:3],
        pads=[pads[axis][side] for side in (0, 1) for axis in (1, 2)],
        **options,
    )
    pooled = value(name, outputs[0].shape, x.dtype, (0, 3, 1, 2))
    if op == "MaxPool":
        return pooled
    return apply(graph, "Mul", [pooled, constant(np.array(window[1] * window[2], x.dtype))], x.dtype)


RULES.update({"reduce_window_max": partial(_pool, "MaxPool"), "reduce_window_sum": partial(_pool, "AveragePool")})
