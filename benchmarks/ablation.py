"""Ablation of recurrence: variants of one network with equal parameters and equal training.

python -m benchmarks ablation --data DIR --validate DIR --degradation "missing_pixels(missing=0.8)" --steps 2500

Degradations that return frames train the variants for video: the state warped along the motion, kept in place or reset
with every frame, and the direct network.
"""

import time
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from restorax import data
from restorax.degrade import parse
from restorax.evaluation import evaluate
from restorax.models.create import build
from restorax.recipe import Recipe, Stage
from restorax.train.step import build_model, init_state, make_restore, make_step, patch_side

from .options import Publish, Quick, option
from .record import record

PARAMETERS = 2_570_068  # as many as scanunet_s
TIMED = 10  # steps per timing


class Variant(NamedTuple):
    """Architecture and configuration; widths are chosen so that all variants have about equally many parameters."""

    architecture: str
    config: dict[str, Any]


VARIANTS = {
    "bottleneck": Variant("scanunet_s", {"scan_levels": (2,)}),
    "two_levels": Variant("scanunet_s", {"scan_levels": (1, 2)}),
    "all_levels": Variant("scanunet_s", {"scan_levels": (0, 1, 2)}),
    **{f"stages_{n}": Variant("stageunet", {"stages": n, "blocks": 2}) for n in (3, 4, 6)},
    "plain": Variant("resunet_s", {}),
}
VIDEO_VARIANTS = {
    **{f"video_{memory}": Variant("video_rnn", {"memory": memory}) for memory in ("none", "fixed", "warped")},
    "video_warped_direct": Variant("video_rnn", {"memory": "warped", "residual": False}),
}
MOTION_LOSS = 0.5
"""Weight of the auxiliary loss of variants that estimate motion."""


def _parameters(variant: Variant) -> int:
    model = build(variant.architecture, variant.config)
    shapes = jax.eval_shape(model.init, jax.random.key(0), *model.input_shapes(16, 16))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


def matched(variant: Variant, parameters: int) -> Variant:
    """Choose widths (w, 2 w, 4 w) so that the number of parameters is nearest to ``parameters``."""

    def at(width: int) -> Variant:
        return variant._replace(config={**variant.config, "widths": (width, 2 * width, 4 * width)})

    low, high = 4, 256
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _parameters(at(middle)) <= parameters else (low, middle)
    return min((at(low), at(high)), key=lambda v: abs(_parameters(v) - parameters))


def _observed(degradation: str, channels: int) -> Any:
    side = 64 + 2 * parse(degradation).border
    return jax.eval_shape(parse(degradation), jax.random.key(0), jnp.zeros((side, side, channels)))


def recipe_of(
    variant: Variant, degradation: str, channels: int, *, dtype: str = "float32", seed: int = 0, **stage: Any
) -> Recipe:
    """Training recipe of a variant; degradations that return a mask require a network conditioned on it."""
    fields: dict[str, Any] = {"channels": channels}
    if _observed(degradation, channels).condition is not None:
        fields["condition"] = "mask"
    elif build(variant.architecture, variant.config).has_auxiliary_loss:
        stage["auxiliary_loss"] = MOTION_LOSS
    return Recipe(
        architecture=variant.architecture,
        config={**variant.config, **fields},
        evaluation=(degradation,),
        stages=(Stage(degradation=degradation, **stage),),
        dtype=dtype,
        seed=seed,
    )


def train(recipe: Recipe, source: data.FolderPatches) -> tuple[Any, float]:
    """Train by a recipe and return the averaged parameters and the training time in seconds.

    The time is extrapolated from the median time per step, without compilation and interruptions.
    """
    (stage,) = recipe.stages
    init_key, step_key = jax.random.split(jax.random.key(recipe.seed))
    state, step = init_state(recipe, init_key), jax.jit(make_step(recipe, stage), donate_argnums=0)
    times = []
    for done, patches in enumerate(data.batches(source, batch=stage.batch, start=0)):
        if done % TIMED == 0:
            jax.block_until_ready(state)
            times.append(time.perf_counter())
        if done == recipe.steps:
            break
        state, metrics = step(state, patches, step_key)
    if not jnp.isfinite(metrics["loss"]):
        raise FloatingPointError(
            f"the loss of {recipe.architecture} must be finite, got {metrics['loss']} after {recipe.steps} steps"
        )
    return state.ema, float(np.median(np.diff(times)[1:])) / TIMED * recipe.steps


