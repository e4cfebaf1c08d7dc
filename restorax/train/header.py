"""Header of a training run: what will run, on which devices, and what is written where."""

import jax
from rich.console import Console
from rich.table import Table

from ..data import FolderPatches, Patches
from ..recipe import Recipe, Stage
from .plan import Plan
from .publish import detected_hardware


def header(plan: Plan, done: int) -> list[tuple[str, str]]:
    """Describe a training run before its first step.

    Args:
        plan: the training run.
        done: steps so far; more than 0 if the run resumes.

    Returns:
        Names and values, in the order of printing.
    """
    recipe, options = plan.recipe, plan.options
    rows = [
        ("training", f"{plan.name}: {recipe.architecture}, {_parameters(plan):,} parameters, {recipe.dtype}"),
        ("devices", _devices(plan)),
        ("images", _images(plan.source)),
        ("validation", f"{_count(len(plan.validation), 'image')}, every {options.validate_every:,} steps"),
        *((f"stage {number}", _stage(stage)) for number, stage in enumerate(recipe.stages, 1)),
        ("start", _start(recipe, done)),
        ("output", f"{plan.workdir}: checkpoints/, log.jsonl, {plan.name}/ (the zoo entry), report.md at the end"),
        ("stop", "Ctrl-C or SIGTERM saves a checkpoint; the same command resumes"),
    ]
    if jax.process_count() > 1 and jax.default_backend() == "cpu":
        rows.append(("note", "lines that begin with [Gloo] report connections between processes, not errors"))
    return rows


def print_header(console: Console, plan: Plan, done: int) -> None:
    """Print the header of a training run, long values on several lines."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in header(plan, done):
        grid.add_row(name, value)
    console.print(grid, highlight=False, markup=False)


def _parameters(plan: Plan) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(plan.layout.params))


def _devices(plan: Plan) -> str:
    copies, shards = plan.mesh.shape["data"], plan.mesh.shape["model"]
    used = f"{plan.mesh.size} of {_count(jax.device_count(), f'{jax.default_backend()} device')}"
    processes = f" in {jax.process_count()} processes" if jax.process_count() > 1 else ""
    mesh = f"mesh of {copies} x {shards}: {copies} {'copy' if copies == 1 else 'copies'} of the parameters"
    sharded = f", each sharded over {shards} devices" if shards > 1 else ""
    return f"{used}{processes} ({detected_hardware()}); {mesh}{sharded}"


def _images(source: Patches) -> str:
    # A folder is decoded at the start, a dataset on demand.
    decoded = isinstance(source, FolderPatches)
    skipped = f"{len(source.skipped)} skipped as unusable" if decoded else "unusable ones are named when they are read"
    return f"{source.title}; {skipped}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _stage(stage: Stage) -> str:
    batch = f"batch {stage.batch}" + (f" in {stage.accumulate} parts" if stage.accumulate > 1 else "")
    rate = f"learning rate {stage.learning_rate:g}"
    return f"{stage.steps:,} steps, {batch}, patch {stage.patch}, loss {stage.loss}, {rate}, {stage.degradation}"


def _start(recipe: Recipe, done: int) -> str:
    if done:
        return f"resuming after step {done:,} of {recipe.steps:,}"
    return f"step 0 of {recipe.steps:,}, {'parameters of ' + recipe.start if recipe.start else 'random parameters'}"
