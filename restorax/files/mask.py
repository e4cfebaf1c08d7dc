"""Masks of known pixels."""

import os
import warnings

import numpy as np

from .image import MAX_PIXELS, read
from .metadata import turn
from .picture import Picture, to_channels

MASK_MARKS = ("known", "damaged")
_LEAST_KNOWN = 0.2  # with less, a mask was probably painted the other way round
_FLAT = 0.02  # standard deviation of a filled area, also after JPEG


def read_mask(path: str | os.PathLike, marks: str | None = None, picture: Picture | None = None) -> np.ndarray:
    """Read a mask of known pixels.

    Args:
        path: image file. White is a value above half of the range, or 1 in a file of values 0 and 1. In a file of one
            colour with transparency, opaque pixels count as white.
        marks: what white marks, ``"known"`` or ``"damaged"`` pixels. By default known pixels, at least 20 % of all.
        picture: the picture of the mask, whose size it must have; a mask with the size of a picture before its EXIF
            orientation was applied is turned alike.

    Returns:
        ``[height, width, 1]`` float32, 1 where the pixel is known and 0 where it is to be filled. A mask without
        damaged pixels gives a warning.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is not an image or of another size, ``marks`` is invalid, no pixel is known, or the mask
            was probably painted the other way round (fewer than 20 % are known, or all known pixels of the picture
            have one colour) and ``marks`` is not given.

    Example:
        >>> read_mask("photo-mask.png", marks="damaged").mean()  # doctest: +SKIP
        0.94
    """
    if marks not in (None, *MASK_MARKS):
        raise ValueError(f"`mask_marks` must be {' or '.join(map(repr, MASK_MARKS))}, got {marks!r}")
    size = 0 if picture is None else picture.pixels.shape[0] * picture.pixels.shape[1]
    mask = read(path, max_pixels=max(size, MAX_PIXELS))  # as large as a picture that was allowed
    white = _white(mask, path)
    if picture is not None:
        white = _matched(white, mask, picture, path)
    known = ~white if marks == "damaged" else white
    if not known.any():
        raise ValueError(f"{path} marks all pixels as damaged; at least one must be known")
    if marks is None:
        _check_polarity(known, picture, path)
    if known.all():
        warnings.warn(f"{path} marks all pixels as known; nothing is filled", stacklevel=2)
    return known.astype(np.float32)


def _white(mask: Picture, path: str | os.PathLike) -> np.ndarray:
    """Return which pixels of a mask are white or, in a mask of one colour, opaque."""
    pixels, alpha = to_channels(mask.pixels, 1), mask.alpha
    if alpha is not None and alpha.min() < alpha.max():
        visible = pixels[alpha[:, :, 0] > 0.5]
        if np.ptp(visible) > 0:
            raise ValueError(f"{path} has both colours and transparency; keep the one that is the mask")
        return alpha > 0.5
    step = 1 / (2**mask.bits - 1)
    if 0 < pixels.max() < 1.5 * step and mask.bits < 32:
        return pixels > step / 2
    return pixels > 0.5


def _matched(white: np.ndarray, mask: Picture, picture: Picture, path: str | os.PathLike) -> np.ndarray:
    """Check the size of a mask, and turn one that was made before the orientation of the picture was applied."""
    size, orientation = picture.pixels.shape[:2], picture.metadata.orientation
    if white.shape[:2] == size:
        return white
    if white.shape[1::-1] == size and orientation >= 5 and mask.metadata.orientation == 1:
        return turn(white, orientation)
    raise ValueError(f"{path} must have the size of the image, {size}, got {white.shape[:2]}")


def _check_polarity(known: np.ndarray, picture: Picture | None, path: str | os.PathLike) -> None:
    remedy = "give --mask-marks damaged if white marks the damage, or --mask-marks known to confirm"
    if known.mean() < _LEAST_KNOWN:
        raise ValueError(f"{path} marks only {known.mean():.1%} of the pixels as known (white); {remedy}")
    if picture is None or known.all():
        return
    inside, outside = picture.pixels[known[:, :, 0]], picture.pixels[~known[:, :, 0]]
    if inside.std(0).max() < _FLAT < outside.std(0).max():
        raise ValueError(f"{path} marks only pixels of one colour as known (white), like a filled hole; {remedy}")
