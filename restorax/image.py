"""Picture files: read and write them without losing alpha, bit depth or gray."""

import io
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from PIL import ExifTags, ImageFile, ImageOps, TiffImagePlugin, UnidentifiedImageError
from PIL import Image as PillowImage

from .files import written_beside

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".ppm", ".pgm")


@dataclass(frozen=True)
class Picture:
    """What a picture file holds.

    Attributes:
        pixels: float32 in [0, 1], ``[height, width, 1 or 3]``.
        alpha: float32 in [0, 1], ``[height, width, 1]``, or ``None``.
        bits: 8 or 16, of the file.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    bits: int = 8

    def with_pixels(self, pixels: np.ndarray) -> "Picture":
        """The same picture (alpha, bit depth) with other pixels ``[height, width, 1 or 3]``."""
        return replace(self, pixels=np.asarray(pixels, np.float32))


def read(path: str | os.PathLike) -> Picture:
    """Read a picture file.

    The EXIF orientation is applied; palettes become RGB; CMYK and other modes are converted to RGB.

    Args:
        path: a file in any format that Pillow reads.

    Returns:
        Its pixels, alpha and bit depth.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is not an image, or damaged.

    Example:
        >>> read("photo.png").pixels.shape  # doctest: +SKIP
        (321, 481, 3)
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    if path.is_dir():
        raise ValueError(f"{path} is a folder; a picture file is needed")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} is damaged or cannot be read: {error}") from None
    return decode(content, str(path))


def decode(content: bytes, name: str) -> Picture:
    """Read a picture from the bytes of its file, as :func:`read` does.

    Args:
        content: the bytes.
        name: how a message calls the file.

    Returns:
        Its pixels, alpha and bit depth.

    Raises:
        ValueError: if the bytes are not an image, or damaged.
    """
    try:
        with PillowImage.open(io.BytesIO(content)) as file:
            stored = _raw_mode(file)
            if ";16" in stored and file.mode in ("LA", "RGB", "RGBA"):  # Pillow would drop the lower 8 bits
                # OpenCV turns TIFF files itself.
                turn = 1 if file.format == "TIFF" else file.getexif().get(ExifTags.Base.Orientation, 1)
                raw = _turned(_decode_16bit(content, gray="LA" in stored), turn)
            elif file.mode == "F" or ";32" in stored:
                raise ValueError("its values have 32 bits; files of 8 and 16 bits are read")
            else:
                raw = _to_array(ImageOps.exif_transpose(file))
                raw = _as_shown(raw, file, stored) if raw.dtype == np.uint16 else raw
    except UnidentifiedImageError:
        raise ValueError(f"{name} is not an image that can be read") from None
    except (OSError, SyntaxError, ValueError, PillowImage.DecompressionBombError) as error:
        raise ValueError(f"{name} is damaged or cannot be read: {error}") from None
    if raw.ndim == 2:
        raw = raw[:, :, None]
    bits = 16 if raw.dtype == np.uint16 else 8
    values = raw.astype(np.float32) / (2**bits - 1)
    colours = 3 if values.shape[2] >= 3 else 1
    alpha = values[:, :, colours:] if values.shape[2] > colours else None
    return Picture(values[:, :, :colours], alpha, bits)


def _raw_mode(file: PillowImage.Image) -> str:
    """How the file stores a pixel, such as ``"RGB;16B"``; the arguments of a decoder hold numbers besides."""
    tile = file.tile if isinstance(file, ImageFile.ImageFile) else ()
    arguments = tile[0].args if tile else ""
    if file.format == "PPM" and file.mode == "RGB" and tuple(arguments or ())[1:] == (65535,):
        return "RGB;16B"
    return arguments if isinstance(arguments, str) else str(arguments[0]) if arguments else ""


def _turned(raw: np.ndarray, orientation: int) -> np.ndarray:
    """Apply an EXIF orientation, 1 to 8."""
    if orientation in (5, 6, 7, 8):
        raw = raw.swapaxes(0, 1)
    return raw[:: -1 if orientation in (3, 4, 7, 8) else 1, :: -1 if orientation in (2, 3, 6, 7) else 1]


def _to_array(file: PillowImage.Image) -> np.ndarray:
    if file.mode.startswith("I;16") or file.mode == "I":
        values = np.asarray(file)
        return np.clip(values, 0, 2**16 - 1).astype(np.uint16)
    has_alpha = file.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in file.info
    if file.mode in ("1", "L", "LA", "La"):
        return np.asarray(file.convert("LA" if has_alpha else "L"))
    return np.asarray(file.convert("RGBA" if has_alpha else "RGB"))


def _as_shown(raw: np.ndarray, file: PillowImage.Image, stored: str) -> np.ndarray:
    """Gray of 16 bits, with what Pillow leaves as it stands in the file."""
    see_through = file.info.get("transparency")
    if see_through is not None:
        return np.stack([raw, np.where(raw == see_through, 0, 2**16 - 1)], axis=2).astype(np.uint16)
    if stored.startswith("I;12"):
        raw = np.round(raw * ((2**16 - 1) / (2**12 - 1))).astype(np.uint16)
    white_is_zero = (
        isinstance(file, TiffImagePlugin.TiffImageFile)
        and file.tag_v2.get(ExifTags.Base.PhotometricInterpretation) == 0
    )
    return 2**16 - 1 - raw if white_is_zero else raw


