"""Losses that need no clean images, one file each; the text of a stage names them with their settings."""

import functools
import inspect
import re
from collections.abc import Callable
from typing import Any

from ...types import Array
from .base import Restore, draw_noise
from .neighbor2neighbor import neighbor2neighbor
from .noise2noise import noise2noise
from .noise2self import noise2self
from .noise2void import noise2void
from .recorrupted import recorrupted
from .sure import sure

__all__ = ["LOSSES", "parse_self_supervised"]

Loss = Callable[[Restore, Array, Array, Array], Array]

LOSSES: dict[str, Callable[..., Array]] = {
    function.__name__: function
    for function in (noise2noise, neighbor2neighbor, noise2void, noise2self, sure, recorrupted)
}
"""Losses by name: ``(restore, keys, noisy, target, **settings) -> scalar``."""

_CALL = re.compile(r"(\w+)(?:\((.*)\))?")
_NUMBER = re.compile(r"(\d+\.?\d*(?:[eE]-?\d+)?|\.\d+)(?:\s*/\s*(\d+\.?\d*))?")


def parse_self_supervised(text: str) -> Loss | None:
    """Parse a loss such as ``neighbor2neighbor`` or ``sure(sigma=25/255)``.

    Args:
        text: a name from ``LOSSES``, with settings in parentheses.

    Returns:
        A function ``(restore, keys, noisy, target) -> scalar``; ``None`` if the text begins with another name.

    Raises:
        ValueError: if a setting is unknown, missing or of the wrong type.

    Example:
        >>> parse_self_supervised("l1") is None
        True
    """
    match = _CALL.fullmatch(text.strip())
    if match is None or match[1] not in LOSSES:
        return None
    function = LOSSES[match[1]]
    known = _settings(function)
    settings = {}
    for part in (match[2] or "").split(",") if (match[2] or "").strip() else ():
        name, _, value = (side.strip() for side in part.partition("="))
        if name not in known:
            raise ValueError(f"loss {text!r}: unknown setting {name!r}; {match[1]} takes {', '.join(known) or 'none'}")
        kind = float if known[name].default is known[name].empty else type(known[name].default)
        settings[name] = _value(value, kind, text)
    for name, parameter in known.items():
        if parameter.default is parameter.empty and name not in settings:
            raise ValueError(f"loss {text!r} requires {name}, e.g. {match[1]}({name}=25/255)")
    return functools.partial(function, **settings)


def _settings(function: Callable) -> dict[str, inspect.Parameter]:
    """Return the settings of a loss by name; ``**level`` stands for those of the noise."""
    parameters = inspect.signature(function).parameters.values()
    noise = _settings(draw_noise) if any(p.kind is p.VAR_KEYWORD for p in parameters) else {}
    return noise | {p.name: p for p in parameters if p.kind is p.KEYWORD_ONLY}


def _value(text: str, kind: type, loss: str) -> Any:
    match = _NUMBER.fullmatch(text)
    if kind is bool and text in ("True", "False"):
        return text == "True"
    if kind is int and text.isdigit():
        return int(text)
    if kind is float and match is not None:
        return float(match[1]) / float(match[2] or 1)
    accepted = {bool: "True or False", int: "an integer", float: "a number"}[kind]
    raise ValueError(f"loss {loss!r}: {text!r} must be {accepted}")
