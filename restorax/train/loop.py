"""The training loop: feeds the step, watches it, saves it, and publishes the result."""

import dataclasses
import itertools
import json
import os
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from etils import epath
from jax.experimental import multihost_utils
from jax.sharding import Mesh
from rich.console import Console

from .. import data, zoo
from ..evaluation import compiled, evaluate
from ..recipe import Recipe
from ..types import Array, Params
from . import parallel
from .checkpoint import Checkpoints
from .publish import hardware_said, publish
from .report import strips, write_report
from .step import TrainState, build_model, init_state, make_draw, make_restore, training_keys
from .watch import Watch, absolute, is_remote, replace


def train(
    name: str,
    recipe: Recipe,
    *,
    folder: str | os.PathLike,
    workdir: str | os.PathLike,
    validation: Mapping[str, np.ndarray],
    data_name: str | None = None,
    data_licence: str = "not stated",
    data_dir: str | os.PathLike | None = None,
    in_memory: bool = False,
    hardware: str = "",
    shards: int = 1,
    resume: str = "auto",
    log_every: int = 100,
    validate_every: int = 2500,
    save_every: int | None = None,
    keep: int = 2,
    max_skipped: int = 10,
    tensorboard: bool = False,
    profile: bool = False,
) -> epath.Path | None:
    """Train a recipe, resuming from the newest intact checkpoint in ``workdir``.

    Writes ``checkpoints/``, ``log.jsonl`` (a line per log step), ``recipe.json``, and after every validation that is
    the best so far the zoo entry ``NAME/`` of the averaged parameters, which ``restorax.load(workdir)`` finds; at the
    end ``report.md`` with ``loss.png`` and ``pictures/``. The first Ctrl-C, or SIGTERM, ends the training after the
    current step with a checkpoint. Every host of a job calls it with the same arguments.

    Args:
        name: zoo name of the result.
        recipe: what to train and how.
        folder: clean training pictures: a folder, or ``tfds:NAME`` or ``tfds:NAME@SPLIT`` of a TFDS dataset.
        workdir: training directory, ``gs://...`` included; all hosts must see it.
        validation: clean pictures, ``[height, width, channels]`` in [0, 1] by name, for PSNR on the way.
        data_name: how the card calls the training pictures; by default their number and where they were found.
        data_licence: their terms, for the card.
        data_dir: where TFDS datasets lie.
        in_memory: keep all pictures in device memory and crop them inside the step: for small sets.
        hardware: what the card adds to the devices that were found.
        shards: devices that share one copy of parameters and optimiser state; 1 is plain data parallelism.
        resume: ``"auto"``, or ``"never"`` to refuse a directory that holds checkpoints.
        log_every: steps between log lines.
        validate_every: steps between validations; each is followed by a checkpoint.
        save_every: steps between further checkpoints.
        keep: newest checkpoints that stay; the best one stays too.
        max_skipped: skipped updates in a row, because loss or gradient were not finite, that end the training.
        tensorboard: write ``workdir/tensorboard`` too.
        profile: write a trace of ten steps to ``workdir/profile``.

    Returns:
        The folder of the entry, or ``None`` if the training was stopped before its end.

    Raises:
        FileNotFoundError: if there are no pictures, or no entry to start from.
        ValueError: if ``workdir`` holds a training of another recipe or validated on other pictures, the batch of a
            stage does not divide among the devices, something of the recipe is not understood, there is nothing to
            validate with, or the entry to start from has another network.
        FloatingPointError: if too many updates in a row were skipped.
    """
    console, workdir, first = Console(), absolute(workdir), parallel.is_first()
    with _stop_on_signal() as stop, Checkpoints(workdir, keep=keep, tell=console.print) as checkpoints:
        # --- what to train on, and where ---
        mesh = parallel.make_mesh(shards, parallel.devices_for(recipe, shards))
        if mesh.size < jax.device_count():
            console.print(f"{mesh.size} of {jax.device_count()} devices are used: the batch is {recipe.batch}")
        channels = build_model(recipe).channels
        _check(recipe, validation, channels)
        jitted = [parallel.jit_step(stage, mesh, pictures=in_memory) for _, stage in recipe.stages]
        size = max(stage.patch for _, stage in recipe.stages)
        source = data.open_patches(folder, size=size, channels=channels, seed=recipe.seed, data_dir=data_dir)
        fresh = checkpoints.latest() is None
        if not fresh:
            _same_training(workdir, recipe, sorted(validation))

        # --- state, new or resumed ---
        init = lambda: init_state(recipe, training_keys(recipe)[0])  # noqa: E731
        places = parallel.abstract_state(init, mesh)
        if fresh:
            state = _begin(recipe, parallel.make_state(init, mesh), places)
        elif resume == "auto":
            state = checkpoints.restore(places)
        else:
            raise ValueError(f"{workdir} holds checkpoints of a training; give another --workdir, or --resume auto")
        done = int(state.step)
        key = parallel.make_state(lambda: training_keys(recipe)[1], mesh)
        restore = jax.jit(make_restore(recipe))
        if first:
            _remember(workdir, recipe, sorted(validation))

        def write_entry(params: Params, steps: int, seconds: float) -> None:
            said = {"data": data_name or source.title, "data_licence": data_licence, "hardware": hardware}
            entry = partial(publish, name, recipe, params, steps=steps, seconds=seconds, **said)
            if first:
                before = _published(workdir / name)
                entry = partial(entry, before=before and before.card)
                _deliver(workdir / name, lambda folder: entry(folder=folder))

        # --- steps ---
        trace = _trace(workdir / "profile", done + 3, done + 13) if profile and first else nullcontext()
        with (
            trace as traced,
            Watch(name, recipe, workdir, done, console, max_skipped=max_skipped, tensorboard=tensorboard) as watch,
        ):
            for step, patches, rows in _work(source, recipe, jitted, mesh, done, in_memory=in_memory):
                watch.name_skipped(source.skipped)
                if stop.requested(done):
                    break
                state, metrics = step(state, patches, key, rows)
                done += 1
                log, validate = (done % n == 0 or done == recipe.steps for n in (log_every, validate_every))
                watch.count(done, metrics, lag=0 if log or validate else 2)
                if traced:
                    traced(done, metrics)
                if log:
                    watch.log(done, metrics)
                if validate:
                    average = parallel.to_host(state.ema, mesh)
                    try:
                        quality = _validate(restore, average, validation, recipe)
                        pictures = strips(restore, average, validation, recipe) if tensorboard and first else {}
                    except Exception:
                        checkpoints.save(state)  # no step is lost to a validation that fails
                        raise
                    watch.validated(done, quality, pictures)
                    checkpoints.save(state, quality=watch.qualities[done])
                    if watch.qualities[done] >= max(watch.qualities.values()):
                        write_entry(average, done, watch.seconds)
                elif save_every and done % save_every == 0:
                    checkpoints.save(state)
        checkpoints.save(state)
        if done < recipe.steps:
            return None

        # --- the best parameters, and how they came about ---
        best = checkpoints.best() or done
        average = parallel.to_host(checkpoints.restore_average(places.ema, best), mesh)
        published, rated = _published(workdir / name), watch.qualities
        if published and rated.get(published.card.steps, -np.inf) > rated.get(best, -np.inf):
            best, average = published.card.steps, published.params
            console.print(f"{workdir / name} stays: it is of step {best}, better than all checkpoints that are intact")
        else:
            write_entry(average, best, watch.seconds_at(best))
        facts = {"data": data_name or source.title, "pictures skipped": len(source.skipped), "best step": best}
        facts |= {"hardware": hardware_said(hardware), "hours": f"{watch.seconds / 3600:.2f}"}
        page = partial(write_report, name=name, recipe=recipe, lines=watch.lines, best=best, facts=facts)
        if first:
            pictures = strips(restore, average, validation, recipe)
            _deliver(workdir, lambda folder: page(folder, pictures=pictures))
        return workdir / name


