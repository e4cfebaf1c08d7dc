"""Convert dataclasses to and from JSON, with type checks."""

import dataclasses
import json
import typing
from collections.abc import Iterator
from typing import Any, TypeVar

from .files.atomic import AnyPath

T = TypeVar("T")


def read_object(path: AnyPath) -> dict[str, Any]:
    """Read a file that holds one JSON object.

    Args:
        path: a local or ``etils.epath`` path.

    Returns:
        The object.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not a JSON object.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a JSON object, got {type(content).__name__}")
    return content


def from_json(cls: type[T], content: dict[str, Any], source: str) -> T:
    """Build a dataclass from JSON values.

    Args:
        cls: dataclass, possibly nested.
        content: its fields as JSON values.
        source: name of the source in error messages.

    Returns:
        The instance; lists become tuples in fields of tuple type.

    Raises:
        ValueError: if a field is missing, unknown or of the wrong type.

    Example:
        >>> from restorax.recipe import Stage
        >>> from_json(Stage, {"steps": "many", "degradation": "jpeg(quality=10)"}, "recipe.json")
        Traceback (most recent call last):
        ValueError: recipe.json: Expected `int`, got `str` - at `$.steps`
    """
    import msgspec

    if unknown := sorted(_unknown(cls, content)):
        raise ValueError(f"{source} has unknown fields: {', '.join(unknown)}")
    try:
        return msgspec.convert(content, cls)
    except msgspec.MsgspecError as error:
        raise ValueError(f"{source}: {error}") from None


def to_json(value: Any) -> Any:
    """Convert a dataclass to JSON values, the inverse of :func:`from_json`."""
    import msgspec

    return msgspec.to_builtins(dataclasses.asdict(value))  # asdict keeps None fields, which msgspec omits


def _unknown(cls: Any, content: Any) -> Iterator[str]:
    """Yield names in JSON values that are not fields of the dataclass or its nested dataclasses."""
    if not dataclasses.is_dataclass(cls):
        inner = typing.get_args(cls)
        if isinstance(content, list):
            for value in content:
                yield from (name for one in inner for name in _unknown(one, value))
        elif dataclasses.is_dataclass(next(iter(inner), None)):  # a dataclass or None
            yield from _unknown(inner[0], content)
        return
    if isinstance(content, dict):
        types = typing.get_type_hints(cls)
        for name, value in content.items():
            if name in types:
                yield from _unknown(types[name], value)
            else:
                yield name
