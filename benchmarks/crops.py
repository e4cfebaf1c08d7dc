"""Crops of images for measurements."""

import numpy as np


def central(image: np.ndarray, side: int) -> np.ndarray:
    """Return the middle ``[..., side, side, channels]`` of an image or a video, or all of a side that is shorter."""
    top, left = (max(0, (length - side) // 2) for length in image.shape[-3:-1])
    return image[..., top : top + side, left : left + side, :]
