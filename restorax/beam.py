"""Restore collections of image files with Apache Beam (``pip install 'restorax[beam]'``)."""

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam  # pyright: ignore[reportMissingImports]
from apache_beam.utils import shared  # pyright: ignore[reportMissingImports]
from PIL import Image

from .buckets import bucket_side
from .folders import Job, as_path, attempt
from .pictures import restore_file
from .series import Series
from .zoo import Restorer, load

FAILED = "failed"


class RestoreImages(beam.PTransform):
    """Restore image files of a collection on the workers of a pipeline.

    Takes pairs of paths, ``(source, target)``, ``gs://...`` included. Images are grouped by the bucket of their size,
    so that a worker compiles few programs, and it loads the parameters once. Results are written whole or not at all,
    and writing one again changes nothing: a runner that repeats the work of a lost worker, and a pipeline that is run
    again with ``skip_existing``, end with every result once.

    Args:
        model: name or path, as :func:`restorax.load` takes it; every worker must see it.
        skip_existing: leave out images whose result exists.
        batch: most images that a worker receives at once.
        **options: ``strength``, ``tile`` and ``ensemble`` of :func:`restorax.pictures.restore_file`.

    Returns:
        Two collections by name: ``written``, the targets, and ``failed``, pairs of a source and a sentence.

    Example: see ``docs/collections.md``.
    """

    def __init__(self, model: str, *, skip_existing: bool = False, batch: int = 32, **options: Any) -> None:
        super().__init__()
        self._model, self._skip_existing, self._batch, self._options = model, skip_existing, batch, options

    def expand(self, input_or_inputs: Any) -> Any:
        """Group, restore, and keep what failed apart."""
        read = beam.ParDo(_ReadSize(self._skip_existing)).with_output_types(tuple[str, tuple[str, str]])
        sized = input_or_inputs | "read sizes" >> read.with_outputs(FAILED, main="sized")
        restored = (
            sized.sized
            | "group by bucket" >> beam.GroupIntoBatches.WithShardedKey(self._batch)
            | "restore" >> beam.ParDo(_Restore(self._model, self._options)).with_outputs(FAILED, main="written")
        )
        failed = (sized[FAILED], restored[FAILED]) | "join failures" >> beam.Flatten()
        return {"written": restored.written, FAILED: failed}


class _ReadSize(beam.DoFn):
    """``(source, target) -> (bucket, (source, target))``, from the header of the file."""

    def __init__(self, skip_existing: bool) -> None:
        self._skip_existing = skip_existing

    def process(self, element: tuple[str, str]) -> Iterator[Any]:
        """Yield the pair by its bucket, or a failure."""
        source, target = map(str, element)
        if self._skip_existing and as_path(target).exists():
            return
        try:
            with as_path(source).open("rb") as content, Image.open(content) as header:
                width, height = header.size
        except (OSError, ValueError, SyntaxError):
            yield beam.pvalue.TaggedOutput(FAILED, (source, f"{source} cannot be read as an image"))
            return
        yield f"{bucket_side(height)} x {bucket_side(width)}", (source, target)


class _Loaded:
    """A restorer and its series; the threads of a worker share one by weak reference."""

    def __init__(self, model: str) -> None:
        self.restorer: Restorer = load(model)
        self.series = Series(clear_after=64)


class _Restore(beam.DoFn):
    """Restore the files of a batch."""

    def __init__(self, model: str, options: dict[str, Any]) -> None:
        self._model, self._options, self._shared = model, options, shared.Shared()

    def setup(self) -> None:
        """Load the parameters, once per worker."""
        self._loaded = self._shared.acquire(lambda: _Loaded(self._model))

    def process(self, element: tuple[Any, Iterable[tuple[str, str]]]) -> Iterator[Any]:
        """Yield the targets that were written, and failures."""
        for source, target in element[1]:
            problem = attempt(Job(as_path(source), as_path(target)), self._restore)
            yield target if problem is None else beam.pvalue.TaggedOutput(FAILED, (source, problem))

    def _restore(self, job: Job) -> None:
        restore_file(self._loaded.restorer, job.source, job.target, apply=self._loaded.series, **self._options)
