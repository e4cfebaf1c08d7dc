"""Diagnose and restore image files without naming an entry."""

import dataclasses
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from ..files.atomic import AnyPath, is_remote, write_atomically
from ..files.frames import check_target, read_frames, write_frames
from ..files.image import read, read_content
from .automatic import Outcome, restore_automatically
from .examination import diagnose
from .findings import Diagnosis


def diagnose_file(path: str | os.PathLike, **reading: Any) -> Diagnosis:
    """Diagnose an image file; the tables of a JPEG file are read.

    Args:
        path: image file.
        **reading: ``value_range`` and ``max_pixels`` of :func:`restorax.files.image.read`.

    Returns:
        The damages.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not an image, or is damaged.
    """
    return diagnose(read(path, **reading).pixels, file=path)


def restore_file_automatically(
    source: AnyPath,
    target: AnyPath,
    *,
    amount: float = 1.0,
    force: bool = False,
    value_range: tuple[float, float] | None = None,
    max_pixels: int | None = None,
    quality: int | None = None,
    progress: Callable[[float], None] | None = None,
    **options: Any,
) -> Outcome:
    """Diagnose an image file, or each of its frames or pages, and restore it; all else that it holds is preserved.

    A file that is left alone is copied, or converted if the suffix differs.

    Args:
        source: image file to restore.
        target: image file to write.
        amount: share of the restored image in the result, in [0, 1].
        force: restore with the best entry even where leaving the image alone is the best choice.
        value_range: stored values of black and white, as in :func:`restorax.files.image.read`.
        max_pixels: largest number of pixels to read.
        quality: quality of a lossy output.
        progress: called with the fraction done.
        **options: ``tile``, ``ensemble`` and ``apply`` of :func:`restorax.diagnosis.restore_automatically`.

    Returns:
        The result for the first frame.

    Raises:
        FileNotFoundError: if a file does not exist.
        ValueError: if the file is not an image, or ``amount`` is not in [0, 1].
    """
    frames, outcomes = read_frames(source, value_range=value_range, max_pixels=max_pixels), []
    check_target(target, frames)
    count = len(frames.pictures)
    for index, picture in enumerate(frames.pictures):
        part = progress and (lambda share, index=index: progress((index + share) / count))
        file = source if count == 1 and not is_remote(source) else None
        options |= {"file": file, "amount": amount, "force": force, "progress": part}
        outcomes.append(restore_automatically(picture.pixels, **options))
    touched = any(one.choice.entries for one in outcomes)
    if touched or source.suffix.lower() != target.suffix.lower():
        pictures = [p.with_pixels(np.asarray(o.image)) for p, o in zip(frames.pictures, outcomes, strict=True)]
        write_frames(target, dataclasses.replace(frames, pictures=pictures), quality=quality)
    else:
        write_atomically(target, source.read_bytes() if is_remote(source) else read_content(source))
    return outcomes[0]


def summary(name: str, outcome: Outcome) -> str:
    """Describe a result in one line.

    Example:
        >>> import jax.numpy as jnp
        >>> summary("flat.png", restore_automatically(jnp.full((8, 8, 3), 0.5)))
        'flat.png: no damage found -> left alone (the image has 8 x 8 pixels; at least 48 x 48 are needed)'
    """
    found, choice = outcome.diagnosis.describe(), outcome.choice
    if choice.entries:
        return f"{name}: {found} -> {choice}"
    reason = "" if choice.reason == found else f" ({choice.reason})"
    return f"{name}: {found} -> left alone{reason}"
