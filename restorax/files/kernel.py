"""Blur kernels stored as images."""

import os

import numpy as np

from .image import read

MOST = 255
"""Largest side of a kernel in pixels."""


def read_kernel(path: str | os.PathLike) -> np.ndarray:
    """Read a blur kernel from an image file.

    Args:
        path: image file with odd sides of at most 255 pixels, black where light does not fall. Channels are averaged.

    Returns:
        ``[rows, columns]`` float32 of unit sum.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not an image, or cannot be a kernel.

    Example:
        >>> read_kernel("kernel.png").sum()  # doctest: +SKIP
        1.0
    """
    kernel = np.asarray(read(path).pixels, np.float64).mean(-1)
    rows, columns = kernel.shape
    if rows % 2 == 0 or columns % 2 == 0 or max(rows, columns) > MOST:
        raise ValueError(f"{path} must have odd sides of at most {MOST} pixels to be a kernel, got {rows} x {columns}")
    if not kernel.sum() > 0:
        raise ValueError(f"{path} is black; a kernel must have a positive sum")
    return (kernel / kernel.sum()).astype(np.float32)
