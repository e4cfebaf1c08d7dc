"""The training loop: feeds the step, watches it, saves it, and publishes the result."""

import dataclasses
import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import jax
import numpy as np
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from .. import data
from ..evaluate import evaluate
from ..recipes import Recipe
from ..types import Params
from .checkpoint import Checkpoints
from .publish import publish
from .report import plot_losses
from .step import init_state, make_restore, make_step


def train(
    name: str,
    recipe: Recipe,
    *,
    folder: str | os.PathLike,
    workdir: str | os.PathLike,
    validation: Mapping[str, np.ndarray],
    data_name: str | None = None,
    data_licence: str = "not stated",
    log_every: int = 100,
    validate_every: int = 2500,
) -> Path | None:
    """Train a recipe, resuming from the newest checkpoint in ``workdir``.

    Writes ``checkpoints/``, ``log.jsonl`` (a line per log step), ``recipe.json``, ``loss.png``, and after every
    validation the zoo entry ``NAME/`` of the parameters so far, which ``restorax.load(workdir)`` finds. The first
    Ctrl-C, or SIGTERM, ends the training after the current step with a checkpoint.

    Args:
        name: zoo name of the result.
        recipe: what to train and how.
        folder: clean training pictures.
        workdir: training directory.
        validation: clean pictures, ``[height, width, channels]`` in [0, 1] by name, for PSNR on the way.
        data_name: how the card calls the training pictures; by default their number and the name of the folder.
        data_licence: their terms, for the card.
        log_every: steps between log lines.
        validate_every: steps between validations; each is followed by a checkpoint.

    Returns:
        The folder of the entry, or ``None`` if the training was stopped before its end.

    Raises:
        FileNotFoundError: if there are no pictures.
        ValueError: if ``workdir`` holds a training of another recipe.
        FloatingPointError: if the loss is no longer finite.
    """
    # --- what to train on, and where ---
    workdir = Path(workdir)
    source = data.FolderPatches(folder, size=recipe.patch, channels=recipe.config.get("channels", 1), seed=recipe.seed)
    _same_recipe(workdir, recipe)

    # --- state, new or resumed ---
    init_key, step_key = jax.random.split(jax.random.key(recipe.seed))
    state = init_state(recipe, init_key)
    step = jax.jit(make_step(recipe), donate_argnums=0)
    restore = jax.jit(make_restore(recipe))
    with Checkpoints(workdir) as checkpoints, _progress(recipe) as bar, _stop_on_signal() as stop:
        if checkpoints.latest() is not None:
            state = checkpoints.restore(state)
        done = int(state.step)
        log = _Log(workdir / "log.jsonl", done)
        task = bar.add_task(name, total=recipe.steps, completed=done, loss="", psnr="", rate="")
        for line in source.skipped:
            bar.console.print(f"skipped: {line}", highlight=False)

        # --- steps ---
        started, mark = time.monotonic(), (done, time.monotonic())
        for patches in data.batches(source, batch=recipe.batch, start=done):
            if done == recipe.steps or stop.requested:
                break
            state, metrics = step(state, patches, step_key)
            done += 1
            if done % log_every == 0 or done == recipe.steps:
                values = {key: float(value) for key, value in metrics.items()}  # waits for the step
                now = time.monotonic()
                if not np.isfinite(values["loss"]):
                    raise FloatingPointError(f"the loss is {values['loss']} at step {done}; lower the learning rate")
                rate = recipe.batch * (done - mark[0]) / (now - mark[1])
                mark = (done, now)
                log.write(step=done, seconds=log.seconds_before + now - started, images_per_second=rate, **values)
                bar.update(task, completed=done, loss=f"{values['loss']:.4f}", rate=f"{rate:.0f}")
            if done % validate_every == 0 or done == recipe.steps:
                quality = _validate(restore, state.ema, validation, recipe)
                log.write(step=done, validation_psnr=quality)
                bar.update(task, psnr=" ".join(f"{value:.2f}" for value in quality.values()))
                checkpoints.save(state)
                seconds = log.seconds_before + time.monotonic() - started
                publish(
                    name,
                    recipe,
                    state.ema,
                    folder=workdir / name,
                    data=data_name or f"{len(source.pictures)} pictures of the folder {Path(folder).resolve().name}",
                    data_licence=data_licence,
                    steps=done,
                    seconds=seconds,
                )
                mark = (done, time.monotonic())
        checkpoints.save(state)

    plot_losses(workdir / "log.jsonl", workdir / "loss.png")
    return workdir / name if done == recipe.steps else None


def _validate(
    restore: Callable, params: Params, pictures: Mapping[str, np.ndarray], recipe: Recipe
) -> dict[str, float]:
    """Mean PSNR under each of the recipe's evaluations."""
    run = lambda *observed: restore(params, *observed)  # noqa: E731
    return {d: evaluate(run, pictures, d, dataset="validation").psnr for d in recipe.evaluation}


def _same_recipe(workdir: Path, recipe: Recipe) -> None:
    """Remember the recipe of a training directory; refuse to continue it with another."""
    workdir.mkdir(parents=True, exist_ok=True)
    path, now = workdir / "recipe.json", json.loads(json.dumps(dataclasses.asdict(recipe)))
    if path.exists():
        before = json.loads(path.read_text())
        if different := sorted(key for key in now if now[key] != before.get(key)):
            changes = ", ".join(f"{key} was {before.get(key)!r} and is {now[key]!r}" for key in different)
            raise ValueError(f"{workdir} holds a training of another recipe ({changes}); give another --workdir")
    path.write_text(json.dumps(now, indent=2) + "\n")


def _progress(recipe: Recipe) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]}  psnr {task.fields[psnr]}  {task.fields[rate]} images/s"),
        TimeRemainingColumn(),
        refresh_per_second=2,
    )


class _Log:
    """JSON lines; those of steps that a resumed training will repeat are dropped."""

    def __init__(self, path: Path, done: int):
        kept = [line for line in _lines(path) if line["step"] <= done]
        path.write_text("".join(json.dumps(line) + "\n" for line in kept))
        self.seconds_before = max((line.get("seconds", 0.0) for line in kept), default=0.0)
        self._path = path

    def write(self, **values: object) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps(values) + "\n")


def _lines(path: Path) -> list[dict]:
    if not path.exists():
        return []
    complete = path.read_text().splitlines(keepends=True)
    return [json.loads(line) for line in complete if line.endswith("\n")]


class _Stop:
    requested = False


@contextmanager
def _stop_on_signal() -> Iterator[_Stop]:
    """Turn the first SIGINT or SIGTERM into a request; a second one acts as usual."""
    stop, before = _Stop(), {}

    def request(number, frame):
        stop.requested = True
        signal.signal(number, before[number])

    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            before[number] = signal.signal(number, request)
    except ValueError:  # not in the main thread, where signals cannot be caught
        pass
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
