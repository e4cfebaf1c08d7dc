"""Common sizes for images of many sizes, so that they share compiled programs."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from .types import Image


def bucket_side(length: int, multiple: int = 1) -> int:
    """Round the side of an image up to a multiple of 64, above 512 to one of four sides per octave.

    Args:
        length: side in pixels.
        multiple: number that the result is a multiple of, too.

    Example:
        >>> bucket_side(321), bucket_side(481), bucket_side(20, multiple=24)
        (384, 512, 72)
    """
    step = max(64, 2 ** max((length - 1).bit_length() - 3, 0))
    side = length + -length % step
    return side + -side % multiple


def pad_to_bucket(x: Image, multiple: int) -> tuple[np.ndarray, tuple[int, int]]:
    """Pad an image as networks do, by reflection to a multiple, and then by zeros to the sides of its bucket.

    Args:
        x: ``[*batch, height, width, channel]``.
        multiple: number that the sides of the network's input are multiples of.

    Returns:
        ``[*batch, bucket_side(height), bucket_side(width), channel]``, and height and width before the zeros.

    Example:
        >>> padded, sides = pad_to_bucket(np.ones((1, 40, 60, 3), np.float32), 8)
        >>> padded.shape, sides
        ((1, 64, 64, 3), (40, 64))
    """
    height, width = (side + -side % multiple for side in x.shape[-3:-1])
    reflected = _extended(x, (height, width), "reflect")
    return _extended(reflected, [bucket_side(side, multiple) for side in (height, width)], "constant"), (height, width)


def _extended(x: Image, sides: Sequence[int], mode: Literal["reflect", "constant"]) -> np.ndarray:
    after = [(0, side - here) for side, here in zip(sides, x.shape[-3:-1], strict=True)]
    return np.pad(x, [*[(0, 0)] * (x.ndim - 3), *after, (0, 0)], mode=mode)
