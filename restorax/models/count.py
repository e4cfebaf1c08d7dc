"""Count parameters, arithmetic and activation memory of a network from its traced program."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import jax

from ..layers import conv
from .base import RestorationNetwork
from .receptive_field import measure_receptive_field


@dataclass(frozen=True)
class Summary:
    """Cost of a network for one image; printing it gives a table.

    Attributes:
        parameters: number of parameters.
        multiply_adds: of convolutions and matrix products; loop bodies count once per iteration.
        forward_bytes: peak memory of activations in a forward pass, if operations run in program order and element-wise
            ones work in place. Parameters and input are not counted.
        training_bytes: memory of activations that a training step stores for the backward pass.
        receptive_field: side in pixels of the receptive field; ``None`` means the whole image.
    """

    parameters: int
    multiply_adds: int
    forward_bytes: int
    training_bytes: int
    receptive_field: int | None

    def __str__(self) -> str:
        """Format as a table, one line per number."""
        field = f"{self.receptive_field} px" if self.receptive_field else "whole image"
        rows = (
            ("parameters", f"{self.parameters:,}"),
            ("multiply-adds", f"{self.multiply_adds / 1e9:.2f} G"),
            ("activations, forward", f"{self.forward_bytes / 2**20:.1f} MiB"),
            ("activations, training", f"{self.training_bytes / 2**20:.1f} MiB"),
            ("receptive field", field),
        )
        return "\n".join(f"{name:<22} {value}" for name, value in rows)


@runtime_checkable
class HasNetwork(Protocol):
    """Something with a network, such as a restorer."""

    @property
    def model(self) -> RestorationNetwork:
        """The network."""
        ...


def summary(model: RestorationNetwork | HasNetwork, height: int = 256, width: int = 256) -> Summary:
    """Count parameters, arithmetic and memory of a network for one image, and measure its receptive field.

    Args:
        model: a network or a restorer.
        height: rows of the image.
        width: columns of the image.

    Returns:
        The counts; ``print`` shows them as a table.

    Raises:
        ValueError: if a side is smaller than 1.

    Example:
        >>> from restorax.models import DnCNN
        >>> print(summary(DnCNN()))
        parameters             555,137
        multiply-adds          36.31 G
        activations, forward   32.0 MiB
        activations, training  320.2 MiB
        receptive field        35 px
    """
    if min(height, width) < 1:
        raise ValueError(f"`height` and `width` must be at least 1, got {height} x {width}")
    if not isinstance(model, RestorationNetwork):
        model = model.model
    observed = model.input_shapes(height, width)
    variables = jax.eval_shape(model.init, jax.random.key(0), *observed)
    forward = _program(model.apply, variables, *observed)
    # The outputs of this program are the arrays that the backward pass stores.
    backward = _program(lambda v, *x: jax.vjp(lambda v: model.apply(v, *x), v)[1], variables, *observed)
    computed = _computed(backward, len(observed))
    kept = {id(v): _bytes(v) for v in backward.outvars if id(v) in computed}
    return Summary(
        parameters=sum(math.prod(p.shape) for p in jax.tree.leaves(variables)),
        multiply_adds=round(_multiply_adds(forward)),
        forward_bytes=_peak(forward, len(observed)),
        training_bytes=sum(kept.values()),
        receptive_field=measure_receptive_field(model),
    )


def flops_per_megapixel(model: RestorationNetwork) -> float:
    """Count floating-point operations for an image of 2**20 pixels.

    Convolutions and matrix products count, with two operations per multiply-add; loop bodies count once per iteration.
    Element-wise operations and Fourier transforms do not count.

    Args:
        model: a restorer network.

    Returns:
        Operations; the network is traced, not run.

    Example:
        >>> from restorax.models import DnCNN
        >>> round(flops_per_megapixel(DnCNN()) / 1e12, 2)
        1.16
    """
    observed = model.input_shapes(1024, 1024)
    variables = jax.eval_shape(model.init, jax.random.key(0), *observed)
    return flops(model.apply, variables, *observed)


def flops(function: Callable[..., Any], *arguments: Any) -> float:
    """Count floating-point operations of a function of arrays, as in :func:`flops_per_megapixel`.

    Of alternatives for different platforms, the most expensive counts.

    Args:
        function: function to count; it is traced, not run.
        *arguments: arrays, or their shapes.

    Returns:
        Operations.

    Example:
        >>> import jax.numpy as jnp
        >>> flops(jnp.dot, jnp.ones((2, 3)), jnp.ones((3, 4)))
        48.0
    """
    return 2.0 * _multiply_adds(_program(function, *arguments))


def _program(function: Callable, *arguments: Any) -> Any:
    with conv.xla_convolutions():  # those of another backend would be opaque calls
        return jax.make_jaxpr(function)(*arguments).jaxpr


def _multiply_adds(jaxpr: Any) -> float:
    total = 0.0
    for equation in _needed(jaxpr):
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
        else:
            inside = [_multiply_adds(inner) for inner in _inner(parameters)]
            # Branches are alternatives for different platforms.
            total += (parameters["length"] if name == "scan" else 1) * (max if name == "cond" else sum)(inside or [0])
    return total


def _needed(jaxpr: Any) -> list[Any]:
    """Return the equations on which the outputs depend; a compiler removes the others."""
    required, needed = {id(v) for v in jaxpr.outvars}, []
    for equation in reversed(jaxpr.eqns):
        if any(id(v) in required for v in equation.outvars):
            needed.append(equation)
            required |= {id(v) for v in equation.invars}
    return needed


def _peak(jaxpr: Any, images: int | None = None) -> int:
    """Return the peak memory of arrays that depend on the last inputs (default: all), without the inputs."""
    last_use = {id(v): i for i, equation in enumerate(jaxpr.eqns) for v in equation.invars}
    last_use |= {id(v): len(jaxpr.eqns) for v in jaxpr.outvars}
    computed = _computed(jaxpr, images)
    alive: dict[int, int] = {}
    most = 0
    for i, equation in enumerate(jaxpr.eqns):
        if not any(id(v) in computed for v in equation.outvars):
            continue
        dying = {id(v) for v in equation.invars if id(v) in alive and last_use[id(v)] == i}
        results = sum(map(_bytes, equation.outvars))
        inside = max((_peak(inner) for inner in _inner(equation.params)), default=0)
        overwritten = sum(alive[v] for v in dying) if _elementwise(equation) else 0
        most = max(most, sum(alive.values()) + max(inside, results) - min(overwritten, results))
        alive |= {id(v): _bytes(v) for v in equation.outvars if id(v) in last_use}
        for v in dying:
            del alive[v]
    return most


def _computed(jaxpr: Any, images: int | None = None) -> set[int]:
    """Return the ids of arrays that depend on the last inputs (default: all), without the inputs."""
    known = {id(v) for v in jaxpr.invars[-images if images else None :]}
    found: set[int] = set()
    for equation in jaxpr.eqns:
        if any(id(v) in known or id(v) in found for v in equation.invars):
            found |= {id(v) for v in equation.outvars}
    return found


def _elementwise(equation: Any) -> bool:
    moving = ("conv_general_dilated", "dot_general", "transpose", "concatenate", "pad", "gather", "scan", "while")
    inner = _inner(equation.params)
    return equation.primitive.name not in moving and all(_elementwise(e) for jaxpr in inner for e in jaxpr.eqns)


def _bytes(variable: Any) -> int:
    return math.prod(variable.aval.shape) * variable.aval.dtype.itemsize


def _inner(parameters: dict[str, Any]) -> list[Any]:
    """Return the programs nested in an equation (jit, scan, custom derivatives)."""
    found = []
    for value in parameters.values():
        for part in value if isinstance(value, (tuple, list)) else (value,):
            part = getattr(part, "jaxpr", part)
            if hasattr(part, "eqns"):
                found.append(part)
    return found
