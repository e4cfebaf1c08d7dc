"""What recurrence is worth: variants of one network at equal parameters, trained alike.

python -m benchmarks.ablation --data DIR --validate DIR --degradation "missing_pixels(missing=0.8)" --steps 2500
"""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from restorax import data
from restorax.degrade import parse
from restorax.evaluate import evaluate
from restorax.models import MODELS
from restorax.models.count import example
from restorax.recipe import Recipe
from restorax.train.step import build_model, init_state, make_restore, make_step

from .record import record

PARAMETERS = 2_570_068  # of scanunet_s
TIMED = 10  # steps


class Variant(NamedTuple):
    """An architecture and its fields; its widths are chosen so that all variants have about as many parameters."""

    architecture: str
    config: dict[str, Any]


def _scans(levels: tuple[int, ...], **config: bool) -> Variant:
    return Variant("scanunet_s", {"scan_levels": levels, **config})


VARIANTS = {
    f"{place}{suffix}": _scans(levels, **config)
    for place, levels in (("bottleneck", (2,)), ("two_levels", (1, 2)), ("all_levels", (0, 1, 2)))
    for suffix, config in (("", {}), ("_rotating", {"rotate": True}), ("_convolutional", {"recurrent": False}))
}
VARIANTS |= {f"stages_{n}": Variant("stageunet", {"stages": n, "blocks": 2}) for n in (3, 4, 6)}
VARIANTS["plain"] = Variant("resunet_s", {})


def _parameters(variant: Variant) -> int:
    model = MODELS[variant.architecture](**variant.config)
    shapes = jax.eval_shape(model.init, jax.random.key(0), *example(model, 16, 16))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


def matched(variant: Variant, parameters: int) -> Variant:
    """The variant with widths (w, 2 w, 4 w) that give the number of parameters nearest to the one asked for."""

    def at(width: int) -> Variant:
        return variant._replace(config={**variant.config, "widths": (width, 2 * width, 4 * width)})

    low, high = 4, 256
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _parameters(at(middle)) <= parameters else (low, middle)
    return min((at(low), at(high)), key=lambda v: abs(_parameters(v) - parameters))


def recipe_of(variant: Variant, degradation: str, channels: int, **changes: Any) -> Recipe:
    """How a variant is trained; a degradation that says which pixels are known makes the network a masked one."""
    observed = jax.eval_shape(parse(degradation), jax.random.key(0), jnp.zeros((1, 64, 64, channels)))
    fields: dict[str, Any] = {"channels": channels}
    if observed.condition is not None:
        fields |= {"condition_channels": observed.condition.shape[-1], "masked": True}
    return Recipe(
        architecture=variant.architecture,
        config={**variant.config, **fields},
        degradation=degradation,
        evaluation=(degradation,),
        **changes,
    )


def train(recipe: Recipe, source: data.FolderPatches) -> tuple[Any, float]:
    """Averaged parameters after the recipe's steps, and their seconds: steps times the median time of a few.

    Compilation does not count, nor do pauses of a machine that does other things now and then.
    """
    init_key, step_key = jax.random.split(jax.random.key(recipe.seed))
    state, step = init_state(recipe, init_key), jax.jit(make_step(recipe), donate_argnums=0)
    times = []
    for done, patches in enumerate(data.batches(source, batch=recipe.batch, start=0)):
        if done % TIMED == 0:
            jax.block_until_ready(state)
            times.append(time.perf_counter())
        if done == recipe.steps:
            break
        state, metrics = step(state, patches, step_key)
    if not jnp.isfinite(metrics["loss"]):
        raise FloatingPointError(f"the loss of {recipe.architecture} is {metrics['loss']} after {recipe.steps} steps")
    return state.ema, float(np.median(np.diff(times)[1:])) / TIMED * recipe.steps


def _steps_within(seconds: float, recipe: Recipe, source: data.FolderPatches) -> int:
    """How many steps fit into so many seconds, from the time of a few."""
    short = replace(recipe, cycles=(4 * TIMED,))
    return max(1, int(seconds / train(short, source)[1] * short.steps))


