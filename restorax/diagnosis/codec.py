"""JPEG compression read from the tables of a file, or from the pixels: grid, quality and chroma subsampling."""

import itertools
import os
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from ..degrade.codec import RGB_TO_YCC, TABLES, dct_matrix
from ..types import Array

BLOCK = 8
QUALITIES = np.arange(1, 101)
_BLOCKS = 768  # of a comb; more change nothing
_OUTLIERS = 0.05  # coefficients that clipping moved off the comb
_SPREAD = 0.45  # deviation of a coefficient after rounding to 8 bits, in 8-bit units
_LOW = [
    (u, v) for u in range(BLOCK) for v in range(BLOCK) if 0 < u + v < 5
]  # frequencies with many non-zero coefficients


class JpegTables(NamedTuple):
    """JPEG compression as the header of a file states it.

    Attributes:
        quality: quality of libjpeg whose tables are nearest, 1 to 100.
        subsampling: ``"4:4:4"``, ``"4:2:2"``, ``"4:2:0"``, ``"gray"`` or ``""`` for others.
        exact: whether the tables are those of libjpeg at this quality.
    """

    quality: int
    subsampling: str
    exact: bool


def scaled_tables(base: np.ndarray) -> np.ndarray:
    """Scale a quantisation table of quality 50 to the qualities 1 to 100, as libjpeg does.

    Args:
        base: ``[8, 8]``.

    Returns:
        ``[100, 8, 8]``.

    Example:
        >>> int(scaled_tables(TABLES["annex_k"][0])[49, 0, 0])
        16
    """
    scale = np.where(QUALITIES < 50, 5000 // QUALITIES, 200 - 2 * QUALITIES)[:, None, None]
    return np.clip((base * scale + 50) // 100, 1, 255)


_LUMA_STEPS = scaled_tables(np.asarray(TABLES["annex_k"][0]))
_STEPS = np.stack([_LUMA_STEPS[:, u, v] for u, v in _LOW], 1).astype(np.float32)  # [quality, frequency]


def read_tables(file: str | os.PathLike) -> JpegTables | None:
    """Read the quality and the chroma subsampling from the header of a JPEG file.

    Args:
        file: path of an image file.

    Returns:
        Quality and subsampling; ``None`` if the file is not JPEG.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is not an image.

    Example:
        >>> read_tables("photo.jpg")  # doctest: +SKIP
        JpegTables(quality=75, subsampling='4:2:0', exact=True)
    """
    from PIL import Image, JpegImagePlugin, UnidentifiedImageError

    try:
        with Image.open(file) as opened:
            if not isinstance(opened, JpegImagePlugin.JpegImageFile) or not opened.quantization:
                return None
            # Pillow returns the coefficients in the order of rows.
            table = np.asarray(opened.quantization[min(opened.quantization)]).reshape(BLOCK, BLOCK)
            kinds = {0: "4:4:4", 1: "4:2:2", 2: "4:2:0"}
            subsampling = "gray" if opened.mode == "L" else kinds.get(JpegImagePlugin.get_sampling(opened), "")
    except UnidentifiedImageError:
        raise ValueError(f"{file} is not an image that can be read") from None
    distance = np.abs(np.log(_LUMA_STEPS / table)).mean((1, 2))
    best = int(distance.argmin())
    return JpegTables(int(QUALITIES[best]), subsampling, bool(distance[best] == 0))


def block_coefficients(luma: Array) -> Array:
    """Transform the whole 8 x 8 blocks of a plane, the first of which starts at the top left corner.

    Args:
        luma: ``[height, width]`` in 8-bit units.

    Returns:
        ``[blocks, 8, 8]``.

    Example:
        >>> block_coefficients(jnp.full((16, 24), 10.0)).shape
        (6, 8, 8)
    """
    rows, columns = (side // BLOCK for side in luma.shape)
    blocks = luma[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK).transpose(0, 2, 1, 3)
    matrix = jnp.asarray(dct_matrix())
    return matrix @ blocks.reshape(-1, BLOCK, BLOCK) @ matrix.T


def comb_scores(coefficients: Array) -> tuple[Array, Array]:
    """Compare coefficients with the multiples of the quantisation steps of each quality.

    A coefficient that is not zero adds the logarithm of its density beside a multiple of the step, relative to a
    uniform density. Without compression, the score is negative; the step of compression maximises it.

    Args:
        coefficients: ``[blocks, 8, 8]`` of luma in 8-bit units, on the grid.

    Returns:
        Score per coefficient for the qualities 1 to 100, ``[100]``, and the number of coefficients that it counts.

    Reference:
        Fan and de Queiroz, Identification of bitmap compression history: JPEG detection and quantizer estimation,
        TIP 2003.
    """
    stride = max(1, coefficients.shape[0] // _BLOCKS)
    low = jnp.stack([coefficients[::stride, u, v] for u, v in _LOW], 1)[None]
    steps = jnp.asarray(_STEPS)[:, None]
    ratio = low / steps
    nearest = jnp.round(ratio)
    error = (ratio - nearest) * steps / _SPREAD
    density = steps * (1 - _OUTLIERS) * jnp.exp(-(error**2) / 2) / (_SPREAD * np.sqrt(2 * np.pi)) + _OUTLIERS
    counted = nearest != 0
    number = counted.sum((1, 2))
    # Steps of one match anything; coefficients are never fewer than a few, so that chance does not decide.
    score = jnp.where(counted, jnp.log(density), 0).sum((1, 2))
    return score / jnp.maximum(number, 24), number


def step_profiles(luma: Array) -> tuple[Array, Array]:
    """Average the steps between neighbouring pixels beyond those beside them, by row and by column modulo 8.

    Args:
        luma: ``[height, width]`` in 8-bit units.

    Returns:
        Two arrays ``[8]``, for rows and for columns; position ``p`` holds the steps from pixel ``p - 1`` to ``p``.

    Reference:
        Fan and de Queiroz, TIP 2003 (block grid from differences across and within blocks).
    """
    return _phases(luma), _phases(luma.T)


def _phases(plane: Array) -> Array:
    step = jnp.minimum(jnp.abs(jnp.diff(plane, axis=0)), 24.0).mean(1)
    beyond = step[1:-1] - (step[2:] + step[:-2]) / 2
    whole = beyond.shape[0] // BLOCK * BLOCK
    return jnp.roll(beyond[:whole].reshape(-1, BLOCK).mean(0), 2)


def to_ycc(pixels: Array) -> Array:
    """Convert RGB in [0, 1], ``[..., 3]``, to luma and chroma in 8-bit units; chroma is centred at 0."""
    return 255 * pixels @ jnp.asarray(RGB_TO_YCC.T, jnp.float32)


def subsampling_of(ycc: np.ndarray, quality: int) -> str:
    """Tell the chroma subsampling from the pixels of a JPEG on its grid.

    Args:
        ycc: ``[height, width, 3]`` of :func:`to_ycc`, its first pixel at the corner of a block.
        quality: quality of the compression.

    Returns:
        ``"4:2:0"``, ``"4:2:2"``, ``"4:4:4"``, or ``""`` for images without chroma.
    """
    chroma = np.asarray(ycc)[..., 1:]
    if min(chroma.shape[:2]) < 32 or np.abs(np.diff(chroma, axis=1)).mean() < 0.05:
        return ""
    steps = scaled_tables(np.asarray(TABLES["annex_k"][1]))[quality - 1]
    change = {}
    for name, axes in (("4:2:0", (0, 1)), ("4:2:2", (1,)), ("4:4:4", ())):
        # Blocks of averaged chroma cover 16 pixels, and may start at either of two blocks of luma.
        for top, left in itertools.product((0, BLOCK) if 0 in axes else (0,), (0, BLOCK) if 1 in axes else (0,)):
            here = chroma[top:, left:]
            here = here[: here.shape[0] // 16 * 16, : here.shape[1] // 16 * 16]
            again = [_compressed_again(here[..., i], steps, axes) for i in (0, 1)]
            apart = float(np.mean([np.abs(again[i] - here[..., i]).mean() for i in (0, 1)]))
            change[name] = min(apart, change.get(name, apart))
    return min(change, key=lambda name: change[name])


def _compressed_again(plane: np.ndarray, steps: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Compress chroma that is averaged in pairs along some axes, which hardly changes what was compressed so."""
    for axis in axes:
        pairs = np.moveaxis(plane, axis, 0)
        plane = np.moveaxis((pairs[::2] + pairs[1::2]) / 2, 0, axis)
    rows, columns = (side // BLOCK for side in plane.shape)
    blocks = plane[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK).transpose(0, 2, 1, 3)
    matrix = dct_matrix()
    blocks = matrix.T @ (np.round(matrix @ blocks @ matrix.T / steps) * steps) @ matrix
    plane = blocks.transpose(0, 2, 1, 3).reshape(rows * BLOCK, columns * BLOCK)
    for axis in axes:
        plane = _doubled(plane, axis)
    return plane


def _doubled(half: np.ndarray, axis: int) -> np.ndarray:
    """Interpolate as the "fancy" upsampling of libjpeg does."""
    half = np.moveaxis(half, axis, 0)
    before, after = np.concatenate([half[:1], half[:-1]]), np.concatenate([half[1:], half[-1:]])
    again = np.stack([(3 * half + before) / 4, (3 * half + after) / 4], 1)
    return np.moveaxis(again.reshape(-1, *half.shape[1:]), 0, axis)
