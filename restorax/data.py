"""Training data: random patches of images, deterministic in seed and index for exact resume."""

import os
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, cast

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from .files import image
from .types import Array, PRNGKeyArray

_CACHE_BYTES = 4 * 2**30  # for decoded images of a TFDS dataset


class Patches:
    """Random square patches of images, with random flips and rotations.

    ``patches[i]`` depends on the seed and ``i`` alone: each epoch visits every image once, in a new random order and
    with a new random crop. An unusable image is replaced by the next one of the epoch.

    Attributes:
        title: description of the images, for the model card.
        pictures: the decoded images, unless :meth:`picture` reads them on demand.
        skipped: one line for each unusable image, with the reason.
        varies: whether :meth:`arrange` chooses part of a patch.
    """

    title: str
    pictures: list[np.ndarray]
    skipped: list[str]
    varies = False

    def __init__(self, *, size: int, channels: int, seed: int):
        """Set size, channels and seed of the patches; subclasses provide the images."""
        self.size, self.channels, self.seed = size, channels, seed
        self.skipped = []
        self._order = lru_cache(2)(lambda epoch: np.random.default_rng((seed, 0, epoch)).permutation(self.count))

    @property
    def count(self) -> int:
        """Number of images."""
        return len(self.pictures)

    def picture(self, number: int) -> np.ndarray | None:
        """Return image ``number`` as ``[height, width, channels]`` uint8, or ``None`` if it is unusable."""
        return self.pictures[number]

    def arrange(self, patch: np.ndarray, draw: np.random.Generator) -> np.ndarray:
        """Choose what a batch gets of a cropped and turned patch; by default all."""
        return patch

    def __len__(self) -> int:
        return 2**62

    def __getitem__(self, index: int) -> np.ndarray:
        """Return patch ``index``, ``[size, size, channels]`` uint8."""
        return self.patch(index, self.size)

    def patch(self, index: int, size: int) -> np.ndarray:
        """Return patch ``index`` with a side of ``size <= self.size``: ``[size, size, channels]`` uint8."""
        epoch, position = divmod(int(index), self.count)
        order, draw = self._order(epoch), np.random.default_rng((self.seed, 1, int(index)))
        candidates = (self.picture(int(order[(position + i) % self.count])) for i in range(self.count))
        picture = next((p for p in candidates if p is not None), None)
        if picture is None:
            raise ValueError(f"all of the {self.title} are unusable; the first: {self.skipped[0]}")
        top, left = (draw.integers(side - size + 1) for side in picture.shape[-3:-1])
        patch = picture[..., top : top + size, left : left + size, :]
        patch = np.rot90(patch, draw.integers(4), axes=(-3, -2))
        patch = patch[..., ::-1, :] if draw.integers(2) else patch
        return np.ascontiguousarray(self.arrange(patch, draw))

    def _pixels(self, pictures: Sequence[image.Picture], name: str) -> np.ndarray:
        """Return the pixels to keep of what was read as one image."""
        (picture,) = pictures
        return image.quantise(image.to_channels(picture.pixels, self.channels))

    def _usable(self, read: Callable[[], Sequence[image.Picture]], name: str) -> np.ndarray | None:
        """Return the pixels of an image, or note why it is unusable."""
        try:
            pixels = self._pixels(read(), name)
        except (ValueError, FileNotFoundError) as error:  # FileNotFoundError: a broken link
            self.skipped.append(str(error))
            return None
        if min(pixels.shape[:2]) < self.size:
            self.skipped.append(f"{name} is smaller than the patch size of {self.size} x {self.size}")
            return None
        return pixels


class FolderPatches(Patches):
    """Patches of the images in a folder, all decoded at the start and kept in memory.

    Attributes:
        pictures: the decoded images, ``[height, width, channels]`` uint8.
    """

    def __init__(self, folder: str | os.PathLike, *, size: int, channels: int, seed: int = 0):
        """Decode a folder.

        Args:
            folder: folder of image files.
            size: side of the patches in pixels.
            channels: 1 (luma) or 3 (RGB).
            seed: random seed.

        Raises:
            FileNotFoundError: if there is no such folder.
            ValueError: if it contains no usable image.
        """
        super().__init__(size=size, channels=channels, seed=seed)
        read = lambda path: lambda: [image.read(path)]  # noqa: E731
        decoded = (self._usable(read(path), str(path)) for path in image.list_pictures(folder))
        self.pictures = [pixels for pixels in decoded if pixels is not None]
        if not self.pictures:
            raise ValueError(f"{folder} contains no usable image; the first: {self.skipped[0]}")
        self.title = f"{self.count} images of the folder {Path(folder).resolve().name}"


