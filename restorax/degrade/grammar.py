"""Parser of degradations written as text, for cards, recipes and the command line; grammar: docs/degradations.md."""

import ast
import math
import operator
from collections.abc import Callable
from typing import Any

from .compose import Chain, Expression, Maybe, OneOf, Op, Shuffle
from .presets import DEGRADATIONS
from .registry import OPERATORS
from .strengths import LogUniform, Uniform

MAX_LENGTH = 10_000
"""Largest number of characters that are parsed."""

_SAMPLERS = {sampler.keyword: sampler for sampler in (Uniform, LogUniform)}
_COMBINATIONS: dict[str, Callable[..., Expression]] = {
    "identity": Chain,
    **{kind.keyword: kind for kind in (OneOf, Maybe, Shuffle)},
}
_ARITHMETIC = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def parse(text: str) -> Expression:
    """Parse a degradation such as ``gaussian_noise(sigma=uniform(0, 55/255)) + jpeg(quality=30)``.

    Degradations are combined by ``a + b``, ``one_of(a, b, ...)``, ``maybe(a, probability=0.5)`` and
    ``shuffle(a, b, ...)``; ``identity()`` changes nothing. Strengths are numbers, ``+ - * /``, strings and the samplers
    ``uniform(low, high)`` and ``log_uniform(low, high)``. Nothing is executed.

    Args:
        text: name of a preset in ``DEGRADATIONS``, or operators with their strengths, joined by ``+`` in the order of
            application; at most 10,000 characters.

    Returns:
        An immutable value, callable as ``(key, clean) -> Observation``; parsing its ``str()`` gives an equal value.

    Raises:
        ValueError: if the text is invalid; the message quotes the invalid part and states what is accepted.

    Example:
        >>> import jax
        >>> noise = parse("gaussian_noise(sigma=25/255)")
        >>> noise(jax.random.key(0), jax.numpy.zeros((8, 8, 1))).image.shape
        (8, 8, 1)
        >>> noise == parse(str(noise))
        True
    """
    text = text.strip()
    if text in DEGRADATIONS:
        return DEGRADATIONS[text]
    if len(text) > MAX_LENGTH:
        raise ValueError(f"A degradation must have at most {MAX_LENGTH} characters, got {len(text)}.")
    shown = text if len(text) < 200 else f"{text[:200]}..."
    try:
        return _degradation(ast.parse(text, mode="eval").body)
    except SyntaxError as error:
        raise ValueError(
            f"Degradation {shown!r} cannot be parsed: {error.msg}; expected text such as "
            "'gaussian_noise(sigma=25/255)'."
        ) from None
    except (RecursionError, MemoryError):
        raise ValueError(f"Degradation {shown!r} is nested too deeply.") from None


def _degradation(node: ast.expr) -> Expression:
    """Convert a sum."""
    parts = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        parts.append(_degradation(node.right))
        node = node.left
    first = _call(node)
    return Chain(first, *reversed(parts)) if parts else first


def _call(node: ast.expr) -> Expression:
    """Convert an operator or a combination."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
        raise ValueError(f"{ast.unparse(node)!r} is not an operator with its strengths, like 'jpeg(quality=30)'.")
    name, options = node.func.id, {k.arg: _value(k.value) for k in node.keywords if k.arg is not None}
    if len(options) < len(node.keywords):
        raise ValueError(f"{ast.unparse(node)!r} must give every strength once and by name.")
    try:
        if name == "identity" and node.args:
            raise ValueError(f"{ast.unparse(node)!r} must be 'identity()', without arguments.")
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
    """Convert a strength."""
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
    samplers = " and ".join(f"{name}(low, high)" for name in _SAMPLERS)
    raise ValueError(
        f"{ast.unparse(node)!r} is not a strength; accepted are numbers, + - * /, strings, tuples, {samplers}."
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
