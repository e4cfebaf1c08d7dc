"""Command ``restorax degrade``."""

import collections
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import batch

if TYPE_CHECKING:
    from ..files.atomic import AnyPath
    from ..folders import Job
else:
    AnyPath = Job = object  # --help starts without NumPy

_SIZES = 32  # sizes whose compiled operators are kept


def degrade(
    sources: batch.Sources,
    target: batch.Target,
    operators: Annotated[
        str,
        typer.Option(
            "--with", help="Degradation, e.g. 'gaussian_noise(sigma=25/255) + jpeg(quality=30)', or a preset."
        ),
    ],
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    recursive: batch.Recursive = False,
    suffix: batch.Suffix = "",
    skip_existing: batch.SkipExisting = False,
    share: batch.Share = None,
    quality: batch.Quality = None,
    value_range: batch.Range = None,
    max_pixels: batch.MaxPixels = None,
    force: batch.Force = False,
) -> None:
    """Degrade images and folders of them. A mask or noise level is written as NAME-mask.png.

    Exit codes: 0, 1 if some of several images failed, 2 after an error.
    """
    import jax
    import numpy as np

    from ..degrade import parse
    from ..files import image
    from ..files.frames import read_single
    from ..folders import collect
    from ..series import SizeLimit

    if not -(2**63) <= seed < 2**63:
        raise ValueError(f"seed must be from -2**63 to 2**63 - 1, got {seed}")
    operation = parse(operators)
    collection = collect(sources, target, recursive=recursive, suffix=suffix)
    chosen = batch.select(collection, share=share, skip_existing=skip_existing, force=force)
    sizes, limits = SizeLimit(_SIZES), batch.parse_range(value_range)

    def read(job: Job) -> Any:
        return read_single(job.source, value_range=limits, max_pixels=max_pixels)

    def shape_of(pixels: np.ndarray) -> Any:
        return jax.eval_shape(operation, jax.random.key(0), jax.ShapeDtypeStruct(pixels.shape, pixels.dtype))

    def work(job: Job, _: Callable[[float], None]) -> None:
        picture = read(job)
        if shape_of(picture.pixels).image.shape != picture.pixels.shape:
            raise ValueError(f"{operators!r} returns several images; use a degradation that returns one")
        sizes.add(picture.pixels.shape)
        key = jax.random.fold_in(jax.random.key(seed), job.index)
        observed = operation(key, jax.numpy.asarray(picture.pixels))
        image.write(job.target, picture.with_pixels(np.asarray(observed.image)), quality=quality)
        if observed.condition is not None:
            image.write(_mask_of(job.target), image.Picture(np.asarray(observed.condition[..., :1])))

    conflict = _mask_conflict(collection.jobs, force)
    if conflict and shape_of(read(collection.jobs[0]).pixels).condition is not None:
        raise ValueError(conflict)
    batch.run(chosen, work, threads=1, title="degrading")


def _mask_of(target: AnyPath) -> AnyPath:
    return target.with_name(f"{target.stem}-mask.png")


def _mask_conflict(jobs: Sequence[Job], force: bool) -> str | None:
    """Say which mask, if masks are written, would be written twice or replace an input."""
    masks = [_mask_of(job.target) for job in jobs]
    written = collections.Counter([*masks, *(job.target for job in jobs)])
    if twice := next((mask for mask in masks if written[mask] > 1), None):
        return f"{twice.name} would be written twice; file names must differ in more than suffix and -mask"
    try:
        batch.check_replaced(masks, [job.source for job in jobs], force)
    except ValueError as error:
        return str(error)
    return None
