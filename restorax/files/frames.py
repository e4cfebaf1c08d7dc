"""Animations and files of several pages."""

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageSequence

from . import encoders, fits, image, kinds, png, tiff
from .atomic import written_beside
from .metadata import collect
from .picture import Picture, check_picture, to_channels
from .values import from_stored

ANIMATED = (".gif", ".png", ".webp", ".avif")
PAGED = (".tif", ".tiff")
_FORMATS = ("GIF", "PNG", "WEBP", "AVIF")


@dataclass(frozen=True)
class Frames:
    """Content of an animation, or of a file of several pages.

    Attributes:
        pictures: frames of one size, or pages.
        milliseconds: duration of each frame; empty for pages.
        loop: number of repetitions, 0 for endless; ``None`` if not stored.
    """

    pictures: Sequence[Picture]
    milliseconds: Sequence[float] = ()
    loop: int | None = None


def read_frames(
    path: str | os.PathLike,
    *,
    value_range: tuple[float, float] | None = None,
    max_pixels: int | None = None,
) -> Frames:
    """Read all frames of an animated GIF, PNG, WebP or AVIF file, or all pages of a TIFF or FITS file.

    Args:
        path: file to read; any other image is one frame.
        value_range: as in :func:`image.read`.
        max_pixels: as in :func:`image.read`, of each frame.

    Returns:
        Frames as displayed: gray if all are gray, with alpha if any is transparent. A still image is read by
        :func:`image.read`.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: as :func:`image.read`.
        ImportError: as :func:`image.read`.
    """
    content, name = image.read_content(path), str(path)
    if kinds.is_raw(name):
        return Frames([image.decode(content, name, value_range=value_range, max_pixels=max_pixels)])
    if fits.is_fits(name):
        return Frames(fits.read_planes(content, name, value_range, max_pixels))
    with image.opened(content, name, max_pixels) as file:
        if file is None or file.format == "TIFF":
            return Frames(tiff.read_pages(content, name, value_range, max_pixels))
        if file.format not in _FORMATS or getattr(file, "n_frames", 1) == 1:
            loop, duration = file.info.get("loop"), float(file.info.get("duration") or 100)
            return Frames([image.picture_of(file, content, name, value_range)], [duration], loop)
        return _read_animation(file, content, name, value_range)


def _read_animation(
    file: PillowImage.Image, content: bytes, name: str, value_range: tuple[float, float] | None
) -> Frames:
    if remark := kinds.unread(file, content):
        warnings.warn(f"{name} {remark}", stacklevel=3)
    metadata, loop = collect(file, content), file.info.get("loop")
    raw, milliseconds = [], []
    for frame in ImageSequence.Iterator(file):
        raw.append(np.asarray(frame.convert("RGBA")))
        milliseconds.append(float(frame.info.get("duration") or 100))
    gray = all((frame[..., :1] == frame[..., 1:3]).all() for frame in raw)
    transparent = any(frame[..., 3].min() < 255 for frame in raw)
    pictures = [
        from_stored(f[..., : 1 if gray else 3], f[..., 3:] if transparent else None, metadata, name, value_range)
        for f in raw
    ]
    return Frames(pictures, milliseconds, loop)


def read_single(
    path: str | os.PathLike,
    *,
    value_range: tuple[float, float] | None = None,
    max_pixels: int | None = None,
) -> Picture:
    """Read a file of one picture; arguments as in :func:`read_frames`.

    Raises:
        ValueError: also if it holds several.
    """
    pictures = read_frames(path, value_range=value_range, max_pixels=max_pixels).pictures
    if len(pictures) > 1:
        raise ValueError(f"{path} holds {len(pictures)} frames or pages; give a file of one, or a folder of files")
    return pictures[0]


def check_target(path: str | os.PathLike, frames: Frames) -> None:
    """Check that the format of a suffix holds frames.

    Raises:
        ValueError: if it does not.
    """
    count, suffix = len(frames.pictures), Path(path).suffix.lower()
    accepted = ANIMATED if frames.milliseconds else PAGED
    if count > 1 and suffix not in accepted:
        kind = "frames" if frames.milliseconds else "pages"
        raise ValueError(f"{path}: {count} {kind} need a file of the suffix {' or '.join(accepted)}, got {suffix!r}")


def write_frames(path: str | os.PathLike, frames: Frames, *, quality: int | None = None) -> None:
    """Write an animation or pages atomically, in the format of the suffix.

    Args:
        path: file to write. GIF has 256 colours per frame, PNG is lossless, WebP is if the input was or has alpha; a
            single picture is written by :func:`image.write`.
        frames: what to write; pixels are clipped to [0, 1] and rounded, of animations to 8 bits.
        quality: as in :func:`image.write`.

    Raises:
        TypeError: if pixels are not floating point.
        ValueError: if there are no frames, the format does not hold several, or a frame is not a valid picture.
        OSError: if the file cannot be written.
    """
    path, pictures = Path(path), list(frames.pictures)
    if not pictures:
        raise ValueError("an animation needs at least one frame")
    check_target(path, frames)
    if len(pictures) == 1:
        image.write(path, pictures[0], quality=quality)
        return
    form = encoders.find(path, quality)
    for picture in pictures:
        check_picture(picture)
    pictures = [encoders.adapt(picture, form, path.name) for picture in pictures]
    with written_beside(path) as beside:
        if path.suffix.lower() in PAGED:
            tiff.write_pages(beside, pictures)
        else:
            _write_animation(beside, pictures, frames, quality)


def _write_animation(path: Path, pictures: list[Picture], frames: Frames, quality: int | None) -> None:
    suffix, kept = path.suffix.lower(), pictures[0].metadata
    options: dict[str, Any] = {} if frames.loop is None else {"loop": frames.loop}
    if suffix in (".webp", ".avif"):
        options |= {**encoders.lossy_options(kept, suffix, quality), **encoders.describing(kept)}
        options.pop("exact", None)  # of still images
    if suffix == ".webp" and any(picture.alpha is not None for picture in pictures):
        options["lossless"] = True  # lossy frames whose opaque part is a rectangle lose their transparency
    if suffix == ".gif" and any(picture.alpha is not None for picture in pictures):
        options["disposal"] = 2  # clear each frame, else it shows through the next one
    if kept.comment and suffix == ".gif":
        options["comment"] = kept.comment
    shown = [encoders.to_pillow(_even(replace(picture, bits=8))) for picture in pictures]
    milliseconds = [round(t) for t in frames.milliseconds]
    shown[0].save(path, save_all=True, append_images=shown[1:], duration=milliseconds, **options)
    if suffix == ".png":
        path.write_bytes(png.insert_chunks(path.read_bytes(), encoders.png_chunks(kept)))


def _even(picture: Picture) -> Picture:
    """Give pictures with alpha three channels, as Pillow animates them."""
    return picture if picture.alpha is None else picture.with_pixels(to_channels(picture.pixels, 3))
