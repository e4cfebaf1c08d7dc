"""Header of a training run: what will run, on which devices, and what is written where."""

import jax
from rich.console import Console
from rich.table import Table

from ..data import TfdsPatches
from ..recipe import Recipe, Stage
from ..sources import Sources
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
        ("images", _images(plan.sources)),
        ("validation", f"{_validation(plan)}, every {options.validate_every:,} steps"),
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


def _images(sources: Sources) -> str:
    # A folder is decoded at the start, a dataset on demand.
    on_demand = any(isinstance(patches, TfdsPatches) for patches in sources.by_kind.values())
    unusable = (
        "unusable ones are named when they are read" if on_demand else f"{len(sources.skipped)} skipped as unusable"
    )
    return "; ".join([sources.title, unusable, *sources.notes])


def _validation(plan: Plan) -> str:
    count, title = len(plan.validation.images), plan.validation.title
    return _count(count, "image") if title == "clean images" else f"{count} held out, {title}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _stage(stage: Stage) -> str:
    batch = f"batch {stage.batch}" + (f" in {stage.accumulate} parts" if stage.accumulate > 1 else "")
    rate = f"learning rate {stage.learning_rate:g}"
    images = stage.degradation if stage.source == "clean" else f"{stage.source} images, {stage.degradation}"
    return f"{stage.steps:,} steps, {batch}, patch {stage.patch}, loss {stage.loss}, {rate}, {images}"


def _start(recipe: Recipe, done: int) -> str:
    if done:
        return f"resuming after step {done:,} of {recipe.steps:,}"
    return f"step 0 of {recipe.steps:,}, {'parameters of ' + recipe.start if recipe.start else 'random parameters'}"