def _decode_16bit(content: bytes, *, gray: bool) -> np.ndarray:
    import cv2

    raw = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if raw is None:
        raise ValueError("OpenCV cannot decode it")
    colours = raw[:, :, :1] if gray else raw[:, :, 2::-1]
    return np.concatenate([colours, raw[:, :, 3:]], axis=2)


def write(path: str | os.PathLike, picture: Picture) -> None:
    """Write a picture; the format follows from the suffix. Nothing is left behind if it fails.

    Args:
        path: file to write. PNG and TIFF keep alpha and 16 bit; other formats get what they can hold.
        picture: pixels are clipped to [0, 1] and rounded.

    Raises:
        TypeError: if pixels or alpha are not floating point.
        ValueError: if the suffix is unknown, or the picture has another shape, values that are not finite, or another
            number of bits than 8 or 16.
        OSError: if the folder cannot be written.

    Example:
        >>> write("out.png", Picture(np.zeros((4, 4, 3), np.float32)))  # doctest: +SKIP
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"{path}: unknown suffix {suffix!r}; accepted are {', '.join(SUFFIXES)}")
    check_picture(picture)
    values = picture.pixels
    bits = picture.bits if suffix in (".png", ".tif", ".tiff") else 8
    if picture.alpha is not None and suffix in (".png", ".tif", ".tiff", ".webp"):
        colours = values if bits == 8 else to_channels(values, 3)  # no library here writes 16-bit gray with alpha
        values = np.concatenate([colours, picture.alpha], axis=2)
    raw = quantise(values, bits)
    with written_beside(path) as beside:
        if bits == 16 and raw.shape[2] >= 3:
            import cv2

            bgr = np.concatenate([raw[:, :, 2::-1], raw[:, :, 3:]], axis=2)
            if not cv2.imwrite(str(beside), bgr):
                raise OSError(f"{path} could not be written")
        else:
            PillowImage.fromarray(raw[:, :, 0] if raw.shape[2] == 1 else raw).save(beside, quality=95)


def check_picture(picture: Picture) -> None:
    """Say what is wrong with a picture that is to be written.

    Raises:
        TypeError: if pixels or alpha are not floating point.
        ValueError: if their shape, values or number of bits are not those of :class:`Picture`.
    """
    if picture.bits not in (8, 16):
        raise ValueError(f"the picture has {picture.bits} bits; 8 and 16 are written")
    for name, channels, values in (("pixels", (1, 3), picture.pixels), ("alpha", (1,), picture.alpha)):
        if values is None and name == "alpha":
            continue
        values = np.asarray(values)
        if not np.issubdtype(values.dtype, np.floating):
            raise TypeError(f"{name} have type {values.dtype}; floating point in [0, 1] is needed")
        if values.ndim != 3 or values.shape[2] not in channels or values.shape[:2] != picture.pixels.shape[:2]:
            wanted = " or ".join(map(str, channels))
            raise ValueError(f"{name} have shape {values.shape}; [height, width, {wanted}] is needed")
        if not np.isfinite(values).all():
            raise ValueError(f"{name} hold NaN or infinity; only finite values can be written")


def quantise(values: np.ndarray, bits: int = 8) -> np.ndarray:
    """Clip [0, 1] values and round them to unsigned integers of 8 or 16 bit, same shape."""
    levels = 2**bits - 1
    return np.round(np.clip(values, 0, 1) * levels).astype(np.uint16 if bits == 16 else np.uint8)


def to_channels(pixels: np.ndarray, channels: int) -> np.ndarray:
    """Gray or RGB pixels ``[height, width, 1 or 3]`` with the number of channels asked for (1 or 3).

    Luma is full-range ITU-R BT.601 rounded to 8 bit, as the gray test sets were made.
    """
    if pixels.shape[2] == channels:
        return pixels
    if channels == 3:
        return np.repeat(pixels, 3, axis=2)
    luma = pixels @ np.array([0.299, 0.587, 0.114], np.float32)
    return (np.round(luma * 255) / 255)[:, :, None].astype(np.float32)


def list_pictures(folder: str | os.PathLike) -> list[Path]:
    """Picture files directly in a folder, by name.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if it holds no picture.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder")
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
    if not paths:
        raise ValueError(f"{folder} holds no pictures ({', '.join(SUFFIXES)})")
    return paths


def strip(*pictures: ArrayLike) -> Picture:
    """Pictures of one size side by side; of a burst, ``[frames, height, width, channels]``, its last frame."""
    pixels = [np.asarray(picture) for picture in pictures]
    return Picture(np.concatenate([one[-1] if one.ndim == 4 else one for one in pixels], axis=1))
