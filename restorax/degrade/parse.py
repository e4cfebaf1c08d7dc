"""A degradation written as text, for cards, recipes and the command line."""

import ast
import operator

from ..types import Degradation
from . import blur, compression, missing, noise, photometric, resample, sensor, video
from .chain import chain, log_uniform, maybe, one_of, shuffle, stage, uniform
from .presets import DEGRADATIONS

OPERATORS = {
    op.__name__: op
    for op in (
        noise.gaussian_noise,
        noise.correlated_noise,
        noise.uniform_noise,
        noise.speckle_noise,
        noise.salt_and_pepper_noise,
        noise.impulse_noise,
        noise.stripe_noise,
        noise.dead_pixels,
        sensor.shot_noise,
        sensor.camera_noise,
        sensor.emccd_noise,
        sensor.apd_noise,
        missing.missing_pixels,
        missing.missing_blocks,
        missing.missing_strokes,
        missing.missing_lines,
        missing.missing_border,
        missing.missing_overlay,
        missing.bayer_mosaic,
        blur.kernel_blur,
        blur.gaussian_blur,
        blur.anisotropic_blur,
        blur.motion_blur,
        blur.defocus_blur,
        blur.sinc_filter,
        blur.shake_blur,
        compression.jpeg,
        compression.jpeg_straight_through,
        compression.double_jpeg,
        compression.chroma_subsampling,
        resample.low_resolution,
        resample.rescale,
        photometric.low_light,
        photometric.gamma_change,
        photometric.haze,
        photometric.fade,
        photometric.quantisation,
        photometric.palette,
        video.burst,
    )
}
"""Operators by the name under which :func:`parse` knows them."""

_SAMPLERS = {"uniform": uniform, "log_uniform": log_uniform}
_COMBINATIONS = {"one_of": one_of, "maybe": maybe, "shuffle": shuffle}
_ARITHMETIC = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def parse(text: str) -> Degradation:
    """Read a degradation such as ``gaussian_noise(sigma=uniform(0, 55/255)) + jpeg(quality=30)``.

    Besides operators there are ``one_of(a, b, ...)``, ``maybe(a, probability=0.5)`` and ``shuffle(a, b, ...)``, whose
    arguments are degradations again. Only these names, samplers, numbers, strings and ``+ - * /`` are understood;
    nothing is executed.

    Args:
        text: a name from ``DEGRADATIONS``, or operators with their strengths, joined by ``+`` in the order in which
            they act.

    Returns:
        A pure function ``(key, clean) -> Observation``.

    Raises:
        ValueError: if the text is not understood; the message names the part and what is accepted.

    Example:
        >>> import jax
        >>> noisy = parse("gaussian_noise(sigma=25/255)")
        >>> noisy(jax.random.key(0), jax.numpy.zeros((8, 8, 1))).image.shape
        (8, 8, 1)
    """
    text = DEGRADATIONS.get(text.strip(), text.strip())
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError:
        raise ValueError(f"degradation {text!r} is not understood; write e.g. 'gaussian_noise(sigma=25/255)'") from None
    return chain(*_stages(tree))


def _stages(node: ast.expr) -> list[Degradation]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _stages(node.left) + _stages(node.right)
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
        raise ValueError(f"{ast.unparse(node)!r} is not an operator with its strengths, like 'jpeg(quality=30)'")
    if node.func.id in _COMBINATIONS:
        options = {k.arg: _value(k.value) for k in node.keywords if k.arg is not None}
        try:
            return [_COMBINATIONS[node.func.id](*(chain(*_stages(a)) for a in node.args), **options)]
        except TypeError as error:
            raise ValueError(f"{ast.unparse(node)!r}: {error}") from None
    if node.func.id not in OPERATORS:
        raise ValueError(f"unknown operator {node.func.id!r}; there are {', '.join(OPERATORS)}")
    if node.args or any(k.arg is None for k in node.keywords):
        raise ValueError(f"{ast.unparse(node)!r}: give strengths by name, like 'jpeg(quality=30)'")
    try:
        return [stage(OPERATORS[node.func.id], **{k.arg: _value(k.value) for k in node.keywords})]
    except TypeError as error:
        raise ValueError(str(error)) from None


def _value(node: ast.expr):
    match node:
        case ast.Constant(value=int() | float() | str()):
            return node.value
        case ast.Tuple(elts=elements):
            return tuple(_value(e) for e in elements)
        case ast.UnaryOp(op=ast.USub()):
            return -_value(node.operand)
        case ast.BinOp() if type(node.op) in _ARITHMETIC:
            try:
                return _ARITHMETIC[type(node.op)](_value(node.left), _value(node.right))
            except (TypeError, ArithmeticError) as error:
                raise ValueError(f"{ast.unparse(node)!r}: {error}") from None
        case ast.Call(func=ast.Name(id=name), keywords=[]) if name in _SAMPLERS:
            return _SAMPLERS[name](*(_value(a) for a in node.args))
    raise ValueError(f"{ast.unparse(node)!r} is not a strength; numbers, + - * / and {', '.join(_SAMPLERS)} are")
