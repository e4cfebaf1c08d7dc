"""The training directory: which recipe it belongs to, the entry so far, files written atomically or to a bucket."""

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from etils import epath

from .. import zoo
from ..files import is_remote, write_atomically
from ..recipe import Recipe, read_recipe, write_recipe
from ..typed_json import read_object, to_json


def check_same_training(workdir: epath.Path, recipe: Recipe, validation: list[str]) -> None:
    """Refuse to continue the training of another recipe, or with other validation images.

    Further stages continue a training.

    Args:
        workdir: training directory.
        recipe: what is to be trained now.
        validation: names of the validation images.

    Raises:
        ValueError: if the directory holds something else.
    """
    path = workdir / "recipe.json"
    if not path.exists():
        return
    before = read_recipe(path)
    if recipe.stages[: len(before.stages)] == before.stages:
        before = dataclasses.replace(before, stages=recipe.stages)
    old, new = to_json(before), to_json(recipe)
    if different := sorted(key for key in new if new[key] != old[key]):
        changes = ", ".join(_change(key, old[key], new[key]) for key in different)
        raise ValueError(f"{workdir} holds a training of another recipe ({changes}); give another --workdir")
    shown = read_object(path).get("validation", validation)
    if shown != validation:
        # PSNR on two sets does not tell which step is the best.
        seen, given = (f"{len(names)} image(s), {min(names, default='none')} first" for names in (shown, validation))
        raise ValueError(f"{workdir} was validated on {seen}, not on {given}; give those, or another --workdir")


def _change(key: str, old: Any, new: Any) -> str:
    """What differs in a field; of stages, the first field that does."""
    if key == "stages":
        for number, (one, other) in enumerate(zip(old, new, strict=False), 1):
            for name in one:
                if one[name] != other[name]:
                    return f"{name} of stage {number} was {one[name]!r} and is {other[name]!r}"
        return f"there were {len(old)} stages and are {len(new)}"
    return f"{key} was {old!r} and is {new!r}"


def remember(workdir: epath.Path, recipe: Recipe, validation: list[str]) -> None:
    """Write ``recipe.json``: what the directory trains, and the names of its validation images."""
    workdir.mkdir(parents=True, exist_ok=True)
    write_atomically(workdir / "recipe.json", write_recipe(recipe, validation=validation))


def published(entry: epath.Path) -> zoo.Restorer | None:
    """The entry of a training so far, if there is one that can be read."""
    try:
        return zoo.load(entry)
    except (OSError, ValueError):
        return None


def deliver(target: epath.Path, write: Callable[[Path], Any]) -> None:
    """Let a function that writes into local folders write into any."""
    if not is_remote(target):
        target.mkdir(parents=True, exist_ok=True)
        write(Path(target))
        return
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        for path in Path(folder).rglob("*"):
            if path.is_file():
                there = target / str(path.relative_to(folder))
                there.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(there, path.read_bytes())
