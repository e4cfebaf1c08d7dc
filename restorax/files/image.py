"""Read and write image files; alpha, bit depth and grayscale are preserved."""

import io
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from PIL import ExifTags, ImageFile, ImageOps, TiffImagePlugin, UnidentifiedImageError
from PIL import Image as PillowImage

from .atomic import written_beside

MASK_MARKS = ("known", "damaged")
_LEAST_KNOWN = 0.2  # with less, a mask was probably painted the other way round
SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".ppm", ".pgm")


@dataclass(frozen=True)
class Picture:
    """Content of an image file.

    Attributes:
        pixels: float32 in [0, 1], ``[height, width, 1 or 3]``.
        alpha: float32 in [0, 1], ``[height, width, 1]``, or ``None``.
        bits: bit depth of the file, 8 or 16.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    bits: int = 8

    def with_pixels(self, pixels: np.ndarray) -> "Picture":
        """Return a copy with other pixels ``[height, width, 1 or 3]``; alpha and bit depth are kept."""
        return replace(self, pixels=np.asarray(pixels, np.float32))


def read(path: str | os.PathLike) -> Picture:
    """Read an image file.

    The EXIF orientation is applied; palettes become RGB; CMYK and other modes are converted to RGB.

    Args:
        path: file in any format that Pillow supports.

    Returns:
        Its pixels, alpha and bit depth.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is not an image, or is damaged.

    Example:
        >>> read("photo.png").pixels.shape  # doctest: +SKIP
        (321, 481, 3)
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file")
    if path.is_dir():
        raise ValueError(f"{path} is a folder; give an image file")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"{path} is damaged or cannot be read: {error}") from None
    return decode(content, str(path))


def decode(content: bytes, name: str) -> Picture:
    """Decode an image from the bytes of its file, as :func:`read` does.

    Args:
        content: bytes of the file.
        name: name of the file in error messages.

    Returns:
        Its pixels, alpha and bit depth.

    Raises:
        ValueError: if the bytes are not an image, or are damaged.
    """
    try:
        with PillowImage.open(io.BytesIO(content)) as file:
            stored = _raw_mode(file)
            if ";16" in stored and file.mode in ("LA", "RGB", "RGBA"):  # Pillow drops the lower 8 bits
                # OpenCV already applies the orientation of TIFF files.
                orientation = 1 if file.format == "TIFF" else file.getexif().get(ExifTags.Base.Orientation, 1)
                raw = _orient(_decode_16bit(content, gray="LA" in stored), orientation)
            elif file.mode == "F" or ";32" in stored:
                raise ValueError("bit depth must be 8 or 16, got 32")
            else:
                raw = _to_array(ImageOps.exif_transpose(file))
                raw = _normalise_gray16(raw, file, stored) if raw.dtype == np.uint16 else raw
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


def read_mask(path: str | os.PathLike, marks: str | None = None) -> np.ndarray:
    """Read a mask of known pixels.

    Args:
        path: image file; a value above half of the range is white.
        marks: what white marks, ``"known"`` or ``"damaged"`` pixels. By default known pixels, at least 20 % of all.

    Returns:
        ``[height, width, 1]`` float32, 1 where the pixel is known and 0 where it is to be filled.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is not an image, ``marks`` is invalid, no pixel is known, or fewer than 20 % are and
            ``marks`` is not given.

    Example:
        >>> read_mask("photo-mask.png", marks="damaged").mean()  # doctest: +SKIP
        0.94
    """
    if marks not in (None, *MASK_MARKS):
        raise ValueError(f"`mask_marks` must be {' or '.join(map(repr, MASK_MARKS))}, got {marks!r}")
    white = to_channels(read(path).pixels, 1) > 0.5
    known = ~white if marks == "damaged" else white
    if marks is None and known.mean() < _LEAST_KNOWN:
        raise ValueError(
            f"{path} marks only {known.mean():.1%} of the pixels as known (white); give --mask-marks damaged if white "
            "marks the damage, or --mask-marks known to confirm"
        )
    if not known.any():
        raise ValueError(f"{path} marks all pixels as damaged; at least one must be known")
    return known.astype(np.float32)


def _raw_mode(file: PillowImage.Image) -> str:
    """Return Pillow's raw mode of a file, such as ``"RGB;16B"``: the first decoder argument that is text."""
    tile = file.tile if isinstance(file, ImageFile.ImageFile) else ()
    arguments = tile[0].args if tile else ""
    if file.format == "PPM" and file.mode == "RGB" and tuple(arguments or ())[1:] == (65535,):
        return "RGB;16B"
    return arguments if isinstance(arguments, str) else str(arguments[0]) if arguments else ""


