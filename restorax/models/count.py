"""What a network costs: arithmetic and memory, counted from the shapes of its program; nothing is run."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax

from ..layers import conv
from .base import RestorationNetwork
from .receptive_field import measure_receptive_field


@dataclass(frozen=True)
class Summary:
    """Cost of a network for one image; printing it gives a table.

    Attributes:
        parameters: number of parameters.
        multiply_adds: of convolutions and matrix products; bodies of scans times their length.
        forward_bytes: activations of a forward pass: the most that is alive at once when every operation of the program
            runs in turn, and element-wise ones overwrite what is no longer needed. Parameters and input not counted.
        training_bytes: activations that a training step keeps from the forward for the backward pass.
        receptive_field: side in pixels of what an output pixel sees; ``None`` means the whole image.
    """

    parameters: int
    multiply_adds: int
    forward_bytes: int
    training_bytes: int
    receptive_field: int | None

    def __str__(self) -> str:
        """One line per number."""
        field = f"{self.receptive_field} px" if self.receptive_field else "whole image"
        rows = (
            ("parameters", f"{self.parameters:,}"),
            ("multiply-adds", f"{self.multiply_adds / 1e9:.2f} G"),
            ("activations, forward", f"{self.forward_bytes / 2**20:.1f} MiB"),
            ("activations, training", f"{self.training_bytes / 2**20:.1f} MiB"),
            ("receptive field", field),
        )
        return "\n".join(f"{name:<22} {value}" for name, value in rows)


def summary(model: RestorationNetwork, height: int, width: int) -> Summary:
    """Count parameters, arithmetic and memory of a network for one image.

    Args:
        model: a restorer network.
        height: rows of the image.
        width: columns of the image.

    Returns:
        The numbers; ``print`` shows them.

    Raises:
        ValueError: if a side is smaller than 1.

    Example:
        >>> from restorax.models import DnCNN
        >>> print(summary(DnCNN(), 256, 256))
        parameters             555,137
        multiply-adds          36.31 G
        activations, forward   32.0 MiB
        activations, training  320.2 MiB
        receptive field        35 px
    """
    if min(height, width) < 1:
        raise ValueError(f"an image of {height} x {width} pixels is empty; both sides must be at least 1")
    observed = model.input_shapes(height, width)
    variables = jax.eval_shape(model.init, jax.random.key(0), *observed)
    forward = _program(model.apply, variables, *observed)
    # The leaves of a backward function are what it keeps.
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
    """Floating-point operations for an image of 2**20 pixels.

    Counts convolutions and matrix products, two operations per multiply-add, bodies of scans times their length;
    element-wise work and Fourier transforms are left out, as is usual.

    Args:
        model: a restorer network.

    Returns:
        Operations; no network is run.

    Example:
        >>> from restorax.models import DnCNN
        >>> round(flops_per_megapixel(DnCNN()) / 1e12, 2)
        1.16
    """
    observed = model.input_shapes(1024, 1024)
    variables = jax.eval_shape(model.init, jax.random.key(0), *observed)
    return flops(model.apply, variables, *observed)


def flops(function: Callable[..., Any], *arguments: Any) -> float:
    """Floating-point operations of a function of arrays, counted as in :func:`flops_per_megapixel`.

    Where the platform decides between forms of a computation, the largest counts.

    Args:
        function: is traced, not run.
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
            # Branches are forms of one computation, one per platform.
            total += (parameters["length"] if name == "scan" else 1) * (max if name == "cond" else sum)(inside or [0])
    return total


def _needed(jaxpr: Any) -> list[Any]:
    """The equations on which the results depend; a compiler drops the others."""
    wanted, needed = {id(v) for v in jaxpr.outvars}, []
    for equation in reversed(jaxpr.eqns):
        if any(id(v) in wanted for v in equation.outvars):
            needed.append(equation)
            wanted |= {id(v) for v in equation.invars}
    return needed


def _peak(jaxpr: Any, images: int | None = None) -> int:
    """Most bytes alive at once while a program runs, of what depends on its last inputs (all), without these."""
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
    """What depends on the last inputs of a program (all) and is none of them."""
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
    """Programs inside an equation (jit, scan, custom rules)."""
    found = []
    for value in parameters.values():
        for part in value if isinstance(value, (tuple, list)) else (value,):
            part = getattr(part, "jaxpr", part)
            if hasattr(part, "eqns"):
                found.append(part)
    return found
