"""Video restoration: streams, folders of frames and animated files, with a recurrent state."""

import dataclasses
import os
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, tee
from pathlib import Path
from typing import cast

import jax
import jax.numpy as jnp
import numpy as np

from .files import image
from .files.frames import ANIMATED, PAGED, check_target, read_frames, read_single, write_frames
from .files.mask import read_mask
from .types import Array
from .zoo import Restorer

SUFFIXES = (*ANIMATED, *PAGED)


def restore_stream(
    restorer: Restorer, frames: Iterable[np.ndarray], mask: np.ndarray | None = None
) -> Iterator[np.ndarray]:
    """Restore a stream of frames, each with a recurrent state from the preceding ones.

    A gray restorer is applied to each colour channel separately.

    Args:
        restorer: a multi-frame restorer.
        frames: ``[height, width, 1 or 3]`` in [0, 1], all of one size; may be endless.
        mask: condition map of all frames, ``[height, width, k]``.

    Yields:
        Each restored frame, clipped to [0, 1], in the shape of the input.

    Raises:
        ValueError: if the restorer takes single images, a frame differs in size from the first, or a frame contains
            NaN or infinity, which would persist in the state.

    Example:
        >>> from restorax import zoo
        >>> restorer = zoo.load("runs/burst_rnn-gray-noise")  # doctest: +SKIP
        >>> restored = restore_stream(restorer, (camera.read() for _ in range(100)))  # doctest: +SKIP
    """
    if not restorer.model.takes_frames:
        raise ValueError(f"{restorer.card.name} restores single images; use a multi-frame restorer such as burst_rnn")
    return _stream(restorer, iter(frames), mask)


def _stream(restorer: Restorer, frames: Iterator[np.ndarray], mask: np.ndarray | None) -> Iterator[np.ndarray]:
    first = next(frames, None)
    if first is None:
        return
    if mask is not None and mask.shape[:2] != first.shape[:2]:
        raise ValueError(f"`mask` must have the size of the frames {first.shape[:2]}, got {mask.shape[:2]}")
    planes = _planes(first, restorer.card.channels)
    masks = None if mask is None else jnp.broadcast_to(mask, (*planes.shape[:-1], mask.shape[-1]))
    checked = (_checked_frame(frame, first) for frame in chain([first], frames))
    carry = restorer.model.apply({"params": restorer.params}, planes, method="start")
    for frame in checked:
        carry, restored = _step(restorer, carry, _planes(frame, restorer.card.channels), masks)
        yield _frame(restored, first.shape[-1])


@jax.jit
def _step(restorer: Restorer, carry: tuple[Array, ...], frame: Array, mask: Array | None) -> tuple:
    outputs = restorer.model.apply({"params": restorer.params}, carry, frame, mask, method="step")
    carry, restored = cast(tuple[tuple[Array, ...], Array], outputs)
    return carry, jnp.clip(restored, 0, 1)


def _checked_frame(frame: np.ndarray, first: np.ndarray) -> np.ndarray:
    if frame.shape != first.shape:
        raise ValueError(f"all frames must be of one size: the first has shape {first.shape}, got {frame.shape}")
    if not np.isfinite(frame).all():
        raise ValueError("frames must be finite, got NaN or infinity")
    return frame


def _planes(frame: np.ndarray, channels: int) -> Array:
    """Reshape a frame to a batch for the restorer, ``[1 or 3, height, width, channels]``."""
    pixels = jnp.asarray(frame)
    if channels == 1:
        return jnp.moveaxis(pixels, -1, 0)[..., None]
    return jnp.broadcast_to(pixels, (*pixels.shape[:-1], channels))[None]


def _frame(planes: Array, channels: int) -> np.ndarray:
    """Invert :func:`_planes`."""
    if planes.shape[-1] == 1:
        return np.moveaxis(np.asarray(planes)[..., 0], 0, -1)
    frame = np.asarray(planes)[0]
    return frame if channels > 1 else frame.mean(-1, keepdims=True)


def restore_video(
    restorer: Restorer,
    source: str | os.PathLike,
    target: str | os.PathLike,
    *,
    mask: str | os.PathLike | None = None,
    mask_marks: str | None = None,
    value_range: tuple[float, float] | None = None,
    max_pixels: int | None = None,
    quality: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> None:
    """Restore a folder of frames in order of file name, an animation, or the pages of a TIFF file.

    Args:
        restorer: a multi-frame restorer.
        source: folder of frames, animated GIF, PNG, WebP or AVIF file, or TIFF file of several pages.
        target: folder for frames of the same names, created if needed; or file.
        mask: image file, white where pixels are known, for all frames.
        mask_marks: what white in the mask marks, as in :func:`restorax.files.mask.read_mask`.
        value_range: stored values of black and white, as in :func:`restorax.files.image.read`.
        max_pixels: largest number of pixels of a frame, as in :func:`restorax.files.image.read`.
        quality: quality of a lossy output, as in :func:`restorax.files.image.write`.
        progress: called after every frame with the fraction done.

    Raises:
        FileNotFoundError: if ``source`` or the folder of ``target`` does not exist.
        ValueError: if a file is not an image, frames differ in size, or the mask is missing, unexpected or of another
            size.
    """
    source, target, required = Path(source), Path(target), restorer.model.required_condition
    if required.channels and mask is None:
        raise ValueError(f"{restorer.card.name} requires a mask ({required.description})")
    if mask is not None and not required.channels:
        raise ValueError(f"{restorer.card.name} takes no mask")
    mask_pixels = None if mask is None else read_mask(mask, mask_marks)
    if source.is_dir():
        paths = image.list_pictures(source)
        target.mkdir(parents=True, exist_ok=True)
        pictures = (read_single(path, value_range=value_range, max_pixels=max_pixels) for path in paths)
        restored = _restored(restorer, pictures, mask_pixels)
        for done, (path, picture) in enumerate(zip(paths, restored, strict=True)):
            image.write(target / path.name, picture, quality=quality)
            if progress:
                progress((done + 1) / len(paths))
        return
    if target.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{target}: unknown suffix {target.suffix!r}; animations are written as {', '.join(SUFFIXES)}")
    frames, pictures = read_frames(source, value_range=value_range, max_pixels=max_pixels), []
    check_target(target, frames)
    for picture in _restored(restorer, frames.pictures, mask_pixels):
        pictures.append(picture)
        if progress:
            progress(len(pictures) / len(frames.pictures))
    write_frames(target, dataclasses.replace(frames, pictures=pictures), quality=quality)


def _restored(
    restorer: Restorer, pictures: Iterable[image.Picture], mask: np.ndarray | None
) -> Iterator[image.Picture]:
    """Yield the pictures with restored pixels, in constant memory."""
    inputs, originals = tee(pictures)
    for picture, pixels in zip(originals, restore_stream(restorer, (p.pixels for p in inputs), mask), strict=True):
        yield picture.with_pixels(pixels)
