"""Arrays of a jaxpr in an ONNX graph, whose axes are permuted and broadcast only where a node needs it.

Networks are written channels last and ONNX convolves channels first. A :class:`Tensor` keeps the order that its node
produced; elementwise operations, slices and reductions take any order, and most transpositions of a network vanish.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from jax.export import is_symbolic_dim
from onnx import helper

from .graph import Dim, Graph


@dataclasses.dataclass(frozen=True, eq=False)
class Tensor:
    """An array of a jaxpr: a constant, or a value of the graph.

    Attributes:
        shape: as the jaxpr has it.
        dtype: type of the elements.
        name: name of the value; empty for constants.
        constant: values of a constant, with length 1 along ``repeated`` axes, in the order of ``shape``.
        axes: axes of ``shape`` in the order of the value's own axes.
        repeated: axes of ``shape`` along which the value has length 1 and stands for equal elements.
    """

    shape: tuple[Dim, ...]
    dtype: np.dtype
    name: str = ""
    constant: np.ndarray | None = None
    axes: tuple[int, ...] = ()
    repeated: frozenset[int] = frozenset()

    def axis(self, axis: int) -> int:
        """Return the axis of the value that holds an axis of ``shape``."""
        return self.axes.index(axis)

    def stored_shape(self) -> tuple[Dim, ...]:
        """Return the shape of the value."""
        return tuple(1 if axis in self.repeated else self.shape[axis] for axis in self.axes)


@dataclasses.dataclass(frozen=True, eq=False)
class Complex:
    """A complex array: its real and imaginary parts."""

    real: Tensor
    imag: Tensor


def real(arrays: Sequence[Tensor | Complex]) -> list[Tensor]:
    """Return arrays of which none is complex.

    Raises:
        NotImplementedError: if one is.
    """
    if any(isinstance(x, Complex) for x in arrays):
        raise NotImplementedError("complex numbers as inputs or outputs")
    return [x for x in arrays if isinstance(x, Tensor)]


def constant(array: Any) -> Tensor:
    """Return a constant.

    Example:
        >>> constant(np.ones((2, 3))).shape
        (2, 3)
    """
    array = np.asarray(array)
    return Tensor(array.shape, array.dtype, constant=array, axes=tuple(range(array.ndim)))


def value(name: str, shape: tuple[Dim, ...], dtype: Any, axes: tuple[int, ...] | None = None) -> Tensor:
    """Return a value of the graph, by default with its axes in order."""
    return Tensor(tuple(shape), np.dtype(dtype), name, axes=tuple(range(len(shape))) if axes is None else axes)


def element_type(dtype: Any) -> int:
    """Return ONNX's number for a type.

    Raises:
        NotImplementedError: if this package does not export arrays of the type.
    """
    if np.dtype(dtype).kind not in "biuf" or np.dtype(dtype).name == "bfloat16":
        raise NotImplementedError(f"arrays of {np.dtype(dtype).name}")
    return helper.np_dtype_to_tensor_dtype(np.dtype(dtype))


def named(graph: Graph, x: Tensor, axes: tuple[int, ...] | None = None) -> str:
    """Return the name of a tensor with its axes in an order, by default that of its shape; repeated axes stay short."""
    axes = tuple(range(len(x.shape))) if axes is None else axes
    if x.constant is not None:
        return graph.constant(x.constant.transpose(axes))
    if axes == x.axes:
        return x.name
    order, home = [x.axes.index(axis) for axis in axes], graph.home(x.name)
    return home.cached((x.name, *order), lambda: home.node("Transpose", [x.name], perm=order))


def expanded(graph: Graph, x: Tensor, axes: frozenset[int] | None = None) -> Tensor:
    """Return a tensor that is not repeated along some axes, by default along none."""
    here = x.repeated if axes is None else x.repeated & axes
    if not here:
        return x
    rest = x.repeated - here
    if x.constant is not None and not any(is_symbolic_dim(x.shape[axis]) for axis in here):
        shape = [x.shape[axis] if axis in here else size for axis, size in enumerate(x.constant.shape)]
        return dataclasses.replace(x, constant=np.broadcast_to(x.constant, shape), repeated=rest)
    home, shape = graph.home(x.name), [x.shape[axis] if axis in here else 1 for axis in x.axes]
    inputs = [named(home, x, x.axes), home.sizes(shape)]
    name = home.cached(("Expand", *inputs), lambda: home.node("Expand", inputs))
    return Tensor(x.shape, x.dtype, name, axes=x.axes, repeated=rest)


def dense(graph: Graph, x: Tensor, axes: tuple[int, ...] | None = None) -> str:
    """Return the name of a tensor with all its elements and its axes in an order, by default that of its shape."""
    return named(graph, expanded(graph, x), axes)


def common_axes(tensors: list[Tensor]) -> tuple[int, ...]:
    """Return the order of axes of the largest of several tensors that are broadcast against each other."""
    computed = [x for x in tensors if x.constant is None] or tensors
    return max(computed, key=lambda x: (len(x.shape), len(x.shape) - len(x.repeated))).axes


def typed(name: str, dtype: Any, shape: tuple[Dim, ...] | None) -> onnx.ValueInfoProto:
    """Return the description of an input or output; symbolic sizes become names."""
    dims = None if shape is None else [str(size) if is_symbolic_dim(size) else int(size) for size in shape]
    return helper.make_tensor_value_info(name, element_type(dtype), dims)
