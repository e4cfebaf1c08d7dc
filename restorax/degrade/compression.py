"""Compression artefacts: JPEG as in libjpeg, differentiable JPEG, double JPEG and chroma subsampling."""

import jax
import jax.numpy as jnp

from ..types import Image, Strength, per_image
from .codec import (
    RGB_TO_YCC,
    TABLES,
    YCC_TO_RGB,
    downsample,
    encode_decode,
    encode_decode_smooth,
    quantisation_table,
    rgb_to_ycc,
    upsample,
    ycc_to_rgb,
)
from .registry import Choice, Range, register

__all__ = [
    "chroma_subsampling",
    "double_jpeg",
    "jpeg",
    "jpeg_straight_through",
]

QUALITY, SUBSAMPLING = Range(1, 100), Choice(("4:2:0", "4:2:2", "4:4:4"))
TABLE, SHIFT = Choice(tuple(TABLES)), Range(0, 7)


@register(
    {"quality": QUALITY, "subsampling": SUBSAMPLING, "table": TABLE, "down": SHIFT, "right": SHIFT},
    examples={"quality": (30, 10, 5)},
    channels=(1, 3),
    differentiable=False,
)
def jpeg(
    image: Image,
    *,
    quality: Strength,
    subsampling: str = "4:2:0",
    table: str = "annex_k",
    down: Strength = 0,
    right: Strength = 0,
) -> Image:
    """Compress as JPEG and decompress, bit-exact with libjpeg.

    Pixels are rounded to 8 bits first. The gradient is zero almost everywhere; see :func:`jpeg_straight_through`.

    Args:
        image: gray or RGB, ``[*batch, height, width, 1 or 3]`` in [0, 1].
        quality: 1 (worst) to 100 (best), rounded to an integer; a scalar or one per image.
        subsampling: chroma subsampling of RGB images, ``"4:2:0"`` (half resolution), ``"4:2:2"`` (half the columns) or
            ``"4:4:4"`` (none).
        table: quantisation tables, scaled by the quality as in libjpeg: ``"annex_k"`` of the standard and of libjpeg,
            ``"mozjpeg"`` (Robidoux), ``"ms_ssim"`` (tuned for MS-SSIM) or ``"flat"``.
        down: rows cropped after compression, 0 to 7, which shifts the grid of 8 x 8 blocks; a scalar or one per image.
        right: columns cropped after compression.

    Returns:
        Decoded image of the same shape, multiples of 1/255 in [0, 1].

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if the image is neither gray nor RGB, a shape does not match, or a strength is not accepted.

    Reference:
        ITU-T T.81 (1992), annexes A and K; JFIF 1.02; libjpeg's quality scaling (``jpeg_quality_scaling``), slow
        integer DCT and "fancy" chroma upsampling; tables 1 to 3 of mozjpeg (``jcparam.c``).

    Example:
        >>> jpeg(jnp.ones((8, 8, 1)), quality=30).shape
        (8, 8, 1)
    """
    if all(isinstance(shift, int | float) and shift == 0 for shift in (down, right)):
        return _jpeg(image, quality, subsampling, table)
    down, right = (jnp.clip(jnp.round(per_image(s, image)), 0, 7).astype(jnp.int32) for s in (down, right))
    height, width = image.shape[-3:-1]
    larger = _jpeg(_window(image, -down, -right, height + 7, width + 7), quality, subsampling, table)
    return _window(larger, down, right, height, width)


def _jpeg(image: Image, quality: Strength, subsampling: str, table: str) -> Image:
    """Apply :func:`jpeg` with the first block at the top left corner."""
    luma_table, chroma_table = (quantisation_table(base, quality, image) for base in TABLES[table])
    pixels = jnp.round(jnp.clip(image, 0, 1) * 255).astype(jnp.int32)
    if image.shape[-1] == 1:
        decoded = encode_decode(pixels[..., 0], luma_table)[..., None]
    else:
        luma, *chroma = rgb_to_ycc(pixels)
        luma = encode_decode(luma, luma_table)
        if subsampling == "4:4:4":
            chroma = [encode_decode(c, chroma_table) for c in chroma]
        else:
            rows = subsampling == "4:2:0"
            half = (luma.shape[-1] + 1) // 2
            small = [encode_decode(downsample(c, rows=rows), chroma_table)[..., :half] for c in chroma]
            chroma = [upsample(c, luma.shape[-2:], rows=rows) for c in small]
        decoded = ycc_to_rgb(luma, *chroma)
    return decoded.astype(image.dtype) / 255


