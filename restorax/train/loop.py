"""The training loop: feeds the step, logs it, saves it, and publishes the result."""

from collections.abc import Mapping
from contextlib import nullcontext

import numpy as np
from etils import epath
from rich.console import Console

from ..recipe import Recipe
from .checkpoint import Checkpoints
from .header import print_header
from .interrupt import stop_on_signal
from .logger import TrainingLogger
from .options import Options
from .plan import make_plan
from .tracing import trace_steps
from .validation import ValidationSet


def train(
    name: str, recipe: Recipe, options: Options, validation: Mapping[str, np.ndarray] | ValidationSet
) -> epath.Path | None:
    """Train a recipe, resuming from the newest intact checkpoint in the training directory.

    Writes ``checkpoints/``, ``log.jsonl`` (a line per log step), ``recipe.json``, and after every validation that is
    the best so far the zoo entry ``NAME/`` of the averaged parameters, which ``restorax.load(workdir)`` finds; at the
    end ``report.md`` with ``curves.png`` and ``pictures/``. The first Ctrl-C, or SIGTERM, ends the training after the
    current step with a checkpoint. Every host of a job calls it with the same arguments.

    Args:
        name: zoo name of the result.
        recipe: what to train and how.
        options: where to read and write, and how often to report.
        validation: clean images ``[height, width, channels]`` in [0, 1] by name, for PSNR during training, or another
            validation.

    Returns:
        The folder of the entry, or ``None`` if the training was stopped before its end.

    Raises:
        FileNotFoundError: if there are no training images, or no entry to start from.
        ValueError: if the directory holds a training of another recipe or validated on other images, the batch of a
            stage does not divide among the devices, the recipe has a mistake, there is nothing to validate with, or
            the entry to start from has another network.
        FloatingPointError: if too many consecutive updates were skipped.
    """
    console = Console()
    plan = make_plan(name, recipe, options, validation, tell=console.print)
    with stop_on_signal() as stop, Checkpoints(plan.workdir, keep=options.keep, tell=console.print) as checkpoints:
        # --- state, new or resumed ---
        state = plan.start(checkpoints)
        done, last = int(state.step), recipe.steps
        if plan.first:
            print_header(console, plan, done)

        # --- steps ---
        profile = plan.workdir / "profile" if options.profile and plan.first else None
        trace = trace_steps(profile, done + 3, done + 13) if profile else nullcontext()
        with trace as traced, TrainingLogger(name, recipe, options, plan.workdir, done, console) as logger:
            if recipe.start and done == 0:
                logger.started(plan.validate(plan.average(state)))
                logger.restart_clock(done)
            compiled = None
            for step, patches, rows in plan.work(done):
                logger.name_skipped(plan.sources.skipped)
                if stop.requested(done):
                    break
                state, metrics = step(state, patches, plan.key, rows)
                done += 1
                if step is not compiled:
                    logger.restart_clock(done)  # compiling is not training
                    compiled = step
                log, validate = (done % n == 0 or done == last for n in (options.log_every, options.validate_every))
                logger.count(done, metrics, lag=0 if log or validate else 2)
                if traced:
                    traced(done, metrics)
                if log:
                    logger.log(done, metrics)
                if validate:
                    average = plan.average(state)
                    try:
                        measured = plan.validate(average)
                    except Exception:
                        checkpoints.save(state)  # no step is lost to a validation that fails
                        raise
                    logger.validated(done, measured)
                    checkpoints.save(state, quality=logger.qualities[done])
                    if logger.qualities[done] >= max(logger.qualities.values()):
                        plan.write_entry(average, done, logger.seconds)
                    logger.restart_clock(done)
                elif options.save_every and done % options.save_every == 0:
                    checkpoints.save(state)
        checkpoints.save(state)
        if done < last:
            return None

        # --- the best parameters, and a report ---
        plan.finish(checkpoints, logger, done)
        return plan.entry
