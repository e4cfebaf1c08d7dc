"""Read and write image files: pixels, alpha, bit depth, colour profile and metadata are preserved."""

import io
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageFile, UnidentifiedImageError

from . import encoders, fits, kinds, tiff
from .atomic import written_beside
from .metadata import Metadata, collect
from .picture import Picture, check_picture, quantise, strip, to_channels
from .values import MAX_PIXELS, check_size, decode_16bit, from_stored, pillow_values

__all__ = [
    "MAX_PIXELS",
    "SUFFIXES",
    "Metadata",
    "Picture",
    "check_picture",
    "decode",
    "list_pictures",
    "opened",
    "picture_of",
    "quantise",
    "read",
    "read_content",
    "strip",
    "to_channels",
    "write",
]

SUFFIXES = tuple(encoders.FORMATS)
_MODES = ("1", "L", "LA", "La", "P", "PA", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr", "I", "F", "I;16", "I;16B")
_opening = threading.Lock()


def read(
    path: str | os.PathLike,
    *,
    value_range: tuple[float, float] | None = None,
    max_pixels: int | None = None,
) -> Picture:
    """Read an image file; of an animation or a file of several pages, the first.

    The EXIF orientation is applied; palettes become RGB; values of another tone curve than that of sRGB are converted
    to it, and back when the picture is written. CMYK is shown in sRGB.

    Args:
        path: file in TIFF or any format that Pillow supports; HEIC, camera raw and FITS with the extras ``heif``,
            ``raw`` and ``fits``.
        value_range: stored values of black and white. By default the range of the integer type, and [0, 1] for
            floating point; values beyond it are kept as they are.
        max_pixels: largest number of pixels to read, by default ``MAX_PIXELS``.

    Returns:
        Its pixels, alpha, bit depth and metadata.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is not an image, is damaged, too large, or of a kind that is not supported, or if the
            range of its values is not known.
        ImportError: if an extra is not installed.

    Example:
        >>> read("photo.png").pixels.shape  # doctest: +SKIP
        (321, 481, 3)
    """
    return decode(read_content(path), str(path), value_range=value_range, max_pixels=max_pixels)


def read_content(path: str | os.PathLike) -> bytes:
    """Return the bytes of a file.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is a folder, or cannot be read.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    if path.is_dir():
        raise ValueError(f"{path} is a folder; give an image file")
    try:
        return path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} is damaged or cannot be read: {error}") from None


def decode(
    content: bytes,
    name: str,
    *,
    value_range: tuple[float, float] | None = None,
    max_pixels: int | None = None,
) -> Picture:
    """Decode an image from the bytes of its file, as :func:`read` does.

    Args:
        content: bytes of the file.
        name: name of the file in error messages; its suffix identifies camera raw data.
        value_range: as in :func:`read`.
        max_pixels: as in :func:`read`.

    Returns:
        Its pixels, alpha, bit depth and metadata.

    Raises:
        ValueError: as :func:`read`.
        ImportError: as :func:`read`.
    """
    if kinds.is_raw(name):
        return from_stored(kinds.develop(content, name), None, tiff.read_exif(content), name, value_range)
    if fits.is_fits(name):
        return fits.read_planes(content, name, value_range, max_pixels)[0]
    with opened(content, name, max_pixels) as file:
        if file is None or file.format == "TIFF":
            return tiff.read_pages(content, name, value_range, max_pixels, first=True)[0]
        return picture_of(file, content, name, value_range)


@contextmanager
def opened(content: bytes, name: str, max_pixels: int | None = None) -> Iterator[PillowImage.Image | None]:
    """Open a file in Pillow; ``None`` for a TIFF file that Pillow does not understand.

    Raises:
        ValueError: if it is not an image, too large, or damaged, also while it is used.
        ImportError: if an extra is not installed.
    """
    try:
        with _open(content, name) or nullcontext() as file:
            if file is not None:
                check_size(file.width, file.height, name, max_pixels)
            yield file
    except (OSError, SyntaxError, EOFError, ValueError) as error:
        if isinstance(error, ValueError) and name in str(error):  # a refusal
            raise
        raise ValueError(f"{name} is damaged or cannot be read: {error}") from None


def _open(content: bytes, name: str) -> PillowImage.Image | None:
    kinds.register_plugins(content, name)
    with _opening:  # Pillow's limit is a global variable, and exceeding it looks like damage
        limit, PillowImage.MAX_IMAGE_PIXELS = PillowImage.MAX_IMAGE_PIXELS, None
        try:
            return PillowImage.open(io.BytesIO(content))
        except UnidentifiedImageError:
            if not content.startswith(kinds.TIFF):
                raise ValueError(kinds.refusal(content, name)) from None
            return None
        finally:
            PillowImage.MAX_IMAGE_PIXELS = limit


def picture_of(
    file: PillowImage.Image, content: bytes, name: str, value_range: tuple[float, float] | None = None
) -> Picture:
    """Make a picture of an opened file that is not TIFF; arguments as in :func:`decode`."""
    if file.mode not in _MODES:
        raise ValueError(f"{name} stores colours as {file.mode}; convert it to RGB")
    if remark := kinds.unread(file, content):
        warnings.warn(f"{name} {remark}", stacklevel=2)
    stored = _raw_mode(file)
    if ";16" in stored and file.mode in ("LA", "RGB", "RGBA"):
        raw = decode_16bit(content)
        colours, alpha = raw[:, :, : 1 if "LA" in stored else 3], raw[:, :, 3:] if raw.shape[2] > 3 else None
    else:
        colours, alpha = pillow_values(file)
        colours = colours.astype(np.uint16) if file.mode == "I" else colours  # PGM
    if colours.dtype == np.uint16 and alpha is None and "transparency" in file.info:
        clear = (colours == np.array(file.info["transparency"])).all(axis=2, keepdims=True)
        alpha = np.where(clear, 0, 2**16 - 1).astype(np.uint16)
    return from_stored(colours, alpha, collect(file, content), name, value_range)


def _raw_mode(file: PillowImage.Image) -> str:
    """Return Pillow's raw mode of a file, such as ``"RGB;16B"``: the first decoder argument that is text."""
    tile = file.tile if isinstance(file, ImageFile.ImageFile) else ()
    arguments = tile[0].args if tile else ""
    if file.format == "PPM" and file.mode == "RGB" and tuple(arguments or ())[1:] == (65535,):
        return "RGB;16B"
    return arguments if isinstance(arguments, str) else str(arguments[0]) if arguments else ""


def write(path: str | os.PathLike, picture: Picture, *, quality: int | None = None) -> None:
    """Write an image file atomically, in the format of its suffix, with the metadata of the picture.

    JPEG is written with the quantisation tables and chroma subsampling of the file that was read, or those of quality
    95 where these are finer; WebP is lossless if that file was. What the format does not hold is named in a warning.

    Args:
        path: file to write. PNG keeps alpha and 16 bits; TIFF these, 32 bits and CMYK; WebP, AVIF and HEIC alpha; JPEG
            CMYK. All of these keep profile, EXIF and XMP.
        picture: content to write; pixels are clipped to [0, 1] and rounded.
        quality: quality of JPEG, lossy WebP, AVIF and HEIC, 1 to 100.

    Raises:
        TypeError: if pixels or alpha are not floating point.
        ValueError: if the suffix is unknown, a shape is wrong, values are not finite, or the bit depth is not 8, 16 or
            32, or the quality is outside its range.
        ImportError: if an extra is not installed.
        OSError: if the file cannot be written.

    Example:
        >>> write("out.png", Picture(np.zeros((4, 4, 3), np.float32)))  # doctest: +SKIP
    """
    path = Path(path)
    form = encoders.find(path, quality)
    check_picture(picture)
    picture = encoders.adapt(picture, form, path.name)
    with written_beside(path) as beside:
        form.write(beside, picture, quality)


def list_pictures(folder: str | os.PathLike) -> list[Path]:
    """List the image files directly in a folder, sorted by name.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if it contains no image file.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder")
    known = (*SUFFIXES, *fits.SUFFIXES)
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in known and not p.name.startswith("."))
    if not paths:
        raise ValueError(f"{folder} contains no images ({', '.join(SUFFIXES)})")
    return paths
