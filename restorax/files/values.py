"""Between the values that files store and pixels in [0, 1]."""

from dataclasses import replace

import numpy as np
from PIL import Image as PillowImage

from .metadata import Metadata, turn
from .picture import Picture, quantise
from .tone import from_srgb_curve, from_srgb_to_inks, to_srgb, to_srgb_curve

MAX_PIXELS = 2 * 89478485  # Pillow's limit; a small file may claim more than memory holds


def from_stored(
    colours: np.ndarray,
    alpha: np.ndarray | None,
    metadata: Metadata,
    name: str,
    value_range: tuple[float, float] | None = None,
) -> Picture:
    """Scale stored values to a picture, and turn it upright.

    Args:
        colours: ``[height, width, 1, 3 or 4]`` of any real type; four channels are the inks of CMYK, uint8.
        alpha: ``[height, width, 1]``; its integers use the whole range of their type. ``None`` if there is none.
        metadata: of the file.
        name: name of the file in error messages.
        value_range: stored values of black and white. By default the range of the integer type, and [0, 1] for
            floating point.

    Returns:
        The picture.

    Raises:
        ValueError: if values are not finite, or their range is not known.
    """
    colours = turn(colours, metadata.orientation)
    shares = None
    if alpha is not None:
        alpha = turn(alpha, metadata.orientation)
        shares = alpha.astype(np.float32) / np.float32(_full(alpha.dtype))
    if colours.shape[2] == 4:
        shown = to_srgb(colours, metadata.icc).astype(np.float32) / 255
        return Picture(shown, metadata=replace(metadata, dtype="uint8"), inks=colours)
    low, high = _limits(colours, name, value_range)
    exact = np.float64 if colours.dtype.itemsize > 2 else np.float32
    values = ((colours.astype(exact) - low) / (high - low)).astype(np.float32)
    inside = values if value_range is None else np.clip(values, 0, 1)
    beyond = None if value_range is None else values - inside
    metadata = replace(metadata, dtype=colours.dtype.name, low=low, high=high)
    pixels = to_srgb_curve(inside, metadata)
    return Picture(pixels, shares, _bits(colours.dtype), metadata, beyond=beyond)


def _limits(values: np.ndarray, name: str, value_range: tuple[float, float] | None) -> tuple[float, float]:
    """Return the stored values that are black and white."""
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise ValueError(f"{name} contains NaN or infinity; replace them first")
    if value_range is not None:
        low, high = value_range
        if not (np.isfinite(low) and np.isfinite(high) and low < high):
            raise ValueError(f"{name}: `value_range` must be two finite numbers LOW < HIGH, got {low:g},{high:g}")
        return float(low), float(high)
    if values.dtype.kind == "u" and values.dtype.itemsize <= 2:
        return 0.0, float(np.iinfo(values.dtype).max)
    least, most = float(values.min()), float(values.max())
    if values.dtype.kind == "i" and values.dtype.itemsize <= 2 and least >= 0:
        return 0.0, float(np.iinfo(values.dtype).max)
    if values.dtype.kind == "f" and least >= 0 and most <= 1:
        return 0.0, 1.0
    raise ValueError(
        f"{name} holds {values.dtype} values from {least:g} to {most:g}; state those of black and white by "
        "--range LOW,HIGH (`value_range` in Python)"
    )


def stored_dtype(picture: Picture) -> str:
    """Return the type of the values that a file of a picture's bit depth stores: that of its file, if it still fits."""
    stored = picture.metadata.dtype
    return (
        stored
        if stored and _bits(np.dtype(stored)) == picture.bits
        else f"{'float' if picture.bits == 32 else 'uint'}{picture.bits}"
    )


def _bits(kind: np.dtype) -> int:
    return 32 if kind.kind == "f" else min(8 * kind.itemsize, 32)


def ink_values(picture: Picture) -> np.ndarray:
    """Return the inks of a picture of a CMYK file, changed as its pixels: uint8 ``[height, width, 4]``."""
    assert picture.inks is not None
    before = to_srgb(picture.inks, picture.metadata.icc)
    return from_srgb_to_inks(picture.inks, before, quantise(picture.pixels), picture.metadata.icc)


def to_stored(picture: Picture, dtype: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Invert :func:`from_stored` but for the orientation: colours ``[height, width, 1 or 3]`` and alpha of a type.

    The tone curve of ``picture.metadata`` is applied, so that must be what the written file states.
    """
    kept, kind = picture.metadata, np.dtype(dtype)
    values = from_srgb_curve(np.clip(picture.pixels, 0, 1), kept)
    alpha = None if picture.alpha is None else _scaled(np.clip(picture.alpha, 0, 1), 0.0, _full(kind), kind)
    if dtype != kept.dtype or kept.high <= kept.low:
        return _scaled(values, 0.0, _full(kind), kind), alpha
    if picture.beyond is not None and picture.beyond.shape == values.shape:
        values = values + picture.beyond
    return _scaled(values, kept.low, kept.high, kind), alpha


def _full(kind: np.dtype) -> float:
    return 1.0 if kind.kind == "f" else float(np.iinfo(kind).max)


def _scaled(values: np.ndarray, low: float, high: float, kind: np.dtype) -> np.ndarray:
    if kind.kind == "f":
        return (low + values.astype(np.float64) * (high - low)).astype(kind)
    if kind.kind == "u" and kind.itemsize <= 2 and (low, high) == (0, _full(kind)):
        return quantise(values, 8 * kind.itemsize)
    limits = np.iinfo(kind)
    return np.clip(np.round(low + values.astype(np.float64) * (high - low)), limits.min, limits.max).astype(kind)


def pillow_values(file: PillowImage.Image) -> tuple[np.ndarray, np.ndarray | None]:
    """Return colours ``[height, width, 1, 3 or 4]`` and alpha of an opened file; palettes become RGB."""
    if file.mode == "CMYK":
        return np.asarray(file), None
    if file.mode in ("I", "F") or file.mode.startswith("I;16"):
        return np.asarray(file)[:, :, None], None
    has_alpha = file.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in file.info
    gray = file.mode in ("1", "L", "LA", "La")
    if file.mode == "La":  # Pillow converts premultiplied gray through its own mode alone
        file = file.convert("LA")
    raw = np.asarray(file.convert(("LA" if has_alpha else "L") if gray else ("RGBA" if has_alpha else "RGB")))
    raw = raw[:, :, None] if raw.ndim == 2 else raw
    colours = 1 if gray else 3
    return raw[:, :, :colours], raw[:, :, colours:] if has_alpha else None


def decode_16bit(content: bytes) -> np.ndarray:
    """Decode RGB or RGBA of 16 bits by OpenCV; Pillow drops the lower 8 bits. Gray with alpha becomes RGBA."""
    import cv2

    raw = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if raw is None:
        raise OSError("OpenCV cannot decode it")
    return np.concatenate([raw[:, :, 2::-1], raw[:, :, 3:]], axis=2)


def check_size(width: int, height: int, name: str, max_pixels: int | None) -> None:
    """Refuse an image that is larger than memory may hold.

    Raises:
        ValueError: if it has more than ``max_pixels``, by default ``MAX_PIXELS``.
    """
    allowed = max_pixels or MAX_PIXELS
    if width * height > allowed:
        raise ValueError(
            f"{name} has {width} x {height} = {width * height} pixels, more than {allowed}; if it is not a "
            f"decompression bomb, give --max-pixels {width * height} (`max_pixels` in Python)"
        )
