"""Train ``resunet_m-color-photo`` within a time limit: ``python -m benchmarks.timed_training``.

A trial of a few hundred steps measures the time of a step and the overhead of compilation and validation. The training
then has as many steps as fit into the remaining time, so that its learning rate has decayed to zero by the end. The
recipe is the last stage of ``resunet_s-color-photo``, with a larger network and batch, and images in device memory.

The output folder receives the zoo entry, and an archive with log, report and recipe. With the same folder again, the
training fine-tunes the entry found there, and replaces it if the validation PSNR has increased.
"""

import dataclasses
import itertools
import math
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import jax
import numpy as np

from restorax import data
from restorax.memory import keep_freed_memory
from restorax.recipe import Recipe
from restorax.recipes import RECIPES
from restorax.train.logger import read_log
from restorax.train.loop import train
from restorax.train.options import Options

from .options import option

NAME = "resunet_m-color-photo"
BASE = "resunet_s-color-photo"
VALIDATIONS = 4
MARGIN = 0.93
"""Share of the time left that is planned for, since accelerators slow down under sustained load."""

STOPPED = 75


class Cost(NamedTuple):
    """Seconds of an optimiser step, and of everything else in a training: reading, compilation, validation, report."""

    step: float
    overhead: float

    def steps_in(self, seconds: float) -> int:
        """Return the number of steps of a training that ends within so many seconds."""
        steps = int(MARGIN * (seconds - self.overhead) / self.step)
        if steps < 1:
            raise ValueError(f"no time left to train: {seconds:.0f} s, of which {self.overhead:.0f} s are overhead")
        return steps


def cost_of(lines: Sequence[Mapping[str, Any]], batch: int, seconds: float) -> Cost:
    """Return the cost of a training from its log and its duration; the first log lines may hold a warm-up."""
    rate = [line["images_per_second"] for line in lines if line.get("images_per_second")][-1]
    return Cost(batch / rate, seconds - lines[-1]["step"] * batch / rate)


def make_recipe(start: str, *, steps: int, batch: int, patch: int) -> Recipe:
    """Return the recipe: one stage, to compile once; fine-tuning has the lower learning rate of the last stage."""
    base = RECIPES[BASE]
    rate = base.stages[-1 if start else 0].learning_rate
    stage = dataclasses.replace(base.stages[-1], steps=steps, batch=batch, patch=patch, learning_rate=rate)
    return dataclasses.replace(base, architecture="resunet_m", stages=(stage,), start=start)


def deliver(workdir: Path, out: Path) -> bool:
    """Copy the entry of a training unless it validated worse than its start, and archive log, report and recipe.

    Args:
        workdir: training directory; only checkpoints and entry are left in it.
        out: output folder.

    Returns:
        Whether there is a better entry.
    """
    lines = read_log(workdir / "log.jsonl")
    mean = lambda key: [np.mean(list(line[key].values())) for line in lines if key in line]  # noqa: E731
    better = max(mean("validation_psnr"), default=-math.inf) > max(mean("start_psnr"), default=-math.inf)
    if better and (workdir / NAME).exists():
        beside = Path(tempfile.mkdtemp(dir=out, prefix=".writing-"))
        shutil.copytree(workdir / NAME, beside / NAME)
        shutil.rmtree(out / NAME, ignore_errors=True)
        (beside / NAME).rename(out / NAME)
        beside.rmdir()
    report = workdir / "training"
    report.mkdir(parents=True)
    for path in workdir.iterdir():
        if path.name not in ("checkpoints", NAME, report.name):
            path.rename(report / path.name)
    number = next(n for n in itertools.count(1) if not (out / f"training-{n}.tar.gz").exists())
    shutil.make_archive(str(out / f"training-{number}"), "gztar", workdir, report.name)
    return better


def main(
    out: Annotated[Path, option("Output folder.", "--out")],
    images: Annotated[str, option("Clean images: a folder.", "--data")],
    start: Annotated[str, option("Entry or folder to fine-tune [the entry in the output folder].")] = "",
    validate: Annotated[Path | None, option("Folder of validation images [those of scikit-image].")] = None,
    data_name: Annotated[str | None, option("Name of the training images on the card.")] = None,
    data_licence: Annotated[str, option("Licence of the training images, for the card.")] = Options.data_licence,
    weights_licence: Annotated[str, option("Licence of the parameters, for the card.")] = Options.weights_licence,
    seconds: Annotated[float, option("Time limit.")] = 460.0,
    batch: Annotated[int, option("Patches per step.")] = 64,
    patch: Annotated[int, option("Side of a patch.")] = 128,
    trial: Annotated[int, option("Steps of the trial.")] = 200,
    max_steps: Annotated[int | None, option("Largest number of steps.")] = None,
) -> None:
    """Measure a trial, train as long as time is left, and write entry and report."""
    end = time.monotonic() + seconds
    out.mkdir(parents=True, exist_ok=True)
    if (out / NAME).exists() and start:
        raise ValueError(f"{out / NAME} exists; omit --start to fine-tune it, or give another folder")
    start = start or (str(out / NAME) if (out / NAME).exists() else "")
    keep_freed_memory()
    validation = data.test_images(validate, 3) if validate else data.sample_images(3)
    with tempfile.TemporaryDirectory() as folder:
        if not jax.config.jax_compilation_cache_dir:  # pyright: ignore[reportAttributeAccessIssue]
            jax.config.update("jax_compilation_cache_dir", f"{folder}/compiled")

        def run(name: str, steps: int, parts: int, lines: int) -> bool:
            recipe = make_recipe(start, steps=steps, batch=batch, patch=patch)
            every = {"validate_every": math.ceil(steps / parts), "log_every": math.ceil(steps / lines)}
            card = {"data_name": data_name, "data_licence": data_licence, "weights_licence": weights_licence}
            options = Options(data=images, workdir=Path(folder, name), in_memory=True, **every, **card)
            return train(NAME, recipe, options, validation) is not None

        began = time.monotonic()
        if not run("trial", trial, 2, 2):
            sys.exit(STOPPED)
        cost = cost_of(read_log(Path(folder, "trial", "log.jsonl")), batch, time.monotonic() - began)
        steps = min(cost.steps_in(end - time.monotonic()), max_steps or sys.maxsize)
        print(f"\n{1e3 * cost.step:.1f} ms per step, {cost.overhead:.0f} s of overhead: {steps} steps", flush=True)
        finished = False
        try:
            finished = run("training", steps, VALIDATIONS, 100)
        finally:
            better = deliver(Path(folder, "training"), out)
            print(f"{'' if better else 'no better '}entry in {out}, training {'finished' if finished else 'stopped'}")
    if not finished:
        sys.exit(STOPPED)


if __name__ == "__main__":
    import typer

    typer.run(main)
