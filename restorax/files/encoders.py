"""Writers of image files by suffix."""

import functools
import io
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image as PillowImage

from . import kinds, png, tiff, tone
from .metadata import Metadata
from .picture import Picture, quantise, to_channels
from .values import ink_values, to_stored

QUALITY = 95
_LONGEST_MARKER = 65000  # bytes of metadata in one segment of a JPEG file


class Format(NamedTuple):
    """What a file format holds, and its writer.

    Attributes:
        write: writes a checked and adapted picture with a quality, or ``None``, to a path.
        bits: largest bit depth.
        alpha: whether it holds transparency.
        inks: whether it holds CMYK.
        metadata: whether it holds profile, EXIF and XMP.
        gray: whether it holds images of one channel.
    """

    write: Callable[[Path, Picture, int | None], None]
    bits: int = 8
    alpha: bool = False
    inks: bool = False
    metadata: bool = False
    gray: bool = True


def find(path: Path, quality: int | None) -> Format:
    """Return the format of a suffix.

    Raises:
        ValueError: if the suffix or the quality is not accepted.
        ImportError: if an extra is not installed.
    """
    suffix = path.suffix.lower()
    if kinds.is_raw(path.name):
        raise ValueError(f"{path}: camera raw data cannot be written; give OUT the suffix .tif or .png")
    if suffix not in FORMATS:
        raise ValueError(f"{path}: unknown suffix {path.suffix!r}; use one of {', '.join(FORMATS)}")
    if quality is not None and not 1 <= quality <= 100:
        raise ValueError(f"`quality` must be in [1, 100], got {quality}")
    if suffix in (".heic", ".heif"):
        kinds.register_heif(str(path))
    return FORMATS[suffix]


def adapt(picture: Picture, form: Format, name: str) -> Picture:
    """Return a picture as a format holds it, and warn of what is lost."""
    lost, kept = [], picture.metadata
    if picture.inks is not None and not form.inks:
        lost.append("CMYK (written as sRGB)")
        picture = replace(picture, inks=None)
    if picture.alpha is not None and not form.alpha:
        if picture.alpha.min() < 1:
            lost.append("transparency")
        picture = replace(picture, alpha=None)
    if picture.bits > form.bits:
        lost.append(f"{picture.bits} bits")
        picture = replace(picture, bits=form.bits)
    if not form.gray or (picture.bits == 16 and picture.alpha is not None and form.bits == 16):
        picture = picture.with_pixels(to_channels(picture.pixels, 3))  # no library writes 16-bit gray with alpha to PNG
    channels = 4 if picture.inks is not None else picture.pixels.shape[2]
    if kept.icc and not tone.fits(kept.icc, channels):
        kept = replace(kept, icc=b"")
    if not form.metadata:
        if kept.icc and channels == 3:
            stored = quantise(tone.from_srgb_curve(np.clip(picture.pixels, 0, 1), kept))
            picture = picture.with_pixels(tone.to_srgb(stored, kept.icc) / np.float32(255))
        lost += [kind for kind, data in (("EXIF", kept.exif), ("XMP", kept.xmp)) if data]
        kept = replace(kept, icc=b"")
    if form is not FORMATS[".png"]:
        kept = replace(kept, chunks=())
    if lost:
        warnings.warn(f"{name}: the format does not hold {', '.join(lost)}; .tif holds all", stacklevel=3)
    return replace(picture, metadata=kept)


def to_pillow(picture: Picture) -> PillowImage.Image:
    """Return a picture of 8 bits in Pillow, with the tone curve of its profile."""
    if picture.inks is not None:
        inks = ink_values(picture)
        return PillowImage.frombytes("CMYK", inks.shape[1::-1], inks.tobytes())
    colours, alpha = to_stored(picture, "uint8")
    raw = colours if alpha is None else np.concatenate([colours, alpha], axis=2)
    return PillowImage.fromarray(raw[:, :, 0] if raw.shape[2] == 1 else raw)


def describing(kept: Metadata) -> dict[str, Any]:
    """Return the metadata that Pillow's writers of JPEG, WebP, AVIF and HEIC share."""
    found = {"icc_profile": kept.icc, "exif": kept.exif and b"Exif\0\0" + kept.exif, "xmp": kept.xmp}
    return {name: data for name, data in found.items() if data}


def png_chunks(kept: Metadata) -> list[tuple[bytes, bytes]]:
    """Return the chunks of a PNG file that hold the metadata."""
    dpi = None if any(kind == b"pHYs" for kind, _ in kept.chunks) else kept.dpi
    return [*png.describing(kept.icc, kept.exif, kept.xmp, kept.comment, dpi), *kept.chunks]