def _begin(recipe: Recipe, state: TrainState, places: TrainState) -> TrainState:
    """A fresh state, with the parameters of the entry that the recipe starts from."""
    if not recipe.start:
        return state
    params = jax.tree.map(np.asarray, zoo.load(recipe.start).params)
    zoo.check_params(build_model(recipe), params, recipe.start)
    return state.replace(params=parallel.place(params, places.params), ema=parallel.place(params, places.ema))


def _work(
    source: data.Patches, recipe: Recipe, jitted: Sequence[Callable], mesh: Mesh, done: int, *, in_memory: bool
) -> Iterator[tuple[Callable, Any, Array]]:
    """Compiled step, patches and their rows for every step to come."""
    pictures = parallel.replicate(data.DevicePictures.of(source), mesh) if in_memory and done < recipe.steps else None
    for (end, stage), step in zip(recipe.stages, jitted, strict=True):
        if done < end:
            rows = parallel.assemble(np.array(parallel.local_rows(stage.batch, mesh)), stage.batch, mesh)
            feed = itertools.repeat(pictures) if in_memory else _in_batches(source, stage, mesh, done)
            yield from ((step, patches, rows) for patches in itertools.islice(feed, end - done))
            done = end


def _in_batches(source: data.Patches, recipe: Recipe, mesh: Mesh, start: int) -> Iterator[Array]:
    """The batches from a step on; each host reads only the rows of its devices."""
    rows = parallel.local_rows(recipe.batch, mesh)
    for patches in data.batches(source, batch=recipe.batch, start=start, rows=rows, size=recipe.patch):
        yield parallel.assemble(patches, recipe.batch, mesh)


