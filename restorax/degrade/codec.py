"""Arithmetic of a JPEG codec: DCT, quantisation tables, colour conversion and chroma resampling."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..types import Image, Strength, per_image

# ITU-T T.81, annex K, table K.1.
LUMA_TABLE = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    np.int32,
)

# Table K.2.
CHROMA_TABLE = np.full((8, 8), 99, np.int32)
CHROMA_TABLE[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]

# Tuned for MS-SSIM on Kodak24, table 2 of mozjpeg (jcparam.c).
_MS_SSIM_LUMA = np.array(
    [
        [12, 17, 20, 21, 30, 34, 56, 63],
        [18, 20, 20, 26, 28, 51, 61, 55],
        [19, 20, 21, 26, 33, 58, 69, 55],
        [26, 26, 26, 30, 46, 87, 86, 66],
        [31, 33, 36, 40, 46, 96, 100, 73],
        [40, 35, 46, 62, 81, 100, 111, 91],
        [46, 66, 76, 86, 102, 121, 120, 101],
        [68, 90, 90, 96, 113, 102, 105, 103],
    ],
    np.int32,
)
_MS_SSIM_CHROMA = np.full((8, 8), 99, np.int32)
_MS_SSIM_CHROMA[:4] = [
    [8, 12, 15, 15, 86, 96, 96, 98],
    [13, 13, 15, 26, 90, 96, 99, 98],
    [12, 15, 18, 96, 99, 99, 99, 99],
    [17, 16, 90, 96, 99, 99, 99, 99],
]
_MS_SSIM_CHROMA[4, :2] = 96

# N. Robidoux, ImageMagick's forum, 2012; the default of mozjpeg (table 3 of jcparam.c), for luma and chroma.
_ROBIDOUX = np.array(
    [
        [16, 16, 16, 18, 25, 37, 56, 85],
        [16, 17, 20, 27, 34, 40, 53, 75],
        [16, 20, 24, 31, 43, 62, 91, 135],
        [18, 27, 31, 40, 53, 74, 106, 156],
        [25, 34, 43, 53, 69, 94, 131, 189],
        [37, 40, 62, 74, 94, 124, 169, 238],
        [56, 53, 91, 106, 131, 169, 226, 311],
        [85, 75, 135, 156, 189, 238, 311, 418],
    ],
    np.int32,
)

TABLES = {
    "annex_k": (LUMA_TABLE, CHROMA_TABLE),
    "mozjpeg": (_ROBIDOUX, _ROBIDOUX),
    "ms_ssim": (_MS_SSIM_LUMA, _MS_SSIM_CHROMA),
    "flat": (np.full((8, 8), 16, np.int32), np.full((8, 8), 16, np.int32)),
}
"""Quantisation tables of luma and chroma at quality 50, by name."""


def _integer_dct() -> np.ndarray:
    """Return the 13-bit fixed-point DCT of libjpeg as a matrix ``[frequency, position]``, scaled by sqrt(8) * 2**13.

    It follows the flow graph of Loeffler, Ligtenberg and Moschytz (ICASSP 1989). Every constant is rounded separately,
    as in libjpeg, because that decides how ties of coefficients are rounded.
    """
    forward, reverse = np.eye(8, dtype=np.int64)[:4], np.eye(8, dtype=np.int64)[:3:-1]
    (s0, s1, s2, s3), (d7, d6, d5, d4) = forward + reverse, forward - reverse
    fix = lambda x: round(x * 2**13)  # noqa: E731
    rotated = fix(0.541196100) * (s0 - s3 + s1 - s2)
    shared = fix(1.175875602) * (d4 + d5 + d6 + d7)
    z1, z2 = -fix(0.899976223) * (d4 + d7), -fix(2.562915447) * (d5 + d6)
    z3, z4 = shared - fix(1.961570560) * (d4 + d6), shared - fix(0.390180644) * (d5 + d7)
    rows = (
        2**13 * (s0 + s1 + s2 + s3),
        fix(1.501321110) * d7 + z1 + z4,
        rotated + fix(0.765366865) * (s0 - s3),
        fix(3.072711026) * d6 + z2 + z3,
        2**13 * (s0 - s1 - s2 + s3),
        fix(2.053119869) * d5 + z2 + z4,
        rotated - fix(1.847759065) * (s1 - s2),
        fix(0.298631336) * d4 + z1 + z3,
    )
    return np.stack(rows).astype(np.int32)


_DCT = _integer_dct()


# JFIF 1.02: conversion between RGB and YCbCr.
RGB_TO_YCC = np.array(
    [[0.299, 0.587, 0.114], [-0.168735892, -0.331264108, 0.5], [0.5, -0.418687589, -0.081312411]], np.float32
)
YCC_TO_RGB = np.array([[1, 0, 1.402], [1, -0.344136286, -0.714136286], [1, 1.772, 0]], np.float32)


def dct_matrix() -> np.ndarray:
    """Return the orthonormal matrix ``[8, 8]`` of the discrete cosine transform."""
    k, n = np.mgrid[:8, :8]
    matrix = 0.5 * np.cos(np.pi * (2 * n + 1) * k / 16)
    matrix[0] /= np.sqrt(2)
    return matrix.astype(np.float32)


def encode_decode(plane: jax.Array, table: jax.Array) -> jax.Array:
    """Transform, quantise and decode a plane of 8-bit values, int32 ``[*batch, height, width]``."""
    blocks = _to_blocks(plane - 128)
    table = table[..., None, :, None, :]
    along_rows = _descale(jnp.einsum("...aibj,vj->...aibv", blocks, _DCT), 11)
    coefficients = _descale(jnp.einsum("...aibv,ui->...aubv", along_rows, _DCT), 15)
    levels = jnp.sign(coefficients) * ((jnp.abs(coefficients) + 4 * table) // (8 * table))  # ties round away from 0
    along_columns = _descale(jnp.einsum("...aubv,ui->...aibv", levels * table, _DCT), 11)
    decoded = _descale(jnp.einsum("...aibv,vj->...aibj", along_columns, _DCT), 18)
    return jnp.clip(_from_blocks(decoded, plane) + 128, 0, 255)


def encode_decode_smooth(plane: jax.Array, table: np.ndarray, quality: jax.Array) -> jax.Array:
    """Transform, quantise and decode in floating point; rounding has the gradient of the identity.

    Args:
        plane: ``[*batch, height, width]`` centred at 0, in units of 1/255.
        table: quantisation table of quality 50, ``[8, 8]``.
        quality: ``[*batch or ones, 1, 1]``.

    Returns:
        Decoded plane, not clipped.
    """
    blocks = _to_blocks(plane)
    quality = jnp.clip(quality, 1, 100)
    scale = jnp.where(quality < 50, 50 / quality, 2 - quality / 50)[..., None, None]
    base = table.astype(plane.dtype).reshape((1,) * (plane.ndim - 1) + (8, 1, 8))
    scaled_table = jnp.clip(base * scale, 1, 255)
    transform = (_DCT / (2**13 * 8**0.5)).astype(plane.dtype)
    scaled = jnp.einsum("ui,...aibj,vj->...aubv", transform, blocks, transform, precision="highest") / scaled_table
    levels = scaled + lax.stop_gradient(jnp.round(scaled) - scaled)
    decoded = jnp.einsum("...aubv,ui,vj->...aibj", levels * scaled_table, transform, transform, precision="highest")
    return _from_blocks(decoded, plane)


def _to_blocks(plane: jax.Array) -> jax.Array:
    """Pad a plane by replication and split it into blocks ``[*batch, rows, 8, columns, 8]``."""
    *batch, height, width = plane.shape
    edge = [(0, 0)] * len(batch) + [(0, -height % 8), (0, -width % 8)]
    return jnp.pad(plane, edge, mode="edge").reshape(*batch, -(-height // 8), 8, -(-width // 8), 8)


def _from_blocks(blocks: jax.Array, plane: jax.Array) -> jax.Array:
    """Join blocks and crop them to the shape of ``plane``."""
    *batch, height, width = plane.shape
    return blocks.reshape(*batch, -(-height // 8) * 8, -(-width // 8) * 8)[..., :height, :width]


def _descale(x: jax.Array, bits: int) -> jax.Array:
    """Divide by ``2**bits`` and round half up."""
    return (x + (1 << (bits - 1))) >> bits


def quantisation_table(table: np.ndarray, quality: Strength, image: Image) -> jax.Array:
    """Scale a table of quality 50 to another quality, int32 ``[*batch or ones, 8, 8]``."""
    quality = jnp.clip(jnp.round(per_image(quality, image)[..., 0]), 1, 100).astype(jnp.int32)
    scale = jnp.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    base = table.reshape((1,) * (scale.ndim - 2) + (8, 8))
    return jnp.clip((base * scale + 50) // 100, 1, 255)


def _fixed(x: float) -> int:
    """Convert a constant to fixed point with 16 fractional bits."""
    return round(x * 2**16)


def rgb_to_ycc(rgb: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Convert 8-bit RGB to the YCbCr of JFIF in fixed point; chroma is centred at 128."""
    r, g, b = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    offset = (128 << 16) + (1 << 15) - 1
    luma = (_fixed(0.299) * r + _fixed(0.587) * g + _fixed(0.114) * b + (1 << 15)) >> 16
    blue = (-_fixed(0.168735892) * r - _fixed(0.331264108) * g + _fixed(0.5) * b + offset) >> 16
    red = (_fixed(0.5) * r - _fixed(0.418687589) * g - _fixed(0.081312411) * b + offset) >> 16
    return luma, blue, red


