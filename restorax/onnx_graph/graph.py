"""Build an ONNX graph: nodes, constants and sizes that are known at run time only."""

import ast
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from jax.export import is_symbolic_dim
from onnx import helper, numpy_helper

OPSET = 18
_IR_VERSION = 8  # of the same release of ONNX as the opset
_HALVED = 256  # elements from which constants are stored in half precision if that loses nothing

Dim = Any
"""An integer, or a symbolic size of ``jax.export``."""


class Graph:
    """A graph under construction, or the body of a loop, which sees the values of the graph around it.

    Args:
        parent: the graph around this body; ``None`` for the main graph.

    Example:
        >>> graph = Graph()
        >>> _ = graph.node("Relu", ["x"])
        >>> [node.op_type for node in graph.nodes]
        ['Relu']
    """

    def __init__(self, parent: "Graph | None" = None) -> None:
        self.parent = parent
        self.root: Graph = self if parent is None else parent.root
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.symbols: dict[str, tuple[str, int]] = {}
        self._cache: dict[Any, str] = {}
        self._numbers, self._names = itertools.count(), set[str]()

    def new_name(self) -> str:
        """Return a name that the whole model does not use yet."""
        name = f"v{next(self.root._numbers)}"
        self._names.add(name)
        return name

    def home(self, *names: str) -> "Graph":
        """Return the outermost graph that sees values: what is computed from them there is computed once in a loop."""
        graph = self
        while graph.parent is not None and not graph._names.intersection(names):
            graph = graph.parent
        return graph

    def node(self, op: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Add a node with one output and return the name of that."""
        return self.outputs_of(op, inputs, 1, **attributes)[0]

    def outputs_of(self, op: str, inputs: Sequence[str], count: int, **attributes: Any) -> list[str]:
        """Add a node and return the names of its outputs."""
        outputs = [self.new_name() for _ in range(count)]
        self.nodes.append(helper.make_node(op, list(inputs), outputs, **attributes))
        return outputs

    def rename(self, name: str, output: str) -> None:
        """Let an output of the model hold a value."""
        self.nodes.append(helper.make_node("Identity", [name], [output]))

    def cached(self, key: Any, make: Callable[[], str]) -> str:
        """Return the value made for a key here or in a graph around this one, or make it."""
        graph: Graph | None = self
        while graph is not None:
            if key in graph._cache:
                return graph._cache[key]
            graph = graph.parent
        self._cache[key] = make()
        return self._cache[key]

    def constant(self, array: np.ndarray) -> str:
        """Return the name of a constant; equal constants are stored once."""
        root, array = self.root, np.ascontiguousarray(array).reshape(np.shape(array))
        key = (array.dtype.str, array.shape, array.tobytes())
        return root.cached(key, lambda: root._store(array))

    def _store(self, array: np.ndarray) -> str:
        name = self.new_name()
        if array.dtype == np.float32 and array.size >= _HALVED:
            with np.errstate(over="ignore"):
                half = array.astype(np.float16)
            if np.array_equal(half.astype(np.float32), array):
                self.initializers.append(numpy_helper.from_array(half, name))
                return self.node("Cast", [name], to=onnx.TensorProto.FLOAT)
        self.initializers.append(numpy_helper.from_array(array, name))
        return name

    def size(self, dim: Dim) -> str:
        """Return a size as an int64 tensor of shape ``[1]``."""
        if not is_symbolic_dim(dim):
            return self.constant(np.array([dim], np.int64))
        return self._evaluate(ast.parse(str(dim).replace("^", "**"), mode="eval").body)

    def sizes(self, dims: Sequence[Dim]) -> str:
        """Return sizes as an int64 tensor of shape ``[len(dims)]``."""
        if not any(map(is_symbolic_dim, dims)):
            return self.constant(np.array(dims, np.int64))
        parts, root = [self.size(dim) for dim in dims], self.root
        return root.cached(("sizes", *parts), lambda: root.node("Concat", parts, axis=0))

    def _evaluate(self, expression: ast.expr) -> str:
        """Compute a size from its text, which ``jax.export.symbolic_shape`` can read, in the main graph."""
        root = self.root
        return root.cached(("size", ast.unparse(expression)), lambda: root._compute(expression))

    def _compute(self, expression: ast.expr) -> str:
        match expression:
            case ast.Constant(value=value):
                return self.constant(np.array([value], np.int64))
            case ast.Name(id=symbol):
                source, axis = self.symbols[symbol]
                return self.node("Shape", [source], start=axis, end=axis + 1)
            case ast.BinOp(left=left, op=op, right=right):
                operation = {ast.Add: "Add", ast.Sub: "Sub", ast.Mult: "Mul", ast.Pow: "Pow"}[type(op)]
                return self.node(operation, [self._evaluate(left), self._evaluate(right)])
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return self.node("Neg", [self._evaluate(operand)])
            case ast.Call(func=ast.Name(id="floordiv"), args=[left, right]):
                # ONNX divides towards zero; sizes are not negative, but differences may be.
                a, b = self._evaluate(left), self._evaluate(right)
                return self.node("Div", [self.node("Sub", [a, self.node("Mod", [a, b])]), b])
            case ast.Call(func=ast.Name(id=function), args=[left, right]) if function in ("mod", "max", "min"):
                return self.node(function.capitalize(), [self._evaluate(left), self._evaluate(right)])
        raise NotImplementedError(f"the size {ast.unparse(expression)} has no form in ONNX")

    def model(self, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto]) -> onnx.ModelProto:
        """Return the checked model, without the nodes that no output needs.

        Raises:
            onnx.checker.ValidationError: if the graph is invalid.
        """
        nodes = _needed(self.nodes, {value.name for value in outputs})
        used = {name for node in nodes for name in _uses(node)}
        constants = [constant for constant in self.initializers if constant.name in used]
        graph = helper.make_graph(nodes, "restorer", inputs, outputs, constants)
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="restorax")
        onnx.checker.check_model(model)
        return model


def _uses(node: onnx.NodeProto) -> set[str]:
    """Return the names that a node, or the body of a loop in it, reads."""
    inside = (part for attribute in node.attribute for part in attribute.g.node)
    return set(node.input).union(*map(_uses, inside), *({o.name for o in a.g.output} for a in node.attribute))


def _needed(nodes: Sequence[onnx.NodeProto], wanted: set[str]) -> list[onnx.NodeProto]:
    kept = []
    for node in reversed(nodes):
        if wanted.intersection(node.output):
            wanted = wanted | _uses(node)
            kept.append(node)
    return kept[::-1]
