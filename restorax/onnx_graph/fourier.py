"""Complex numbers as pairs of real arrays, and Fourier transforms as products with their matrices.

ONNX has a transform, DFT. For sides that are no power of two, onnxruntime 1.32 computes it with errors of 1e-5 of the
largest value; products are exact to rounding, and every runtime has them.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.export import is_symbolic_dim

from .elementwise import apply, cast
from .graph import Dim, Graph
from .products import product
from .rules import RULES, Rule
from .shaping import permuted
from .tensor import Complex, Tensor, constant

Array = Tensor | Complex

COMPLEX_RULES: dict[str, Rule] = {}
"""Rules of primitives with complex inputs or outputs."""

_BY_PARTS = (
    *("reshape", "squeeze", "transpose", "broadcast_in_dim", "slice", "pad", "concatenate", "stack", "rev"),
    *("add", "sub", "neg", "gather", "dynamic_slice", "reduce_sum", "copy"),
)


def is_complex(x: Array) -> bool:
    """Tell whether an array is complex."""
    return isinstance(x, Complex) or x.dtype.kind == "c"


def parts(x: Array) -> tuple[Tensor, Tensor]:
    """Return the real and the imaginary part of a complex array, or of a real one."""
    if isinstance(x, Complex):
        return x.real, x.imag
    if x.constant is None:
        return x, _zeros(x.shape)
    real, imag = np.real(x.constant), np.imag(x.constant)
    first = dataclasses.replace(x, dtype=real.dtype, constant=real)
    return first, dataclasses.replace(x, dtype=imag.dtype, constant=imag)


def _zeros(shape: tuple[Dim, ...]) -> Tensor:
    zero, axes = constant(np.zeros((1,) * len(shape), np.float32)), range(len(shape))
    return dataclasses.replace(zero, shape=shape, repeated=frozenset(a for a in axes if str(shape[a]) != "1"))


def _by_parts(name: str) -> Rule:
    def both(graph: Graph, inputs: Sequence[Array], params: dict, outputs: Sequence) -> Complex:
        real = [jax.ShapeDtypeStruct(output.shape, np.float32) for output in outputs]
        halves = zip(*map(parts, inputs), strict=True)
        return Complex(*(RULES[name](graph, list(half), params, real) for half in halves))

    return both


COMPLEX_RULES.update({name: _by_parts(name) for name in _BY_PARTS})


def _rule(name: str) -> Callable[[Rule], Rule]:
    def register(function: Rule) -> Rule:
        COMPLEX_RULES[name] = function
        return function

    return register


def _sum(graph: Graph, a: Tensor, b: Tensor, op: str = "Add") -> Tensor:
    return apply(graph, op, [a, b], a.dtype)


def _times(graph: Graph, a: Tensor, b: Tensor) -> Tensor:
    return apply(graph, "Mul", [a, b], a.dtype)


def _multiplied(graph: Graph, a: Array, b: Array) -> Complex:
    (ar, ai), (br, bi) = parts(a), parts(b)
    real = _sum(graph, _times(graph, ar, br), _times(graph, ai, bi), "Sub")
    return Complex(real, _sum(graph, _times(graph, ar, bi), _times(graph, ai, br)))


@_rule("mul")
def _mul(graph: Graph, inputs: Sequence[Array], params: dict, outputs: Sequence) -> Complex:
    return _multiplied(graph, *inputs)


@_rule("div")
def _div(graph: Graph, inputs: Sequence[Array], params: dict, outputs: Sequence) -> Complex:
    numerator, (br, bi) = inputs[0], parts(inputs[1])
    if bi.constant is not None and not bi.constant.any():
        return Complex(*(apply(graph, "Div", [part, br], part.dtype) for part in parts(numerator)))
    power = _sum(graph, _times(graph, br, br), _times(graph, bi, bi))
    product_ = _multiplied(graph, numerator, Complex(br, apply(graph, "Neg", [bi], bi.dtype)))
    return Complex(*(apply(graph, "Div", [part, power], part.dtype) for part in (product_.real, product_.imag)))


@_rule("conj")
def _conj(graph: Graph, inputs: Sequence[Array], params: dict, outputs: Sequence) -> Complex:
    real, imag = parts(inputs[0])
    return Complex(real, apply(graph, "Neg", [imag], imag.dtype))


@_rule("real")
def _real(graph: Graph, inputs: Sequence[Array], params: dict, outputs: Sequence) -> Tensor:
    return parts(inputs[0])[0]


@_rule("imag")
def _imag(graph: Graph, inputs: Sequence[Array], params: dict, outputs: Sequence) -> Tensor:
    return parts(inputs[0])[1]


@_rule("complex")
def _complex(graph: Graph, inputs: Sequence[Array], params: dict, outputs: Sequence) -> Complex:
    return Complex(*(parts(x)[0] for x in inputs))


@_rule("convert_element_type")
def _convert(graph: Graph, inputs: Sequence[Array], params: dict, outputs: Sequence) -> Array:
    real, imag = parts(inputs[0])
    if np.dtype(params["new_dtype"]).kind == "c":
        return Complex(cast(graph, real, np.float32), cast(graph, imag, np.float32))
    return cast(graph, real, params["new_dtype"])


@_rule("fft")
def _fft(graph: Graph, inputs: Sequence[Array], params: dict, outputs: Sequence) -> Array:
    (x,), lengths, kind = inputs, params["fft_lengths"], jax.lax.FftType(params["fft_type"]).name
    if any(map(is_symbolic_dim, lengths)):
        raise NotImplementedError("images of any size")
    rank = len(parts(x)[0].shape)
    axes = range(rank - len(lengths), rank)
    sign = 1 if kind in ("IFFT", "IRFFT") else -1
    for axis, length in reversed(list(zip(axes, lengths, strict=True))):
        last = axis == rank - 1
        if last and kind == "IRFFT":
            continue
        frequencies = length // 2 + 1 if last and kind == "RFFT" else length
        x = _transformed(graph, x, axis, *_waves(length, length, frequencies, sign), scale=sign == 1)
    if kind != "IRFFT":
        return x
    length = lengths[-1]
    cosine, sine = _waves(length, length // 2 + 1, length, 1)
    # Each frequency stands for its negative, too, except the mean and the highest of an even length.
    weights = np.where((np.arange(length // 2 + 1) * 2) % length == 0, 1, 2)[:, None] / length
    real, imag = (_dot(graph, part, rank - 1, weights * w) for part, w in zip(parts(x), (cosine, sine), strict=True))
    return _sum(graph, real, imag, "Sub")


def _waves(length: int, rows: int, columns: int, sign: int) -> tuple[np.ndarray, np.ndarray]:
    """Return real and imaginary part of the matrix of a transform."""
    turns = np.outer(np.arange(rows), np.arange(columns)) % length * (2 * np.pi / length)
    return np.cos(turns), sign * np.sin(turns)


def _transformed(graph: Graph, x: Array, axis: int, cosine: np.ndarray, sine: np.ndarray, *, scale: bool) -> Complex:
    factor = 1 / len(cosine) if scale else 1
    by = lambda part, matrix: _dot(graph, part, axis, factor * matrix)  # noqa: E731
    real, imag = parts(x)
    if not isinstance(x, Complex):
        return Complex(by(real, cosine), by(real, sine))
    both = _sum(graph, by(real, cosine), by(imag, sine), "Sub")
    return Complex(both, _sum(graph, by(real, sine), by(imag, cosine)))


def _dot(graph: Graph, x: Tensor, axis: int, matrix: np.ndarray) -> Tensor:
    """Multiply an axis of a tensor by a matrix."""
    rank, weights = len(x.shape), constant(matrix.astype(np.float32))
    order = [a for a in range(rank) if a != axis]
    shape = (*(x.shape[a] for a in order), matrix.shape[1])
    numbers = (((axis,), (0,)), ((), ()))
    result: Any = product(graph, [x, weights], numbers, jax.ShapeDtypeStruct(shape, np.float32))
    return permuted(result, [*range(axis), rank - 1, *range(axis, rank - 1)])
