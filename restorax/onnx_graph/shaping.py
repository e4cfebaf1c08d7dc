"""Primitives that move elements: reshape, transpose, slice, pad, concatenate, gather."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jax import lax
from jax.export import is_symbolic_dim

from .elementwise import apply, cast
from .graph import Dim, Graph
from .rules import rule
from .tensor import Tensor, common_axes, constant, dense, expanded, named, value

_CHANNELS_FIRST = (0, 3, 1, 2)
_END = np.iinfo(np.int64).max


@rule("transpose")
def _transpose(graph: Graph, inputs: Sequence[Tensor], params: dict, outputs: Sequence) -> Tensor:
    return permuted(inputs[0], params["permutation"])


def permuted(x: Tensor, order: Sequence[int]) -> Tensor:
    """Permute the axes of a tensor; nothing is computed."""
    place = {axis: new for new, axis in enumerate(order)}
    return dataclasses.replace(
        x,
        shape=tuple(x.shape[axis] for axis in order),
        constant=None if x.constant is None else x.constant.transpose(order),
        axes=tuple(range(len(order))) if x.constant is not None else tuple(place[axis] for axis in x.axes),
        repeated=frozenset(place[axis] for axis in x.repeated),
    )


@rule("reshape")
def _reshape(graph: Graph, inputs: Sequence[Tensor], params: dict, outputs: Sequence) -> Tensor:
    if params["dimensions"] is not None:
        raise NotImplementedError("a reshape that permutes axes")
    return reshaped(graph, inputs[0], outputs[0].shape)


def _groups(old: Sequence[Dim], new: Sequence[Dim]) -> list[tuple[list[int], list[int]]]:
    """Return the smallest groups of neighbouring axes of two shapes that hold the same number of elements."""
    groups: list[tuple[list[int], list[int]]] = []
    ends = [math.prod(new[: j + 1]) for j in range(len(new))]
    start, done, before = 0, 0, 1
    for i, length in enumerate(old):
        before = before * length
        matches = [j for j in range(done, len(new)) if ends[j] == before]
        if matches:
            groups.append((list(range(start, i + 1)), list(range(done, matches[0] + 1))))
            start, done = i + 1, matches[0] + 1
    if start < len(old) or done < len(new):
        if (start < len(old) and done < len(new)) or not groups:
            groups.append((list(range(start, len(old))), list(range(done, len(new)))))
        else:  # axes of length 1 at the end
            groups[-1] = (groups[-1][0] + list(range(start, len(old))), groups[-1][1] + list(range(done, len(new))))
    return groups


def reshaped(graph: Graph, x: Tensor, shape: tuple[Dim, ...]) -> Tensor:
    """Reshape a tensor; axes that are only split, or merged where they lie, stay in their order."""
    groups = _groups(x.shape, shape)
    changed = frozenset(axis for old, new in groups if len(old) != 1 or len(new) != 1 for axis in old)
    x = expanded(graph, x, frozenset(axis for axis in changed if not _is_one(x.shape[axis])))
    x = dataclasses.replace(x, repeated=x.repeated - changed)
    if x.constant is not None:
        repeated = frozenset(new[0] for old, new in groups if len(old) == 1 and old[0] in x.repeated)
        lengths = [1 if axis in repeated else length for axis, length in enumerate(shape)]
        return dataclasses.replace(constant(x.constant.reshape(lengths)), shape=tuple(shape), repeated=repeated)
    place = {axis: i for i, axis in enumerate(x.axes)}
    together = all(
        [place[axis] for axis in old] == list(range(place[old[0]], place[old[0]] + len(old)))
        for old, _ in groups
        if old
    )
    ordered = sorted((group for group in groups if group[0]), key=lambda group: place[group[0][0]])
    if not together:
        ordered = [group for group in groups if group[0]]
        if len(shape) == 4 and all(len(new) == 1 for _, new in groups):
            ordered = [groups[i] for i in _CHANNELS_FIRST]
    ordered += [group for group in groups if not group[0]]
    before = tuple(axis for old, _ in ordered for axis in old)
    after = tuple(axis for _, new in ordered for axis in new)
    repeated = frozenset(new[0] for old, new in groups if len(old) == 1 and old[0] in x.repeated)
    stored = [1 if axis in repeated else shape[axis] for axis in after]
    return Tensor(
        tuple(shape), x.dtype, _reshape_node(graph, named(graph, x, before), stored), axes=after, repeated=repeated
    )


def _reshape_node(graph: Graph, name: str, shape: Sequence[Dim]) -> str:
    symbolic = [axis for axis, length in enumerate(shape) if is_symbolic_dim(length)]
    if len(symbolic) == 1:
        shape = [-1 if axis in symbolic else length for axis, length in enumerate(shape)]
    return graph.node("Reshape", [name, graph.sizes(shape)])


def _is_one(length: Dim) -> bool:
    return not is_symbolic_dim(length) and length == 1


@rule("squeeze")
def _squeeze(graph: Graph, inputs: Sequence[Tensor], params: dict, outputs: Sequence) -> Tensor:
    return squeezed(graph, inputs[0], params["dimensions"])


def squeezed(graph: Graph, x: Tensor, axes: Sequence[int]) -> Tensor:
    """Remove axes of length 1."""
    kept = [axis for axis in range(len(x.shape)) if axis not in axes]
    place = {axis: new for new, axis in enumerate(kept)}
    shape, repeated = tuple(x.shape[axis] for axis in kept), frozenset(place[a] for a in x.repeated if a in place)
    if x.constant is not None:
        return dataclasses.replace(constant(x.constant.squeeze(tuple(axes))), shape=shape, repeated=repeated)
    where = graph.constant(np.array(sorted(x.axis(axis) for axis in axes), np.int64))
    order = tuple(place[axis] for axis in x.axes if axis in place)
    return Tensor(shape, x.dtype, graph.node("Squeeze", [x.name, where]), axes=order, repeated=repeated)


@rule("broadcast_in_dim")
def _broadcast_in_dim(graph: Graph, inputs: Sequence[Tensor], params: dict, outputs: Sequence) -> Tensor:
    """Insert axes of length 1; elements are repeated later, where a node needs them."""
    x, shape, kept = inputs[0], outputs[0].shape, params["broadcast_dimensions"]
    new = [axis for axis in range(len(shape)) if axis not in kept]
    longer = {kept[i] for i, length in enumerate(x.shape) if _is_one(length) and not _is_one(shape[kept[i]])}
    repeated = frozenset(kept[i] for i in x.repeated) | longer | {axis for axis in new if not _is_one(shape[axis])}
    if x.constant is not None:
        array = np.expand_dims(x.constant, tuple(new))
        return Tensor(
            tuple(shape), x.dtype, constant=array, axes=tuple(range(len(shape))), repeated=frozenset(repeated)
        )
    order, name = tuple(kept[axis] for axis in x.axes), x.name
    if new:
        order = (*new, *order)
        name = graph.node("Unsqueeze", [name, graph.constant(np.arange(len(new), dtype=np.int64))])
    return Tensor(tuple(shape), x.dtype, name, axes=order, repeated=frozenset(repeated))


@rule("concatenate")
def _concatenate(graph: Graph, inputs: Sequence[Tensor], params: dict, outputs: Sequence) -> Tensor:
    return concatenated(graph, inputs, int(params["dimension"]), outputs[0].shape)


def concatenated(graph: Graph, inputs: Sequence[Tensor], axis: int, shape: tuple[Dim, ...]) -> Tensor:
    """Concatenate tensors along an axis."""
    inputs = [x for x in inputs if is_symbolic_dim(x.shape[axis]) or x.shape[axis]]  # ``jnp.pad`` adds empty ones
    if len(inputs) == 1:
        return inputs[0]
    axes = common_axes(list(inputs))
    name = graph.node("Concat", [dense(graph, x, axes) for x in inputs], axis=axes.index(axis))
    return Tensor(tuple(shape), inputs[0].dtype, name, axes=axes)


@rule("stack")
def _stack(graph: Graph, inputs: Sequence[Tensor], params: dict, outputs: Sequence) -> Tensor:
    axis, shape = int(params["axis"]), outputs[0].shape
    single = (*shape[:axis], 1, *shape[axis + 1 :])
    return concatenated(graph, [reshaped(graph, x, single) for x in inputs], axis, shape)


@rule("unstack")
def _unstack(graph: Graph, inputs: Sequence[Tensor], params: dict, outputs: Sequence) -> list[Tensor]:
    axis, x = int(params["axis"]), inputs[0]
    parts = _split_nodes(graph, x, axis, [1] * len(outputs))
    return [squeezed(graph, part, [axis]) for part in parts]


@rule("split")
def _split(graph: Graph, inputs: Sequence[Tensor], params: dict, outputs: Sequence) -> list[Tensor]:
    return _split_nodes(graph, inputs[0], int(params["axis"]), [int(size) for size in params["sizes"]])


def _split_nodes(graph: Graph, x: Tensor, axis: int, sizes: list[int]) -> list[Tensor]:
    x = expanded(graph, x, frozenset([axis]))
    lengths = graph.constant(np.array(sizes, np.int64))
    inputs = [named(graph, x, x.axes), lengths]
    names = graph.outputs_of("Split", inputs, len(sizes), axis=x.axis(axis))
    shapes = [(*x.shape[:axis], size, *x.shape[axis + 1 :]) for size in sizes]
    return [Tensor(s, x.dtype, name, axes=x.axes, repeated=x.repeated) for s, name in zip(shapes, names, strict=True)]


@rule("slice")
def _slice(graph: Graph, inputs: Sequence[Tensor], params: dict, outputs: Sequence) -> Tensor:
    x, starts, limits = inputs[0], params["start_indices"], params["limit_indices"]
    strides = params["strides"] or (1,) * len(starts)
    parts = zip(starts, limits, strides, x.shape, strict=True)
    cut = [axis for axis, (start, limit, step, length) in enumerate(parts) if (start, limit, step) != (0, length, 1)]
    bounds = [graph.sizes([values[axis] for axis in cut]) for values in (starts, limits)]
    return _cut(graph, x, cut, bounds, [strides[axis] for axis in cut], outputs[0].shape)


def _cut(graph: Graph, x: Tensor, cut: list[int], bounds: list[str], steps: Sequence[int], shape: Any) -> Tensor:
    if not cut:
        return x
    x = expanded(graph, x, frozenset(cut))
    where = graph.constant(np.array([x.axis(axis) for axis in cut], np.int64))
    name = graph.node("Slice", [named(graph, x, x.axes), *bounds, where, graph.constant(np.array(steps, np.int64))])
    return Tensor(tuple(shape), x.dtype, name, axes=x.axes, repeated=x.repeated)


@rule("rev")
def _rev(graph: Graph, inputs: Sequence[Tensor], params: dict, outputs: Sequence) -> Tensor:
    axes = list(params["dimensions"])
    ends = [graph.constant(np.full(len(axes), end, np.int64)) for end in (-1, -_END)]
    return _cut(graph, inputs[0], axes, ends, [-1] * len(axes), inputs[0].shape)


@rule("dynamic_slice")
def _dynamic_slice(graph: Graph, inputs: Sequence[Tensor], params: dict, outputs: Sequence) -> Tensor:
    x, *starts = inputs
    cut = [axis for axis, (new, old) in enumerate(zip(outputs[0].shape, x.shape, strict=True)) if new != old]
    return _window(graph, x, [(axis, starts[axis]) for axis in cut], outputs[0].shape)


def _window(graph: Graph, x: Tensor, starts: list[tuple[int, Tensor]], shape: tuple[Dim, ...]) -> Tensor:
    """Cut a window that begins at scalars and, as in JAX, is moved into the array where it would leave it."""
    if not starts:
        return x
    begin, end = [], []
    for axis, start in starts:
        at = named(graph, cast(graph, start, np.int64))
        at = graph.node("Reshape", [at, graph.constant(np.array([1], np.int64))])
        most = graph.size(x.shape[axis] - shape[axis])
        at = graph.node("Min", [graph.node("Max", [at, graph.size(0)]), most])
        begin.append(at)
        end.append(graph.node("Add", [at, graph.size(shape[axis])]))
    bounds = [ends[0] if len(ends) == 1 else graph.node("Concat", ends, axis=0) for ends in (begin, end)]
    return _cut(graph, x, [axis for axis, _ in starts], bounds, [1] * len(starts), shape)


@rule("pad")
def _pad(graph: Graph, inputs: Sequence[Tensor], params: dict, outputs: Sequence) -> Tensor:
    x, fill = inputs
    if any(inner for _, _, inner in params["padding_config"]):
        raise NotImplementedError("padding between elements")
    pads = [(before, after) for before, after, _ in params["padding_config"]]
    return padded(graph, x, pads, outputs[0].shape, fill)


def padded(graph: Graph, x: Tensor, pads: Sequence[tuple[Dim, Dim]], shape: tuple[Dim, ...], fill: Tensor) -> Tensor:
    """Extend a tensor by a constant; negative widths crop."""
    changed = [axis for axis, widths in enumerate(pads) if widths != (0, 0)]
    if not changed:
        return x
    x = expanded(graph, x, frozenset(changed))
    widths = [pads[axis][side] for side in (0, 1) for axis in changed]
    where = graph.constant(np.array([x.axis(axis) for axis in changed], np.int64))
    name = graph.node("Pad", [named(graph, x, x.axes), graph.sizes(widths), named(graph, fill), where])
    return Tensor(tuple(shape), x.dtype, name, axes=x.axes, repeated=x.repeated)


@rule("iota")
def _iota(graph: Graph, inputs: Sequence[Tensor], params: dict, outputs: Sequence) -> Tensor:
    shape, axis = outputs[0].shape, params["dimension"]
    length, ones = shape[axis], [1] * len(shape)
    repeated = frozenset(i for i, size in enumerate(shape) if i != axis and not _is_one(size))
    if not is_symbolic_dim(length):
        ones[axis] = length
        numbers = np.arange(length).astype(outputs[0].dtype).reshape(ones)
        return Tensor(tuple(shape), numbers.dtype, constant=numbers, axes=tuple(range(len(shape))), repeated=repeated)
    ends = [graph.node("Squeeze", [graph.size(end)]) for end in (0, length, 1)]
    numbers = cast(graph, value(graph.node("Range", ends), (length,), np.int64), outputs[0].dtype)
    ones[axis] = -1
    name = graph.node("Reshape", [numbers.name, graph.constant(np.array(ones, np.int64))])
    return Tensor(tuple(shape), numbers.dtype, name, axes=tuple(range(len(shape))), repeated=repeated)


@rule("gather")
def _gather(graph: Graph, inputs: Sequence[Tensor], params: dict, outputs: Sequence) -> Tensor:
    (x, indices), sizes, numbers = inputs, params["slice_sizes"], params["dimension_numbers"]
    collapsed, mapped = numbers.collapsed_slice_dims, numbers.start_index_map
    if numbers.operand_batching_dims:
        raise NotImplementedError("a gather with batch dimensions")
    if len(indices.shape) == 1:
        window = tuple(sizes)
        starts = squeezed_parts(graph, indices)
        cut = [(axis, start) for axis, start in zip(mapped, starts, strict=True) if window[axis] != x.shape[axis]]
        _check_start(x, cut, params["mode"], window)
        part = _window(graph, x, cut, window)
        return squeezed(graph, part, collapsed) if collapsed else part
    if len(mapped) != 1 or tuple(collapsed) != tuple(mapped):
        raise NotImplementedError("a gather along several axes")
    axis, shape = mapped[0], outputs[0].shape
    if any(size != length for i, (size, length) in enumerate(zip(sizes, x.shape, strict=True)) if i != axis):
        raise NotImplementedError("a gather of parts of slices")
    where = reshaped(graph, expanded(graph, indices), tuple(indices.shape[:-1]))
    x = expanded(graph, x, frozenset([axis]))
    safe, outside = _inside(graph, where, x.shape[axis], params["mode"])
    name = graph.node("Gather", [named(graph, x, x.axes), dense(graph, safe)], axis=x.axis(axis))
    # Axes of the indices replace the gathered axis in the value; in the shape they lie where `offset_dims` leaves room.
    batch = [i for i in range(len(shape)) if i not in numbers.offset_dims]
    offset = dict(zip([i for i in range(len(x.shape)) if i != axis], numbers.offset_dims, strict=True))
    axes = tuple(new for old in x.axes for new in (batch if old == axis else [offset[old]]))
    gathered = Tensor(tuple(shape), x.dtype, name, axes=axes, repeated=frozenset(offset[i] for i in x.repeated))
    if outside is None:
        return gathered
    wide = [shape[i] if i in batch else 1 for i in range(len(shape))]
    mask = dataclasses.replace(reshaped(graph, outside, tuple(wide)), shape=tuple(shape))
    mask = dataclasses.replace(mask, repeated=frozenset(i for i in range(len(shape)) if i not in batch))
    return apply(graph, "Where", [mask, constant(np.array(np.nan, x.dtype)), gathered], x.dtype)


def squeezed_parts(graph: Graph, vector: Tensor) -> list[Tensor]:
    """Return the elements of a vector as scalars."""
    if vector.constant is not None:
        return [constant(number) for number in np.broadcast_to(vector.constant, vector.shape)]
    return [squeezed(graph, part, [0]) for part in _split_nodes(graph, vector, 0, [1] * vector.shape[0])]


def _check_start(x: Tensor, cut: list[tuple[int, Tensor]], mode: Any, window: tuple[Dim, ...]) -> None:
    """Refuse windows that may leave the array and would then be filled."""
    if mode != lax.GatherScatterMode.FILL_OR_DROP:
        return
    for axis, start in cut:
        at = start.constant
        if at is None or is_symbolic_dim(x.shape[axis]) or not 0 <= at.item() <= x.shape[axis] - window[axis]:
            raise NotImplementedError("a gather of windows that may leave the array")


def _inside(graph: Graph, where: Tensor, length: Dim, mode: Any) -> tuple[Tensor, Tensor | None]:
    """Return indices within an axis, and where they had left it if elements there are filled."""
    if mode == lax.GatherScatterMode.PROMISE_IN_BOUNDS:
        return where, None
    indices = where.constant
    if indices is not None and not is_symbolic_dim(length) and ((indices >= 0) & (indices < length)).all():
        return where, None
    last = cast(graph, value(graph.node("Squeeze", [graph.size(length - 1)]), (), np.int64), where.dtype)
    zero = constant(np.zeros((), where.dtype))
    safe = apply(graph, "Min", [apply(graph, "Max", [where, zero], where.dtype), last], where.dtype)
    if mode == lax.GatherScatterMode.CLIP:
        return safe, None
    return safe, apply(graph, "Not", [apply(graph, "Equal", [safe, where], np.bool_)], np.bool_)