def _validate(
    restore: Callable, params: Params, pictures: Mapping[str, np.ndarray], recipe: Recipe
) -> dict[str, float]:
    """Mean PSNR under each of the recipe's evaluations."""
    run = lambda *observed: restore(params, *observed)  # noqa: E731
    return {d: evaluate(run, pictures, d, dataset="validation").psnr for d in recipe.evaluation}


def _published(entry: epath.Path) -> zoo.Restorer | None:
    """The entry of a training so far, if there is one that can be read."""
    try:
        return zoo.load(entry)
    except (OSError, ValueError):
        return None


def _check(recipe: Recipe, pictures: Mapping[str, np.ndarray], channels: int) -> None:
    """Refuse at the start what would fail when a stage or the first validation begins, hours later."""
    if not recipe.evaluation:
        raise ValueError("the recipe has no evaluation; at least one degradation is needed")
    if not pictures:
        raise ValueError("there are no validation pictures; at least one is needed")
    for name, picture in pictures.items():
        if picture.ndim != 3 or picture.shape[2] != channels or min(picture.shape[:2]) < 11:  # the window of SSIM
            wanted = f"[height, width, {channels}] with sides from 11 pixels on"
            raise ValueError(f"validation picture {name} has shape {picture.shape}; {wanted} is accepted")
    key, picture = jax.random.key(0), next(iter(pictures.values()))
    for degradation in recipe.evaluation:
        jax.eval_shape(compiled(degradation), key, picture)
    for _, stage in recipe.stages:
        patches = jax.ShapeDtypeStruct((1, stage.patch, stage.patch, channels), np.uint8)
        jax.eval_shape(make_draw(stage), key[None], patches)


def _same_training(workdir: epath.Path, recipe: Recipe, pictures: list[str]) -> None:
    """Refuse to continue the training of another recipe, or with other validation pictures."""
    path, now = workdir / "recipe.json", _as_json(recipe)
    if path.exists():
        # Fields that came later had their defaults then.
        before = {f.name: f.default for f in dataclasses.fields(recipe)} | {"later": {}} | json.loads(path.read_text())
        done = before["cycles"]
        if now["cycles"][: len(done)] == done:  # more cycles continue a training
            before |= {"cycles": now["cycles"]} | ({"later": now["later"]} if len(done) == 1 else {})
        if different := sorted(key for key in now if now[key] != before[key]):
            changes = ", ".join(f"{key} was {before[key]!r} and is {now[key]!r}" for key in different)
            raise ValueError(f"{workdir} holds a training of another recipe ({changes}); give another --workdir")
        if (shown := before.get("validation", pictures)) != pictures:
            # Qualities on two sets do not say which step is the best.
            seen, given = (
                f"{len(names)} picture(s), {min(names, default='none')} first" for names in (shown, pictures)
            )
            raise ValueError(f"{workdir} was validated on {seen}, not on {given}; give those, or another --workdir")


def _remember(workdir: epath.Path, recipe: Recipe, pictures: list[str]) -> None:
    """Note what a directory trains and validates on."""
    workdir.mkdir(parents=True, exist_ok=True)
    content = _as_json(recipe) | {"validation": pictures}
    replace(workdir / "recipe.json", (json.dumps(content, indent=2) + "\n").encode())


def _as_json(recipe: Recipe) -> dict[str, Any]:
    return json.loads(json.dumps(dataclasses.asdict(recipe)))


def _deliver(target: epath.Path, write: Callable[[Path], Any]) -> None:
    """Let a function that knows local folders write into any."""
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
                replace(there, path.read_bytes())


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


class _Stop:
    asked = False

    def requested(self, done: int) -> bool:
        """Whether to end after this step; all hosts of a job get the same answer."""
        if jax.process_count() > 1:
            return multihost_utils.reached_preemption_sync_point(done)
        return self.asked


@contextmanager
def _stop_on_signal() -> Iterator[_Stop]:
    """Turn the first SIGINT or SIGTERM into a request; a second one acts as usual.

    In a job of several processes SIGTERM belongs to JAX, which tells the others.
    """
    stop, before = _Stop(), {}

    def request(number, frame):
        stop.asked = True
        signal.signal(number, before[number])

    try:
        for number in (signal.SIGINT, signal.SIGTERM) if jax.process_count() == 1 else ():
            before[number] = signal.signal(number, request)
    except ValueError:  # not in the main thread, where signals cannot be caught
        pass
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
