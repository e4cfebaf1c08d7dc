"""Training plan: data, mesh, compiled steps and checks, prepared from a recipe and options."""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from etils import epath
from jax.sharding import Mesh

from .. import data
from ..files import image
from ..files.atomic import absolute
from ..recipe import Recipe, Stage
from ..sources import Sources
from ..types import Array, Params, PRNGKeyArray
from . import parallel
from .checkpoint import Checkpoints
from .logger import TrainingLogger, Validation
from .options import Options
from .publish import detected_hardware, publish
from .report import Sample, write_report
from .start import starting_params
from .step import TrainState, build_model, init_state, make_draw, make_restore, patch_side, training_keys
from .validation import CleanValidation, ValidationSet
from .workdir import check_same_training, deliver, published, remember


@dataclasses.dataclass(frozen=True)
class Plan:
    """A training run, ready to start.

    Attributes:
        name: zoo name of the result.
        recipe: training recipe.
        options: training options.
        validation: what the training is validated on.
        workdir: absolute training directory.
        mesh: device mesh.
        sources: training images.
        steps: the compiled step of each stage.
        layout: shapes, types and shardings of the state.
        restore: compiled ``(params, image, condition) -> image``.
        key: random key of the training steps.
        first: whether this process writes logs and entries.
        tell: callback for messages to the user.
    """

    name: str
    recipe: Recipe
    options: Options
    validation: ValidationSet
    workdir: epath.Path
    mesh: Mesh
    sources: Sources
    steps: tuple[Callable[..., tuple[TrainState, dict[str, Array]]], ...]
    layout: TrainState
    restore: Callable[..., Array]
    key: PRNGKeyArray
    first: bool
    tell: Callable[[str], Any]

    @property
    def entry(self) -> epath.Path:
        """Folder of the resulting zoo entry."""
        return self.workdir / self.name

    def start(self, checkpoints: Checkpoints) -> TrainState:
        """Return a new or resumed state, and write ``recipe.json``.

        Raises:
            ValueError: if the directory contains another training, or checkpoints and ``resume`` is ``"never"``.
        """
        names = sorted(self.validation.images)
        fresh = checkpoints.latest() is None
        if not fresh:
            check_same_training(self.workdir, self.recipe, names)
            if self.options.resume != "auto":
                raise ValueError(
                    f"{self.workdir} contains checkpoints of a training; give another --workdir or --resume auto"
                )
        state = self._initial_state() if fresh else checkpoints.restore(self.layout)
        if self.first:
            remember(self.workdir, self.recipe, names)
        return state

    def _initial_state(self) -> TrainState:
        """Initialise a state, with the parameters of the entry to fine-tune, if any."""
        state = parallel.make_state(_initializer(self.recipe), self.mesh)
        if not self.recipe.start:
            return state
        place = partial(parallel.place, starting_params(self.recipe.start, build_model(self.recipe)))
        return state.replace(params=place(self.layout.params), ema=place(self.layout.ema))

    def work(self, done: int) -> Iterator[tuple[Callable, Any, Array]]:
        """Yield the compiled step, patches and batch rows of every step after the first ``done``."""
        in_memory = self.options.in_memory
        images = None
        if in_memory and done < self.recipe.steps:
            (source,) = self.sources.by_kind.values()
            images = parallel.replicate(data.DeviceImages.of(source), self.mesh)
        for end, stage, step in zip(self.recipe.ends, self.recipe.stages, self.steps, strict=True):
            if done < end:
                rows = parallel.local_rows(stage.batch, self.mesh)
                places = parallel.assemble(np.array(rows), stage.batch, self.mesh)
                feed = itertools.repeat(images) if in_memory else self._batches(stage, rows, done)
                yield from ((step, patches, places) for patches in itertools.islice(feed, end - done))
                done = end

    def _batches(self, stage: Stage, rows: list[int], start: int) -> Iterator[Array]:
        """Yield batches from a step on; each host reads only the rows of its devices."""
        source = self.sources.of(stage)
        for patches in data.batches(source, batch=stage.batch, start=start, rows=rows, size=patch_side(stage)):
            yield parallel.assemble(patches, stage.batch, self.mesh)

    def average(self, state: TrainState) -> Params:
        """Gather the averaged parameters on this host; all hosts must call this."""
        return parallel.to_host(state.ema, self.mesh)

    def validate(self, params: Params) -> Validation:
        """Measure the mean PSNR by degradation; with TensorBoard, restore a few images for it."""
        psnr, input_psnr = self.validation.measure(partial(self.restore, params), self.recipe)
        shown = self._samples(params) if self.options.tensorboard and self.first else {}
        strips = {name: image.strip(*(part for part in sample if part is not None)) for name, sample in shown.items()}
        return Validation(psnr, input_psnr, {name: np.clip(one.pixels, 0, 1) for name, one in strips.items()})

    def _samples(self, params: Params) -> dict[str, Sample]:
        return self.validation.samples(self.restore, params, self.recipe)

    def write_entry(self, params: Params, steps: int, seconds: float) -> None:
        """Write a zoo entry with averaged parameters; results of equal parameters are kept."""
        if not self.first:
            return
        before, options = published(self.entry), self.options
        entry = partial(
            publish,
            self.name,
            self.recipe,
            params,
            steps=steps,
            seconds=seconds,
            data=options.data_name or self.sources.title,
            data_licence=options.data_licence,
            weights_licence=options.weights_licence,
            hardware=options.hardware,
            before=before and before.card,
        )
        deliver(self.entry, lambda folder: entry(folder=folder))

    def finish(self, checkpoints: Checkpoints, logger: TrainingLogger, done: int) -> None:
        """Publish the parameters of the best validation, and write the report."""
        best = checkpoints.best() or done
        average = parallel.to_host(checkpoints.restore_average(self.layout.ema, best), self.mesh)
        so_far, rated = published(self.entry), logger.qualities
        if so_far and rated.get(so_far.card.steps, -np.inf) > rated.get(best, -np.inf):
            best, average = so_far.card.steps, so_far.params
            self.tell(f"{self.entry} is kept: step {best} validated better than all intact checkpoints")
        else:
            self.write_entry(average, best, logger.seconds_at(best))
        if self.first:
            facts = {
                "start": f"`{self.recipe.start}`" if self.recipe.start else "random parameters",
                "data": self.options.data_name or self.sources.title,
                "images skipped": len(self.sources.skipped),
                "validation": f"{len(self.validation.images)} images",
                "best step": best,
                "hardware": detected_hardware(self.options.hardware),
                "hours": f"{logger.seconds / 3600:.2f}",
            }
            page = partial(
                write_report,
                name=self.name,
                recipe=self.recipe,
                entry=str(self.entry),
                lines=logger.lines,
                best=best,
                facts=facts,
                pictures=self._samples(average),
                shown=self.validation.shown(self.recipe),
            )
            deliver(self.workdir, page)