def _orient(raw: np.ndarray, orientation: int) -> np.ndarray:
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


def _normalise_gray16(raw: np.ndarray, file: PillowImage.Image, stored: str) -> np.ndarray:
    """Apply transparency, 12-bit scaling and inversion to 16-bit grayscale, which Pillow does not."""
    transparent = file.info.get("transparency")
    if transparent is not None:
        return np.stack([raw, np.where(raw == transparent, 0, 2**16 - 1)], axis=2).astype(np.uint16)
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
    """Write an image file atomically, in the format of its suffix.

    Args:
        path: file to write. PNG and TIFF keep alpha and 16 bits, WebP keeps alpha, other formats neither.
        picture: content to write; pixels are clipped to [0, 1] and rounded.

    Raises:
        TypeError: if pixels or alpha are not floating point.
        ValueError: if the suffix is unknown, a shape is wrong, values are not finite, or the bit depth is not 8 or 16.
        OSError: if the file cannot be written.

    Example:
        >>> write("out.png", Picture(np.zeros((4, 4, 3), np.float32)))  # doctest: +SKIP
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ValueError(f"{path}: unknown suffix {suffix!r}; use one of {', '.join(SUFFIXES)}")
    check_picture(picture)
    values = picture.pixels
    bits = picture.bits if suffix in (".png", ".tif", ".tiff") else 8
    if picture.alpha is not None and suffix in (".png", ".tif", ".tiff", ".webp"):
        colours = (
            values if bits == 8 else to_channels(values, 3)
        )  # neither Pillow nor OpenCV writes 16-bit gray with alpha
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
    """Check a picture before it is written.

    Raises:
        TypeError: if pixels or alpha are not floating point.
        ValueError: if shape, values or bit depth do not match :class:`Picture`.
    """
    if picture.bits not in (8, 16):
        raise ValueError(f"`bits` must be 8 or 16, got {picture.bits}")
    for name, channels, values in (("pixels", (1, 3), picture.pixels), ("alpha", (1,), picture.alpha)):
        if values is None and name == "alpha":
            continue
        values = np.asarray(values)
        if not np.issubdtype(values.dtype, np.floating):
            raise TypeError(f"`{name}` must be floating point in [0, 1], got {values.dtype}")
        if values.ndim != 3 or values.shape[2] not in channels or values.shape[:2] != picture.pixels.shape[:2]:
            accepted = " or ".join(map(str, channels))
            raise ValueError(f"`{name}` must have shape [height, width, {accepted}], got {values.shape}")
        if not np.isfinite(values).all():
            raise ValueError(f"`{name}` must be finite, got NaN or infinity")


def quantise(values: np.ndarray, bits: int = 8) -> np.ndarray:
    """Clip values to [0, 1] and round them to unsigned integers of 8 or 16 bits."""
    levels = 2**bits - 1
    return np.round(np.clip(values, 0, 1) * levels).astype(np.uint16 if bits == 16 else np.uint8)


def to_channels(pixels: np.ndarray, channels: int) -> np.ndarray:
    """Convert pixels ``[height, width, 1 or 3]`` to 1 (luma) or 3 (RGB) channels.

    Luma is full-range ITU-R BT.601 rounded to 8 bits, as in the usual grayscale test sets.
    """
    if pixels.shape[2] == channels:
        return pixels
    if channels == 3:
        return np.repeat(pixels, 3, axis=2)
    luma = pixels @ np.array([0.299, 0.587, 0.114], np.float32)
    return (np.round(luma * 255) / 255)[:, :, None].astype(np.float32)


def list_pictures(folder: str | os.PathLike) -> list[Path]:
    """List the image files directly in a folder, sorted by name.

    Raises:
        FileNotFoundError: if there is no such folder.
        ValueError: if it contains no image file.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: no such folder")
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES and not p.name.startswith("."))
    if not paths:
        raise ValueError(f"{folder} contains no images ({', '.join(SUFFIXES)})")
    return paths


def strip(*images: ArrayLike) -> Picture:
    """Concatenate images of one size side by side; of a burst ``[frames, height, width, channels]``, the last frame."""
    pixels = [np.asarray(one) for one in images]
    return Picture(np.concatenate([one[-1] if one.ndim == 4 else one for one in pixels], axis=1))
