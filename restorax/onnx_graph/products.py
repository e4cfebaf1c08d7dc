"""Convolutions and matrix products."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jax.export import is_symbolic_dim

from .elementwise import cast
from .graph import Graph
from .rules import rule
from .shaping import padded
from .tensor import Tensor, constant, dense, expanded, named, value

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@rule("conv_general_dilated")
def _conv(graph: Graph, inputs: Sequence[Tensor], params: dict, outputs: Sequence) -> Tensor:
    (x, kernel), numbers, pads = inputs, params["dimension_numbers"], params["padding"]
    if set(params["lhs_dilation"]) != {1}:
        raise NotImplementedError("a convolution with dilated input (a transposed convolution)")
    if params["batch_group_count"] != 1:
        raise NotImplementedError("a convolution with groups of images")
    if any(is_symbolic_dim(width) for side in pads for width in side):
        widths = [(0, 0)] * len(x.shape)
        for axis, side in zip(numbers.lhs_spec[2:], pads, strict=True):
            widths[axis] = tuple(side)
        shape = tuple(length + sum(side) for length, side in zip(x.shape, widths, strict=True))
        x, pads = padded(graph, x, widths, shape, constant(np.zeros((), x.dtype))), [(0, 0)] * len(pads)
    name = graph.node(
        "Conv",
        [dense(graph, x, tuple(numbers.lhs_spec)), dense(graph, kernel, tuple(numbers.rhs_spec))],
        strides=params["window_strides"],
        dilations=params["rhs_dilation"],
        pads=[side[end] for end in (0, 1) for side in pads],
        group=params["feature_group_count"],
    )
    return cast(graph, value(name, outputs[0].shape, x.dtype, tuple(numbers.out_spec)), outputs[0].dtype)


@rule("dot_general")
def _dot_general(graph: Graph, inputs: Sequence[Tensor], params: dict, outputs: Sequence) -> Tensor:
    return product(graph, inputs, params["dimension_numbers"], outputs[0])


def product(graph: Graph, inputs: Sequence[Tensor], numbers: tuple, output: Any) -> Tensor:
    """Contract two tensors as ``jax.lax.dot_general`` does: batch axes first, then those of each that are left."""
    (left, right), ((left_sum, right_sum), (left_batch, right_batch)) = inputs, numbers
    left, right = (cast(graph, expanded(graph, x), output.dtype) for x in (left, right))
    left_free, right_free = (
        [axis for axis in range(len(x.shape)) if axis not in (*summed, *batch)]
        for x, summed, batch in ((left, left_sum, left_batch), (right, right_sum, right_batch))
    )
    # MatMul broadcasts a matrix over the leading axes of the other tensor.
    matrices = len(left_sum) == 1 and len(right_free) == 1 and (not left_batch or len(left_free) == 1)
    if matrices:
        name = graph.node(
            "MatMul",
            [
                named(graph, left, (*left_batch, *left_free, *left_sum)),
                named(graph, right, (*right_batch, *right_sum, *right_free)),
            ],
        )
        return value(name, output.shape, output.dtype)
    letters = iter(_LETTERS)
    left_names, right_names = {}, {}
    for pairs in (zip(left_batch, right_batch, strict=True), zip(left_sum, right_sum, strict=True)):
        for a, b in pairs:
            left_names[a] = right_names[b] = next(letters)
    left_names |= {axis: next(letters) for axis in left_free}
    right_names |= {axis: next(letters) for axis in right_free}
    result = [*(left_names[a] for a in (*left_batch, *left_free)), *(right_names[a] for a in right_free)]
    terms = ["".join(names[axis] for axis in x.axes) for names, x in ((left_names, left), (right_names, right))]
    equation = f"{','.join(terms)}->{''.join(result)}"
    operands = [named(graph, left, left.axes), named(graph, right, right.axes)]
    return value(graph.node("Einsum", operands, equation=equation), output.shape, output.dtype)
