"""Missing pixels and regions (inpainting); the condition is the mask of known pixels, 1 known and 0 missing."""

import jax
import jax.numpy as jnp
import numpy as np

from ..types import Array, Float, Image, Observation, PRNGKeyArray, Strength, check_image, per_image
from .registry import FRACTION, NON_NEGATIVE, Choice, Count, Range, register

__all__ = [
    "bayer_mosaic",
    "missing_blocks",
    "missing_border",
    "missing_lines",
    "missing_overlay",
    "missing_pixels",
    "missing_strokes",
]


@register({"missing": FRACTION}, examples={"missing": (0.3, 0.5, 0.8)})
def missing_pixels(key: PRNGKeyArray, image: Image, *, missing: Strength) -> Observation:
    """Set a random fraction of the pixels to zero in all channels.

    Exactly ``round(missing * height * width)`` pixels of every image are missing.

    Args:
        key: random key.
        image: ``[*batch, height, width, channel]`` in [0, 1].
        missing: fraction of missing pixels, in [0, 1], a scalar or one per image.

    Returns:
        The masked image, and the mask of known pixels ``[*batch, height, width, 1]``.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if a shape does not match, or a strength is out of range.

    Reference:
        Ulyanov et al., Deep image prior, CVPR 2018, section 3 (50 % missing).

    Example:
        >>> holes, mask = missing_pixels(jax.random.key(0), jnp.ones((10, 10, 3)), missing=0.3)
        >>> int(mask.sum())
        70
    """
    *batch, height, width, _ = image.shape
    pixels = height * width
    count = jnp.round(per_image(missing, image)[..., 0, 0] * pixels).astype(jnp.int32)
    count = jnp.clip(jnp.broadcast_to(count, (*batch, 1)), 0, pixels)

    # The `count` pixels with the smallest draws are missing. Ties at the threshold are taken in order, which gives
    # the exact count with a single sort.
    draws = jax.random.bits(key, (*batch, pixels), jnp.uint32)
    threshold = jnp.take_along_axis(jnp.sort(draws, axis=-1), jnp.maximum(count - 1, 0), axis=-1)
    below, equal = draws < threshold, draws == threshold
    remaining = count - below.sum(-1, keepdims=True)
    is_missing = (below | (equal & (jnp.cumsum(equal, axis=-1) <= remaining))) & (count > 0)

    return _remove(image, is_missing.reshape(*batch, height, width, 1))


@register({"side": FRACTION, "blocks": Count(0)}, examples={"side": (0.15, 0.3, 0.5)})
def missing_blocks(key: PRNGKeyArray, image: Image, *, side: Strength, blocks: int = 1) -> Observation:
    """Remove square blocks at random positions; they may overlap.

    Args:
        key: random key.
        image: ``[*batch, height, width, channel]`` in [0, 1].
        side: side of the blocks / shorter side of the image, in [0, 1], a scalar or one per image.
        blocks: number of blocks.

    Returns:
        The masked image, and the mask of known pixels ``[*batch, height, width, 1]``.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if a shape does not match, or a strength is out of range.

    Reference:
        Pathak et al., Context encoders, CVPR 2016, section 3.3 (random blocks).

    Example:
        >>> holes, mask = missing_blocks(jax.random.key(0), jnp.ones((16, 16, 1)), side=0.25)
        >>> int((mask == 0).sum())
        16
    """
    *batch, height, width, _ = image.shape
    pixels = jnp.round(per_image(side, image) * min(height, width))
    y, x = _pixel_centres(image)
    missing = jnp.zeros((*batch, height, width, 1), bool)
    for block_key in jax.random.split(key, blocks):
        corner = jax.random.uniform(block_key, (2, *batch, 1, 1, 1), image.dtype)
        top = jnp.floor(corner[0] * (height - pixels + 1))
        left = jnp.floor(corner[1] * (width - pixels + 1))
        missing |= (y >= top) & (y < top + pixels) & (x >= left) & (x < left + pixels)
    return _remove(image, missing)


