"""Pairs of real degraded and clean images in a folder, matched by name."""

import os
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .files import image


class Pair(NamedTuple):
    """Files of a pair.

    Attributes:
        degraded: file of the degraded image.
        clean: file of the ground truth.
    """

    degraded: Path
    clean: Path


def match_pairs(folder: str | os.PathLike, degraded: str, clean: str) -> list[Pair]:
    """Find the pairs in a folder: files whose names have the same text in place of each ``*``.

    Args:
        folder: folder of image files.
        degraded: name of the degraded images, with at least one ``*`` for the text that the names of a pair share, such
            as ``"*_real*"`` or ``"noisy/*.png"``; a ``*`` does not stand for ``/``.
        clean: name of the clean images, with as many ``*``.

    Returns:
        Pairs in order of the shared text.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if the patterns do not have the same number of ``*``, one of them matches no image, or an image
            matches both or has no counterpart.

    Example:
        >>> match_pairs("sets/polyu", "*_real*", "*_mean*")  # doctest: +SKIP
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder")
    if degraded.count("*") != clean.count("*") or "*" not in degraded:
        raise ValueError(f"{degraded!r} and {clean!r} must have the same number of *, at least one")
    first, second = _matches(folder, degraded), _matches(folder, clean)
    for path in sorted(first.values()):
        if path in second.values():
            raise ValueError(f"{path} matches both {degraded!r} and {clean!r}; make the patterns exclusive")
    for found, others, what, pattern in ((first, second, "clean", clean), (second, first, "degraded", degraded)):
        for shared in sorted(found.keys() - others.keys()):
            raise ValueError(f"{found[shared]} has no {what} counterpart that matches {pattern!r}")
    return [Pair(first[shared], second[shared]) for shared in sorted(first)]


def read_pair(pair: Pair, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Read the degraded and the clean image of a pair, ``[height, width, channels]`` float32 in [0, 1] each.

    Args:
        pair: files from :func:`match_pairs`.
        channels: 1 (luma) or 3 (RGB).

    Raises:
        ValueError: if a file is damaged, or the sizes differ.
    """
    degraded, clean = (image.to_channels(image.read(path).pixels, channels) for path in pair)
    if degraded.shape != clean.shape:
        sizes = " and ".join("{1} x {0}".format(*pixels.shape) for pixels in (degraded, clean))
        raise ValueError(f"{pair.degraded} and {pair.clean} must have the same size, got {sizes} pixels")
    return degraded, clean


def _matches(folder: Path, pattern: str) -> dict[tuple[str, ...], Path]:
    """Return the image files that match a pattern, by the texts in place of its ``*``."""
    expression = re.compile("([^/]*)".join(map(re.escape, pattern.split("*"))))
    found = {}
    for path in folder.glob("/".join("*" for _ in pattern.split("/"))):
        match = expression.fullmatch(path.relative_to(folder).as_posix())
        if match and path.suffix.lower() in image.SUFFIXES and not path.name.startswith("."):
            found[match.groups()] = path
    if not found:
        raise ValueError(f"{folder} contains no images ({', '.join(image.SUFFIXES)}) that match {pattern!r}")
    return found
