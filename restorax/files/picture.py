"""The content of an image file in memory."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike

from .metadata import Metadata


@dataclass(frozen=True)
class Picture:
    """Content of an image file, or of one of its pages.

    Attributes:
        pixels: float32 in [0, 1], ``[height, width, 1 or 3]``, with the tone curve of sRGB.
        alpha: float32 in [0, 1], ``[height, width, 1]``, or ``None``.
        bits: bit depth of the file, 8, 16 or 32.
        metadata: what else the file holds, and how it stores its values; written again by :func:`image.write`.
        inks: uint8 ``[height, width, 4]`` of a CMYK file, which ``pixels`` show in sRGB; or ``None``.
        beyond: the parts of stored values outside the range of black to white, in its units, which are written back;
            or ``None``.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    bits: int = 8
    metadata: Metadata = field(default_factory=Metadata)
    inks: np.ndarray | None = None
    beyond: np.ndarray | None = None

    def with_pixels(self, pixels: np.ndarray) -> "Picture":
        """Return a copy with other pixels ``[height, width, 1 or 3]``; all else is kept."""
        return replace(self, pixels=np.asarray(pixels, np.float32))


def check_picture(picture: Picture) -> None:
    """Check a picture before it is written.

    Raises:
        TypeError: if pixels or alpha are not floating point.
        ValueError: if shape, values or bit depth do not match :class:`Picture`.
    """
    if picture.bits not in (8, 16, 32):
        raise ValueError(f"`bits` must be 8, 16 or 32, got {picture.bits}")
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


def to_channels(pixels: np.ndarray, channels: int, bits: int = 8) -> np.ndarray:
    """Convert pixels ``[height, width, 1 or 3]`` to 1 (luma) or 3 (RGB) channels.

    Luma is full-range ITU-R BT.601 rounded to 8 bits, as in the usual grayscale test sets, or to the 16 bits of the
    image; with 32 bits it is not rounded.
    """
    if pixels.shape[2] == channels:
        return pixels
    if channels == 3:
        return np.repeat(pixels, 3, axis=2)
    luma = (pixels @ np.array([0.299, 0.587, 0.114], np.float32))[:, :, None]
    levels = 2**bits - 1
    return luma if bits == 32 else (np.round(luma * levels) / levels).astype(np.float32)


def strip(*images: ArrayLike) -> Picture:
    """Concatenate images of one size side by side; of a burst ``[frames, height, width, channels]``, the last frame."""
    pixels = [np.asarray(one) for one in images]
    return Picture(np.concatenate([one[-1] if one.ndim == 4 else one for one in pixels], axis=1))