def main(
    folder: Path = typer.Option(..., "--data", help="Clean training pictures."),  # noqa: B008
    validate: Path = typer.Option(..., help="Clean test pictures."),  # noqa: B008
    degradation: str = typer.Option(..., help="What is undone, in the language of restorax.degrade.parse."),
    evaluation: list[str] = typer.Option([], help="Degradations to measure under [the trained one]."),  # noqa: B008
    variant: list[str] = typer.Option([], help="Names; all by default."),  # noqa: B008
    steps: int = typer.Option(0, help="Optimiser steps of each variant."),
    seconds: float = typer.Option(0.0, help="Instead of steps: time for each variant."),
    parameters: int = typer.Option(PARAMETERS, help="That the widths are chosen for; 0 leaves the widths alone."),
    batch: int = 8,
    patch: int = 96,
    channels: int = 1,
    seed: list[int] = typer.Option([0], help="Of initialisation, data and degradation."),  # noqa: B008
    dtype: str = "float32",
    learning_rate: float = 2e-3,
    quick: bool = typer.Option(False, "--quick", help="Two steps of one variant, to see that it works; no rows."),
    write: bool = typer.Option(True, help="Append rows to benchmarks/results/ablation.csv."),
) -> None:
    """Train every variant, measure PSNR by the protocol of the cards, print a table, append CSV rows."""
    names = variant or list(VARIANTS)
    if quick:
        names, steps, seconds, parameters, batch, patch, write = names[-1:], 2, 0.0, 0, 2, 32, False
    if unknown := [name for name in names if name not in VARIANTS]:
        raise typer.BadParameter(f"there is no variant {unknown[0]!r}; there are {', '.join(VARIANTS)}")
    if bool(steps) == bool(seconds):
        raise typer.BadParameter("give either --steps or --seconds")
    pictures, console = data.test_images(validate, channels), Console()
    if quick:
        pictures = {key: pictures[key][:64, :64] for key in sorted(pictures)[:1]}
    under = evaluation or [degradation]
    table = Table("variant", "widths", "parameters", "seed", "steps", "seconds", "PSNR dB", title=" | ".join(under))
    for name in names:
        chosen = matched(VARIANTS[name], parameters) if parameters else VARIANTS[name]
        for one in seed:
            options = {"batch": batch, "patch": patch, "dtype": dtype, "learning_rate": learning_rate, "seed": one}
            recipe = recipe_of(chosen, degradation, channels, cycles=(max(steps, 1),), **options)
            source = data.FolderPatches(folder, size=patch, channels=channels, seed=one)
            if seconds:
                recipe = replace(recipe, cycles=(_steps_within(seconds, recipe, source),))
            params, took = train(recipe, source)
            restore = jax.jit(make_restore(recipe))
            rows = []
            for text in under:
                result = evaluate(
                    lambda *observed, params=params, restore=restore: restore(params, *observed),
                    pictures,
                    text,
                    dataset=validate.resolve().name,
                )
                rows.append(
                    {
                        "variant": name,
                        "widths": "x".join(map(str, build_model(recipe).widths)),
                        "parameters": sum(leaf.size for leaf in jax.tree.leaves(params)),
                        "trained": degradation,
                        "steps": recipe.steps,
                        "batch": batch,
                        "patch": patch,
                        "dtype": dtype,
                        "seed": one,
                        "seconds": took,
                        "dataset": result.dataset,
                        "images": result.images,
                        "degradation": text,
                        "input_psnr": result.input_psnr,
                        "psnr": result.psnr,
                    }
                )
            quality = " | ".join(f"{row['psnr']:.2f}" for row in rows)
            shown = ("variant", "widths", "parameters", "seed", "steps")
            table.add_row(*(str(rows[0][key]) for key in shown), f"{took:.0f}", quality)
            console.print(f"{name}, seed {one}: {quality} dB after {recipe.steps} steps, {took:.0f} s")
            if write:
                record("ablation", rows)
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
