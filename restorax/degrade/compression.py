"""Compression."""

import jax
import jax.numpy as jnp
import numpy as np

from ..types import Image, Strength, check_image, per_image

# ITU-T T.81, annex K, table K.1.
_LUMA_TABLE = np.array(
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


def _integer_dct() -> np.ndarray:
    """The 13-bit fixed-point DCT of libjpeg as one matrix ``[frequency, position]``, sqrt(8) * 2**13 times the DCT.

    It is the flow graph of Loeffler, Ligtenberg and Moschytz (ICASSP 1989) written out; rounding every constant
    alone, as the codec does, decides on which side of a tie a coefficient falls.
    """
    ahead, behind = np.eye(8, dtype=np.int64)[:4], np.eye(8, dtype=np.int64)[:3:-1]
    (s0, s1, s2, s3), (d7, d6, d5, d4) = ahead + behind, ahead - behind
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


def jpeg(image: Image, *, quality: Strength) -> Image:
    """Encode a gray image as JPEG and decode it again, in the integer arithmetic of libjpeg.

    Pixels are rounded to 8 bit first, coefficients and decoded pixels as in the codec, so the gradient is zero
    almost everywhere.

    Args:
        image: ``[*batch, height, width, 1]`` in [0, 1].
        quality: 1 (worst) to 100 (best), rounded to an integer; a scalar or one per image; may be traced.

    Returns:
        Decoded image of the same shape, multiples of 1/255 in [0, 1].

    Raises:
        TypeError: if the image is not floating point.
        ValueError: if the image is not gray, or the shapes do not fit.

    Reference:
        ITU-T T.81 (1992), annexes A and K; libjpeg's quality scaling (``jpeg_quality_scaling``).

    Example:
        >>> jpeg(jnp.ones((20, 9, 1)), quality=30).shape
        (20, 9, 1)
    """
    image = check_image(image)
    *batch, height, width, channels = image.shape
    if channels != 1:
        raise ValueError(f"the image has {channels} channels; jpeg takes gray images with 1")
    rows, columns = -(-height // 8), -(-width // 8)
    pixels = jnp.round(jnp.clip(image[..., 0], 0, 1) * 255).astype(jnp.int32) - 128
    edge = [(0, 0)] * len(batch) + [(0, rows * 8 - height), (0, columns * 8 - width)]
    blocks = jnp.pad(pixels, edge, mode="edge").reshape(*batch, rows, 8, columns, 8)

    table = _quantisation_table(quality, image)[..., None, :, None, :]
    along_rows = _descale(jnp.einsum("...aibj,vj->...aibv", blocks, _DCT), 11)
    coefficients = _descale(jnp.einsum("...aibv,ui->...aubv", along_rows, _DCT), 15)
    levels = jnp.sign(coefficients) * ((jnp.abs(coefficients) + 4 * table) // (8 * table))  # ties go outwards
    along_columns = _descale(jnp.einsum("...aubv,ui->...aibv", levels * table, _DCT), 11)
    decoded = _descale(jnp.einsum("...aibv,vj->...aibj", along_columns, _DCT), 18)
    decoded = decoded.reshape(*batch, rows * 8, columns * 8)[..., :height, :width, None]
    return jnp.clip(decoded + 128, 0, 255).astype(image.dtype) / 255


def _descale(x: jax.Array, bits: int) -> jax.Array:
    """Divide by ``2**bits`` and round, halves upwards."""
    return (x + (1 << (bits - 1))) >> bits


def _quantisation_table(quality: Strength, image: jax.Array) -> jax.Array:
    """libjpeg's scaled luma table, int32 ``[*batch or ones, 8, 8]``."""
    quality = jnp.clip(jnp.round(per_image(quality, image)[..., 0]), 1, 100).astype(jnp.int32)
    scale = jnp.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    base = _LUMA_TABLE.reshape((1,) * (scale.ndim - 2) + (8, 8))
    return jnp.clip((base * scale + 50) // 100, 1, 255)
