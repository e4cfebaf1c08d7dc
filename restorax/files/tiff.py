"""Read and write TIFF files, every page, with the tags that describe them."""

import io
import struct
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import ExifTags, TiffImagePlugin
from PIL import Image as PillowImage

from . import kinds
from .metadata import Metadata, upright, upright_xmp
from .picture import Picture
from .values import check_size, decode_16bit, from_stored, ink_values, pillow_values, stored_dtype, to_stored

_ICC, _XMP, _PHOTOSHOP, _RESOLUTION = 34675, 700, 34377, (282, 283, 296)
_DIRECTORIES = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
# Unassigned tags, which come at the same place of the order as the two directories.
# Unassigned tags, which come at the same place of the order as the two directories.
_PLACES: dict[int, int] = {ExifTags.IFD.Exif: 34664, ExifTags.IFD.GPSInfo: 34854}
# Tags of how values are stored, which are written anew, and those that are kept in fields of their own.
_STRUCTURAL = {
    *range(254, 269),
    *range(273, 285),
    *(290, 291, 292, 293, 301, 317, 318, 319, 320, 321, 322, 323, 324, 325, 330, 332, 333, 334, 336, 337),
    *(338, 339, 340, 341, 342, 347, *range(512, 522), 529, 530, 531, 532, 32997, 32998, 40965),
    *(_ICC, _XMP, _PHOTOSHOP, *_RESOLUTION, *_DIRECTORIES),
}
_DESCRIPTIONS = (269, 270, 271, 272, 285, 305, 306, 315, 316, 33432)  # text that EXIF data share with TIFF
_DNG_VERSION = 50706
_DEFLATE, _LZW = 8, 5
_LOSSLESS = {1: 1, 8: 8, 32946: 8, 5: 5, 32773: 32773, 34925: 34925, 50000: 50000}
_WITHOUT_CODECS = (1, 8, 34925)  # what tifffile writes without imagecodecs


def read_pages(
    content: bytes,
    name: str,
    value_range: tuple[float, float] | None = None,
    max_pixels: int | None = None,
    *,
    first: bool = False,
) -> list[Picture]:
    """Read the pages of a TIFF file.

    Args:
        content: bytes of the file.
        name: name of the file in error messages.
        value_range: as in :func:`values.from_stored`.
        max_pixels: as in :func:`values.check_size`, of each page.
        first: read the first page alone.

    Returns:
        A picture per page.

    Raises:
        ValueError: if a page is damaged, or of a kind that is not supported.
    """
    try:
        with tifffile.TiffFile(io.BytesIO(content)) as file:
            pages: list[Any] = [file.pages[0]] if first else list(file.pages)
            if _DNG_VERSION in pages[0].tags:
                raise ValueError(f"{name} is camera raw data; give it the suffix .dng")
            for page in pages:
                check_size(page.imagewidth, page.imagelength, name, max_pixels)
            return [_read_page(page, index, content, name, value_range) for index, page in enumerate(pages)]
    except (tifffile.TiffFileError, IndexError, KeyError, struct.error) as error:
        raise ValueError(f"{name} is damaged or cannot be read: {error}") from None


def _read_page(page: Any, index: int, content: bytes, name: str, value_range: tuple[float, float] | None) -> Picture:
    metadata = _metadata(page, content)
    photometric, bits = page.photometric.name.lower(), page.bitspersample
    if photometric not in ("miniswhite", "minisblack", "rgb", "palette", "separated", "ycbcr"):
        raise ValueError(f"{name} stores colours as {photometric}; convert it to RGB")
    if page.imagedepth > 1:
        raise ValueError(f"{name} is a volume of {page.imagedepth} slices; write them as pages")
    plain = bits <= 8 and page.sampleformat == 1 and 0 not in page.extrasamples
    plain = plain or photometric in ("palette", "ycbcr")
    channels = page.samplesperpixel
    if channels - {"rgb": 3, "ycbcr": 3, "separated": 4}.get(photometric, 1) > 1 or channels > 4:
        raise ValueError(f"{name} has {channels} channels; images have gray or RGB, and alpha")
    if plain or (bits == 12 and channels == 1):
        return _by_pillow(index, content, name, metadata, value_range, scale=16 if bits == 12 else 1)
    if photometric == "separated":
        raise ValueError(f"{name} holds CMYK of {bits} bits; convert it to 8 bits, or to RGB")
    try:
        raw = page.asarray()
    except ValueError as error:
        if "imagecodecs" not in str(error):
            raise ValueError(f"{name} is damaged or cannot be read: {error}") from None
        return _without_codecs(page, index, content, name, metadata, value_range)
    raw = np.moveaxis(raw, 0, -1) if page.planarconfig == 2 and raw.ndim == 3 else raw
    return _assembled(raw.reshape(*raw.shape[:2], -1), photometric, metadata, name, value_range)


