"""Command ``restorax solve``."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import batch
from .compilation import use_cache

if TYPE_CHECKING:
    from ..folders import Job
else:
    Job = object  # --help starts without NumPy


def solve(
    sources: batch.Sources,
    target: batch.Target,
    known: Annotated[
        str | None,
        typer.Option(help="Degradation, e.g. 'motion_blur(length=15, angle=30)', linear and with known strengths."),
    ] = None,
    kernel: Annotated[str | None, typer.Option(help="Image of the blur kernel, with odd sides.")] = None,
    mask: batch.Mask = None,
    mask_marks: batch.MaskMarks = None,
    jpeg: Annotated[
        bool, typer.Option("--jpeg", help="IN is a JPEG file; the result keeps to what its quantisation allows.")
    ] = False,
    blind: Annotated[bool, typer.Option("--blind", help="Estimate the blur kernel from the image.")] = False,
    noise: Annotated[
        str | None, typer.Option(help="Standard deviation of the noise, e.g. 2.55/255 or 0.01; 0 for none.")
    ] = None,
    denoiser: Annotated[
        str | None,
        typer.Option(help="Entry conditioned on the noise level. Default: the best one for the channels."),
    ] = None,
    method: Annotated[str, typer.Option(help="hqs, admm, red or pg (proximal gradient).")] = "hqs",
    iterations: Annotated[int, typer.Option(help="Number of iterations.", min=1)] = 8,
    tile: Annotated[int | None, typer.Option(help="Side of a tile in pixels. Default: 768 for large images.")] = None,
    recursive: batch.Recursive = False,
    suffix: batch.Suffix = "",
    skip_existing: batch.SkipExisting = False,
    share: batch.Share = None,
    quality: batch.Quality = None,
    value_range: batch.Range = None,
    max_pixels: batch.MaxPixels = None,
    no_cache: batch.NoCache = False,
    force: batch.Force = False,
) -> None:
    """Restore images with a known linear degradation, such as a blur kernel or a mask, with a denoiser as the prior.

    No network is trained for the degradation. The scene is taken to go on beyond the borders of the image.

    Exit codes: 0, 1 if some of several images failed, 2 after an error.
    """
    if not (known or kernel or mask or jpeg or blind):
        raise ValueError("give what is known of the degradation: --known, --kernel, --mask, --jpeg or --blind")
    if not no_cache:
        use_cache()
    from .. import zoo
    from ..degrade import Chain, Op, kernel_blur, parse
    from ..files.kernel import read_kernel
    from ..folders import collect
    from ..solvers.linear import read_parts
    from ..solvers.pictures import solve_file
    from ..solvers.priors import check_denoiser

    parts = [Op(kernel_blur, kernel=read_kernel(kernel))] if kernel else []
    degradation = Chain(*parts, *([parse(known)] if known else [])) if known or kernel else None
    stated = None if degradation is None else read_parts(degradation).noise
    level = None if noise is None else _number(noise)
    if level is None and not jpeg and stated is None:
        raise ValueError("--noise, the standard deviation of the noise in [0, 1], is required; 0 for none")
    restorer = None if denoiser is None else zoo.load(denoiser)
    if restorer is not None:
        check_denoiser(restorer, restorer.card.channels)
    collection = collect(sources, target, recursive=recursive, suffix=suffix, mask=mask)
    chosen = batch.select(collection, share=share, skip_existing=skip_existing, force=force)
    options: dict[str, Any] = {
        **{"noise": level, "mask_marks": mask_marks, "jpeg": jpeg, "blind": blind, "denoiser": restorer},
        **{"method": method, "iterations": iterations, "tile": tile, "quality": quality, "max_pixels": max_pixels},
        **{"value_range": batch.parse_range(value_range)},
    }

    def work(job: Job, progress: Callable[[float], None]) -> None:
        solve_file(job.source, job.target, degradation, mask=job.mask, progress=progress, **options)

    batch.run(chosen, work, threads=1, title="solving")


def _number(text: str) -> float:
    """Read a number or a quotient of two."""
    top, slash, bottom = text.partition("/")
    try:
        return float(top) / (float(bottom) if slash else 1)
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"--noise must be a number such as 0.01 or 2.55/255, got {text!r}") from None
