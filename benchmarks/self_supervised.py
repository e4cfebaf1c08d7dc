"""What training without clean images costs: ``python -m benchmarks self_supervised --data DIR``.

One network per loss and noise, all trained for equally many steps on the same images, which were degraded once and are
kept in float32. Noise2Noise gets a second shot of each. Measured on Set12, or another folder, and on the microscopy of
scikit-image.
"""

import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np

from restorax import data
from restorax.degrade import parse
from restorax.evaluation import evaluate
from restorax.models.create import create
from restorax.paired_data import scaled
from restorax.recipe import Recipe, Stage
from restorax.train.step import init_state, make_restore, make_step

from .options import Publish, Quick, option
from .record import record, table

NOISES = (
    "gaussian_noise(sigma=25/255)",
    "shot_noise(peak=10)",
    "correlated_noise(sigma=25/255)",
    "stripe_noise(sigma=25/255)",
)
LEVELS = dict(zip(NOISES, ("sigma=25/255", "sigma=0, shot=0.1", "sigma=25/255", "sigma=0, rows=25/255"), strict=True))
LOSSES = ("supervised", "noise2noise", "neighbor2neighbor", "noise2void", "sure")
CONFIG = {"channels": 1, "widths": [20, 40, 80]}  # of resunet_s: 0.41 M parameters


class Stored(data.Patches):
    """Random patches of images in memory, whatever their type."""

    title = "images in memory"

    def __init__(self, images: list[np.ndarray], size: int, seed: int):
        super().__init__(size=size, channels=1, seed=seed)
        self.pictures = images


def material(images: Mapping[str, np.ndarray], noise: str, loss: str) -> list[np.ndarray]:
    """Degrade every image once; supervised training gets the clean image, Noise2Noise a second shot."""
    degrade, shots = jax.jit(parse(noise).__call__), []
    for number, name in enumerate(sorted(images)):
        clean = jnp.asarray(images[name])
        first, second = (degrade(key, clean).image for key in jax.random.split(jax.random.key(number)))
        target = {"supervised": [clean], "noise2noise": [second]}.get(loss, [])
        shots.append(np.asarray(jnp.concatenate([first, *target], -1)))
    return shots


def stage_of(noise: str, loss: str, **options: Any) -> Stage:
    """Stage of a loss: supervised training by the squared error, as all others estimate it."""
    source = "pairs" if loss in ("supervised", "noise2noise") else "noisy"
    lines = "(rows=True)" if loss == "noise2void" and noise.startswith("stripe") else ""
    text = {"supervised": "mse", "sure": f"sure({LEVELS[noise]})"}.get(loss, loss + lines)
    return Stage(degradation="identity()", source=source, loss=text, **options)


def train(recipe: Recipe, images: list[np.ndarray]) -> Any:
    """Train, and return the averaged parameters."""
    (stage,) = recipe.stages
    step = jax.jit(make_step(recipe, stage), donate_argnums=0)
    state = init_state(recipe, jax.random.key(recipe.seed))
    batches = data.batches(Stored(images, stage.patch, recipe.seed), batch=stage.batch, start=0)
    for _, patches in zip(range(stage.steps), batches, strict=False):
        state, metrics = step(state, patches, jax.random.key(1))
        metrics["loss"].block_until_ready()
    return state.ema


def main(
    folder: Annotated[Path | None, option("Folder of clean images to degrade [scikit-image].", "--data")] = None,
    test: Annotated[Path | None, option("Folder of test images, such as set12 [scikit-image].")] = None,
    noise: Annotated[list[str] | None, option("Noise, repeatable [four].", "--with")] = None,
    loss: Annotated[list[str] | None, option(f"Of {', '.join(LOSSES)}, repeatable [all].")] = None,
    steps: Annotated[int, option("Optimiser steps of each.")] = 4000,
    batch: Annotated[int, option("Patches per step.")] = 8,
    patch: Annotated[int, option("Side of the patches.")] = 64,
    learning_rate: Annotated[float, option("Peak of the cosine schedule.")] = 1e-3,
    seed: Annotated[int, option("Random seed.")] = 0,
    quick: Quick = False,
    publish: Publish = False,
) -> None:
    """Train and measure each loss under each noise; print and record."""
    images = {name: scaled(p) for name, p in _clean(folder).items()}
    sets = {test.resolve().name if test else "sample photographs": data.test_images(test, 1) if test else _clean(None)}
    sets["microscopy"] = data.other_images(1)["microscopy"]
    if quick:
        steps, batch, patch, noise, loss = 2, 2, 32, noise or [NOISES[3]], loss or ["supervised", "noise2void"]
        sets = {"crop": {"camera": _clean(None)["camera"][:48, :48]}}
    config = CONFIG | ({"widths": [8]} if quick else {})
    parameters = sum(leaf.size for leaf in jax.tree.leaves(create("resunet_s", **config)[1]))
    rows = []
    for text in noise or NOISES:
        supervised: dict[str, float] = {}
        for name in loss or LOSSES:
            options = {"steps": steps, "batch": batch, "patch": patch, "learning_rate": learning_rate}
            stage = stage_of(text, name, **options)
            recipe = Recipe(architecture="resunet_s", config=config, evaluation=(text,), stages=(stage,), seed=seed)
            began = time.monotonic()
            params = train(recipe, material(images, text, name))
            restore = jax.jit(make_restore(dataclasses.replace(recipe, dtype="float32")))
            for title, tests in sets.items():
                result = evaluate(lambda x, c, p=params, f=restore: f(p, x, c), tests, text, dataset=title)
                base = supervised.setdefault(title, result.psnr)
                rows.append({"noise": text, "loss": name, "dataset": title, "psnr": f"{result.psnr:.2f}"})
                rows[-1] |= {"to_supervised": f"{result.psnr - base:.2f}", "input_psnr": f"{result.input_psnr:.2f}"}
                rows[-1] |= {"parameters": parameters, "steps": steps, "batch": batch, "patch": patch, "seed": seed}
                rows[-1] |= {"text": stage.loss, "minutes": f"{(time.monotonic() - began) / 60:.1f}"}
                print(rows[-1], flush=True)
    print(table(rows, ("noise", "loss", "dataset", "input_psnr", "psnr", "to_supervised")))
    if not quick:
        record("self_supervised", rows, publish=publish)


def _clean(folder: Path | None) -> dict[str, np.ndarray]:
    return data.test_images(folder, 1) if folder else data.sample_images(1)


if __name__ == "__main__":
    import typer

    typer.run(main)
