"""Training directory, local or in a bucket: recipe, current zoo entry and atomic writes."""

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from etils import epath

from .. import zoo
from ..files.atomic import is_remote, write_atomically
from ..recipe import Recipe, read_recipe, write_recipe
from ..typed_json import read_object, to_json


def check_same_training(workdir: epath.Path, recipe: Recipe, validation: list[str]) -> None:
    """Check that a training directory has the same recipe and validation images; stages may be appended.

    Args:
        workdir: training directory.
        recipe: current recipe.
        validation: names of the validation images.

    Raises:
        ValueError: if the recipe or the validation images differ.
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
        raise ValueError(f"{workdir} contains a training of another recipe ({changes}); give another --workdir")
    shown = read_object(path).get("validation", validation)
    if shown != validation:
        # PSNR on different sets is not comparable.
        old, new = (f"{len(names)} image(s), {min(names, default='none')} first" for names in (shown, validation))
        raise ValueError(f"{workdir} was validated on {old}, not on {new}; give those, or another --workdir")


def _change(key: str, old: Any, new: Any) -> str:
    """Describe the change of a field; for stages, of the first field that differs."""
    if key == "stages":
        for number, (one, other) in enumerate(zip(old, new, strict=False), 1):
            for name in one:
                if one[name] != other[name]:
                    return f"{name} of stage {number} was {one[name]!r} and is {other[name]!r}"
        return f"there were {len(old)} stages and are {len(new)}"
    return f"{key} was {old!r} and is {new!r}"


def remember(workdir: epath.Path, recipe: Recipe, validation: list[str]) -> None:
    """Write ``recipe.json``, with the names of the validation images."""
    workdir.mkdir(parents=True, exist_ok=True)
    write_atomically(workdir / "recipe.json", write_recipe(recipe, validation=validation))


def published(entry: epath.Path) -> zoo.Restorer | None:
    """Load the current entry of a training, if there is a readable one."""
    try:
        return zoo.load(entry)
    except (OSError, ValueError):
        return None


def deliver(target: epath.Path, write: Callable[[Path], Any]) -> None:
    """Run a function that writes to a local folder, and copy its files if the target is in a bucket."""
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
