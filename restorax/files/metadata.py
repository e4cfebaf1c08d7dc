"""What an image file holds besides its pixels: colour profile, EXIF, XMP, resolution, text, and how it was encoded."""

import re
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import ExifTags, JpegImagePlugin
from PIL import Image as PillowImage

from . import png

_WIDTHS, _HEIGHTS = (0x0100, 0xA002), (0x0101, 0xA003)  # ImageWidth, PixelXDimension; ImageLength, PixelYDimension
_FORMATS = {3: "H", 4: "I"}  # SHORT, LONG


@dataclass(frozen=True)
class Metadata:
    """What an image file holds besides its pixels.

    Attributes:
        icc: ICC profile.
        exif: EXIF data, a TIFF structure, with orientation 1.
        xmp: XMP packet, with orientation 1.
        photoshop: Photoshop image resources, among them IPTC captions.
        comment: comment of a JPEG or GIF file.
        dpi: horizontal and vertical resolution in pixels per inch.
        resolution: resolution of a TIFF page as it is stored, and its unit.
        chunks: ancillary chunks of a PNG file: gamma, chromaticities, text.
        tags: descriptive tags of a TIFF page, as tifffile writes them.
        orientation: EXIF orientation of the file, 1 to 8, which reading applied.
        quantisation: quantisation tables of a JPEG file.
        subsampling: chroma subsampling of a JPEG file: 0 is 4:4:4, 1 is 4:2:2, 2 is 4:2:0.
        progressive: whether a JPEG file is progressive.
        lossless: whether a WebP file is lossless.
        byteorder: byte order of a TIFF file, ``<`` or ``>``.
        compression: compression of a TIFF page, and its predictor.
        extra: what the fourth (or second) channel of a TIFF page is: 1 premultiplied alpha, 2 alpha, 0 unspecified.
        dtype: type of the stored values.
        low: stored value that reads as 0.
        high: stored value that reads as 1; 0 for the largest of the type.
    """

    icc: bytes = b""
    exif: bytes = b""
    xmp: bytes = b""
    photoshop: bytes = b""
    comment: bytes = b""
    dpi: tuple[float, float] | None = None
    resolution: tuple[tuple[int, int], tuple[int, int], int] | None = None
    chunks: tuple[tuple[bytes, bytes], ...] = ()
    tags: tuple[tuple[Any, ...], ...] = ()
    orientation: int = 1
    quantisation: tuple[tuple[int, ...], ...] = ()
    subsampling: int = 0
    progressive: bool = False
    lossless: bool = False
    byteorder: str = "<"
    compression: tuple[int, int] = (1, 1)
    extra: int = 2
    dtype: str = ""
    low: float = 0.0
    high: float = 0.0


def collect(file: PillowImage.Image, content: bytes) -> Metadata:
    """Collect the metadata of an opened file; those of a TIFF page are collected in :mod:`tiff`."""
    orientation = read_orientation(file)
    size = (file.height, file.width) if orientation >= 5 else (file.width, file.height)
    info, tables = file.info, getattr(file, "quantization", None)
    exif = info.get("exif") or (file.getexif().tobytes() if "Raw profile type exif" in info else b"")
    dpi = info.get("dpi")
    jpeg = file.format in ("JPEG", "MPO")
    return Metadata(
        icc=info.get("icc_profile") or b"",
        exif=upright(exif.removeprefix(b"Exif\0\0"), size),
        xmp=upright_xmp(_bytes(info.get("xmp") or b""), size),
        photoshop=_photoshop(file),
        comment=_bytes(info.get("comment") or b"") if file.format in ("JPEG", "MPO", "GIF") else b"",
        dpi=None if dpi is None else _turned(dpi, orientation),
        chunks=png.descriptive(content, turned=orientation >= 5) if file.format == "PNG" else (),
        orientation=orientation,
        quantisation=tuple(tuple(tables[i]) for i in sorted(tables)) if jpeg and tables else (),
        subsampling=max(JpegImagePlugin.get_sampling(file), 0) if file.format == "JPEG" else 0,
        progressive="progressive" in info,
        lossless=file.format == "WEBP" and b"VP8L" in content,
    )


def read_orientation(file: PillowImage.Image) -> int:
    """Return the orientation that EXIF or XMP data state, 1 to 8."""
    orientation = file.getexif().get(ExifTags.Base.Orientation, 1)
    return orientation if orientation in range(1, 9) else 1


def turn(raw: np.ndarray, orientation: int) -> np.ndarray:
    """Apply an EXIF orientation, 1 to 8, to an array ``[height, width, ...]``."""
    if orientation in (5, 6, 7, 8):
        raw = raw.swapaxes(0, 1)
    return raw[:: -1 if orientation in (3, 4, 7, 8) else 1, :: -1 if orientation in (2, 3, 6, 7) else 1]


def upright(exif: bytes, size: tuple[int, int]) -> bytes:
    """Set orientation 1 and the width and height of the image in EXIF data; all else keeps its bytes.

    An embedded thumbnail is unlinked if the image was turned.
    """
    data, order = bytearray(exif), "<" if exif[:2] == b"II" else ">"

    def walk(start: int) -> tuple[int, int]:
        """Return where the Exif directory begins, and the orientation."""
        inner, orientation, (count,) = 0, 1, struct.unpack_from(order + "H", data, start)
        for entry in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind = struct.unpack_from(order + "HH", data, entry)
            if kind not in _FORMATS:
                continue
            (value,) = struct.unpack_from(order + _FORMATS[kind], data, entry + 8)
            replaced = value
            if tag == ExifTags.Base.Orientation:
                orientation, replaced = value, 1
            elif tag in _WIDTHS:
                replaced = size[0]
            elif tag in _HEIGHTS:
                replaced = size[1]
            elif tag == ExifTags.IFD.Exif:
                inner = value
            if kind == 4 or replaced < 2**16:
                struct.pack_into(order + _FORMATS[kind], data, entry + 8, replaced)
        if orientation != 1:
            struct.pack_into(order + "I", data, start + 2 + 12 * count, 0)
        return inner, orientation

    try:
        inner, _ = walk(struct.unpack_from(order + "I", data, 4)[0])
        if inner:
            walk(inner)
    except struct.error:  # damaged EXIF data, which no reader takes an orientation from
        return exif
    return bytes(data)


def upright_xmp(xmp: bytes, size: tuple[int, int]) -> bytes:
    """Set orientation 1 and the width and height of the image in an XMP packet."""
    for names, value in ((b"Orientation", 1), (b"PixelXDimension|ImageWidth", size[0])):
        xmp = re.sub(rb'((?:tiff|exif):(?:%s)(?:="|>))\d+' % names, rb"\g<1>%d" % value, xmp)
    return re.sub(rb'((?:tiff|exif):(?:PixelYDimension|ImageLength)(?:="|>))\d+', rb"\g<1>%d" % size[1], xmp)


def _photoshop(file: PillowImage.Image) -> bytes:
    applications = file.applist if isinstance(file, JpegImagePlugin.JpegImageFile) else []
    parts = [data for name, data in applications if name == "APP13" and data.startswith(b"Photoshop 3.0\0")]
    return b"".join(part.removeprefix(b"Photoshop 3.0\0") for part in parts)


def _turned(pair: Any, orientation: int) -> tuple[float, float]:
    across, down = (float(value) for value in pair)
    return (down, across) if orientation >= 5 else (across, down)


def _bytes(value: bytes | str) -> bytes:
    return value.encode() if isinstance(value, str) else value
