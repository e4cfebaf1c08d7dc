"""Clean pictures in, uint8 patches out: a pure function of seed and index, so a step number resumes everything."""

import os
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, cast

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from . import image
from .types import Array, PRNGKeyArray

_KEPT = 4 * 2**30  # bytes of decoded pictures of a TFDS dataset that stay in memory


class Patches:
    """Random square patches of pictures, flipped and turned at random.

    ``patches[i]`` depends on the seed and ``i`` alone: every picture is drawn once per epoch in a new order, and the
    crop is drawn anew each time. A picture that cannot be used leaves its turn to the next one of the epoch.

    Attributes:
        title: what the pictures are, for a card.
        skipped: why a picture could not be used, one line each.
    """

    title: str
    skipped: list[str]

    def __init__(self, *, size: int, channels: int, seed: int):
        """Note what patches are wanted; a subclass says of which pictures."""
        self.size, self.channels, self.seed = size, channels, seed
        self.skipped = []
        self._order = lru_cache(2)(lambda epoch: np.random.default_rng((seed, 0, epoch)).permutation(self.count))

    @property
    def count(self) -> int:
        """How many pictures there are."""
        raise NotImplementedError

    def picture(self, number: int) -> np.ndarray | None:
        """Picture ``[height, width, channels]`` uint8; ``None`` if it cannot be used."""
        raise NotImplementedError

    def __len__(self) -> int:
        return 2**62

    def __getitem__(self, index: int) -> np.ndarray:
        """Patch number ``index``, ``[size, size, channels]`` uint8."""
        return self.patch(index, self.size)

    def patch(self, index: int, size: int) -> np.ndarray:
        """Patch number ``index`` with another side, at most that of the others: ``[size, size, channels]`` uint8."""
        epoch, position = divmod(int(index), self.count)
        order, draw = self._order(epoch), np.random.default_rng((self.seed, 1, int(index)))
        turns = (self.picture(int(order[(position + i) % self.count])) for i in range(self.count))
        picture = next((p for p in turns if p is not None), None)
        if picture is None:
            raise ValueError(f"none of the {self.title} can be used: {self.skipped[0]}")
        top, left = (draw.integers(side - size + 1) for side in picture.shape[:2])
        patch = picture[top : top + size, left : left + size]
        patch = np.rot90(patch, draw.integers(4))
        return np.ascontiguousarray(patch[:, ::-1] if draw.integers(2) else patch)

    def _usable(self, read: Callable[[], image.Picture], name: str) -> np.ndarray | None:
        """The pixels of a picture; notes why if there are none, or too few."""
        try:
            pixels = image.quantise(image.to_channels(read().pixels, self.channels))
        except (ValueError, FileNotFoundError) as error:  # the latter for a link that leads nowhere
            self.skipped.append(str(error))
            return None
        if min(pixels.shape[:2]) < self.size:
            self.skipped.append(f"{name} is smaller than a patch of {self.size} x {self.size}")
            return None
        return pixels


class FolderPatches(Patches):
    """Patches of the pictures in a folder, all decoded at the start and kept in memory.

    Attributes:
        pictures: the decoded pictures, ``[height, width, channels]`` uint8.
    """

    def __init__(self, folder: str | os.PathLike, *, size: int, channels: int, seed: int = 0):
        """Decode a folder.

        Args:
            folder: where the pictures lie.
            size: side of the patches in pixels.
            channels: 1 (luma) or 3 (RGB).
            seed: of everything random.

        Raises:
            FileNotFoundError: if there is no such folder.
            ValueError: if no picture in it can be used.
        """
        super().__init__(size=size, channels=channels, seed=seed)
        decoded = (self._usable(partial(image.read, path), str(path)) for path in image.list_pictures(folder))
        self.pictures = [pixels for pixels in decoded if pixels is not None]
        if not self.pictures:
            raise ValueError(f"no picture in {folder} can be used: {self.skipped[0]}")
        self.title = f"{self.count} pictures of the folder {Path(folder).resolve().name}"

    @property
    def count(self) -> int:
        """How many pictures can be used."""
        return len(self.pictures)

    def picture(self, number: int) -> np.ndarray:
        """Picture ``[height, width, channels]`` uint8."""
        return self.pictures[number]


