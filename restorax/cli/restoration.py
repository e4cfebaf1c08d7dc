"""Command ``restorax restore``."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import batch
from .common import ENTRY, console
from .compilation import CompilationTimer, cache_folder, use_cache
from .diagnosis import AutomaticWork
from .tables import print_line

if TYPE_CHECKING:
    from ..files.atomic import AnyPath
    from ..folders import Job
    from ..zoo import Restorer
else:
    AnyPath = Job = Restorer = object  # --help starts without JAX

_SIZES = 64  # sizes after which JAX's caches are emptied
_SLOW = 1.0  # seconds of compilation that are explained


def restore(
    sources: batch.Sources,
    target: batch.Target,
    model: Annotated[
        str | None,
        typer.Option(
            help=f"{ENTRY} Or an exported file NAME.onnx. By default the image is diagnosed, and the entries are "
            "chosen by that."
        ),
    ] = None,
    backend: Annotated[
        str | None,
        typer.Option(help="What computes: jax (default) or onnxruntime, which exports the network when first needed."),
    ] = None,
    mask: batch.Mask = None,
    mask_marks: batch.MaskMarks = None,
    strength: Annotated[
        float | None,
        typer.Option(
            help="Noise level in [0, 1], or JPEG quality / 100, for restorers that need it. By default the noise level "
            "is measured in each image, and every eighth frame of a video."
        ),
    ] = None,
    amount: Annotated[
        float, typer.Option(help="Blend with the input: 0 leaves it as it is, 1 is the full effect.", min=0, max=1)
    ] = 1.0,
    tile: Annotated[int | None, typer.Option(help="Side of a tile in pixels. Default: what fits in memory.")] = None,
    ensemble: Annotated[
        bool, typer.Option("--ensemble", help="Average over flips and rotations: better, 8 times slower.")
    ] = False,
    consistent: Annotated[
        bool, typer.Option("--consistent", help="Keep to what the quantisation of a JPEG file allows.")
    ] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="Also write input and result side by side, as NAME-compare.png.")
    ] = False,
    recursive: batch.Recursive = False,
    suffix: batch.Suffix = "",
    skip_existing: batch.SkipExisting = False,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", help="Files to read and write while another is computed.", min=1)
    ] = 2,
    share: batch.Share = None,
    quality: batch.Quality = None,
    crf: Annotated[
        int | None, typer.Option(min=0, help="Constant rate factor of videos, 0 (best) to 51. Default: 16, WebM 24.")
    ] = None,
    value_range: batch.Range = None,
    max_pixels: batch.MaxPixels = None,
    no_cache: batch.NoCache = False,
    force: batch.Force = False,
) -> None:
    """Restore images and folders of them, or a video: mp4, mov, mkv or webm, with its sound.

    Video restorers also take a folder of frames, an animation or the pages of a TIFF; others restore every frame of a
    video by itself. Ctrl-C finishes the video with the frames so far.

    White in a mask marks known pixels, as in NAME-mask.png of 'restorax degrade'. For masks in which white marks the
    damage, as inpainting tools often paint it, give --mask-marks damaged.

    Without --model, images are diagnosed and restored with the entries that are known to help, and left alone where
    none is; --force restores these too. 'restorax diagnose' shows the findings. For a video, one entry is chosen.

    IN and OUT may be in a bucket (gs://...). Exit codes: 0, 1 if some of several images failed, 2 after an error.
    """
    from ..files.movie import is_movie
    from ..folders import collect
    from ..pictures import check_file_options

    cache = None if no_cache else use_cache()
    movies = [source for source in sources if is_movie(source)]
    if crf is not None and not movies:
        raise ValueError("--crf is the quality of videos; give --quality for images")
    if movies:
        given = {"amount": amount < 1, "compare": compare, "share": share, "quality": quality, "range": value_range}
        given |= {"recursive": recursive, "suffix": suffix, "skip-existing": skip_existing}
        given |= {"consistent": consistent, "backend": backend}
        if unused := [f"--{name}" for name, value in given.items() if value]:
            raise ValueError(f"{movies[0]} is a video; omit {', '.join(unused)}")
        if len(sources) > 1:
            raise ValueError(f"{movies[0]} is a video; restore videos one at a time, got {len(sources)} inputs")
        if model is None:
            _refuse_without_model({"mask": mask, "mask-marks": mask_marks, "strength": strength})
        options = {"mask": mask, "mask_marks": mask_marks, "strength": strength, "tile": tile, "ensemble": ensemble}
        _restore_movie(model, movies[0], target, options | {"crf": crf, "max_pixels": max_pixels}, force)
        return
    stored = {"quality": quality, "value_range": batch.parse_range(value_range), "max_pixels": max_pixels}
    if model is None:
        needing = {
            **{"mask": mask, "mask-marks": mask_marks, "strength": strength, "compare": compare or None},
            **{"consistent": consistent or None, "backend": backend},
        }
        _refuse_without_model(needing)
        collection = collect(sources, target, recursive=recursive, suffix=suffix)
        chosen = batch.select(collection, share=share, skip_existing=skip_existing, force=force)
        work = AutomaticWork(amount=amount, force=force, tile=tile, ensemble=ensemble, **stored)
        batch.run(chosen, work, threads=1, title="restoring")
        return
    restorer = _load(model, backend)
    if restorer.model.takes_frames:
        given = {
            **{"tile": tile, "ensemble": ensemble, "compare": compare, "amount": amount < 1, "share": share},
            **{"consistent": consistent, "recursive": recursive, "suffix": suffix, "skip-existing": skip_existing},
        }
        if unused := [f"--{name}" for name, value in given.items() if value]:
            raise ValueError(f"{restorer.card.name} restores whole frames of a video; omit {', '.join(unused)}")
        if len(sources) > 1:
            raise ValueError(f"{restorer.card.name} restores one folder of frames or one animation, got {len(sources)}")
        if strength is not None:
            raise ValueError(f"{restorer.card.name} takes no strength")
        frames = {"mask": Path(mask) if mask else None, "mask_marks": mask_marks} | stored
        _restore_frames(restorer, Path(sources[0]), Path(target), frames, force)
        return
    check_file_options(restorer, has_mask=mask is not None, strength=_or_measured(strength, restorer, model), tile=tile)
    collection = collect(sources, target, recursive=recursive, suffix=suffix, mask=mask)
    strips = [compared(job.target) for job in collection.jobs] if compare else []
    chosen = batch.select(collection, share=share, skip_existing=skip_existing, force=force, extra=strips)
    options = {"mask_marks": mask_marks, "strength": strength, "tile": tile, "ensemble": ensemble}
    options |= {"consistent": consistent}
    batch.run(chosen, _Work(restorer, amount, compare, options | stored, cache), threads=jobs, title="restoring")


def _refuse_without_model(options: dict[str, Any]) -> None:
    if given := [f"--{name}" for name, value in options.items() if value is not None]:
        raise ValueError(f"{', '.join(given)} requires --model")


def _load(model: str, backend: str | None) -> Restorer:
    """Load an entry or an exported file for a backend."""
    from .. import zoo

    if backend not in (None, "jax", "onnxruntime"):
        raise ValueError(f"backend {backend!r} is not known; give jax or onnxruntime")
    is_file = Path(model).suffix.lower() == ".onnx"
    if backend != "onnxruntime" and not is_file:
        return zoo.load(model)
    if backend == "jax":
        raise ValueError(f"{model} runs in onnxruntime; omit --backend, or give the name of an entry")
    from ..onnx_backend import OnnxRuntime

    runtime = OnnxRuntime(cache_folder() / "onnx")
    restorer = runtime.read(model) if is_file else zoo.load(model).replace(runtime=runtime)
    if restorer.model.takes_frames:
        raise ValueError(f"{restorer.card.name} restores videos with JAX alone; give --model NAME without --backend")
    return restorer


def _or_measured(strength: float | None, restorer: Restorer, name: str) -> "float | Callable[..., float] | None":
    """Return the strength or, where a noise level is missing, a function that measures it and prints it."""
    from ..types import Condition

    if strength is not None or restorer.model.required_condition is not Condition.NOISE_LEVEL:
        return strength

    printed = False

    def measure(pixels: Any) -> float:
        nonlocal printed
        from ..diagnosis import measure_noise_level

        level = measure_noise_level(pixels)
        if not printed:
            print_line(
                console, f"{name}: noise level {level:.3f} ({255 * level:.0f}/255) measured; --strength sets another"
            )
        printed = True
        return level

    return measure


def compared(target: AnyPath) -> AnyPath:
    """Return the file that --compare writes."""
    return target.with_name(f"{target.stem}-compare.png")


class _Work:
    """Restores the file of a job; called from several threads, of which one computes at a time."""

    def __init__(
        self, restorer: Restorer, amount: float, compare: bool, options: dict[str, Any], cache: Path | None
    ) -> None:
        from ..series import Series

        self._restorer, self._amount, self._compare, self._options = restorer, amount, compare, options
        self._series, self._cache, self._timer = Series(clear_after=_SIZES), cache, CompilationTimer()
        self._first = threading.Lock()  # taken by the first image and never released

    def __call__(self, job: Job, progress: Callable[[float], None]) -> None:
        from ..files import image
        from ..pictures import restore_file

        strips = []

        def apply(restorer: Restorer, pixels: Any, *arguments: Any, **options: Any) -> Any:
            first = self._first.acquire(blocking=False)
            if first:
                self._remark_fit(job.source.name, pixels)
            restored = self._series(restorer, pixels, *arguments, **options)
            if first:
                self._remark_compilation(job.source.name, pixels)
            if self._amount < 1:
                restored = pixels + self._amount * (restored - pixels)
            if self._compare:
                strips.append(image.strip(pixels, restored))
            return restored

        files = {"source": job.source, "target": job.target, "mask": job.mask}
        options: dict[str, Any] = self._options | {
            "strength": _or_measured(self._options["strength"], self._restorer, job.source.name)
        }
        restore_file(self._restorer, **files, apply=apply, progress=progress, **options)
        for strip in strips[:1]:
            image.write(compared(job.target), strip)

    def _remark_fit(self, name: str, pixels: Any) -> None:
        from ..inference import describe_fit

        if remark := describe_fit(self._restorer, pixels):
            print_line(console, f"{name}: {remark}.")

    def _remark_compilation(self, name: str, pixels: Any) -> None:
        if self._timer.seconds < _SLOW:
            return
        height, width = pixels.shape[:2]
        kept = f"; the programs are kept in {self._cache} for the next time" if self._cache else ""
        print_line(
            console, f"{name}: {self._timer.seconds:.1f} s were compilation for {height} x {width} pixels{kept}."
        )


def _restore_frames(restorer: Restorer, source: Path, target: Path, options: dict[str, Any], force: bool) -> None:
    from rich.progress import Progress

    from .. import video
    from ..files.image import list_pictures

    frames = list_pictures(source) if source.is_dir() else [source]
    batch.check_replaced(
        [target / one.name for one in frames] if source.is_dir() else [target], [*frames, options["mask"]], force
    )
    with Progress(console=console) as bar:
        task = bar.add_task("restoring frames", total=1.0)
        progress = lambda share: bar.update(task, completed=share)  # noqa: E731
        video.restore_video(restorer, source, target, progress=progress, **options)


def _choose_for_movie(source: str, max_pixels: int | None) -> str:
    from ..diagnosis.videos import choose_for_video
    from ..files.movie import read_movie

    diagnosis, choice = choose_for_video(read_movie(source, max_pixels=max_pixels))
    if not choice.entries:
        raise ValueError(f"{source}: {choice.reason}; give --model to restore it anyway (see 'restorax list')")
    print_line(console, f"{Path(source).name}: {diagnosis.describe()} -> {choice}")
    return choice.entries[0]


def _restore_movie(name: str | None, source: str, target: str, options: dict[str, Any], force: bool) -> None:
    from rich.progress import BarColumn, Progress, TextColumn

    from .. import video, zoo

    batch.check_replaced([target], [source, options["mask"]], force)
    restorer = zoo.load(name or _choose_for_movie(source, options["max_pixels"]))
    columns = TextColumn("restoring frames"), BarColumn(), TextColumn("{task.completed} of {task.total}")
    started, done = 0.0, 0
    try:
        with Progress(*columns, TextColumn("{task.fields[speed]}"), console=console) as bar:
            task = bar.add_task("", total=None, speed="")

            def progress(frames: int, total: int | None) -> None:
                nonlocal started, done
                started, done = started or time.perf_counter(), frames  # without compilation
                passed = time.perf_counter() - started
                speed = f"{(frames - 1) / passed:.1f} frames/s" if frames > 1 and passed else ""
                bar.update(task, completed=frames, total=None if total is None else max(total, frames), speed=speed)

            options["strength"] = _or_measured(options["strength"], restorer, Path(source).name)
            video.restore_movie(restorer, source, target, progress=progress, **options)
    except KeyboardInterrupt:
        if done:
            print_line(console, f"stopped; {target} holds the first {done} frames")
        raise
