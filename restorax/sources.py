"""Training data by the text of ``--data``: clean images, pairs, bursts or noisy images."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .data import Patches, open_patches
from .files import image
from .folders import collect
from .paired_data import BurstPatches, MixedPatches, NoisyPatches, PairPatches, TfdsPairPatches, scaled
from .pairs import Burst, Pair, find_bursts, find_pairs
from .recipe import Stage

_TEXT = re.compile(r"(?:(pairs|frames|noisy|tfds):)?(.*?)(?:\[([^\[\],]+),([^\[\],]+)\])?")
_MOST_HELD_OUT = 16


@dataclass(frozen=True)
class Location:
    """Where training data lies.

    Attributes:
        kind: ``"clean"``, ``"pairs"`` or ``"noisy"``.
        form: ``"folder"``, ``"frames"`` or ``"tfds"``.
        place: folder, or name of the dataset.
        names: names or patterns of the degraded and the clean images, or empty.
    """

    kind: str
    form: str
    place: str
    names: tuple[str, ...] = ()


def parse_location(text: str | os.PathLike) -> Location:
    """Parse a value of ``--data``.

    Args:
        text: a folder of clean images; ``pairs:DIR``, ``pairs:DIR[INPUT,TARGET]``, ``frames:DIR`` or ``noisy:DIR``;
            ``tfds:NAME`` or ``tfds:NAME@SPLIT``, followed by ``[NOISY,CLEAN]`` if two of its features are pairs.

    Example:
        >>> parse_location("tfds:microscope@train[noisy,clean]")
        Location(kind='pairs', form='tfds', place='microscope@train', names=('noisy', 'clean'))
    """
    match = _TEXT.fullmatch(str(text))
    assert match is not None  # every part is optional
    prefix, place, *names = match.groups()
    if prefix in (None, "frames", "noisy"):  # a folder may end with brackets
        place = str(text).removeprefix(f"{prefix}:")
        kind = {None: "clean", "frames": "pairs", "noisy": "noisy"}[prefix]
        return Location(kind, "frames" if prefix == "frames" else "folder", place)
    both = tuple(names) if names[0] else ()
    form = "tfds" if prefix == "tfds" else "folder"
    return Location("pairs" if both or prefix == "pairs" else "clean", form, place, both)


def kinds_of(data: Sequence[str | os.PathLike]) -> tuple[str, ...]:
    """Return the kinds of several values of ``--data``.

    Raises:
        ValueError: if a kind is given twice, or noisy images together with others.
    """
    kinds = tuple(parse_location(text).kind for text in data)
    if len(set(kinds)) < len(kinds):
        raise ValueError(f"--data gives {kinds[0]} images twice; put them into one folder")
    if "noisy" in kinds and len(kinds) > 1:
        raise ValueError("noisy images are trained on alone; give one --data")
    return kinds


class Sources:
    """The training data of a run.

    Attributes:
        by_kind: patches by kind.
        skipped: one line for each unusable image, with the reason.
    """

    def __init__(
        self,
        data: Sequence[str | os.PathLike],
        *,
        size: int,
        channels: int,
        seed: int = 0,
        data_dir: str | os.PathLike | None = None,
        value_range: tuple[float, float] | None = None,
        hold_out: bool = False,
    ):
        """Open all data.

        Args:
            data: as for :func:`parse_location`.
            size: side of the patches in pixels.
            channels: 1 (luma) or 3 (RGB).
            seed: random seed.
            data_dir: folder of TFDS datasets; by default that of TFDS.
            value_range: as in :func:`restorax.files.image.read`, of pairs and noisy images.
            hold_out: leave out what :func:`held_out` returns.

        Raises:
            FileNotFoundError: if there is no such folder or dataset.
            ValueError: if one contains no usable image, or what pairs and bursts must satisfy does not hold.
        """
        kinds, self.skipped, self.by_kind = kinds_of(data), list[str](), dict[str, Patches]()
        for kind, text in zip(kinds, data, strict=True):
            location = parse_location(text)
            options: dict[str, Any] = {"size": size, "channels": channels, "seed": seed}
            if kind == "clean":
                patches = open_patches(text, data_dir=data_dir, **options)
            elif location.form == "tfds":
                patches = TfdsPairPatches(location.place, location.names, data_dir=data_dir, **options)
            else:
                files = list_files(location)
                left_out = held_out(files) if hold_out else []
                patches = _opened([f for f in files if f not in left_out], value_range, options)
            self.skipped += patches.skipped
            patches.skipped = self.skipped
            self.by_kind[kind] = patches

    @property
    def title(self) -> str:
        """Description of the data, for the model card."""
        return " and ".join(patches.title for patches in self.by_kind.values())

    @property
    def notes(self) -> list[str]:
        """What was measured on pairs, in phrases."""
        return [note for patches in self.by_kind.values() for note in getattr(patches, "notes", ())]

    def of(self, stage: Stage) -> Patches:
        """Return the patches of a stage.

        Raises:
            ValueError: if there are no images of the kind that it needs.
        """
        for kind in stage.kinds:
            if kind not in self.by_kind:
                given = ", ".join(self.by_kind)
                raise ValueError(f"a stage has source {stage.source!r}, but --data gives {given} images alone")
        if len(stage.kinds) == 1:
            return self.by_kind[stage.kinds[0]]
        return MixedPatches(self.by_kind["clean"], self.by_kind["pairs"], stage.rows_from_pairs)


def list_files(location: Location) -> list[Any]:
    """List the pairs, bursts or noisy files of a folder.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if there are none, or one is incomplete.
    """
    if location.form == "frames":
        return find_bursts(location.place)
    return (
        find_pairs(location.place, location.names) if location.kind == "pairs" else image.list_pictures(location.place)
    )


def held_out(files: Sequence[Any]) -> list[Any]:
    """Return every tenth of several pairs, bursts or files, at least one and at most 16, for validation.

    Raises:
        ValueError: if there is one alone.
    """
    if len(files) < 2:
        raise ValueError(f"{_name(files[0])} is alone; validation needs a second one, or give --validate")
    return list(files[9::10] or files[-1:])[:_MOST_HELD_OUT]


def read_held_out(
    text: str | os.PathLike, channels: int, value_range: tuple[float, float] | None, *, every: bool = False
) -> dict[str, np.ndarray]:
    """Read pairs, bursts or noisy images for validation.

    Args:
        text: as for :func:`parse_location`.
        channels: 1 (luma) or 3 (RGB).
        value_range: as in :func:`restorax.files.image.read`.
        every: read all of them, not those of :func:`held_out`.

    Returns:
        By name, ``[height, width, 2 * channels]`` of pairs and bursts (the first shot, and its target), ``[height,
        width, channels]`` of noisy images, float32.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: as :class:`Sources`.
    """
    location = parse_location(text)
    if location.form == "tfds":
        raise ValueError(f"{text}: pairs of a TFDS dataset are not held out; give a folder of pairs by --validate")
    files = list_files(location)
    patches = _opened(files if every else held_out(files), value_range, {"size": 1, "channels": channels})
    draw = np.random.default_rng(0)
    images = [scaled(patches.arrange(pixels, draw)) for pixels in patches.pictures]
    return {f"{number:03d}": pixels for number, pixels in enumerate(images)}


def read_shots(
    images: Sequence[str | os.PathLike],
    *,
    pairs: str | None = None,
    frames: str | None = None,
    channels: int,
    limits: tuple[float, float] | None = None,
) -> tuple[list[np.ndarray], list[np.ndarray] | None, str]:
    """Read the images of an adaptation.

    Args:
        images: noisy image files, folders and patterns; empty with pairs or frames.
        pairs: folder as after ``pairs:`` in :func:`parse_location`.
        frames: folder of bursts; every shot is one image.
        channels: 1 (luma) or 3 (RGB).
        limits: stored values of black and white, as in :func:`restorax.files.image.read`.

    Returns:
        Degraded images, and their targets or ``None``, ``[height, width, channels]`` float32; a description.

    Raises:
        FileNotFoundError: if there is no such file or folder.
        ValueError: as :class:`Sources`.
    """
    options: dict[str, Any] = {"size": 1, "channels": channels}
    if pairs is None and frames is None:
        patches = _opened([Path(job.source) for job in collect(images, ".", suffix=".tif").jobs], limits, options)
        return [scaled(pixels) for pixels in patches.pictures], None, patches.title
    patches = _opened(list_files(parse_location(f"pairs:{pairs}" if pairs else f"frames:{frames}")), limits, options)
    if pairs is not None:
        both = [np.split(scaled(pixels), 2, axis=-1) for pixels in patches.pictures]
    else:
        both = [pair for burst in patches.pictures for pair in patches.all_pairs(burst)]
    return [first for first, _ in both], [second for _, second in both], patches.title


def _opened(files: list[Any], value_range: tuple[float, float] | None, options: dict[str, Any]) -> Any:
    types = {Pair: PairPatches, Burst: BurstPatches}
    return types.get(type(files[0]), NoisyPatches)(files, value_range=value_range, **options)


def _name(file: Pair | Burst | Path) -> str:
    first = file[0] if isinstance(file, tuple) else file
    return str(first[0] if isinstance(first, tuple) else first)
