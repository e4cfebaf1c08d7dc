"""Collections of image files: which are read, where results go, and how one after another is processed."""

import collections
import contextlib
import glob
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from .errors import one_sentence
from .files.atomic import AnyPath, is_remote
from .files.fits import SUFFIXES as FITS_SUFFIXES
from .files.image import SUFFIXES
from .files.kinds import RAW_SUFFIXES


@dataclass(frozen=True)
class Job:
    """One image file to process.

    Attributes:
        source: file to read.
        target: file to write.
        mask: file with its mask, or ``None``.
        index: position in its collection, for randomness that does not depend on which jobs are done.
    """

    source: AnyPath
    target: AnyPath
    mask: AnyPath | None = None
    index: int = 0


@dataclass(frozen=True)
class Collection:
    """The image files of several files and folders.

    Attributes:
        jobs: one per image, in the order of the inputs and then of the names.
        passed_over: files that are no images of a known suffix; camera raw data and FITS too, without ``suffix``.
        not_entered: subfolders, without ``recursive``.
    """

    jobs: tuple[Job, ...]
    passed_over: tuple[AnyPath, ...] = ()
    not_entered: tuple[AnyPath, ...] = ()


def collect(
    inputs: Sequence[str | os.PathLike],
    out: str | os.PathLike,
    *,
    recursive: bool = False,
    suffix: str = "",
    mask: str | os.PathLike | None = None,
) -> Collection:
    """Pair the files of a collection with the files to write; nothing is written.

    One folder is written to ``out`` itself, and of several inputs, each folder to a subfolder of its name. Files and
    folders whose name starts with a dot, and results in ``out``, are passed over in silence.

    Args:
        inputs: files, folders and patterns such as ``"scans/*.png"``; ``gs://...`` too.
        out: file to write, if there is one input file; a folder otherwise.
        recursive: include subfolders; their structure is kept.
        suffix: end of the names that are written, such as ``".png"``, ``"-restored"`` or ``"-restored.png"``.
        mask: mask of all images, or a folder with ``NAME-mask.png`` for each, structured like the images. Images
            named ``*-mask`` are then no inputs.

    Returns:
        The collection.

    Raises:
        FileNotFoundError: if an input, a mask or the folder of an output file does not exist.
        ValueError: if there are no images, two results would have one name, or the suffix is unknown.

    Example:
        >>> [job.target.name for job in collect(["a.png"], "restored", suffix=".tif").jobs]  # doctest: +SKIP
        ['a.tif']
    """
    paths, literal = _expand(inputs)
    target, single = as_path(out), len(paths) == 1 and literal
    jobs, passed_over, not_entered = [], [], []
    # Camera raw data and FITS cannot be written.
    readable = (*SUFFIXES, *RAW_SUFFIXES, *FITS_SUFFIXES) if "." in suffix else SUFFIXES
    for path in paths:
        if path.is_dir():
            root = target if single else target / path.name
            files, closed = _files(path, recursive, target)
            not_entered += closed
            for file in files:
                if file.suffix.lower() in readable:
                    jobs.append(Job(file, _renamed(root / str(file.relative_to(path)), suffix)))
                else:
                    passed_over.append(file)
        elif single and not target.is_dir():
            if not is_remote(target) and not target.parent.is_dir():
                raise FileNotFoundError(f"{target.parent}: no such folder; cannot write {target.name}")
            jobs.append(Job(path, _renamed(target, suffix)))
        else:
            jobs.append(Job(path, _renamed(target / path.name, suffix)))
    if not jobs:
        raise ValueError(f"{', '.join(map(str, paths))} contains no images ({', '.join(SUFFIXES)})")
    if mask is not None:
        jobs = _with_masks(jobs, as_path(mask), target)
    by_target = collections.defaultdict(list)
    for job in jobs:
        by_target[job.target].append(job.source)
    if twice := next((both for both in by_target.items() if len(both[1]) > 1), None):
        raise ValueError(f"{twice[1][0]} and {twice[1][1]} would both be written to {twice[0]}")
    jobs = [replace(job, index=index) for index, job in enumerate(jobs)]
    return Collection(tuple(jobs), tuple(passed_over), tuple(not_entered))


def process(
    jobs: Sequence[Job],
    work: Callable[[Job], None],
    *,
    threads: int = 1,
    done: Callable[[Job, str | None], None] | None = None,
) -> list[tuple[Job, str]]:
    """Process files in threads; a file that fails does not stop the others.

    Args:
        jobs: files to process.
        work: as in :func:`attempt`.
        threads: files that are processed at the same time.
        done: called in the calling thread after every job, with what went wrong.

    Returns:
        Jobs that failed, each with a sentence, in the order of ``jobs``.
    """
    failed = {}
    with ThreadPoolExecutor(threads) as pool:
        futures = {pool.submit(attempt, job, work): job for job in jobs}
        try:
            for future in as_completed(futures):
                job, problem = futures[future], future.result()
                if problem is not None:
                    failed[job] = problem
                if done:
                    done(job, problem)
        except BaseException:  # Ctrl-C: what has been started ends, the rest does not start
            pool.shutdown(cancel_futures=True)
            raise
    return [(job, failed[job]) for job in jobs if job in failed]


def as_path(path: str | os.PathLike) -> AnyPath:
    """Return a path, of ``etils.epath`` if it is in a bucket."""
    if not is_remote(path):
        return Path(path)
    from etils import epath

    return epath.Path(path)


