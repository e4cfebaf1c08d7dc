"""Quantised coefficients of JPEG files."""

import io
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import fft

BLOCK = 8


class JpegPlane(NamedTuple):
    """Quantised coefficients of a component of a JPEG file.

    Attributes:
        levels: multiples of the steps, ``[rows, columns, 8, 8]`` integers, one block of 8 x 8 coefficients after
            another.
        steps: quantisation table, ``[8, 8]``.
        known: whether the levels of a block are certain, ``[rows, columns]``. They are not in blocks that the border
            cuts and where decoding clipped values.
    """

    levels: np.ndarray
    steps: np.ndarray
    known: np.ndarray


def read_planes(file: str | os.PathLike | bytes) -> tuple[JpegPlane, ...]:
    """Read the quantised coefficients of a JPEG file: luma alone, or luma and both components of chroma.

    Pillow decodes each component at its own resolution; the transform of its pixels gives the levels, which a check
    confirms.

    Args:
        file: path of a gray or colour JPEG file with chroma at full or half resolution, or its content.

    Returns:
        One plane per component. Planes of luma are extended to whole blocks of chroma.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is not such a JPEG.

    Example:
        >>> len(read_planes("photo.jpg"))  # doctest: +SKIP
        3
    """
    from PIL import Image, JpegImagePlugin, UnidentifiedImageError

    name = "the file" if isinstance(file, bytes) else str(file)
    content = file if isinstance(file, bytes) else Path(file).read_bytes()
    try:
        with Image.open(io.BytesIO(content)) as image:
            if not isinstance(image, JpegImagePlugin.JpegImageFile):
                raise ValueError(f"{name} is not a JPEG file")
            layers, tables, mode, size = image.layer, image.quantization, image.mode, image.size
            transformed = image.info.get("adobe_transform", 1) != 0
    except UnidentifiedImageError:
        raise ValueError(f"{name} is not an image that can be read") from None
    sampling = [layer[1:3] for layer in layers]
    steps = [np.asarray(tables[layer[3]], np.float32).reshape(BLOCK, BLOCK) for layer in layers]
    if mode == "L":
        return (_plane(_decoded(content, "L", size)[..., 0], steps[0], (1, 1)),)
    halved = sampling in ([(2, 2), (1, 1), (1, 1)],)
    if mode != "RGB" or not transformed or not (halved or sampling == [sampling[0]] * 3):
        raise ValueError(f"{name}: quantisation is read of gray JPEG, and of colour JPEG with 4:4:4 or 4:2:0 chroma")
    full = _decoded(content, "YCbCr", size)
    # At half the size libjpeg decodes halved chroma without interpolation.
    chroma = _decoded(content, "YCbCr", (size[0] // 2, size[1] // 2)) if halved else full
    factors = (2, 2) if halved else (1, 1)
    whole = tuple(side // (BLOCK * factor) for side, factor in zip(full.shape, factors, strict=False))
    planes = [_plane(full[..., 0], steps[0], factors)]
    for index in (1, 2):
        plane = _plane(chroma[..., index], steps[index], (1, 1))
        plane.known[whole[0] :], plane.known[:, whole[1] :] = False, False
        planes.append(plane)
    return tuple(planes)


def _decoded(content: bytes, mode: str, size: tuple[int, int]) -> np.ndarray:
    from PIL import Image

    with Image.open(io.BytesIO(content)) as image:
        image.draft(mode, size)
        pixels = np.asarray(image)
    return pixels.reshape(*pixels.shape[:2], -1)


def _plane(pixels: np.ndarray, steps: np.ndarray, multiple: tuple[int, int]) -> JpegPlane:
    """Transform the blocks of a component, of which there are multiples along both axes."""
    height, width = pixels.shape
    pads = [(0, -side % (BLOCK * factor)) for side, factor in zip((height, width), multiple, strict=True)]
    padded = np.pad(pixels.astype(np.float32), pads, mode="edge")
    rows, columns = (side // BLOCK for side in padded.shape)
    blocks = padded.reshape(rows, BLOCK, columns, BLOCK).swapaxes(1, 2)
    coefficients: Any = fft.dctn(blocks - 128, axes=(2, 3), norm="ortho")  # type: ignore[arg-type]
    levels = np.round(coefficients / steps)
    decoded: Any = fft.idctn(levels * steps, axes=(2, 3), norm="ortho")  # type: ignore[arg-type]
    decoded = np.clip(np.round(decoded) + 128, 0, 255)
    known = (np.abs(decoded - blocks) <= 1).all((2, 3))
    known[height // BLOCK :], known[:, width // BLOCK :] = False, False
    return JpegPlane(levels.astype(np.int32), steps, known)
