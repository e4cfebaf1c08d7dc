"""Training data that is degraded already: pairs, bursts and noisy images, kept in the bit depth of their files."""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from .data import Patches, TfdsPatches
from .files import image
from .files.frames import read_frames
from .pairs import Burst, Pair, check_sizes, measure_shift
from .types import Array

Pixels = TypeVar("Pixels", np.ndarray, Array)

_MEASURED = 5  # pairs whose alignment is measured
_SHIFT = 0.5  # pixels, from which a pair counts as misaligned


class StoredPatches(Patches):
    """Patches of images in memory, as the files store them: uint8, uint16, or float32 for 32 bits.

    Attributes:
        notes: what was measured on them, in sentences.
    """

    notes: tuple[str, ...] = ()

    def __init__(self, *, size: int, channels: int, seed: int, value_range: tuple[float, float] | None):
        """Set what all images share; subclasses decode them."""
        super().__init__(size=size, channels=channels, seed=seed)
        self._depth, self._value_range = _Depth(channels), value_range

    def _decode(self, path: Path) -> list[np.ndarray]:
        """Decode the pages of a file; none, with a line in ``skipped``, if it is damaged."""
        try:
            pages = read_frames(path, value_range=self._value_range).pictures
        except (ValueError, FileNotFoundError) as error:  # FileNotFoundError: a broken link
            if "--range" in str(error):  # every file lacks it
                raise
            self.skipped.append(str(error))
            return []
        return [self._depth.stored(page, str(path)) for page in pages]

    def _keep(self, pixels: np.ndarray, name: str) -> bool:
        """Return whether an image holds a patch, or note that it does not."""
        if min(pixels.shape[-3:-1]) < self.size:
            self.skipped.append(f"{name} is smaller than the patch size of {self.size} x {self.size}")
            return False
        return True

    def _check(self, where: str) -> None:
        if not self.pictures:
            raise ValueError(f"{where} contains no usable image; the first: {self.skipped[0]}")


class NoisyPatches(StoredPatches):
    """Patches of noisy images, ``[size, size, channels]``."""

    def __init__(
        self,
        files: Sequence[Path],
        *,
        size: int,
        channels: int,
        seed: int = 0,
        value_range: tuple[float, float] | None = None,
    ):
        """Decode files; every page of a file is an image.

        Args:
            files: image files.
            size: side of the patches in pixels.
            channels: 1 (luma) or 3 (RGB).
            seed: random seed.
            value_range: as in :func:`restorax.files.image.read`.

        Raises:
            ValueError: if no image is usable, or their bit depths differ.
        """
        super().__init__(size=size, channels=channels, seed=seed, value_range=value_range)
        self.pictures = [page for path in files for page in self._decode(path) if self._keep(page, str(path))]
        self._check(str(files[0].parent))
        self.title = f"{self.count} noisy images of the folder {files[0].resolve().parent.name}"


class PairPatches(StoredPatches):
    """Patches of pairs, ``[size, size, 2 * channels]``: the degraded image, then the clean one, cropped alike."""

    def __init__(
        self,
        pairs: Sequence[Pair],
        *,
        size: int,
        channels: int,
        seed: int = 0,
        value_range: tuple[float, float] | None = None,
    ):
        """Decode pairs, and measure the alignment of a few; those that are shifted are named in a warning.

        Args:
            pairs: files from :func:`restorax.pairs.find_pairs`; pages of two files are paired in their order.
            size: side of the patches in pixels.
            channels: 1 (luma) or 3 (RGB).
            seed: random seed.
            value_range: as in :func:`restorax.files.image.read`.

        Raises:
            ValueError: if no pair is usable, the images of a pair differ in size, or bit depths differ.
        """
        super().__init__(size=size, channels=channels, seed=seed, value_range=value_range)
        self.pictures, names = [], []
        for pair in pairs:
            degraded, clean = map(self._decode, pair)
            if not (degraded and clean):
                continue
            if len(degraded) != len(clean):
                raise ValueError(f"{pair.degraded} and {pair.clean} hold {len(degraded)} and {len(clean)} images")
            for one, other in zip(degraded, clean, strict=True):
                check_sizes(one, other, *map(str, pair))
                if self._keep(one, str(pair.degraded)):
                    self.pictures.append(np.concatenate([one, other], -1))
                    names.append(str(pair.degraded))
        self._check(str(pairs[0].degraded.parent))
        self.title = f"{self.count} pairs of the folder {_common(pairs[0])}"
        self.notes = (_alignment(self.pictures, names),)