def without_existing(jobs: Sequence[Job]) -> list[Job]:
    """Return the jobs whose results do not exist yet; files are written whole or not at all."""
    existing = {parent: {path.name for path in _listed(parent)} for parent in {job.target.parent for job in jobs}}
    return [job for job in jobs if job.target.name not in existing[job.target.parent]]


def attempt(job: Job, work: Callable[[Job], None]) -> str | None:
    """Do the work of a job; return what went wrong in a sentence, ``None`` if nothing did.

    Args:
        job: files to process; those in buckets are copied to and from a temporary folder.
        work: reads and writes the files of a job.

    Returns:
        The sentence; it names the original files.
    """
    local = job
    try:
        with _on_disk(job) as local:
            work(local)
    except Exception as error:  # whatever is wrong with one file, the others are processed
        problem = one_sentence(error) or f"{type(error).__name__}: {' '.join(str(error).split())}"
        for copy, original in ((local.source, job.source), (local.target, job.target), (local.mask, job.mask)):
            problem = problem.replace(str(copy), str(original))
        return problem
    return None


@contextlib.contextmanager
def _on_disk(job: Job) -> Iterator[Job]:
    """Yield a job with local files: files in buckets are downloaded first, and all results are uploaded at the end."""
    if not any(is_remote(path) for path in (job.source, job.target, job.mask) if path):
        job.target.parent.mkdir(parents=True, exist_ok=True)
        yield job
        return
    with tempfile.TemporaryDirectory(prefix="restorax-") as folder:
        places = {name: Path(folder) / name for name in ("source", "mask", "target")}
        for place in places.values():
            place.mkdir()
        copies = {
            name: _copied(path, places[name]) for name, path in (("source", job.source), ("mask", job.mask)) if path
        }
        yield Job(copies["source"], places["target"] / job.target.name, copies.get("mask"), job.index)
        job.target.parent.mkdir(parents=True, exist_ok=True)
        for written in sorted(places["target"].iterdir()):
            (job.target.parent / written.name).write_bytes(written.read_bytes())


def _copied(path: AnyPath, folder: Path) -> Path:
    copy = folder / path.name
    copy.write_bytes(path.read_bytes())
    return copy


def _expand(inputs: Sequence[str | os.PathLike]) -> tuple[list[AnyPath], bool]:
    """Return the paths that inputs name, and whether none of them is a pattern."""
    paths, literal = [], True
    for given in inputs:
        path = as_path(given)
        if path.exists():
            paths.append(path)
        elif glob.has_magic(str(given)) and not is_remote(given):
            literal = False
            found = sorted(glob.glob(str(given), recursive=True))
            if not found:
                raise FileNotFoundError(f"{given}: no file matches")
            paths += map(Path, found)
        else:
            raise FileNotFoundError(f"{given}: no such file")
    return paths, literal


def _files(folder: AnyPath, recursive: bool, out: AnyPath) -> tuple[list[AnyPath], list[AnyPath]]:
    """List the files of a folder, without hidden ones and those in ``out``, and the subfolders that are not entered."""
    files = []
    for name, folders, names in _walk(folder):
        here = as_path(name)
        folders[:] = sorted(one for one in folders if not one.startswith(".") and here / one != out)
        below = here.relative_to(folder).parts
        if any(part.startswith(".") for part in below) or (out in (here, *here.parents) and out != folder):
            continue  # not every file system leaves out what was removed from the folders
        files += [here / one for one in sorted(names) if not one.startswith(".")]
        if not recursive:
            return files, [here / one for one in folders]
    return files, []


def _walk(folder: AnyPath) -> Iterator[tuple[AnyPath | str, list[str], list[str]]]:
    return cast(Any, folder).walk() if is_remote(folder) else os.walk(folder)


def _listed(folder: AnyPath) -> list[AnyPath]:
    return list(folder.iterdir()) if folder.is_dir() else []


def _renamed(path: AnyPath, suffix: str) -> AnyPath:
    """Apply the option ``suffix``, the end of a name, and check the suffix of the result."""
    if suffix:
        path = path.with_name(f"{path.stem}{suffix}{'' if '.' in suffix else path.suffix}")
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path}: unknown suffix {path.suffix!r}; use one of {', '.join(SUFFIXES)}")
    return path


def _with_masks(jobs: list[Job], mask: AnyPath, out: AnyPath) -> list[Job]:
    """Give every job its mask; inputs that are masks are left out."""
    images = [job for job in jobs if not job.source.stem.endswith("-mask")]
    if not images:
        raise ValueError(f"{jobs[0].source.parent} contains only masks; add the images")
    if not mask.is_dir():
        if not mask.exists():
            raise FileNotFoundError(f"{mask}: no such file")
        return [replace(job, mask=mask) for job in images]
    masked = []
    for job in images:
        below = job.target.parent.relative_to(out) if out in job.target.parents else ""
        masked.append(replace(job, mask=mask / str(below) / f"{job.source.stem}-mask.png"))
    existing = {parent: set(_listed(parent)) for parent in {job.mask.parent for job in masked}}
    missing = [job for job in masked if job.mask not in existing[job.mask.parent]]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise FileNotFoundError(f"{missing[0].mask}: no such file; {missing[0].source}{more} has no mask")
    return masked
