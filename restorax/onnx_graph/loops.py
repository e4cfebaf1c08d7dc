"""Loops and conditions."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper

from .graph import Graph
from .interpreter import Array, convert, opened
from .rules import rule
from .tensor import Tensor, constant, dense, real, typed, value

_UNROLLED = 8  # steps that are written one after the other, since runtimes optimise no body of a loop


@rule("platform_index")
def _platform_index(graph: Graph, inputs: Sequence[Tensor], params: dict, outputs: Sequence) -> Tensor:
    """Choose the branch for platforms that are not named."""
    default = [index for index, platforms in enumerate(params["platforms"]) if platforms is None]
    if not default:
        raise NotImplementedError("platforms without a default")
    return constant(np.array(default[0], np.int32))


@rule("cond")
def _cond(graph: Graph, inputs: Sequence[Any], params: dict, outputs: Sequence) -> list[Array]:
    which, *rest = inputs
    if which.constant is None:
        raise NotImplementedError("a condition that depends on the image")
    branch = params["branches"][int(np.clip(which.constant, 0, len(params["branches"]) - 1))]
    return convert(graph, *opened(branch), rest)


@rule("scan")
def _scan(graph: Graph, inputs: Sequence[Tensor], params: dict, outputs: Sequence) -> list[Array]:
    jaxpr, _ = opened(params["jaxpr"])
    # A slice has one axis less than the array that it is cut from, and than the one it becomes part of.
    is_slice = [len(v.aval.shape) < len(x.shape) for v, x in zip(jaxpr.invars, inputs, strict=True)]
    is_part = [len(v.aval.shape) < len(o.shape) for v, o in zip(jaxpr.outvars, outputs, strict=True)]
    last = len(inputs) - sum(is_slice)
    first = last - is_part.count(False)
    fixed, carry, slices = inputs[:first], inputs[first:last], inputs[last:]
    if not slices and len(carry) == len(outputs) and params["length"] <= _UNROLLED:
        for _ in range(params["length"]):
            carry = convert(graph, *opened(params["jaxpr"]), [*fixed, *carry])
        return list(carry)
    orders = [x.axes for x in carry]
    body, results = _body(graph, params, fixed, carry, orders, slices)
    # Channels come first in what a convolution returns; such a carry starts in that order, too.
    if (returned := [x.axes for x in results[: len(carry)]]) != orders:
        orders = returned
        body, results = _body(graph, params, fixed, carry, orders, slices)
    starts = [dense(graph, x, order) for x, order in zip(carry, orders, strict=True)]
    # ONNX counts the steps by the slices.
    xs = [dense(graph, x, _sliced_first(x)) for x in slices] or [graph.constant(np.zeros(params["length"], np.int32))]
    stacked, reverse = results[len(carry) :], int(params["reverse"])
    names = graph.outputs_of(
        "Scan",
        [*starts, *xs],
        len(outputs),
        body=body,
        num_scan_inputs=len(xs),
        scan_input_directions=[reverse] * len(xs),
        scan_output_directions=[reverse] * len(stacked) or None,
    )
    orders = [*orders, *((0, *(axis + 1 for axis in x.axes)) for x in stacked)]
    return [value(n, o.shape, o.dtype, order) for n, o, order in zip(names, outputs, orders, strict=True)]


def _sliced_first(x: Tensor) -> tuple[int, ...]:
    return (0, *(axis for axis in x.axes if axis))


def _body(
    graph: Graph,
    params: dict,
    fixed: Sequence[Tensor],
    carry: Sequence[Tensor],
    orders: Sequence[tuple[int, ...]],
    slices: Sequence[Tensor],
) -> tuple[onnx.GraphProto, list[Tensor]]:
    """Convert the body of a loop.

    Args:
        graph: around the loop.
        params: of the loop.
        fixed: tensors that all steps see.
        carry: what the first step receives.
        orders: axes of the carry, in the order in which it is passed on.
        slices: what is sliced along its first axis, one slice for each step.

    Returns:
        The body, and what it returns, without repeated axes, the carry in its own order of axes.
    """
    inner = Graph(graph)
    states = [value(inner.new_name(), x.shape, x.dtype, order) for x, order in zip(carry, orders, strict=True)]
    parts = [value(inner.new_name(), x.shape[1:], x.dtype, tuple(axis - 1 for axis in x.axes if axis)) for x in slices]
    received = [typed(x.name, x.dtype, None) for x in (*states, *parts)]
    if not slices:
        received.append(typed(inner.new_name(), np.int32, None))
    results = real(convert(inner, *opened(params["jaxpr"]), [*fixed, *states, *parts]))
    returned, tensors = [], []
    for index, x in enumerate(results):
        order = orders[index] if index < len(orders) else x.axes
        # A body returns values of its own.
        name = inner.node("Identity", [dense(inner, x, order)])
        returned.append(typed(name, x.dtype, None))
        tensors.append(value(name, x.shape, x.dtype, x.axes))
    return helper.make_graph(inner.nodes, "body", received, returned), tensors