def ycc_to_rgb(luma: jax.Array, blue: jax.Array, red: jax.Array) -> jax.Array:
    """Convert YCbCr planes to 8-bit RGB, channels last, with the constants of libjpeg."""
    blue, red, half = blue - 128, red - 128, 1 << 15
    r = luma + ((_fixed(1.402) * red + half) >> 16)
    g = luma + ((-_fixed(0.34414) * blue - _fixed(0.714136286) * red + half) >> 16)
    b = luma + ((_fixed(1.772) * blue + half) >> 16)
    return jnp.clip(jnp.stack([r, g, b], -1), 0, 255)


def downsample(plane: jax.Array, *, rows: bool = True) -> jax.Array:
    """Average 2 x 2 pixels of ``[*batch, height, width]``, or 1 x 2 pixels; integers are rounded as in libjpeg.

    Ties round down and up alternately along a row, which avoids a bias. The width is padded to whole blocks of 8
    averages, so the caller must crop the result to ``(width + 1) // 2``.
    """
    *batch, height, width = plane.shape
    step = 2 if rows else 1
    padding = [(0, 0)] * len(batch) + [(0, -height % step), (0, -width % 16)]
    cells = jnp.pad(plane, padding, mode="edge").reshape(*batch, -(-height // step), step, 8 * -(-width // 16), 2)
    total = cells.sum((-3, -1))
    if not jnp.issubdtype(plane.dtype, jnp.integer):
        return total / (2 * step)
    bias = step - 1 + jnp.arange(total.shape[-1]) % 2
    return (total + bias.reshape((1,) * (total.ndim - 1) + (-1,))) >> step


def upsample(plane: jax.Array, size: tuple[int, ...], *, rows: bool = True) -> jax.Array:
    """Double the size, or the width alone, with a triangle filter (libjpeg's "fancy upsampling").

    Planes up to 2 wide are replicated.
    """
    height, width = size
    if plane.shape[-1] <= 2:
        plane = jnp.repeat(plane, 2, -2) if rows else plane
        return jnp.repeat(plane, 2, -1)[..., :height, :width]
    bits, rounding = 2, (1, 2)
    if rows:
        above, below = _neighbours(plane, plane.ndim - 2)
        doubled = jnp.stack([3 * plane + above, 3 * plane + below], -2)
        plane = doubled.reshape(*plane.shape[:-2], 2 * plane.shape[-2], plane.shape[-1])
        bits, rounding = 4, (8, 7)
    before, after = _neighbours(plane, plane.ndim - 1)
    left, right = 3 * plane + before, 3 * plane + after
    if jnp.issubdtype(plane.dtype, jnp.integer):
        left, right = (left + rounding[0]) >> bits, (right + rounding[1]) >> bits
    else:
        left, right = left / 2**bits, right / 2**bits
    return jnp.stack([left, right], -1).reshape(*plane.shape[:-1], 2 * plane.shape[-1])[..., :height, :width]


def _neighbours(x: jax.Array, axis: int) -> tuple[jax.Array, jax.Array]:
    """Return the previous and the next values along an axis, replicated at the ends."""
    size = x.shape[axis]
    pads = [(0, 0)] * x.ndim
    pads[axis] = (1, 1)
    padded = jnp.pad(x, pads, mode="edge")
    return lax.slice_in_dim(padded, 0, size, axis=axis), lax.slice_in_dim(padded, 2, size + 2, axis=axis)
