"""Clean pictures in, uint8 patches out: a pure function of seed and index, so a step number resumes everything."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from . import image


class FolderPatches:
    """Random square patches of the pictures in a folder, flipped and turned at random.

    ``source[i]`` depends on the seed and ``i`` alone: every picture is drawn once per epoch in a new order, and the
    crop is drawn anew each time. Pictures are decoded once and kept in memory as uint8.

    Attributes:
        pictures: the decoded pictures, ``[height, width, channels]`` uint8.
        skipped: files that could not be used, with the reason.
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
        self.size, self.seed = size, seed
        self.pictures: list[np.ndarray] = []
        self.skipped: list[str] = []
        for path in image.list_pictures(folder):
            try:
                pixels = image.quantise(image.to_channels(image.read(path).pixels, channels))
            except ValueError as error:
                self.skipped.append(str(error))
                continue
            if min(pixels.shape[:2]) < size:
                self.skipped.append(f"{path} is smaller than a patch of {size} x {size}")
                continue
            self.pictures.append(pixels)
        if not self.pictures:
            raise ValueError(f"no picture in {folder} can be used: {self.skipped[0]}")

    def __len__(self) -> int:
        return 2**31

    def __getitem__(self, index: int) -> np.ndarray:
        """Patch number ``index``, ``[size, size, channels]`` uint8."""
        epoch, position = divmod(int(index), len(self.pictures))
        order = np.random.default_rng((self.seed, 0, epoch)).permutation(len(self.pictures))
        draw = np.random.default_rng((self.seed, 1, int(index)))
        picture = self.pictures[order[position]]
        top, left = (draw.integers(side - self.size + 1) for side in picture.shape[:2])
        patch = picture[top : top + self.size, left : left + self.size]
        patch = np.rot90(patch, draw.integers(4))
        return np.ascontiguousarray(patch[:, ::-1] if draw.integers(2) else patch)


def batches(source: FolderPatches, *, batch: int, start: int) -> Iterator[np.ndarray]:
    """Endless batches from step ``start`` on, prepared by background threads.

    Args:
        source: random access to patches.
        batch: patches per step.
        start: first step; the batches of a step do not depend on where the run started.

    Yields:
        ``[batch, size, size, channels]`` uint8.
    """
    import grain

    dataset = grain.MapDataset.source(source)[start * batch :].batch(batch)
    options = grain.ReadOptions(num_threads=1, prefetch_buffer_size=8)
    yield from dataset.to_iter_dataset(options)


def test_images(folder: str | os.PathLike, channels: int) -> dict[str, np.ndarray]:
    """All pictures of a folder as ``[height, width, channels]`` float32 in [0, 1], by file name without suffix.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if it holds no picture, or a damaged one.
    """
    paths = image.list_pictures(folder)
    return {Path(p).stem: image.to_channels(image.read(p).pixels, channels) for p in paths}


def sample_images(channels: int) -> dict[str, np.ndarray]:
    """Photographs that scikit-image ships, cropped to 384 x 384: for demonstrations, previews and tests.

    Args:
        channels: 1 (luma) or 3 (RGB); pictures that are gray by nature are left out for 3.

    Returns:
        ``[height, width, channels]`` float32 in [0, 1] by name.
    """
    import skimage.data

    pictures = {}
    for name in ("astronaut", "camera", "chelsea", "coffee", "rocket"):
        raw = getattr(skimage.data, name)()
        if raw.ndim == 2 and channels == 3:
            continue
        pixels = raw.reshape(*raw.shape[:2], -1).astype(np.float32) / 255
        top, left = ((side - min(side, 384)) // 2 for side in pixels.shape[:2])
        pictures[name] = image.to_channels(pixels[top : top + 384, left : left + 384], channels)
    return pictures
