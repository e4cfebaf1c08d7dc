"""Arithmetic of a network, counted from the shapes of its program."""

import math
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from ..layers import conv


def flops_per_megapixel(model: nn.Module) -> float:
    """Floating-point operations for an image of 2**20 pixels.

    Counts convolutions and matrix products, two operations per multiply-add, bodies of scans times their length;
    element-wise work is left out, as is usual.

    Args:
        model: a restorer network.

    Returns:
        Operations; no network is run.

    Example:
        >>> from restorax.models import DnCNN
        >>> round(flops_per_megapixel(DnCNN()) / 1e12, 2)
        1.16
    """
    side = 1024
    image = jax.ShapeDtypeStruct((1, side, side, model.channels), jnp.float32)
    condition = None
    if model.condition_channels:
        condition = jax.ShapeDtypeStruct((1, side, side, model.condition_channels), jnp.float32)
    variables = jax.eval_shape(model.init, jax.random.key(0), image, condition)
    return flops(model.apply, variables, image, condition)


def flops(function: Callable[..., Any], *arguments: Any) -> float:
    """Floating-point operations of a function of arrays, counted as in :func:`flops_per_megapixel`.

    Where the platform decides between forms of a computation, the largest counts.

    Args:
        function: is traced, not run.
        *arguments: arrays, or their shapes.

    Returns:
        Operations.

    Example:
        >>> flops(jnp.dot, jnp.ones((2, 3)), jnp.ones((3, 4)))
        48.0
    """
    # Another backend's convolutions would be opaque calls.
    backend, conv.conv_bias_act = conv.conv_bias_act, conv.xla_conv_bias_act
    try:
        program = jax.make_jaxpr(function)(*arguments)
    finally:
        conv.conv_bias_act = backend
    return 2.0 * _multiply_adds(program.jaxpr)


def _multiply_adds(jaxpr: Any) -> float:
    total = 0.0
    for equation in jaxpr.eqns:
        name, parameters = equation.primitive.name, equation.params
        if name == "conv_general_dilated":
            kernel = equation.invars[1].aval.shape
            out = equation.outvars[0].aval.shape
            out_features = kernel[parameters["dimension_numbers"].rhs_spec[0]]
            total += math.prod(out) * math.prod(kernel) / out_features
        elif name == "dot_general":
            contracted = parameters["dimension_numbers"][0][0]
            inner = math.prod(equation.invars[0].aval.shape[i] for i in contracted)
            total += math.prod(equation.outvars[0].aval.shape) * inner
        elif name == "cond":
            total += max(_multiply_adds(branch.jaxpr) for branch in parameters["branches"])
        else:
            times = parameters["length"] if name == "scan" else 1
            for inner_jaxpr in _inner(parameters):
                total += times * _multiply_adds(inner_jaxpr)
    return total


def _inner(parameters: dict[str, Any]) -> list[Any]:
    """Programs inside an equation (jit, scan, custom rules)."""
    found = []
    for value in parameters.values():
        for part in value if isinstance(value, (tuple, list)) else (value,):
            part = getattr(part, "jaxpr", part)
            if hasattr(part, "eqns"):
                found.append(part)
    return found