@register({"strokes": Count(), "vertices": Count(4), "thickness": NON_NEGATIVE}, examples={"thickness": (0.5, 1, 1.5)})
def missing_strokes(
    key: PRNGKeyArray, image: Image, *, strokes: int = 3, vertices: int = 12, thickness: Strength = 1.0
) -> Observation:
    """Remove free-form strokes: thick random polylines.

    Each image has 1 to ``strokes`` strokes of 4 to ``vertices`` vertices. Segments turn by 2 pi / 5 +- 2 pi / 15,
    alternately to either side; their lengths are normal with a mean of 1/8 of the diagonal; the strokes are mirrored at
    random. They are 12 to 40 pixels wide at 256 x 256 pixels, in proportion to the shorter side.

    Args:
        key: random key.
        image: ``[*batch, height, width, channel]`` in [0, 1].
        strokes: maximum number of strokes, at least 1.
        vertices: maximum number of vertices per stroke, at least 4.
        thickness: factor on the stroke width, at least 0, a scalar or one per image.

    Returns:
        The masked image, and the mask of known pixels ``[*batch, height, width, 1]``.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if a shape does not match, or a strength is out of range.

    Reference:
        Yu et al., Free-form image inpainting with gated convolution, ICCV 2019, algorithm 1.

    Example:
        >>> missing_strokes(jax.random.key(0), jnp.ones((8, 8, 3)), strokes=1).condition.shape
        (8, 8, 1)
    """
    *batch, height, width, _ = image.shape
    scale = min(height, width) / 256
    mean_length = (height**2 + width**2) ** 0.5 / 8
    y, x = _pixel_centres(image)
    column = (*batch, 1, 1, 1)

    def draw_segment(carry, segment):
        top, left, missing = carry
        angle, length, radius, exists = segment
        next_top = jnp.clip(top + downwards * length * jnp.sin(angle), 0, height)
        next_left = jnp.clip(left + rightwards * length * jnp.cos(angle), 0, width)
        covered = _distance_to_segment(y, x, top, left, next_top, next_left) <= radius
        return (next_top, next_left, missing | (covered & exists)), None

    missing = jnp.zeros((*batch, height, width, 1), bool)
    count_key, mirror_key, *stroke_keys = jax.random.split(key, 2 + strokes)
    downwards, rightwards = jax.random.rademacher(mirror_key, (2, *column), image.dtype)
    count = jax.random.randint(count_key, column, 1, strokes + 1)
    for index, stroke_key in enumerate(stroke_keys):
        start_key, angle_key, length_key, width_key, vertex_key = jax.random.split(stroke_key, 5)
        start = jax.random.uniform(start_key, (2, *column), image.dtype)
        angles = (
            jax.random.uniform(angle_key, (vertices, *column), image.dtype, -1, 1) * 2 * jnp.pi / 15 + 2 * jnp.pi / 5
        )
        vertex = jnp.arange(vertices).reshape(-1, *(1 for _ in column))
        angles = jnp.where(vertex % 2 == 0, 2 * jnp.pi - angles, angles)
        lengths = jnp.clip(
            mean_length * (1 + 0.5 * jax.random.normal(length_key, angles.shape, image.dtype)), 0, 2 * mean_length
        )
        radius = jax.random.uniform(width_key, column, image.dtype, 6, 20) * scale * per_image(thickness, image)
        exists = (vertex < jax.random.randint(vertex_key, column, 4, vertices + 1)[None]) & (index < count)[None]
        segments = (angles, lengths, jnp.broadcast_to(radius, (vertices, *column)), exists)
        missing = jax.lax.scan(draw_segment, (start[0] * height, start[1] * width, missing), segments)[0][2]
    return _remove(image, missing)


@register({"lines": Count(0), "thickness": NON_NEGATIVE}, examples={"thickness": (1, 3, 8)})
def missing_lines(key: PRNGKeyArray, image: Image, *, lines: int = 5, thickness: Strength = 2.0) -> Observation:
    """Remove straight lines, as scratches do, between random points on opposite borders of the image.

    Args:
        key: random key.
        image: ``[*batch, height, width, channel]`` in [0, 1].
        lines: number of lines.
        thickness: width of the lines in pixels, at least 0, a scalar or one per image.

    Returns:
        The masked image, and the mask of known pixels ``[*batch, height, width, 1]``.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if a shape does not match, or a strength is out of range.

    Reference:
        Bertalmio et al., Image inpainting, SIGGRAPH 2000 (scratched photographs).

    Example:
        >>> missing_lines(jax.random.key(0), jnp.ones((8, 8, 3)), lines=1).condition.shape
        (8, 8, 1)
    """
    *batch, height, width, _ = image.shape
    radius = per_image(thickness, image) / 2
    y, x = _pixel_centres(image)
    missing = jnp.zeros((*batch, height, width, 1), bool)
    for line_key in jax.random.split(key, lines):
        position = jax.random.uniform(line_key, (3, *batch, 1, 1, 1), image.dtype)
        vertical = position[2] < 0.5
        ends = [jnp.where(vertical, 0, position[0] * height), jnp.where(vertical, position[0] * width, 0)]
        ends += [jnp.where(vertical, height, position[1] * height), jnp.where(vertical, position[1] * width, width)]
        missing |= _distance_to_segment(y, x, *ends) <= radius
    return _remove(image, missing)


