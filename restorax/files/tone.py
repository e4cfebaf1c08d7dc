"""Tone curves of colour profiles, in floating point, and conversions between colour spaces.

Networks are trained on values with the tone curve of sRGB. Pixels of another curve are converted to it and back. Their
primaries are kept: a conversion to those of sRGB would clip saturated colours and mix the noise of the channels.
"""

import functools
import io
import struct
from collections.abc import Callable

import numpy as np
from PIL import Image as PillowImage
from PIL import ImageCms

from . import png
from .metadata import Metadata

_KNOTS = np.arange(2**16) / (2**16 - 1)  # every value of 8 and 16 bits is a knot
_SAME = 1 / 512  # curves that differ by less than half a step of 8 bits are those of sRGB
_LEAST_SLOPE = 1e-7  # makes flat parts of a curve invertible


def to_srgb_curve(values: np.ndarray, metadata: Metadata) -> np.ndarray:
    """Convert stored values in [0, 1], ``[height, width, 1 or 3]``, to the tone curve of sRGB."""
    curves = _curves(metadata, values.shape[2])
    return values if curves is None else _interpolated(values, curves, inverse=False)


def from_srgb_curve(pixels: np.ndarray, metadata: Metadata) -> np.ndarray:
    """Invert :func:`to_srgb_curve`."""
    curves = _curves(metadata, pixels.shape[2])
    return pixels if curves is None else _interpolated(pixels, curves, inverse=True)


def fits(icc: bytes, channels: int) -> bool:
    """Return whether a profile describes images of 1 (gray), 3 (RGB) or 4 (CMYK) channels."""
    return icc[16:20] == {1: b"GRAY", 3: b"RGB ", 4: b"CMYK"}[channels]


def to_srgb(raw: np.ndarray, icc: bytes) -> np.ndarray:
    """Convert values of a profile, uint8 ``[height, width, 3 or 4]``, to sRGB; without a profile, CMYK naively."""
    image = PillowImage.frombytes("CMYK" if raw.shape[2] == 4 else "RGB", raw.shape[1::-1], raw.tobytes())
    if not fits(icc, raw.shape[2]):
        return np.asarray(image.convert("RGB"))
    return np.asarray(_converted(image, icc, "sRGB", "RGB"))


def from_srgb_to_inks(inks: np.ndarray, before: np.ndarray, after: np.ndarray, icc: bytes) -> np.ndarray:
    """Change the inks of CMYK values by the change of their colours in sRGB.

    Inks whose colour has not changed stay the same, although several mixtures of inks have one colour.

    Args:
        inks: uint8 ``[height, width, 4]``.
        before: colours that ``inks`` show, uint8 ``[height, width, 3]``.
        after: wanted colours, uint8 ``[height, width, 3]``.
        icc: profile of the inks.

    Returns:
        uint8 ``[height, width, 4]``.
    """
    if fits(icc, 4):
        mixed = [_converted(PillowImage.fromarray(colours), "sRGB", icc, "CMYK") for colours in (before, after)]
        change = np.asarray(mixed[1], np.int16) - np.asarray(mixed[0], np.int16)
    else:
        lightness = np.maximum(255 - inks[:, :, 3:].astype(np.float32), 1) / 255
        change = np.zeros(inks.shape, np.int16)
        change[:, :, :3] = np.round((before.astype(np.int16) - after) / lightness)
    return np.clip(inks + change, 0, 255).astype(np.uint8)


def _converted(image: PillowImage.Image, source: bytes | str, target: bytes | str, mode: str) -> PillowImage.Image:
    profiles = [
        ImageCms.createProfile("sRGB") if isinstance(icc, str) else ImageCms.getOpenProfile(io.BytesIO(icc))
        for icc in (source, target)
    ]
    converted = ImageCms.profileToProfile(
        image, *profiles, renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC, outputMode=mode
    )
    assert converted is not None  # it is only when done in place
    return converted


def _curves(metadata: Metadata, channels: int) -> np.ndarray | None:
    """Return the curves of a file, ``[channels, knots]``: values of sRGB's curve. ``None`` for sRGB and the unknown."""
    if metadata.icc:
        return _of_profile(metadata.icc) if fits(metadata.icc, channels) else None
    gamma = png.read_gamma(metadata.chunks)
    return None if gamma is None else _of_gamma(gamma, channels)


@functools.lru_cache(maxsize=8)
def _of_gamma(gamma: float, channels: int) -> np.ndarray | None:
    return _checked(np.repeat(_encode(_KNOTS ** (1 / gamma))[None], channels, 0))


@functools.lru_cache(maxsize=8)
def _of_profile(icc: bytes) -> np.ndarray | None:
    """Read the curves of a matrix or gray profile (ICC.1:2022, 10.6 and 10.18); those of tables are not read."""
    try:
        (count,) = struct.unpack_from(">I", icc, 128)
        places = [struct.unpack_from(">4sII", icc, 132 + 12 * i) for i in range(min(count, 100))]
        tags = {name: icc[start : start + size] for name, start, size in places}
        names = (b"kTRC",) if fits(icc, 1) else (b"rTRC", b"gTRC", b"bTRC")
        if not all(name in tags for name in names):
            return None
        return _checked(np.stack([_encode(_curve(tags[name])) for name in names]))
    except (struct.error, ValueError, KeyError):  # a damaged profile is kept, and not understood
        return None


def _curve(tag: bytes) -> np.ndarray:
    """Return the linear values of the knots."""
    if tag.startswith(b"curv"):
        (count,) = struct.unpack_from(">I", tag, 8)
        if count == 0:
            return _KNOTS
        table = np.frombuffer(tag, ">u2", count, 12)
        if count == 1:
            return _KNOTS ** (table[0] / 256)
        return np.interp(_KNOTS, np.linspace(0, 1, count), table / (2**16 - 1))
    (kind,) = struct.unpack_from(">H", tag, 8)
    length = {0: 1, 1: 3, 2: 4, 3: 5, 4: 7}[kind]
    g, *rest = np.frombuffer(tag, ">i4", length, 12) / 2**16
    a, b, c, d, e, f = (*rest, *[0.0] * (6 - len(rest)))
    power: Callable[[float, float], np.ndarray] = lambda a, b: np.maximum(a * _KNOTS + b, 0) ** g  # noqa: E731
    if kind == 0:
        return power(1, 0)
    if kind in (1, 2):
        return np.where(-b / a <= _KNOTS, power(a, b), 0) + c
    return np.where(d <= _KNOTS, power(a, b) + e, c * _KNOTS + f)


def _encode(linear: np.ndarray) -> np.ndarray:
    """Apply the tone curve of sRGB (IEC 61966-2-1)."""
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def _checked(curves: np.ndarray) -> np.ndarray | None:
    if np.abs(curves - _KNOTS).max() < _SAME or np.diff(curves).min() < -_SAME:
        return None
    return np.maximum.accumulate(curves, axis=1) * (1 - _LEAST_SLOPE) + _LEAST_SLOPE * _KNOTS


def _interpolated(values: np.ndarray, curves: np.ndarray, *, inverse: bool) -> np.ndarray:
    converted = np.empty(values.shape, np.float32)
    for c, curve in enumerate(curves):
        known, wanted = (curve, _KNOTS) if inverse else (_KNOTS, curve)
        converted[:, :, c] = np.interp(values[:, :, c], known, wanted)
    return converted
