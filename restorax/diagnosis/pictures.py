"""Diagnose and restore image files without naming an entry."""

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from .. import image
from ..files import written_beside
from .automatic import Outcome, restore_automatically
from .examination import diagnose
from .findings import Diagnosis


def diagnose_file(path: str | os.PathLike) -> Diagnosis:
    """Diagnose an image file; the tables of a JPEG file are read.

    Args:
        path: image file.

    Returns:
        The damages.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not an image, or is damaged.
    """
    return diagnose(image.read(path).pixels, file=path)


def restore_file_automatically(
    source: str | os.PathLike, target: str | os.PathLike, *, amount: float = 1.0, force: bool = False, **options: Any
) -> Outcome:
    """Diagnose an image file and restore it; alpha, bit depth and grayscale are preserved.

    A file that is left alone is copied, or converted if the suffix differs.

    Args:
        source: image file to restore.
        target: image file to write.
        amount: share of the restored image in the result, in [0, 1].
        force: restore with the best entry even where leaving the image alone is the best choice.
        **options: ``tile``, ``ensemble`` and ``progress`` of :func:`restorax.restore`.

    Returns:
        The result.

    Raises:
        FileNotFoundError: if a file does not exist.
        ValueError: if the file is not an image, or ``amount`` is not in [0, 1].
    """
    picture = image.read(source)
    outcome = restore_automatically(picture.pixels, file=source, amount=amount, force=force, **options)
    if outcome.choice.entries or Path(source).suffix.lower() != Path(target).suffix.lower():
        image.write(Path(target), picture.with_pixels(np.asarray(outcome.image)))
    elif not (Path(target).exists() and Path(source).samefile(target)):
        with written_beside(target) as beside:
            shutil.copyfile(source, beside)
    return outcome


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