class TfdsPatches(Patches):
    """Patches of the pictures in a TFDS dataset, read as they are needed; TensorFlow is not.

    Decoded pictures stay in memory as long as they fit into four gigabytes.
    """

    def __init__(
        self, name: str, *, size: int, channels: int, seed: int = 0, data_dir: str | os.PathLike | None = None
    ):
        """Open a dataset that has been prepared in a format with random access (array_record, parquet).

        Args:
            name: ``NAME``, ``NAME/CONFIG`` or ``NAME:VERSION`` of the dataset, then maybe ``@SPLIT``, else its
                split ``train``.
            size: side of the patches in pixels.
            channels: 1 (luma) or 3 (RGB).
            seed: of everything random.
            data_dir: where the datasets lie, by default where TFDS has them.

        Raises:
            FileNotFoundError: if there is no such dataset.
            ValueError: if the dataset has no such split, no images, or cannot be read at random.
        """
        super().__init__(size=size, channels=channels, seed=seed)
        self._records, self._feature, self.title = _open_tfds(name, data_dir)
        self._kept: dict[int, np.ndarray | None] = {}
        self._room = _KEPT

    @property
    def count(self) -> int:
        """How many pictures there are, damaged ones included."""
        return len(self._records)

    def picture(self, number: int) -> np.ndarray | None:
        """Picture ``[height, width, channels]`` uint8; ``None`` if it cannot be used."""
        if number in self._kept:
            return self._kept[number]
        pixels = self._usable(partial(self._read, number), f"picture {number} of {self.title}")
        size = 0 if pixels is None else pixels.nbytes
        if size <= self._room:
            self._room -= size
            self._kept[number] = pixels
        return pixels

    def _read(self, number: int) -> image.Picture:
        try:
            content = self._records[number][self._feature]
        except Exception as error:  # of many classes, as deep as the format of the file goes
            raise ValueError(f"picture {number} of {self.title} cannot be read: {error}") from None
        return image.decode(content, f"picture {number} of {self.title}")


def _open_tfds(name: str, data_dir: str | os.PathLike | None) -> tuple[Sequence, str, str]:
    """Records with undecoded images, the feature that holds them, and a title."""
    import tensorflow_datasets as tfds

    name, _, split = name.partition("@")
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except (tfds.core.DatasetNotFoundError, ValueError) as error:
        where = data_dir or "the data directory of TFDS"
        raise FileNotFoundError(f"no dataset {name!r} in {where}: {str(error).splitlines()[0]}") from None
    split = split or "train"
    try:
        builder.info.splits[split]
    except (KeyError, ValueError):
        there = ", ".join(builder.info.splits)
        raise ValueError(f"dataset {name!r} has no split {split!r}; there are {there}") from None
    features = cast(dict[str, Any], builder.info.features)
    images = [key for key, feature in features.items() if isinstance(feature, tfds.features.Image)]
    if not images:
        raise ValueError(f"dataset {name!r} has no images; its features are {', '.join(features)}")
    feature = next((key for key in ("image", "hr") if key in images), images[0])
    decoders = {key: tfds.decode.SkipDecoding() for key in images}
    try:
        records = cast(Any, builder).as_data_source(split=split, decoders=decoders)
    except NotImplementedError as error:
        raise ValueError(f"dataset {name!r} cannot be read at random: {error}") from None
    return records, feature, f"{len(records)} pictures of the TFDS dataset {builder.info.full_name}, split {split}"


def open_patches(
    where: str | os.PathLike, *, size: int, channels: int, seed: int = 0, data_dir: str | os.PathLike | None = None
) -> Patches:
    """Patches of a folder of pictures, or of a TFDS dataset given as ``tfds:NAME`` or ``tfds:NAME@SPLIT``.

    Args:
        where: folder or dataset.
        size: side of the patches in pixels.
        channels: 1 (luma) or 3 (RGB).
        seed: of everything random.
        data_dir: where TFDS datasets lie, by default where TFDS has them.

    Raises:
        FileNotFoundError: if there is no such folder or dataset.
        ValueError: if no picture in it can be used.
    """
    if str(where).startswith("tfds:"):
        name = str(where).removeprefix("tfds:")
        return TfdsPatches(name, size=size, channels=channels, seed=seed, data_dir=data_dir)
    return FolderPatches(where, size=size, channels=channels, seed=seed)