def _assembled(
    raw: np.ndarray, photometric: str, metadata: Metadata, name: str, value_range: tuple[float, float] | None
) -> Picture:
    """Make a picture of ``[height, width, channels]`` stored values."""
    count = 3 if photometric == "rgb" else 1
    colours, alpha = raw[:, :, :count], raw[:, :, count:] if raw.shape[2] > count else None
    picture = from_stored(colours, alpha, metadata, name, value_range)
    if photometric == "miniswhite":  # written with black as 0
        picture = picture.with_pixels(1 - picture.pixels)
    if picture.alpha is not None and metadata.extra == 1:
        pixels = np.where(picture.alpha > 0, picture.pixels / np.maximum(picture.alpha, 1e-6), 0)
        picture = picture.with_pixels(np.minimum(pixels, 1))
    return replace(picture, metadata=replace(picture.metadata, extra=min(metadata.extra, 1) * 2))


def _by_pillow(
    index: int,
    content: bytes,
    name: str,
    metadata: Metadata,
    value_range: tuple[float, float] | None,
    scale: int = 1,
) -> Picture:
    with PillowImage.open(io.BytesIO(content)) as file:
        file.seek(index)
        colours, alpha = pillow_values(file)
        white_is_zero = (
            isinstance(file, TiffImagePlugin.TiffImageFile)
            and file.tag_v2.get(ExifTags.Base.PhotometricInterpretation) == 0
        )
    if scale > 1:  # 12 bits
        colours = np.round(colours * ((2**16 - 1) / (2**12 - 1))).astype(np.uint16)
    picture = from_stored(colours, alpha, replace(metadata, orientation=1), name, value_range)  # Pillow has turned it
    if white_is_zero and colours.dtype.itemsize > 1:
        picture = picture.with_pixels(1 - picture.pixels)
    # Pillow has also divided premultiplied colours by their alpha.
    return replace(picture, metadata=replace(picture.metadata, orientation=metadata.orientation, extra=2))


def _without_codecs(
    page: Any, index: int, content: bytes, name: str, metadata: Metadata, value_range: tuple[float, float] | None
) -> Picture:
    """Read what tifffile decodes only with imagecodecs, such as LZW, by Pillow and OpenCV."""
    if page.samplesperpixel == 1 and page.dtype in (np.uint16, np.float32):
        return _by_pillow(index, content, name, metadata, value_range)
    if page.dtype != np.uint16 or page.planarconfig == 2 or page.samplesperpixel < 3 or index:
        kind = f"{page.compression.name.lower()} compression of {page.dtype} values"
        raise ValueError(f"{name} has {kind}, which needs imagecodecs; pip install 'restorax[tiff]'")
    raw = decode_16bit(content)
    # OpenCV has turned it already.
    picture = _assembled(raw, "rgb", replace(metadata, orientation=1), name, value_range)
    return replace(picture, metadata=replace(picture.metadata, orientation=metadata.orientation))


def _metadata(page: Any, content: bytes) -> Metadata:
    tags = {tag.code: tag for tag in page.tags}
    exif = PillowImage.Exif()
    exif.endian, exif.bigtiff = page.parent.byteorder, page.parent.is_bigtiff
    exif.load_from_fp(io.BytesIO(content), page.offset)
    described = PillowImage.Exif()
    for code in (*_DESCRIPTIONS, *_DIRECTORIES):
        if code in exif:
            described[code] = exif.get_ifd(code) if code in _DIRECTORIES else exif[code]
    value = lambda code, default: tags[code].value if code in tags else default  # noqa: E731
    orientation = int(value(ExifTags.Base.Orientation, 1))
    orientation = orientation if orientation in range(1, 9) else 1
    size = (page.imagelength, page.imagewidth) if orientation >= 5 else (page.imagewidth, page.imagelength)
    across, down = value(282, (0, 1)), value(283, (0, 1))
    per_inch = {2: 1.0, 3: 2.54}.get(int(value(296, 2)))
    if orientation >= 5:
        across, down = down, across
    known = per_inch and across[0] and down[0] and across[1] and down[1]
    return Metadata(
        icc=_raw(value(_ICC, b"")),
        exif=upright(described.tobytes().removeprefix(b"Exif\0\0"), size) if len(described) else b"",
        xmp=upright_xmp(_raw(value(_XMP, b"")), size),
        photoshop=_raw(value(_PHOTOSHOP, b"")),
        dpi=(across[0] / across[1] * per_inch, down[0] / down[1] * per_inch) if known else None,
        resolution=(across, down, int(value(296, 2))) if 282 in tags and 283 in tags else None,
        tags=tuple(tag.astuple() for tag in page.tags if tag.code not in _STRUCTURAL),
        orientation=orientation,
        byteorder=page.parent.byteorder,
        compression=(int(page.compression), int(page.predictor)),
        extra=int(page.extrasamples[0]) if page.extrasamples else 2,
    )