def make_plan(
    name: str,
    recipe: Recipe,
    options: Options,
    validation: Mapping[str, np.ndarray] | ValidationSet,
    *,
    tell: Callable[[str], Any] = print,
) -> Plan:
    """Prepare a training run, and check everything that would otherwise fail later.

    Args:
        name: zoo name of the result.
        recipe: training recipe.
        options: training options.
        validation: clean images ``[height, width, channels]`` in [0, 1] by name, or another validation.
        tell: callback for messages to the user.

    Returns:
        The plan; nothing is compiled or written yet.

    Raises:
        FileNotFoundError: if there are no training images.
        ValueError: if a batch does not divide among the devices, or recipe or validation images are invalid.
    """
    channels = build_model(recipe).channels
    validation = CleanValidation(validation) if isinstance(validation, Mapping) else validation
    validation.check(recipe, channels)
    _check(recipe, channels)
    mesh = parallel.make_mesh(options.shards, parallel.devices_for(recipe, options.shards))
    if mesh.size < jax.device_count():
        batches = ", ".join(sorted({str(stage.batch) for stage in recipe.stages}))
        tell(f"using {mesh.size} of {jax.device_count()} devices, among which the batch of {batches} divides")
    steps = tuple(parallel.jit_step(recipe, stage, mesh, pictures=options.in_memory) for stage in recipe.stages)
    size = max(map(patch_side, recipe.stages))
    return Plan(
        name=name,
        recipe=recipe,
        options=options,
        validation=validation,
        workdir=absolute(options.workdir or Path("runs") / name),
        mesh=mesh,
        sources=_open(recipe, options, size, channels),
        steps=steps,
        layout=parallel.abstract_state(_initializer(recipe), mesh),
        restore=jax.jit(make_restore(recipe)),
        key=parallel.make_state(lambda: training_keys(recipe)[1], mesh),
        first=parallel.is_first(),
        tell=tell,
    )


def _initializer(recipe: Recipe) -> Callable[[], TrainState]:
    return lambda: init_state(recipe, training_keys(recipe)[0])


def _open(recipe: Recipe, options: Options, size: int, channels: int) -> Sources:
    """Open the training images, and check that they are those that the stages need."""
    sources = Sources(
        options.sources,
        size=size,
        channels=channels,
        seed=recipe.seed,
        data_dir=options.data_dir,
        value_range=options.value_range,
        hold_out=options.hold_out,
    )
    for stage in recipe.stages:
        sources.of(stage)
    if options.in_memory and (len(sources.by_kind) > 1 or any(p.varies for p in sources.by_kind.values())):
        raise ValueError("--in-memory keeps clean images, pairs or noisy images, not bursts or several kinds at once")
    return sources


def _check(recipe: Recipe, channels: int) -> None:
    """Check what would fail at the start of a stage."""
    key = jax.random.key(0)
    for stage in recipe.stages:
        side = patch_side(stage)
        depth = 2 * channels if "pairs" in stage.kinds else channels
        jax.eval_shape(make_draw(stage), key[None], jax.ShapeDtypeStruct((1, side, side, depth), np.uint8))
