"""Degradations as text, for cards, recipes and the command line: ``docs/degradations.md`` has the grammar."""

import ast
import math
import operator
from collections.abc import Callable
from typing import Any

from .compose import Chain, Expression, Maybe, OneOf, Op, Shuffle
from .presets import DEGRADATIONS
from .registry import OPERATORS
from .strengths import LogUniform, Uniform

LONGEST = 10_000
"""Characters of the longest text that is read."""

_SAMPLERS = {sampler.word: sampler for sampler in (Uniform, LogUniform)}
_COMBINATIONS: dict[str, Callable[..., Expression]] = {kind.word: kind for kind in (OneOf, Maybe, Shuffle)}
_ARITHMETIC = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def parse(text: str) -> Expression:
    """Read a degradation such as ``gaussian_noise(sigma=uniform(0, 55/255)) + jpeg(quality=30)``.

    Besides operators there are ``one_of(a, b, ...)``, ``maybe(a, probability=0.5)`` and ``shuffle(a, b, ...)``, whose
    arguments are degradations again. Only these names, samplers, numbers, strings and ``+ - * /`` are understood;
    nothing is executed.

    Args:
        text: a name from ``DEGRADATIONS``, or operators with their strengths, joined by ``+`` in the order in which
            they act. At most 10,000 characters.

    Returns:
        A frozen value, ``(key, clean) -> Observation``, whose ``str()`` is read back as an equal one.

    Raises:
        ValueError: if the text is not understood; the message names the part and what is accepted.

    Example:
        >>> import jax
        >>> noisy = parse("gaussian_noise(sigma=25/255)")
        >>> noisy(jax.random.key(0), jax.numpy.zeros((8, 8, 1))).image.shape
        (8, 8, 1)
        >>> noisy == parse(str(noisy))
        True
    """
    text = text.strip()
    if text in DEGRADATIONS:
        return DEGRADATIONS[text]
    if len(text) > LONGEST:
        raise ValueError(f"A degradation must have at most {LONGEST} characters, got {len(text)}.")
    shown = text if len(text) < 200 else f"{text[:200]}..."
    try:
        return _degradation(ast.parse(text, mode="eval").body)
    except SyntaxError as error:
        raise ValueError(
            f"Degradation {shown!r} is not understood: {error.msg}; write for example 'gaussian_noise(sigma=25/255)'."
        ) from None
    except (RecursionError, MemoryError):
        raise ValueError(f"Degradation {shown!r} is nested too deeply.") from None


def _degradation(node: ast.expr) -> Expression:
    parts = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        parts.append(_degradation(node.right))
        node = node.left
    first = _call(node)
    return Chain(first, *reversed(parts)) if parts else first


def _call(node: ast.expr) -> Expression:
    """An operator or a combination."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
        raise ValueError(f"{ast.unparse(node)!r} is not an operator with its strengths, like 'jpeg(quality=30)'.")
    name, options = node.func.id, {k.arg: _value(k.value) for k in node.keywords if k.arg is not None}
    if len(options) < len(node.keywords):
        raise ValueError(f"{ast.unparse(node)!r} must give every strength once and by name.")
    try:
        if name in _COMBINATIONS:
            return _COMBINATIONS[name](*map(_degradation, node.args), **options)
        if name not in OPERATORS:
            raise ValueError(f"unknown operator {name!r}; accepted are {', '.join(OPERATORS)}.")
        if node.args:
            raise ValueError(f"{ast.unparse(node)!r} must give strengths by name, like 'jpeg(quality=30)'.")
        return Op(OPERATORS[name], **options)
    except TypeError as error:
        raise ValueError(f"{ast.unparse(node)!r}: {error}") from None


def _value(node: ast.expr) -> Any:
    """A strength."""
    match node:
        case ast.Constant(value=int() | float() | str() | None):
            return _finite(node.value, node)
        case ast.Tuple(elts=elements):
            return tuple(_value(e) for e in elements)
        case ast.UnaryOp(op=ast.USub()):
            return -_number(node.operand)
        case ast.BinOp() if type(node.op) in _ARITHMETIC:
            try:
                value = _ARITHMETIC[type(node.op)](_number(node.left), _number(node.right))
            except ArithmeticError as error:
                raise ValueError(f"{ast.unparse(node)!r}: {error}.") from None
            return _finite(value, node)
        case ast.Call(func=ast.Name(id=name), args=[low, high], keywords=[]) if name in _SAMPLERS:
            return _SAMPLERS[name](_number(low), _number(high))
    raise ValueError(
        f"{ast.unparse(node)!r} is not a strength; accepted are numbers, + - * /, strings, "
        f"{' and '.join(f'{name}(low, high)' for name in _SAMPLERS)}."
    )


def _number(node: ast.expr) -> int | float:
    value = _value(node)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ValueError(f"{ast.unparse(node)!r} must be a number.")
    return value


def _finite(value: Any, node: ast.expr) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{ast.unparse(node)!r} must be finite.")
    return value
