"""Pairs of real degraded and clean images, and bursts: matched by name, read, and checked for alignment."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .files import image

FOLDERS = (("input", "target"), ("lq", "gt"), ("noisy", "clean"), ("blur", "sharp"))
"""Names of the two subfolders of a folder of pairs."""

_CUTOFF = 0.15  # cycles per pixel
_MEAN = ("mean", "gt", "clean", "target")


class Pair(NamedTuple):
    """Files of a pair.

    Attributes:
        degraded: file of the degraded image.
        clean: file of the ground truth.
    """

    degraded: Path
    clean: Path


class Burst(NamedTuple):
    """Files of several shots of a still scene.

    Attributes:
        frames: noisy shots, files of one image each or one file of several pages.
        mean: file of the ground truth, such as the mean of many shots, or ``None``.
    """

    frames: tuple[Path, ...]
    mean: Path | None


def find_pairs(folder: str | os.PathLike, names: Sequence[str] = ()) -> list[Pair]:
    """Find the pairs in a folder.

    Args:
        folder: folder with two subfolders named as in ``FOLDERS``, whose files have equal names, whatever their suffix.
        names: two other names of the subfolders, or two patterns as for :func:`match_pairs`.

    Returns:
        Pairs in order of their names.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if there are no pairs, or an image has no counterpart.

    Example:
        >>> find_pairs("shots")  # with subfolders noisy and clean  # doctest: +SKIP
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder")
    if any("*" in name for name in names):
        return match_pairs(folder, *names)
    layouts = [(names[0], names[1])] if names else FOLDERS
    found = [both for both in layouts if all((folder / name).is_dir() for name in both)]
    if len(found) != 1:
        accepted = ", ".join(" and ".join(both) for both in layouts)
        raise ValueError(
            f"{folder} must contain one of the pairs of subfolders {accepted}, got {len(found)} of them; "
            "other names are given as DIR[INPUT,TARGET], patterns such as DIR[*_real*,*_mean*]"
        )
    first, second = ({path.stem: path for path in image.list_pictures(folder / name)} for name in found[0])
    for here, there, name in ((first, second, found[0][1]), (second, first, found[0][0])):
        for stem in sorted(here.keys() - there.keys()):
            counts = f"{len(first)} and {len(second)} images"
            raise ValueError(f"{here[stem]} has no counterpart in {folder / name}; the folders hold {counts}")
    return [Pair(first[stem], second[stem]) for stem in sorted(first)]


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


def find_bursts(folder: str | os.PathLike) -> list[Burst]:
    """Find the bursts in a folder: a subfolder for each scene, or a file of several pages for each.

    Args:
        folder: folder of scenes. In a subfolder, a file named ``mean``, ``gt``, ``clean`` or ``target`` is the ground
            truth; all others are shots.

    Returns:
        Bursts in order of their names.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if there are no scenes, or a subfolder has fewer than two shots and no ground truth.

    Example:
        >>> find_bursts("night")  # with subfolders scene1, scene2, ...  # doctest: +SKIP
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder")
    bursts = []
    scenes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    for scene in scenes:
        files = image.list_pictures(scene)
        means = [path for path in files if path.stem.lower() in _MEAN]
        frames = tuple(path for path in files if path not in means)
        if len(means) > 1:
            raise ValueError(f"{scene} has {means[0].name} and {means[1].name}; keep one ground truth")
        if len(frames) < (1 if means else 2) and frames[:1] and frames[0].suffix.lower() not in (".tif", ".tiff"):
            raise ValueError(f"{scene} has one shot alone; a burst needs at least two, or a file mean.*")
        if not frames:
            raise ValueError(f"{scene} has no shots beside {means[0].name}")
        bursts.append(Burst(frames, means[0] if means else None))
    return bursts or [Burst((path,), None) for path in image.list_pictures(folder)]


def read_pair(pair: Pair, channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Read the degraded and the clean image of a pair, ``[height, width, channels]`` float32 in [0, 1] each.

    Args:
        pair: files from :func:`match_pairs`.
        channels: 1 (luma) or 3 (RGB).

    Raises:
        ValueError: if a file is damaged, or the sizes differ.
    """
    pictures = [image.read(path) for path in pair]
    degraded, clean = (image.to_channels(picture.pixels, channels, picture.bits) for picture in pictures)
    check_sizes(degraded, clean, *map(str, pair))
    return degraded, clean


def check_sizes(first: np.ndarray, second: np.ndarray, first_name: str, second_name: str) -> None:
    """Check that two images ``[height, width, channels]`` have the same size.

    Raises:
        ValueError: if they differ.
    """
    if first.shape[:2] != second.shape[:2]:
        sizes = " and ".join("{1} x {0}".format(*pixels.shape) for pixels in (first, second))
        raise ValueError(f"{first_name} and {second_name} must have the same size, got {sizes} pixels")


def measure_shift(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Measure the shift between two images by phase correlation, to a tenth of a pixel.

    Low frequencies, in which noise is weakest, have the largest weight.

    Args:
        first: ``[height, width, channels]``.
        second: image of the same size.

    Returns:
        Rows and columns by which ``second`` must be moved to lie on ``first``; zero for images without structure.

    Reference:
        Guizar-Sicairos et al., Efficient subpixel image registration algorithms, Optics Letters 2008.

    Example:
        >>> scene = np.random.default_rng(0).random((64, 64, 1))
        >>> [round(float(shift)) for shift in measure_shift(scene, np.roll(scene, 3, axis=1))]
        [0, -3]
    """
    from skimage.registration import phase_cross_correlation

    window = np.hanning(first.shape[0])[:, None] * np.hanning(first.shape[1])  # the borders do not match
    frequencies = np.hypot(*np.meshgrid(*map(np.fft.fftfreq, first.shape[:2]), indexing="ij"))
    weight = np.exp(-((frequencies / _CUTOFF) ** 2))
    spectra = []
    for pixels in (first, second):
        gray = pixels.mean(-1, dtype=np.float64)
        spectrum = np.fft.fft2((gray - gray.mean()) * window)
        if not np.abs(spectrum).max() > 1e-6:
            return 0.0, 0.0
        spectra.append(spectrum / np.maximum(np.abs(spectrum), 1e-9) * weight)
    options: dict[str, Any] = {"upsample_factor": 10, "space": "fourier", "normalization": None}
    shift, _, _ = phase_cross_correlation(*spectra, **options)
    return float(shift[0]), float(shift[1])


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