@register({"margin": Range(0, 0.5)}, examples={"margin": (0.05, 0.1, 0.2)})
def missing_border(image: Image, *, margin: Strength) -> Observation:
    """Remove a margin along the border (outpainting).

    Args:
        image: ``[*batch, height, width, channel]`` in [0, 1].
        margin: width of the margin / shorter side of the image, in [0, 0.5], a scalar or one per image.

    Returns:
        The masked image, and the mask of known pixels ``[*batch, height, width, 1]``.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if a shape does not match, or a strength is out of range.

    Reference:
        Sabini and Rusak, Painting outside the box: image outpainting with GANs, 2018.

    Example:
        >>> int(missing_border(jnp.ones((8, 8, 1)), margin=0.25).condition.sum())
        16
    """
    height, width = image.shape[-3:-1]
    pixels = jnp.round(per_image(margin, image) * min(height, width))
    y, x = _pixel_centres(image)
    inside = (y > pixels) & (y < height - pixels) & (x > pixels) & (x < width - pixels)
    return _remove(image, jnp.broadcast_to(~inside, (*image.shape[:-1], 1)))


@register()
def missing_overlay(image: Image, *, mask: Float[Array | np.ndarray, "..."]) -> Observation:
    """Remove the pixels of a given mask, such as overlaid text.

    Args:
        image: ``[*batch, height, width, channel]`` in [0, 1].
        mask: 1 for known and 0 for missing pixels, broadcast to ``[*batch, height, width, 1]``.

    Returns:
        The masked image, and the mask of known pixels ``[*batch, height, width, 1]``.

    Raises:
        TypeError: if the image or the mask is not float32 or float64.
        ValueError: if a shape does not match.

    Reference:
        Bertalmio et al., Image inpainting, SIGGRAPH 2000 (superimposed text).

    Example:
        >>> missing_overlay(jnp.ones((2, 2, 3)), mask=jnp.eye(2)[..., None]).image[..., 0].tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    mask = check_image(mask, "mask", full_precision=True)
    shape = (*image.shape[:-1], 1)
    if any(m not in (1, s) for m, s in zip(mask.shape[::-1], shape[::-1], strict=False)) or mask.ndim > image.ndim:
        raise ValueError(f"`mask` must broadcast to {shape}, got shape {mask.shape}.")
    mask = mask.reshape((1,) * (image.ndim - mask.ndim) + mask.shape)
    return _remove(image, jnp.broadcast_to(mask <= 0.5, shape))


@register(
    {"pattern": Choice(("RGGB", "BGGR", "GRBG", "GBRG"))}, examples={"pattern": ("RGGB", "BGGR", "GRBG")}, channels=(3,)
)
def bayer_mosaic(image: Image, *, pattern: str = "RGGB") -> Observation:
    """Keep one colour per pixel, as the Bayer colour filter array of a camera does.

    Args:
        image: ``[*batch, height, width, 3]`` in [0, 1].
        pattern: colours of the top-left 2 x 2 pixels, row by row: ``"RGGB"``, ``"BGGR"``, ``"GRBG"``, ``"GBRG"``.

    Returns:
        The mosaic with unknown values 0, and the mask of known values ``[*batch, height, width, 3]``.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if the image is not RGB, or the pattern is unknown.

    Reference:
        Bayer, Color imaging array, US patent 3971065, 1976.

    Example:
        >>> bayer_mosaic(jnp.ones((2, 2, 3))).image.sum(-1).tolist()
        [[1.0, 1.0], [1.0, 1.0]]
    """
    y, x = _pixel_centres(image)
    kept = jnp.array(["RGB".index(colour) for colour in pattern])[_parity(y) * 2 + _parity(x)]
    known = kept == jnp.arange(3).reshape((1,) * (image.ndim - 1) + (3,))
    mask = jnp.broadcast_to(known, image.shape).astype(image.dtype)
    return Observation(image * mask, mask)


def _parity(centres: jax.Array) -> jax.Array:
    """Return the index of a row or column modulo 2."""
    return centres.astype(jnp.int32) % 2


def _remove(image: Image, missing: jax.Array) -> Observation:
    mask = 1 - missing.astype(image.dtype)
    return Observation(image * mask, mask)


def _pixel_centres(image: Image) -> tuple[jax.Array, jax.Array]:
    """Return the centres of rows and columns, 0.5 for pixel 0, with the axes of the image."""
    *batch, height, width, _ = image.shape
    ones = (1,) * len(batch)
    y, x = (jnp.arange(size, dtype=image.dtype) + 0.5 for size in (height, width))
    return y.reshape(*ones, height, 1, 1), x.reshape(*ones, 1, width, 1)


def _distance_to_segment(y, x, top, left, bottom, right):
    """Compute the distance of every pixel to a line segment."""
    down, across = bottom - top, right - left
    along = ((y - top) * down + (x - left) * across) / jnp.maximum(down**2 + across**2, 1e-6)
    along = jnp.clip(along, 0, 1)
    return jnp.sqrt((y - top - along * down) ** 2 + (x - left - along * across) ** 2)