class DevicePictures(flax.struct.PyTreeNode):
    """Pictures in device memory, from which a compiled step crops its own patches.

    Attributes:
        pixels: ``[count, height, width, channels]`` uint8, smaller pictures at the top left.
        sizes: height and width of each, ``[count, 2]``.
    """

    pixels: Any
    sizes: Any

    @classmethod
    def of(cls, patches: Patches) -> "DevicePictures":
        """All pictures of a source that can be used, in the memory of the host; a compiled step moves them."""
        pictures = [p for p in map(patches.picture, range(patches.count)) if p is not None]
        if not pictures:
            raise ValueError(f"none of the {patches.title} can be used: {patches.skipped[0]}")
        sizes = np.array([p.shape[:2] for p in pictures], np.int32)
        pixels = np.zeros((len(pictures), *sizes.max(0), patches.channels), np.uint8)
        for row, picture in zip(pixels, pictures, strict=True):
            row[: picture.shape[0], : picture.shape[1]] = picture
        return cls(pixels, sizes)

    def crop(self, key: PRNGKeyArray, *, size: int) -> Array:
        """A random patch ``[size, size, channels]`` of a random picture, flipped and turned at random."""
        which, where, turn = jax.random.split(key, 3)
        number = jax.random.randint(which, (), 0, len(self.sizes))
        corner = jax.random.randint(where, (2,), 0, self.sizes[number] - size + 1)
        shape = (1, size, size, self.pixels.shape[-1])
        patch = jax.lax.dynamic_slice(self.pixels, (number, corner[0], corner[1], 0), shape)[0]
        across, down, along = jax.random.bernoulli(turn, shape=(3,))
        patch = jnp.where(across, patch.swapaxes(0, 1), patch)
        patch = jnp.where(down, patch[::-1], patch)
        return jnp.where(along, patch[:, ::-1], patch)


def batches(
    source: Patches, *, batch: int, start: int, rows: Sequence[int] | None = None, size: int | None = None
) -> Iterator[np.ndarray]:
    """Endless batches from step ``start`` on, prepared by background threads.

    Args:
        source: random access to patches.
        batch: patches per step.
        start: first step; the batches of a step do not depend on where the run started.
        rows: which patches of every batch are wanted, by default all; a host asks for those of its devices.
        size: side of the patches, by default and at most that of the source.

    Yields:
        ``[rows, size, size, channels]`` uint8.

    Raises:
        ValueError: if grain is not installed.
    """
    try:
        import grain
    except ImportError:
        raise ValueError("reading patches needs the package grain; without it, train with --in-memory") from None

    rows = range(batch) if rows is None else rows
    patches = grain.MapDataset.source(_Rows(source, batch, rows, size or source.size))
    dataset = patches[start * len(rows) :].batch(len(rows))
    options = grain.ReadOptions(num_threads=1, prefetch_buffer_size=8)
    yield from dataset.to_iter_dataset(options)


class _Rows:
    """Some rows of every batch, one patch after the other."""

    def __init__(self, source: Patches, batch: int, rows: Sequence[int], size: int):
        self._source, self._batch, self._rows, self._size = source, batch, rows, size

    def __len__(self) -> int:
        return len(self._source) // self._batch * len(self._rows)

    def __getitem__(self, index: int) -> np.ndarray:
        step, place = divmod(int(index), len(self._rows))
        return self._source.patch(step * self._batch + self._rows[place], self._size)


def test_images(folder: str | os.PathLike, channels: int) -> dict[str, np.ndarray]:
    """All pictures of a folder as ``[height, width, channels]`` float32 in [0, 1], by file name without suffix.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if it holds no picture, a damaged one, or two of one name.
    """
    paths = {}
    for path in image.list_pictures(folder):
        if path.stem in paths:
            raise ValueError(f"{folder} holds {paths[path.stem].name} and {path.name}; each picture needs its own name")
        paths[path.stem] = path
    return {stem: image.to_channels(image.read(path).pixels, channels) for stem, path in paths.items()}


def sample_images(channels: int) -> dict[str, np.ndarray]:
    """Photographs that scikit-image ships, cropped to 384 x 384: for demonstrations, previews and tests.

    Args:
        channels: 1 (luma) or 3 (RGB); pictures that are gray by nature are left out for 3.

    Returns:
        ``[height, width, channels]`` float32 in [0, 1] by name.
    """
    names = ("astronaut", "camera", "chelsea", "coffee", "rocket")
    return {name: _shipped(name, channels) for name in names if channels == 1 or name != "camera"}


def other_images(channels: int) -> dict[str, dict[str, np.ndarray]]:
    """Pictures that are no photographs of everyday things, as scikit-image ships them, cropped to 384 x 384.

    Args:
        channels: 1 (luma) or 3 (RGB; what is gray by nature has three equal channels).

    Returns:
        ``[height, width, channels]`` float32 in [0, 1] by kind and name.
    """
    kinds = {
        "astronomy": ("hubble_deep_field", "moon"),
        "microscopy": ("cell", "immunohistochemistry"),
        "text": ("page", "text"),
        "texture": ("brick", "grass", "gravel"),
    }
    return {kind: {name: _shipped(name, channels) for name in names} for kind, names in kinds.items()}


def _shipped(name: str, channels: int) -> np.ndarray:
    import skimage.data

    raw = getattr(skimage.data, name)()
    pixels = raw.reshape(*raw.shape[:2], -1).astype(np.float32) / 255
    top, left = ((side - min(side, 384)) // 2 for side in pixels.shape[:2])
    return image.to_channels(pixels[top : top + 384, left : left + 384], channels)