def read_exif(content: bytes) -> Metadata:
    """Return the EXIF data alone of camera raw data, which most cameras write in the structure of TIFF."""
    if not content.startswith(kinds.TIFF):
        return Metadata()
    try:
        with tifffile.TiffFile(io.BytesIO(content)) as file:
            return Metadata(exif=_metadata(file.pages[0], content).exif)
    except (tifffile.TiffFileError, IndexError, KeyError, ValueError, struct.error):  # a structure of its own
        return Metadata()


def _raw(value: Any) -> bytes:
    """Return the bytes of a tag, which tifffile gives as text or numbers where a file says so."""
    return value.encode("latin-1", "replace") if isinstance(value, str) else bytes(value)


def write_pages(path: Path, pictures: Sequence[Picture]) -> None:
    """Write pictures as the pages of a TIFF file; not atomic.

    Args:
        path: file to write.
        pictures: checked pictures.
    """
    order: Any = pictures[0].metadata.byteorder
    large = sum(one.pixels.size * 4 for one in pictures) > 2**31
    with tifffile.TiffWriter(path, byteorder=order, bigtiff=large) as file:
        for picture in pictures:
            _write_page(file, picture)
    if not large:
        _append_directories(path, [_directories(picture.metadata) for picture in pictures])


def _write_page(file: tifffile.TiffWriter, picture: Picture) -> None:
    kept = picture.metadata
    if picture.inks is not None:
        data, photometric = ink_values(picture), "separated"
    else:
        colours, alpha = to_stored(picture, stored_dtype(picture))
        data = colours if alpha is None else np.concatenate([colours, alpha], axis=2)
        photometric = "rgb" if colours.shape[2] == 3 else "minisblack"
    compression, predictor = _LOSSLESS.get(kept.compression[0], _DEFLATE), kept.compression[1]
    if compression not in _WITHOUT_CODECS and not _has_codecs():
        warnings.warn(
            "TIFF is written with Deflate, which is lossless like the compression of the input; that one needs "
            "pip install 'restorax[tiff]'",
            stacklevel=2,
        )
        compression = _DEFLATE
    horizontal = predictor == 2 and data.dtype.kind in "ui" and compression in (_DEFLATE, _LZW)
    across, down, unit = kept.resolution or ((*kept.dpi, 2) if kept.dpi else ((1, 1), (1, 1), 1))
    file.write(
        np.ascontiguousarray(data[:, :, 0] if data.shape[2] == 1 else data),
        photometric=photometric,
        planarconfig="contig" if data.shape[2] > 1 else None,
        extrasamples=None if picture.alpha is None else [kept.extra],
        compression=compression,
        predictor=2 if horizontal else None,
        iccprofile=kept.icc or None,
        resolution=(across, down),
        resolutionunit=unit,
        software=False,
        metadata=None,
        contiguous=False,
        extratags=_extratags(kept),
    )


def _extratags(kept: Metadata) -> list[tuple[Any, ...]]:
    tags = list(kept.tags)
    if not tags and kept.exif:
        exif = _exif(kept)
        texts = {code: str(exif[code]).encode("latin-1", "replace") + b"\0" for code in _DESCRIPTIONS if code in exif}
        tags += [(code, 2, len(text), text, True) for code, text in texts.items()]
    for code, kind, value in ((_XMP, 1, kept.xmp), (_PHOTOSHOP, 1, kept.photoshop)):
        if value:
            tags.append((code, kind, len(value), value, True))
    return tags + [(_PLACES[code], 4, 1, 0, True) for code in _directories(kept)]


def _exif(kept: Metadata) -> PillowImage.Exif:
    exif = PillowImage.Exif()
    exif.load(b"Exif\0\0" + kept.exif)
    return exif


def _directories(kept: Metadata) -> dict[int, dict[int, Any]]:
    """Return the Exif and GPS directories by their tags."""
    exif = _exif(kept)
    return {code: dict(exif.get_ifd(code)) for code in _DIRECTORIES if code in exif}


def _append_directories(path: Path, directories: Sequence[dict[int, dict[int, Any]]]) -> None:
    """Append Exif and GPS directories, which tifffile does not write, and point to them."""
    with tifffile.TiffFile(path) as file:
        pages: list[Any] = list(file.pages)
        order, places = file.byteorder, [{tag.code: tag.offset for tag in page.tags} for page in pages]
    header = (b"II*\0" if order == "<" else b"MM\0*") + bytes(4)
    with path.open("r+b") as file:
        for tags, of_page in zip(places, directories, strict=True):
            for code, values in of_page.items():
                directory = TiffImagePlugin.ImageFileDirectory_v2(header, group=code)
                for tag, value in values.items():
                    directory[tag] = value
                end = file.seek(0, io.SEEK_END)
                start = file.seek(end + end % 2)
                file.write(directory.tobytes(start))
                file.seek(tags[_PLACES[code]])
                file.write(struct.pack(order + "HHII", code, 4, 1, start))


def _has_codecs() -> bool:
    try:
        import imagecodecs  # pyright: ignore[reportMissingImports]  # noqa: F401
    except ImportError:
        return False
    return True
