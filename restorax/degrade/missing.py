"""Missing pixels and regions. The mask of known pixels (1 known, 0 missing) comes back as the condition."""

import jax
import jax.numpy as jnp
import numpy as np

from ..types import Array, Float, Image, Observation, PRNGKeyArray, Strength, check_image, per_image
from .registry import NON_NEGATIVE, SHARE, Choice, Count, Range, register

__all__ = [
    "bayer_mosaic",
    "missing_blocks",
    "missing_border",
    "missing_lines",
    "missing_overlay",
    "missing_pixels",
    "missing_strokes",
]


@register({"missing": SHARE}, examples={"missing": (0.3, 0.5, 0.8)})
def missing_pixels(key: PRNGKeyArray, image: Image, *, missing: Strength) -> Observation:
    """Set a share of the pixels to zero, the same ones in every channel.

    The share is exact: ``round(missing * height * width)`` pixels of every image are gone.

    Args:
        key: random key.
        image: ``[*batch, height, width, channel]`` in [0, 1].
        missing: fraction of missing pixels in [0, 1], a scalar or one per image.

    Returns:
        The image with holes, and the mask of known pixels ``[*batch, height, width, 1]``.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if the shapes do not fit, or a strength lies outside its range.

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

    # The `count` pixels with the smallest draws are missing. Draws may collide, so those equal to the threshold
    # are taken in order until the count is full: exact, with a single sort.
    draws = jax.random.bits(key, (*batch, pixels), jnp.uint32)
    threshold = jnp.take_along_axis(jnp.sort(draws, axis=-1), jnp.maximum(count - 1, 0), axis=-1)
    below, equal = draws < threshold, draws == threshold
    still_to_take = count - below.sum(-1, keepdims=True)
    gone = (below | (equal & (jnp.cumsum(equal, axis=-1) <= still_to_take))) & (count > 0)

    return _without(image, gone.reshape(*batch, height, width, 1))


@register({"side": SHARE, "blocks": Count(0)}, examples={"side": (0.15, 0.3, 0.5)})
def missing_blocks(key: PRNGKeyArray, image: Image, *, side: Strength, blocks: int = 1) -> Observation:
    """Cut square holes at random places; they may overlap.

    Args:
        key: random key.
        image: ``[*batch, height, width, channel]`` in [0, 1].
        side: side of the holes as a share of the shorter side of the image, in [0, 1], a scalar or one per image.
        blocks: number of holes.

    Returns:
        The image with holes, and the mask of known pixels ``[*batch, height, width, 1]``.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if the shapes do not fit, or a strength lies outside its range.

    Reference:
        Pathak et al., Context encoders, CVPR 2016, section 3.3 (random blocks).

    Example:
        >>> holes, mask = missing_blocks(jax.random.key(0), jnp.ones((16, 16, 1)), side=0.25)
        >>> int((mask == 0).sum())
        16
    """
    *batch, height, width, _ = image.shape
    pixels = jnp.round(per_image(side, image) * min(height, width))
    y, x = _coordinates(image)
    gone = jnp.zeros((*batch, height, width, 1), bool)
    for block_key in jax.random.split(key, blocks):
        corner = jax.random.uniform(block_key, (2, *batch, 1, 1, 1), image.dtype)
        top = jnp.floor(corner[0] * (height - pixels + 1))
        left = jnp.floor(corner[1] * (width - pixels + 1))
        gone |= (y >= top) & (y < top + pixels) & (x >= left) & (x < left + pixels)
    return _without(image, gone)


@register({"strokes": Count(), "vertices": Count(4), "thickness": NON_NEGATIVE}, examples={"thickness": (0.5, 1, 1.5)})
def missing_strokes(
    key: PRNGKeyArray, image: Image, *, strokes: int = 3, vertices: int = 12, thickness: Strength = 1.0
) -> Observation:
    """Paint free-form holes: thick strokes that change direction a few times.

    Each image gets 1 to ``strokes`` strokes of 4 to ``vertices`` vertices. Successive pieces turn by 2 pi / 5 +- 2 pi /
    15 to one side and the other; their lengths are normal around an eighth of the diagonal; the whole is mirrored at
    random. At 256 x 256 pixels a stroke is 12 to 40 pixels wide; widths grow with the shorter side of the image.

    Args:
        key: random key.
        image: ``[*batch, height, width, channel]`` in [0, 1].
        strokes: largest number of strokes, at least 1.
        vertices: largest number of vertices of a stroke, at least 4.
        thickness: factor on the widths, at least 0, a scalar or one per image.

    Returns:
        The image with holes, and the mask of known pixels ``[*batch, height, width, 1]``.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if the shapes do not fit, or a number is too small or not whole.

    Reference:
        Yu et al., Free-form image inpainting with gated convolution, ICCV 2019, algorithm 1.

    Example:
        >>> missing_strokes(jax.random.key(0), jnp.ones((64, 64, 3))).condition.shape
        (64, 64, 1)
    """
    *batch, height, width, _ = image.shape
    scale = min(height, width) / 256
    reach = (height**2 + width**2) ** 0.5 / 8
    y, x = _coordinates(image)
    column = (*batch, 1, 1, 1)

    def piece(carry, draws):
        top, left, gone = carry
        angle, length, radius, exists = draws
        next_top = jnp.clip(top + downwards * length * jnp.sin(angle), 0, height)
        next_left = jnp.clip(left + rightwards * length * jnp.cos(angle), 0, width)
        near = _distance_to_segment(y, x, top, left, next_top, next_left) <= radius
        return (next_top, next_left, gone | (near & exists)), None

    gone = jnp.zeros((*batch, height, width, 1), bool)
    count_key, mirror_key, *stroke_keys = jax.random.split(key, 2 + strokes)
    downwards, rightwards = jax.random.rademacher(mirror_key, (2, *column), image.dtype)
    count = jax.random.randint(count_key, column, 1, strokes + 1)
    for index, stroke_key in enumerate(stroke_keys):
        place, turn, stretch, breadth, number = jax.random.split(stroke_key, 5)
        start = jax.random.uniform(place, (2, *column), image.dtype)
        angles = jax.random.uniform(turn, (vertices, *column), image.dtype, -1, 1) * 2 * jnp.pi / 15 + 2 * jnp.pi / 5
        side = jnp.arange(vertices).reshape(-1, *(1 for _ in column))
        angles = jnp.where(side % 2 == 0, 2 * jnp.pi - angles, angles)
        lengths = jnp.clip(reach * (1 + 0.5 * jax.random.normal(stretch, angles.shape, image.dtype)), 0, 2 * reach)
        radius = jax.random.uniform(breadth, column, image.dtype, 6, 20) * scale * per_image(thickness, image)
        exists = (side < jax.random.randint(number, column, 4, vertices + 1)[None]) & (index < count)[None]
        draws = (angles, lengths, jnp.broadcast_to(radius, (vertices, *column)), exists)
        gone = jax.lax.scan(piece, (start[0] * height, start[1] * width, gone), draws)[0][2]
    return _without(image, gone)


@register({"lines": Count(0), "thickness": NON_NEGATIVE}, examples={"thickness": (1, 3, 8)})
def missing_lines(key: PRNGKeyArray, image: Image, *, lines: int = 5, thickness: Strength = 2.0) -> Observation:
    """Scratch straight lines across the image, from one random point of its border to another.

    Args:
        key: random key.
        image: ``[*batch, height, width, channel]`` in [0, 1].
        lines: number of lines.
        thickness: width of the lines in pixels, at least 0, a scalar or one per image.

    Returns:
        The image with holes, and the mask of known pixels ``[*batch, height, width, 1]``.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if the shapes do not fit.

    Reference:
        Bertalmio et al., Image inpainting, SIGGRAPH 2000 (scratched photographs).

    Example:
        >>> missing_lines(jax.random.key(0), jnp.ones((64, 64, 3))).condition.shape
        (64, 64, 1)
    """
    *batch, height, width, _ = image.shape
    radius = per_image(thickness, image) / 2
    y, x = _coordinates(image)
    gone = jnp.zeros((*batch, height, width, 1), bool)
    for line_key in jax.random.split(key, lines):
        along = jax.random.uniform(line_key, (3, *batch, 1, 1, 1), image.dtype)
        upright = along[2] < 0.5
        ends = [jnp.where(upright, 0, along[0] * height), jnp.where(upright, along[0] * width, 0)]
        ends += [jnp.where(upright, height, along[1] * height), jnp.where(upright, along[1] * width, width)]
        gone |= _distance_to_segment(y, x, *ends) <= radius
    return _without(image, gone)


@register({"margin": Range(0, 0.5)}, examples={"margin": (0.05, 0.1, 0.2)})
def missing_border(image: Image, *, margin: Strength) -> Observation:
    """Remove a frame at the border, to be painted outwards.

    Args:
        image: ``[*batch, height, width, channel]`` in [0, 1].
        margin: width of the frame as a share of the shorter side, in [0, 0.5], a scalar or one per image.

    Returns:
        The image without its border, and the mask of known pixels ``[*batch, height, width, 1]``.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if the shapes do not fit, or a strength lies outside its range.

    Reference:
        Sabini and Rusak, Painting outside the box: image outpainting with GANs, 2018.

    Example:
        >>> int(missing_border(jnp.ones((8, 8, 1)), margin=0.25).condition.sum())
        16
    """
    height, width = image.shape[-3:-1]
    pixels = jnp.round(per_image(margin, image) * min(height, width))
    y, x = _coordinates(image)
    inside = (y > pixels) & (y < height - pixels) & (x > pixels) & (x < width - pixels)
    return _without(image, jnp.broadcast_to(~inside, (*image.shape[:-1], 1)))


@register()
def missing_overlay(image: Image, *, mask: Float[Array | np.ndarray, "..."]) -> Observation:
    """Remove the pixels that a given mask marks, such as printed text.

    Args:
        image: ``[*batch, height, width, channel]`` in [0, 1].
        mask: 1 where known and 0 where covered, broadcast to ``[*batch, height, width, 1]``.

    Returns:
        The image with holes, and the mask of known pixels ``[*batch, height, width, 1]``.

    Raises:
        TypeError: if image or mask are not floating point.
        ValueError: if the shapes do not fit.

    Reference:
        Bertalmio et al., Image inpainting, SIGGRAPH 2000 (superimposed text).

    Example:
        >>> missing_overlay(jnp.ones((2, 2, 3)), mask=jnp.eye(2)[..., None]).image[..., 0].tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """
    mask = check_image(mask, "mask", exact=True)
    wanted = (*image.shape[:-1], 1)
    if any(m not in (1, w) for m, w in zip(mask.shape[::-1], wanted[::-1], strict=False)) or mask.ndim > image.ndim:
        raise ValueError(f"a mask of shape {mask.shape} does not fit an image of shape {image.shape}")
    mask = mask.reshape((1,) * (image.ndim - mask.ndim) + mask.shape)
    return _without(image, jnp.broadcast_to(mask <= 0.5, wanted))


@register(
    {"pattern": Choice(("RGGB", "BGGR", "GRBG", "GBRG"))}, examples={"pattern": ("RGGB", "BGGR", "GRBG")}, channels=(3,)
)
def bayer_mosaic(image: Image, *, pattern: str = "RGGB") -> Observation:
    """Keep one colour per pixel, as the filter array of a camera does.

    Args:
        image: ``[*batch, height, width, 3]`` in [0, 1].
        pattern: colours of the upper left 2 x 2 pixels, row by row: ``"RGGB"``, ``"BGGR"``, ``"GRBG"``, ``"GBRG"``.

    Returns:
        The image with the other two colours zero, and what is known of each channel ``[*batch, height, width, 3]``.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if the image is not RGB, or the pattern is unknown.

    Reference:
        Bayer, Color imaging array, US patent 3971065, 1976.

    Example:
        >>> bayer_mosaic(jnp.ones((2, 2, 3))).image.sum(-1).tolist()
        [[1.0, 1.0], [1.0, 1.0]]
    """
    y, x = _coordinates(image)
    wanted = jnp.array(["RGB".index(colour) for colour in pattern])[_phase(y) * 2 + _phase(x)]
    known = wanted == jnp.arange(3).reshape((1,) * (image.ndim - 1) + (3,))
    mask = jnp.broadcast_to(known, image.shape).astype(image.dtype)
    return Observation(image * mask, mask)


def _phase(centres: jax.Array) -> jax.Array:
    return centres.astype(jnp.int32) % 2


def _without(image: jax.Array, gone: jax.Array) -> Observation:
    mask = 1 - gone.astype(image.dtype)
    return Observation(image * mask, mask)


def _coordinates(image: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Centres of rows and columns, with the axes of the image: pixel 0 lies at 0.5."""
    *batch, height, width, _ = image.shape
    ones = (1,) * len(batch)
    y, x = (jnp.arange(size, dtype=image.dtype) + 0.5 for size in (height, width))
    return y.reshape(*ones, height, 1, 1), x.reshape(*ones, 1, width, 1)


def _distance_to_segment(y, x, top, left, bottom, right):
    """Distance of every pixel to the segment between two points."""
    down, across = bottom - top, right - left
    along = ((y - top) * down + (x - left) * across) / jnp.maximum(down**2 + across**2, 1e-6)
    along = jnp.clip(along, 0, 1)
    return jnp.sqrt((y - top - along * down) ** 2 + (x - left - along * across) ** 2)
