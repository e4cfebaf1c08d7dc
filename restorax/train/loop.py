"""The training loop: feeds the step, logs it, saves it, and publishes the result."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import jax
import numpy as np
from etils import epath
from rich.console import Console

from ..recipe import Recipe
from . import parallel, workdir
from .checkpoint import Checkpoints
from .interrupt import stop_on_signal
from .logger import TrainingLogger
from .options import Options
from .plan import Plan, make_plan
from .publish import detected_hardware
from .report import strips, write_report
from .step import TrainState, training_keys


def train(name: str, recipe: Recipe, options: Options, validation: Mapping[str, np.ndarray]) -> epath.Path | None:
    """Train a recipe, resuming from the newest intact checkpoint in the training directory.

    Writes ``checkpoints/``, ``log.jsonl`` (a line per log step), ``recipe.json``, and after every validation that is
    the best so far the zoo entry ``NAME/`` of the averaged parameters, which ``restorax.load(workdir)`` finds; at the
    end ``report.md`` with ``loss.png`` and ``pictures/``. The first Ctrl-C, or SIGTERM, ends the training after the
    current step with a checkpoint. Every host of a job calls it with the same arguments.

    Args:
        name: zoo name of the result.
        recipe: what to train and how.
        options: where to read and write, and how often to report.
        validation: clean images ``[height, width, channels]`` in [0, 1] by name, for PSNR during training.

    Returns:
        The folder of the entry, or ``None`` if the training was stopped before its end.

    Raises:
        FileNotFoundError: if there are no training images, or no entry to start from.
        ValueError: if the directory holds a training of another recipe or validated on other images, the batch of a
            stage does not divide among the devices, the recipe has a mistake, there is nothing to validate with, or
            the entry to start from has another network.
        FloatingPointError: if too many consecutive updates were skipped.
    """
    console, plan = Console(), make_plan(name, recipe, options, validation)
    first, tensorboard = parallel.is_first(), options.tensorboard
    if plan.mesh.size < jax.device_count():
        batches = ", ".join(sorted({str(stage.batch) for stage in recipe.stages}))
        console.print(f"{plan.mesh.size} of {jax.device_count()} devices are used: the batch is {batches}")
    with stop_on_signal() as stop, Checkpoints(plan.workdir, keep=options.keep, tell=console.print) as checkpoints:
        # --- state, new or resumed ---
        state = _state(plan, checkpoints)
        done = int(state.step)
        key = parallel.make_state(lambda: training_keys(recipe)[1], plan.mesh)

        # --- steps ---
        trace = _trace(plan.workdir / "profile", done + 3, done + 13) if options.profile and first else nullcontext()
        with trace as traced, TrainingLogger(plan.name, recipe, options, plan.workdir, done, console) as logger:
            for step, patches, rows in plan.work(done):
                logger.name_skipped(plan.source.skipped)
                if stop.requested(done):
                    break
                state, metrics = step(state, patches, key, rows)
                done += 1
                log, validate = (
                    done % every == 0 or done == recipe.steps for every in (options.log_every, options.validate_every)
                )
                logger.count(done, metrics, lag=0 if log or validate else 2)
                if traced:
                    traced(done, metrics)
                if log:
                    logger.log(done, metrics)
                if validate:
                    average = plan.average(state)
                    try:
                        quality = plan.validate(average)
                        shown = strips(plan.restore, average, validation, recipe) if tensorboard and first else {}
                    except Exception:
                        checkpoints.save(state)  # no step is lost to a validation that fails
                        raise
                    logger.validated(done, quality, shown)
                    checkpoints.save(state, quality=logger.qualities[done])
                    if logger.qualities[done] >= max(logger.qualities.values()):
                        plan.write_entry(average, done, logger.seconds)
                elif options.save_every and done % options.save_every == 0:
                    checkpoints.save(state)
        checkpoints.save(state)
        if done < recipe.steps:
            return None
        _finish(plan, checkpoints, logger, done, console)
        return plan.entry


def _state(plan: Plan, checkpoints: Checkpoints) -> TrainState:
    """The state to go on from; notes in the training directory what it trains."""
    names = sorted(plan.validation)
    if checkpoints.latest() is None:
        state = plan.initial_state()
    elif plan.options.resume == "auto":
        workdir.check_same_training(plan.workdir, plan.recipe, names)
        state = checkpoints.restore(plan.layout)
    else:
        workdir.check_same_training(plan.workdir, plan.recipe, names)
        raise ValueError(f"{plan.workdir} holds checkpoints of a training; give another --workdir, or --resume auto")
    if parallel.is_first():
        workdir.remember(plan.workdir, plan.recipe, names)
    return state


def _finish(plan: Plan, checkpoints: Checkpoints, logger: TrainingLogger, done: int, console: Console) -> None:
    """Publish the parameters that validated best, and write the report."""
    best = checkpoints.best() or done
    average = parallel.to_host(checkpoints.restore_average(plan.layout.ema, best), plan.mesh)
    published, rated = workdir.published(plan.entry), logger.qualities
    if published and rated.get(published.card.steps, -np.inf) > rated.get(best, -np.inf):
        best, average = published.card.steps, published.params
        console.print(f"{plan.entry} stays: it is of step {best}, better than all checkpoints that are intact")
    else:
        plan.write_entry(average, best, logger.seconds_at(best))
    if not parallel.is_first():
        return
    facts = {
        "data": plan.options.data_name or plan.source.title,
        "images skipped": len(plan.source.skipped),
        "best step": best,
        "hardware": detected_hardware(plan.options.hardware),
        "hours": f"{logger.seconds / 3600:.2f}",
    }
    page = partial(write_report, name=plan.name, recipe=plan.recipe, lines=logger.lines, best=best, facts=facts)
    shown = strips(plan.restore, average, plan.validation, plan.recipe)
    workdir.deliver(plan.workdir, lambda folder: page(folder, pictures=shown))


@contextmanager
def _trace(folder: epath.Path, start: int, end: int) -> Iterator[Callable[[int, Any], None]]:
    """Profile the steps between two, of which the first finds everything compiled; yields what to call after each."""
    running = False

    def after(done, metrics):
        nonlocal running
        if done in (start, end):
            jax.block_until_ready(metrics)
            jax.profiler.start_trace(str(folder)) if done == start else jax.profiler.stop_trace()
            running = done == start

    try:
        yield after
    finally:
        if running:
            jax.profiler.stop_trace()