class BurstPatches(StoredPatches):
    """Patches of bursts, ``[size, size, 2 * channels]``: a random shot, then the ground truth.

    Without a ground truth, the target is the mean of the other shots: its noise is independent of that of the input, so
    a squared error has the same minimiser as with the clean image (Noise2Noise).

    Reference:
        Lehtinen et al., Noise2Noise: learning image restoration without clean data, ICML 2018.
    """

    varies = True

    def __init__(
        self,
        bursts: Sequence[Burst],
        *,
        size: int,
        channels: int,
        seed: int = 0,
        value_range: tuple[float, float] | None = None,
    ):
        """Decode bursts.

        Args:
            bursts: files from :func:`restorax.pairs.find_bursts`.
            size: side of the patches in pixels.
            channels: 1 (luma) or 3 (RGB).
            seed: random seed.
            value_range: as in :func:`restorax.files.image.read`.

        Raises:
            ValueError: if no burst is usable, the images of a burst differ in size, or bit depths differ.
        """
        super().__init__(size=size, channels=channels, seed=seed, value_range=value_range)
        self.pictures, names, self._first_is_mean = [], [], bursts[0].mean is not None
        for burst in bursts:
            if (burst.mean is not None) != self._first_is_mean:
                with_mean, without = (bursts[0], burst) if self._first_is_mean else (burst, bursts[0])
                raise ValueError(f"{with_mean.frames[0].parent} has a ground truth and {without.frames[0].parent} none")
            shots = [page for path in burst.frames for page in self._decode(path)]
            mean = self._decode(burst.mean) if burst.mean else []
            name = str(burst.frames[0])
            if burst.mean and not mean:
                continue  # damaged, and named
            if len(shots) < (1 if mean else 2):
                self.skipped.append(f"{name} is one shot alone; a burst needs at least two, or a file mean.*")
                continue
            stack = [*mean[:1], *shots]
            for other in stack[1:]:
                check_sizes(stack[0], other, name, f"another shot of {name}")
            if self._keep(stack[0], name):
                self.pictures.append(np.stack(stack))
                names.append(name)
        self._check(str(bursts[0].frames[0].parent))
        self.title = f"{self.count} bursts of the folder {bursts[0].frames[0].resolve().parent.parent.name}"
        self.notes = (_alignment([np.concatenate([s[0], s[1]], -1) for s in self.pictures], names),)

    def arrange(self, patch: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """Choose a shot and its target from ``[shots, size, size, channels]``."""
        if self._first_is_mean:
            return np.concatenate([patch[draw.integers(1, len(patch))], patch[0]], -1)
        number = int(draw.integers(len(patch)))
        others = np.delete(patch, number, axis=0).mean(0)
        target = others if patch.dtype.kind == "f" else np.round(others)
        return np.concatenate([patch[number], target.astype(patch.dtype)], -1)

    def all_pairs(self, burst: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return every shot of a burst ``[shots, height, width, channels]`` with its target, float32."""
        shots = scaled(burst)
        if self._first_is_mean:
            return [(shot, shots[0]) for shot in shots[1:]]
        total, count = shots.sum(0), len(shots) - 1
        return [(shot, (total - shot) / np.float32(count)) for shot in shots]


class TfdsPairPatches(TfdsPatches):
    """Patches of pairs in a TFDS dataset, ``[size, size, 2 * channels]``, read on demand and without TensorFlow."""

    def __init__(self, name: str, features: Sequence[str], **options: Any):
        """Open a dataset.

        Args:
            name: as in :class:`TfdsPatches`.
            features: names of the features of the degraded and the clean image.
            **options: further arguments of :class:`TfdsPatches`.

        Raises:
            FileNotFoundError: if there is no such dataset.
            ValueError: if the dataset has no such split or features, no images or no random access.
        """
        super().__init__(name, features=features, **options)
        self._depth = _Depth(self.channels)

    def _pixels(self, pictures: Sequence[image.Picture], name: str) -> np.ndarray:
        degraded, clean = (self._depth.stored(picture, name) for picture in pictures)
        check_sizes(degraded, clean, name, "its counterpart")
        return np.concatenate([degraded, clean], -1)


class MixedPatches(Patches):
    """Patches of clean images and of pairs in one batch; the degraded half of a clean patch repeats it."""

    def __init__(self, clean: Patches, pairs: Patches, from_pairs: Sequence[bool]):
        """Mix two sources.

        Args:
            clean: patches ``[size, size, channels]``.
            pairs: patches ``[size, size, 2 * channels]``.
            from_pairs: for each row of a batch, whether it is a pair.
        """
        super().__init__(size=pairs.size, channels=pairs.channels, seed=pairs.seed)
        self._sources, self._from_pairs = (clean, pairs), from_pairs

    def patch(self, index: int, size: int) -> np.ndarray:
        """Return patch ``index``, ``[size, size, 2 * channels]``; its row is ``index`` modulo the batch."""
        if self._from_pairs[index % len(self._from_pairs)]:
            return scaled(self._sources[1].patch(index, size))
        patch = self._sources[0].patch(index, size)
        return scaled(np.concatenate([patch, patch], -1))


class _Depth:
    """Converts images to the type of their files, and refuses a second bit depth."""

    def __init__(self, channels: int):
        self._channels, self._bits, self._first = channels, None, ""

    def stored(self, picture: image.Picture, name: str) -> np.ndarray:
        """Return pixels ``[height, width, channels]`` of a picture."""
        if self._bits is None:
            self._bits, self._first = picture.bits, name
        if picture.bits != self._bits:
            raise ValueError(
                f"{self._first} has {self._bits} bits and {name} has {picture.bits}; convert them to one bit depth"
            )
        values = picture.pixels if picture.beyond is None else picture.pixels + picture.beyond
        pixels = image.to_channels(values, self._channels, picture.bits)
        return pixels if picture.bits == 32 else image.quantise(pixels, picture.bits)


def scaled(pixels: Pixels) -> Pixels:
    """Convert pixels as they are stored, a NumPy or JAX array, to float32, [0, 1] for integers."""
    if pixels.dtype.kind == "f":
        return pixels
    return pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)


def _alignment(pictures: Sequence[np.ndarray], names: Sequence[str]) -> str:
    """Measure the alignment of a few pairs, warn of those that are shifted, and describe it in a phrase."""
    chosen = range(0, len(pictures), max(1, len(pictures) // _MEASURED))[:_MEASURED]
    largest = 0.0
    for number in chosen:
        degraded, clean = np.split(scaled(pictures[number]), 2, axis=-1)
        rows, columns = measure_shift(degraded, clean)
        largest = max(largest, abs(rows), abs(columns))
        if max(abs(rows), abs(columns)) > _SHIFT:
            warnings.warn(
                f"{names[number]} and its counterpart are shifted by {rows:g} rows and {columns:g} columns; align them",
                stacklevel=2,
            )
    return f"shift between the images of a pair at most {largest:g} pixels (phase correlation on {len(chosen)})"


def _common(pair: Pair) -> str:
    """Return the name of the folder that holds both files."""
    return Path(os.path.commonpath([path.resolve().parent for path in pair])).name