@register(
    {"quality": QUALITY, "subsampling": SUBSAMPLING, "table": TABLE}, examples={"quality": (30, 10, 5)}, channels=(1, 3)
)
def jpeg_straight_through(
    image: Image, *, quality: Strength, subsampling: str = "4:2:0", table: str = "annex_k"
) -> Image:
    """Compress as JPEG and decompress, with the straight-through gradient: values of :func:`jpeg`, differentiable.

    Rounding of coefficients, pixels and quantisation tables has the gradient of the identity, so the result is
    differentiable in the image and in the quality.

    Args:
        image: gray or RGB, ``[*batch, height, width, 1 or 3]`` in [0, 1]; the gradient is zero outside this range.
        quality: 1 (worst) to 100 (best), a scalar or one per image.
        subsampling: as in :func:`jpeg`.
        table: as in :func:`jpeg`.

    Returns:
        Decoded image with the values of :func:`jpeg`.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if the image is neither gray nor RGB, a shape does not match, or a strength is not accepted.

    Reference:
        Bengio et al., Estimating or propagating gradients through stochastic neurons, 2013, section 4
        (straight-through); Reich et al., Differentiable JPEG: the devil is in the details, WACV 2024.

    Example:
        >>> jax.grad(lambda x: jpeg_straight_through(x, quality=30).sum())(jnp.ones((8, 8, 1))).shape
        (8, 8, 1)
    """
    level = per_image(quality, image)[..., 0]
    luma_table, chroma_table = TABLES[table]
    pixels = 255 * jnp.clip(image, 0, 1)
    if image.shape[-1] == 1:
        decoded = encode_decode_smooth(pixels[..., 0] - 128, luma_table, level)[..., None] + 128
    else:
        luma, *chroma = jnp.moveaxis(jnp.matmul(pixels, RGB_TO_YCC.T, precision="highest"), -1, 0)
        if subsampling == "4:4:4":
            chroma = [encode_decode_smooth(c, chroma_table, level) for c in chroma]
        else:
            rows = subsampling == "4:2:0"
            small = [encode_decode_smooth(_half_resolution(c, rows=rows), chroma_table, level) for c in chroma]
            chroma = [upsample(c, luma.shape[-2:], rows=rows) for c in small]
        luma = encode_decode_smooth(luma - 128, luma_table, level) + 128
        decoded = jnp.matmul(jnp.stack([luma, *chroma], -1), YCC_TO_RGB.T, precision="highest")
    smooth = jnp.clip(decoded / 255, 0, 1)
    exact = jpeg(image, quality=quality, subsampling=subsampling, table=table)
    return smooth + jax.lax.stop_gradient(exact - smooth)


@register(
    {"first": QUALITY, "second": QUALITY, "down": SHIFT, "right": SHIFT, "subsampling": SUBSAMPLING},
    examples={"first": (30, 10, 5), "second": 50},
    channels=(1, 3),
    differentiable=False,
)
def double_jpeg(
    image: Image,
    *,
    first: Strength,
    second: Strength,
    down: Strength = 4,
    right: Strength = 4,
    subsampling: str = "4:2:0",
) -> Image:
    """Compress as JPEG twice, with a crop in between that shifts the grid of 8 x 8 blocks.

    Args:
        image: gray or RGB, ``[*batch, height, width, 1 or 3]`` in [0, 1].
        first: quality of the first compression, 1 to 100, a scalar or one per image.
        second: quality of the second.
        down: rows that were cropped after the first compression, 0 to 7, a scalar or one per image; 0 and 0 leave the
            grids aligned.
        right: columns that were cropped.
        subsampling: as in :func:`jpeg`.

    Returns:
        Decoded image of the same shape, multiples of 1/255 in [0, 1].

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if the image is neither gray nor RGB, a shape does not match, or a strength is not accepted.

    Reference:
        Jiang et al., Towards flexible blind JPEG artifacts removal (FBCNN), ICCV 2021, section 3.4.

    Example:
        >>> double_jpeg(jnp.ones((8, 8, 1)), first=30, second=60).shape
        (8, 8, 1)
    """
    once = jpeg(image, quality=first, subsampling=subsampling, down=down, right=right)
    return jpeg(once, quality=second, subsampling=subsampling)


@register(channels=(3,))
def chroma_subsampling(image: Image) -> Image:
    """Subsample the chroma (4:2:0) and upsample it, as JPEG and video codecs do, without quantisation.

    Args:
        image: RGB, ``[*batch, height, width, 3]``.

    Returns:
        Image of the same shape with the same luma, not clipped; linear in ``image``.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if the image is not RGB.

    Reference:
        JFIF 1.02 (colour space and chroma sample positions); libjpeg ("fancy" upsampling).

    Example:
        >>> chroma_subsampling(jnp.ones((8, 8, 3))).shape
        (8, 8, 3)
    """
    luma, *chroma = jnp.moveaxis(jnp.matmul(image, RGB_TO_YCC.T, precision="highest"), -1, 0)
    chroma = [upsample(_half_resolution(c), luma.shape[-2:]) for c in chroma]
    return jnp.matmul(jnp.stack([luma, *chroma], -1), YCC_TO_RGB.T, precision="highest")


def _half_resolution(plane: jax.Array, *, rows: bool = True) -> jax.Array:
    return downsample(plane, rows=rows)[..., : (plane.shape[-1] + 1) // 2]


def _window(image: Image, top: jax.Array, left: jax.Array, height: int, width: int) -> jax.Array:
    """Crop at an integer corner ``[*batch or ones, 1, 1, 1]``, replicating the edge outside the image."""
    for axis, start, size in ((image.ndim - 3, top, height), (image.ndim - 2, left, width)):
        shape = [1] * image.ndim
        shape[axis] = size
        index = jnp.clip(start + jnp.arange(size).reshape(shape), 0, image.shape[axis] - 1)
        image = jnp.take_along_axis(image, index, axis)
    return image