class TfdsPatches(Patches):
    """Patches of the images in a TFDS dataset, read on demand and without TensorFlow.

    Decoded images are cached, up to 4 GiB.
    """

    def __init__(
        self,
        name: str,
        *,
        size: int,
        channels: int,
        seed: int = 0,
        data_dir: str | os.PathLike | None = None,
        features: Sequence[str] = (),
    ):
        """Open a dataset that was prepared in a random-access format (array_record, parquet).

        Args:
            name: ``NAME``, ``NAME/CONFIG`` or ``NAME:VERSION``, optionally followed by ``@SPLIT``; the default split
                is ``train``.
            size: side of the patches in pixels.
            channels: 1 (luma) or 3 (RGB).
            seed: random seed.
            data_dir: folder of TFDS datasets; by default that of TFDS.
            features: features of the dataset to read; by default one, preferably ``image`` or ``hr``.

        Raises:
            FileNotFoundError: if there is no such dataset.
            ValueError: if the dataset has no such split or features, no images or no random access.
        """
        super().__init__(size=size, channels=channels, seed=seed)
        self._records, self._features, self.title = _open_tfds(name, data_dir, features)
        self._cache: dict[int, np.ndarray | None] = {}
        self._cache_left = _CACHE_BYTES

    @property
    def count(self) -> int:
        """Number of images, including damaged ones."""
        return len(self._records)

    def picture(self, number: int) -> np.ndarray | None:
        """Return image ``number`` as ``[height, width, channels]`` uint8, or ``None`` if it is unusable."""
        if number in self._cache:
            return self._cache[number]
        pixels = self._usable(partial(self._read, number), f"image {number} of {self.title}")
        size = 0 if pixels is None else pixels.nbytes
        if size <= self._cache_left:
            self._cache_left -= size
            self._cache[number] = pixels
        return pixels

    def _read(self, number: int) -> list[image.Picture]:
        try:
            record = self._records[number]
        except Exception as error:  # readers of different formats raise unrelated classes
            raise ValueError(f"image {number} of {self.title} cannot be read: {error}") from None
        return [image.decode(record[feature], f"image {number} of {self.title}") for feature in self._features]


def _open_tfds(
    name: str, data_dir: str | os.PathLike | None, chosen: Sequence[str]
) -> tuple[Sequence, Sequence[str], str]:
    """Open a dataset; return records with undecoded images, the names of the image features, and a title."""
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
        available = ", ".join(builder.info.splits)
        raise ValueError(f"dataset {name!r} has no split {split!r}; available: {available}") from None
    features = cast(dict[str, Any], builder.info.features)
    images = [key for key, feature in features.items() if isinstance(feature, tfds.features.Image)]
    if not images:
        raise ValueError(f"dataset {name!r} has no images; its features are {', '.join(features)}")
    if missing := [key for key in chosen if key not in images]:
        raise ValueError(f"dataset {name!r} has no image feature {missing[0]!r}; available: {', '.join(images)}")
    chosen = chosen or [next((key for key in ("image", "hr") if key in images), images[0])]
    decoders = {key: tfds.decode.SkipDecoding() for key in images}
    try:
        records = cast(Any, builder).as_data_source(split=split, decoders=decoders)
    except NotImplementedError as error:
        raise ValueError(f"dataset {name!r} does not support random access: {error}") from None
    return records, chosen, f"{len(records)} images of the TFDS dataset {builder.info.full_name}, split {split}"


def open_patches(
    where: str | os.PathLike, *, size: int, channels: int, seed: int = 0, data_dir: str | os.PathLike | None = None
) -> Patches:
    """Open a folder of images, or a TFDS dataset given as ``tfds:NAME`` or ``tfds:NAME@SPLIT``.

    Args:
        where: folder, or ``tfds:...``.
        size: side of the patches in pixels.
        channels: 1 (luma) or 3 (RGB).
        seed: random seed.
        data_dir: folder of TFDS datasets; by default that of TFDS.

    Raises:
        FileNotFoundError: if there is no such folder or dataset.
        ValueError: if it contains no usable image.
    """
    if str(where).startswith("tfds:"):
        name = str(where).removeprefix("tfds:")
        return TfdsPatches(name, size=size, channels=channels, seed=seed, data_dir=data_dir)
    return FolderPatches(where, size=size, channels=channels, seed=seed)


