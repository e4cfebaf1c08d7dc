"""Overlapping tiles of large images, blended at their borders."""

import math
from collections.abc import Callable

import numpy as np

OVERLAP = 64
GRID = 16  # tiles start at multiples of this, to align with coarse grids of the whole image

Window = tuple[slice, slice]


def in_tiles(
    size: tuple[int, int],
    side: int,
    compute: Callable[[Window], np.ndarray],
    progress: Callable[[float], None] | None = None,
) -> np.ndarray:
    """Compute an image tile by tile and blend the tiles.

    Args:
        size: height and width of the image, multiples of ``GRID``.
        side: side of the tiles, more than twice ``OVERLAP``.
        compute: maps the rows and the columns of a tile to ``[*batch, rows, columns, channel]``.
        progress: called after every tile with the fraction done.

    Returns:
        ``[*batch, height, width, channel]`` float32.

    Example:
        >>> whole = np.arange(320.0 * 160).reshape(320, 160, 1)
        >>> bool(np.allclose(in_tiles((320, 160), 192, lambda window: whole[window]), whole))
        True
    """
    (rows, side_y), (columns, side_x) = (_starts(length, side) for length in size)
    window = _ramp(side_y)[:, None, None] * _ramp(side_x)[None, :, None]
    total, weight = np.zeros(()), np.zeros((*size, 1), np.float32)
    places = [(y, x) for y in rows for x in columns]
    for done, (top, left) in enumerate(places):
        here = slice(top, top + side_y), slice(left, left + side_x)
        part = np.asarray(compute(here))
        if total.ndim == 0:
            total = np.zeros((*part.shape[:-3], *size, part.shape[-1]), np.float32)
        total[(..., *here, slice(None))] += window * part
        weight[here] += window
        if progress:
            progress((done + 1) / len(places))
    return total / weight


def _starts(length: int, side: int) -> tuple[list[int], int]:
    """Return starts and side of evenly spaced tiles on the grid that overlap by about ``OVERLAP``."""
    side = min(side + -side % GRID, length)
    count = math.ceil((length - OVERLAP) / (side - OVERLAP)) if side < length else 1
    return [round(i * (length - side) / max(count - 1, 1) / GRID) * GRID for i in range(count)], side


def _ramp(side: int) -> np.ndarray:
    """Return blending weights along one axis, which taper over ``OVERLAP`` pixels at both ends."""
    distance = np.minimum(np.arange(side), np.arange(side)[::-1]) + 0.5
    return (np.sin(np.pi / 2 * np.minimum(distance / OVERLAP, 1)) ** 2 + 1e-4).astype(np.float32)