def _steps_within(seconds: float, recipe: Recipe, source: data.FolderPatches) -> int:
    """Number of steps that fit into a time budget, extrapolated from a few steps."""
    short = recipe.with_stages(steps=4 * TIMED)
    return max(1, int(seconds / train(short, source)[1] * short.steps))


def main(
    folder: Annotated[Path, option("Folder of clean training images.", "--data")],
    validate: Annotated[Path, option("Folder of clean test images.")],
    degradation: Annotated[str, option("Degradation to remove, as parsed by restorax.degrade.parse.")],
    evaluation: Annotated[list[str] | None, option("Degradation for evaluation, repeatable [the trained one].")] = None,
    variant: Annotated[list[str] | None, option("Variant to train, repeatable [all that fit].")] = None,
    steps: Annotated[int, option("Optimiser steps of each variant.")] = 0,
    seconds: Annotated[float, option("Time budget of each variant, instead of steps.")] = 0.0,
    parameters: Annotated[int, option("Target number of parameters; 0 keeps the default widths.")] = PARAMETERS,
    batch: Annotated[int, option("Patches per step.")] = 8,
    patch: Annotated[int, option("Side of a patch.")] = 96,
    channels: Annotated[int, option("1 for gray, 3 for colour.")] = 1,
    seed: Annotated[list[int] | None, option("Seed of initialisation, data and degradation, repeatable [0].")] = None,
    dtype: Annotated[str, option("Type of the activations: float32 or bfloat16.")] = "float32",
    learning_rate: Annotated[float, option("Peak learning rate.")] = 2e-3,
    quick: Quick = False,
    publish: Publish = False,
) -> None:
    """Train every variant, measure PSNR by the protocol of the model cards, print and record the results."""
    variants = VIDEO_VARIANTS if _observed(degradation, channels).image.ndim == 4 else VARIANTS
    names = variant or list(variants)
    if quick:
        names, steps, seconds, parameters, batch, patch = names[-1:], 2, 0.0, 0, 2, 32
    if unknown := [name for name in names if name not in variants]:
        raise typer.BadParameter(f"{unknown[0]!r} is not a variant; expected one of {', '.join(variants)}")
    if bool(steps) == bool(seconds):
        raise typer.BadParameter("exactly one of --steps and --seconds is required")
    images, console = data.test_images(validate, channels), Console()
    if quick:
        images = {key: images[key][:64, :64] for key in sorted(images)[:1]}
    evaluated = evaluation or [degradation]
    table = Table("variant", "widths", "parameters", "seed", "steps", "seconds", "PSNR dB", title=" | ".join(evaluated))
    for name in names:
        chosen = matched(variants[name], parameters) if parameters else variants[name]
        for one_seed in seed or [0]:
            options = {"batch": batch, "patch": patch, "dtype": dtype, "learning_rate": learning_rate, "seed": one_seed}
            recipe = recipe_of(chosen, degradation, channels, steps=max(steps, 1), **options)
            source = data.FolderPatches(folder, size=patch_side(recipe.stages[0]), channels=channels, seed=one_seed)
            if seconds:
                recipe = recipe.with_stages(steps=_steps_within(seconds, recipe, source))
            params, took = train(recipe, source)
            restore = jax.jit(make_restore(recipe))
            rows = []
            for text in evaluated:
                result = evaluate(
                    lambda *observed, params=params, restore=restore: restore(params, *observed),
                    images,
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
                        "seed": one_seed,
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
            console.print(f"{name}, seed {one_seed}: {quality} dB after {recipe.steps} steps, {took:.0f} s")
            if not quick:
                record("ablation", rows, publish=publish)
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