class DeviceImages(flax.struct.PyTreeNode):
    """Images in device memory, cropped to patches inside the compiled step.

    Attributes:
        pixels: ``[count, height, width, channels]`` of the type of the images; smaller images at the top left,
            zero-padded.
        sizes: height and width of each image, ``[count, 2]`` int32.
    """

    pixels: Any
    sizes: Any

    @classmethod
    def of(cls, patches: Patches) -> "DeviceImages":
        """Collect all usable images of a source in host memory."""
        images = [p for p in map(patches.picture, range(patches.count)) if p is not None]
        if not images:
            raise ValueError(f"all of the {patches.title} are unusable; the first: {patches.skipped[0]}")
        sizes = np.array([p.shape[:2] for p in images], np.int32)
        pixels = np.zeros((len(images), *sizes.max(0), images[0].shape[-1]), images[0].dtype)
        for row, one in zip(pixels, images, strict=True):
            row[: one.shape[0], : one.shape[1]] = one
        return cls(pixels, sizes)

    def crop(self, key: PRNGKeyArray, *, size: int) -> Array:
        """Crop a random patch ``[size, size, channels]`` of a random image, with a random flip and rotation."""
        number_key, corner_key, flip_key = jax.random.split(key, 3)
        number = jax.random.randint(number_key, (), 0, len(self.sizes))
        corner = jax.random.randint(corner_key, (2,), 0, self.sizes[number] - size + 1)
        shape = (1, size, size, self.pixels.shape[-1])
        patch = jax.lax.dynamic_slice(self.pixels, (number, corner[0], corner[1], 0), shape)[0]
        transpose, vertical, horizontal = jax.random.bernoulli(flip_key, shape=(3,))
        patch = jnp.where(transpose, patch.swapaxes(0, 1), patch)
        patch = jnp.where(vertical, patch[::-1], patch)
        return jnp.where(horizontal, patch[:, ::-1], patch)


def batches(
    source: Patches, *, batch: int, start: int, rows: Sequence[int] | None = None, size: int | None = None
) -> Iterator[np.ndarray]:
    """Yield batches endlessly from step ``start`` on, prepared by background threads.

    Args:
        source: random access to patches.
        batch: patches per step.
        start: first step; the batch of a step does not depend on it.
        rows: rows of every batch to read; by default all. On several hosts, each reads those of its devices.
        size: side of the patches, at most that of the source, which is the default.

    Yields:
        ``[rows, size, size, channels]`` of the type of the patches.

    Raises:
        ValueError: if grain is not installed.
    """
    try:
        import grain
    except ImportError:
        raise ValueError("reading patches requires the package grain; without it, train with --in-memory") from None

    rows = range(batch) if rows is None else rows
    patches = grain.MapDataset.source(_Rows(source, batch, rows, size or source.size))
    dataset = patches[start * len(rows) :].batch(len(rows))
    options = grain.ReadOptions(num_threads=1, prefetch_buffer_size=8)
    yield from dataset.to_iter_dataset(options)


class _Rows:
    """A flat sequence of the selected rows of all batches."""

    def __init__(self, source: Patches, batch: int, rows: Sequence[int], size: int):
        self._source, self._batch, self._rows, self._size = source, batch, rows, size

    def __len__(self) -> int:
        return len(self._source) // self._batch * len(self._rows)

    def __getitem__(self, index: int) -> np.ndarray:
        step, place = divmod(int(index), len(self._rows))
        return self._source.patch(step * self._batch + self._rows[place], self._size)


def test_images(folder: str | os.PathLike, channels: int) -> dict[str, np.ndarray]:
    """Read all images of a folder as ``[height, width, channels]`` float32 in [0, 1], by file name without suffix.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if it contains no image, a damaged image, or two images of the same name.
    """
    paths = {}
    for path in image.list_pictures(folder):
        if path.stem in paths:
            raise ValueError(
                f"{folder} contains {paths[path.stem].name} and {path.name}; names must differ in more than suffix"
            )
        paths[path.stem] = path
    return {stem: image.to_channels(image.read(path).pixels, channels) for stem, path in paths.items()}


def sample_images(channels: int) -> dict[str, np.ndarray]:
    """Return photographs shipped with scikit-image, cropped to 384 x 384, for demos, previews and tests.

    Args:
        channels: 1 (luma) or 3 (RGB); grayscale photographs are omitted for 3.

    Returns:
        ``[height, width, channels]`` float32 in [0, 1] by name.
    """
    names = ("astronaut", "camera", "chelsea", "coffee", "rocket")
    return {name: _shipped(name, channels) for name in names if channels == 1 or name != "camera"}


def other_images(channels: int) -> dict[str, dict[str, np.ndarray]]:
    """Return out-of-distribution images shipped with scikit-image, cropped to 384 x 384.

    Args:
        channels: 1 (luma) or 3 (RGB; grayscale images get three equal channels).

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
