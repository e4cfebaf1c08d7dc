"""What the commands on image files share: their options, checks, progress and reports."""

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .common import console, stderr
from .tables import print_line

if TYPE_CHECKING:
    from ..folders import Collection, Job
else:
    Collection = Job = object  # --help starts without NumPy

Sources = Annotated[
    list[str], typer.Argument(metavar="IN...", help="Image files, folders of them, patterns such as 'scans/*.png'.")
]
Target = Annotated[str, typer.Argument(metavar="OUT", help="File to write; a folder unless IN is one file.")]
Recursive = Annotated[bool, typer.Option("--recursive", "-r", help="Include subfolders; their structure is kept.")]
Suffix = Annotated[
    str, typer.Option(help="End of the written names: a format (.png), a label (-restored) or both (-restored.png).")
]
SkipExisting = Annotated[
    bool, typer.Option("--skip-existing", help="Keep results that exist, as after an interruption.")
]
Share = Annotated[
    str | None,
    typer.Option(help="Process one share of the images, e.g. 2/8. Default: that of this SLURM task or TPU host."),
]
Quality = Annotated[
    int | None,
    typer.Option(min=1, max=100, help="Quality of JPEG, WebP, AVIF and HEIC. Default: that of IN or 95, the higher."),
]
Range = Annotated[
    str | None,
    typer.Option("--range", metavar="LOW,HIGH", help="Stored values of black and white, e.g. of floating-point TIFF."),
]
MaxPixels = Annotated[int | None, typer.Option(min=1, help="Largest image to read. Default: 178956970 pixels.")]
Mask = Annotated[
    str | None,
    typer.Option(help="Mask image, white where pixels are known, or a folder with NAME-mask.png for each image."),
]
MaskMarks = Annotated[str | None, typer.Option(help="What white marks in the mask: known (default) or damaged pixels.")]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Do not keep compiled programs in ~/.cache/restorax.")]
Force = Annotated[bool, typer.Option("--force", help="Allow OUT to replace IN or the mask.")]

_NAMED = 5


def select(
    collection: Collection, *, share: str | None, skip_existing: bool, force: bool, extra: Sequence[Any] = ()
) -> Sequence[Job]:
    """Return the jobs of a collection that this process has to do, and print what is passed over.

    Raises:
        ValueError: if the share is not understood, or a result would replace an input without ``force``.
    """
    from ..folders import without_existing
    from ..hosts import share_of_job

    jobs = collection.jobs
    inputs = [path for job in jobs for path in (job.source, job.mask) if path is not None]
    check_replaced([*(job.target for job in jobs), *extra], inputs, force)
    _print_named("passed over {} that is no image of a known kind", collection.passed_over)
    _print_named("did not enter {}, for which --recursive is needed", collection.not_entered, "folder")
    index, count = _parse_share(share) if share else share_of_job()
    if count > 1:
        jobs = jobs[index::count]
        print_line(console, f"share {index + 1} of {count}: {len(jobs)} of {len(collection.jobs)} images")
    if skip_existing:
        missing = without_existing(jobs)
        if len(missing) < len(jobs):
            print_line(console, f"skipped {len(jobs) - len(missing)} of {len(jobs)} images, whose results exist")
        jobs = missing
    return jobs


Work = Callable[[Job, Callable[[float], None]], None]
"""Processes a job, and calls its second argument with the share that is done."""


def run(jobs: Sequence[Job], work: Work, *, threads: int, title: str) -> None:
    """Process jobs with a progress bar; report those that failed and exit with code 1.

    The error of a single job is raised.
    """
    from rich.progress import Progress

    from ..folders import process

    with Progress(console=console) as bar:
        task, finished, shown = bar.add_task(title, total=len(jobs)), 0, 0.0

        def progress(share: float) -> None:
            nonlocal shown
            shown = max(shown, finished + share)  # one job may be written while the next is computed
            bar.update(task, completed=shown)

        def done(job: Job, problem: str | None) -> None:
            nonlocal finished
            finished += 1
            progress(0.0)
            bar.update(task, description=job.source.name)

        failed = process(jobs, lambda job: work(job, progress), threads=threads, done=done)
    if not failed:
        return
    sentences = [problem if str(job.source) in problem else f"{job.source}: {problem}" for job, problem in failed]
    if len(jobs) == 1:
        raise ValueError(sentences[0])
    print_line(stderr, f"restorax: {len(failed)} of {len(jobs)} images failed:", style="red")
    for sentence in sentences:
        print_line(stderr, f"  {sentence}", style="red")
    raise typer.Exit(1)


def parse_range(text: str | None) -> tuple[float, float] | None:
    """Read ``LOW,HIGH``."""
    if text is None:
        return None
    try:
        low, high = map(float, text.split(","))
    except ValueError:
        raise ValueError(f"--range must be two numbers LOW,HIGH, got {text!r}") from None
    return low, high


def check_replaced(outputs: Sequence[Any], inputs: Sequence[Any], force: bool) -> None:
    """Refuse to replace an input, also by another path or link to it, without ``force``."""
    originals = {identity for path in inputs if path is not None and (identity := _identity(path))}
    for path in outputs:
        if not force and _identity(path) in originals:
            raise ValueError(f"{path} is an input file; give another OUT, or --force to replace it")


def _identity(path: Any) -> Any:
    """Return what identifies a file by any of its names, ``None`` if it does not exist."""
    from ..files.atomic import is_remote

    if is_remote(path):
        return str(path)
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _parse_share(text: str) -> tuple[int, int]:
    part, _, count = text.partition("/")
    if not (part.isdecimal() and count.isdecimal() and 1 <= int(part) <= int(count)):
        raise ValueError(f"`share` must be the number of a share and that of all, such as 2/8, got {text!r}")
    return int(part) - 1, int(count)


def _print_named(sentence: str, paths: Sequence[Any], noun: str = "file") -> None:
    if paths:
        names = ", ".join(path.name for path in paths[:_NAMED])
        more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
        counted = f"1 {noun}" if len(paths) == 1 else f"{len(paths)} {noun}s"
        print_line(console, f"{sentence.format(counted)}: {names}{more}")