def _write_png(path: Path, picture: Picture, quality: int | None) -> None:
    if picture.bits == 8:
        content = _encoded(to_pillow(picture), "PNG")
    else:
        colours, alpha = to_stored(picture, "uint16")
        if colours.shape[2] == 1:
            content = _encoded(PillowImage.fromarray(colours[:, :, 0]), "PNG")
        else:
            import cv2

            bgr = np.concatenate([colours[:, :, ::-1], *([] if alpha is None else [alpha])], axis=2)
            content = cv2.imencode(".png", bgr)[1].tobytes()
    path.write_bytes(png.insert_chunks(content, png_chunks(picture.metadata)))


def _encoded(image: PillowImage.Image, form: str) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form)
    return buffer.getvalue()


def _write_jpeg(path: Path, picture: Picture, quality: int | None) -> None:
    kept, options = picture.metadata, describing(picture.metadata)
    for name in ("exif", "xmp"):
        if len(options.get(name, b"")) > _LONGEST_MARKER:
            warnings.warn(f"{name.upper()} data of {len(options.pop(name))} bytes do not fit in JPEG", stacklevel=4)
    if quality is None:
        options["qtables"] = _finer_tables(kept.quantisation)
    else:
        options["quality"] = quality
    if kept.photoshop and len(kept.photoshop) < _LONGEST_MARKER:
        data = b"Photoshop 3.0\0" + kept.photoshop
        options["extra"] = b"\xff\xed" + (len(data) + 2).to_bytes(2, "big") + data
    if kept.dpi and max(kept.dpi) < 2**16:
        options["dpi"] = tuple(round(value) for value in kept.dpi)
    to_pillow(picture).save(
        path, "JPEG", subsampling=kept.subsampling, progressive=kept.progressive, comment=kept.comment, **options
    )


def _finer_tables(tables: tuple[tuple[int, ...], ...]) -> list[list[int]]:
    """Return the finer of given quantisation tables and those of quality 95."""
    finest = [list(table) for table in _default_tables()]
    return [
        [min(pair) for pair in zip(table, tables[i], strict=True)] if i < len(tables) else table
        for i, table in enumerate(finest)
    ]


@functools.cache
def _default_tables() -> tuple[tuple[int, ...], ...]:
    buffer = io.BytesIO()
    PillowImage.new("RGB", (8, 8)).save(buffer, "JPEG", quality=QUALITY)
    with PillowImage.open(buffer) as file:
        tables = file.quantization  # pyright: ignore[reportAttributeAccessIssue]
    return tuple(tuple(tables[i]) for i in sorted(tables))


def lossy_options(kept: Metadata, suffix: str, quality: int | None) -> dict[str, Any]:
    """Return the options of Pillow's writers of WebP, AVIF and HEIC for a quality, by default that of the input."""
    if suffix == ".webp":
        return {"lossless": kept.lossless and quality is None, "quality": quality or QUALITY, "exact": True}
    full = {".avif": {"subsampling": "4:4:4"}}.get(suffix, {"chroma": 444})
    return {"quality": quality or QUALITY, **full}


def _write_webp(path: Path, picture: Picture, quality: int | None) -> None:
    options = lossy_options(picture.metadata, ".webp", quality)
    to_pillow(picture).save(path, "WEBP", **options, **describing(picture.metadata))


def _write_avif(path: Path, picture: Picture, quality: int | None) -> None:
    options = lossy_options(picture.metadata, ".avif", quality)
    to_pillow(picture).save(path, "AVIF", **options, **describing(picture.metadata))


def _write_heif(path: Path, picture: Picture, quality: int | None) -> None:
    options = lossy_options(picture.metadata, ".heic", quality)
    to_pillow(picture).save(path, "HEIF", **options, **describing(picture.metadata))


def _write_tiff(path: Path, picture: Picture, quality: int | None) -> None:
    tiff.write_pages(path, [picture])


def _write_plain(path: Path, picture: Picture, quality: int | None) -> None:
    """Write a format without metadata but the resolution."""
    dpi, shown = picture.metadata.dpi, to_pillow(picture)
    if dpi and path.suffix.lower() == ".bmp":
        shown.save(path, dpi=dpi)
    else:
        shown.save(path)


_JPEG = Format(_write_jpeg, inks=True, metadata=True)
_TIFF = Format(_write_tiff, bits=32, alpha=True, inks=True, metadata=True)
_HEIF = Format(_write_heif, alpha=True, metadata=True, gray=False)
_PLAIN = Format(_write_plain)
FORMATS = {
    ".png": Format(_write_png, bits=16, alpha=True, metadata=True),
    **dict.fromkeys((".jpg", ".jpeg", ".jfif"), _JPEG),
    **dict.fromkeys((".tif", ".tiff"), _TIFF),
    ".webp": Format(_write_webp, alpha=True, metadata=True, gray=False),
    ".avif": Format(_write_avif, alpha=True, metadata=True, gray=False),
    **dict.fromkeys((".heic", ".heif"), _HEIF),
    ".gif": Format(_write_plain, alpha=True),
    **dict.fromkeys((".bmp", ".ppm", ".pgm"), _PLAIN),
}
