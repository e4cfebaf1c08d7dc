"""Registry: how each primitive of JAX is written in ONNX."""

from collections.abc import Callable
from typing import Any

Rule = Callable[..., Any]

RULES: dict[str, Rule] = {}
"""Rules by primitive: ``rule(graph, inputs, params, outputs)`` adds nodes and returns the output, or a list of them.

``inputs`` are tensors, ``params`` the parameters of the primitive, and ``outputs`` its results' shapes and types.
"""


def rule(*primitives: str) -> Callable[[Rule], Rule]:
    """Register a rule for primitives."""

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(primitives, function))
        return function

    return register
