"""Restoring pictures of any size: one compiled function, in overlapping tiles where memory asks for it."""

import functools
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from .types import Array, Condition, ConditionMap, Image, check_count, check_image, check_range
from .zoo import Restorer

OVERLAP = 64
_GRID = 16  # tiles start at multiples of this, so that networks see the same coarse grid as in the whole image
_WHOLE_WITHOUT_ASKING = 2**20  # pixels that fit anywhere
_LARGEST_BUDGET = 2 * 2**30  # bytes


def restore(
    restorer: Restorer,
    image: Image,
    condition: ConditionMap | None = None,
    *,
    tile: int | None = None,
    ensemble: bool = False,
    progress: Callable[[float], None] | None = None,
) -> Array:
    """Restore an image and clip it to [0, 1].

    A gray restorer is applied to each colour channel by itself. Large images are restored in tiles that overlap by
    64 pixels and are blended there, so that the memory needed does not grow with the image.

    Args:
        restorer: from :func:`restorax.load`.
        image: ``[*batch, height, width, channel]``, floating point in [0, 1] (noise may exceed it);
            ``[*batch, frames, height, width, channel]`` for a restorer of bursts.
        condition: what the restorer's card asks for, ``[*batch, height, width, k]`` in [0, 1].
        tile: side of the tiles in pixels, rounded up to a multiple of 16; by default chosen from the free memory,
            whole images where they fit, and inside of ``jit`` or ``vmap`` always. A restorer that reads the blur off
            the image reads it off each tile, and off tiles below 256 pixels badly.
        ensemble: average over the eight flips and quarter turns of the image: a little better, eight times slower.
        progress: called with the share done after every tile.

    Returns:
        Restored image of the same shape and type; without the axis of frames for a restorer of bursts.

    Raises:
        TypeError: if image or condition are not floating point.
        ValueError: if the image holds NaN or infinity, or more than half of its values are above 2, as in one of 0 to
            255; if values of the condition are not in [0, 1]; if shapes do not fit the restorer; if ``tile`` is not a
            whole number or too small, or is given inside of ``jit`` or ``vmap``.

    Example:
        >>> import restorax
        >>> restore(restorax.load("resunet_s-gray-noise"), jnp.full((20, 30, 1), 0.5)).shape
        (20, 30, 1)
    """
    if ensemble:
        outputs = dihedral_outputs(restorer, image, condition, tile=tile, progress=progress)
        return (functools.reduce(jnp.add, outputs) / 8).astype(jnp.asarray(image).dtype)
    return _restore(restorer, *_checked(image, condition, tile), tile, progress)


def _restore(
    restorer: Restorer,
    image: Array,
    condition: Array | None,
    tile: int | None,
    progress: Callable[[float], None] | None,
) -> Array:
    """Restore what has been checked."""
    if restorer.card.channels == 1 and image.shape[-1] > 1:
        separate = jnp.moveaxis(image, -1, 0)[..., None]
        maps = None if condition is None else jnp.broadcast_to(condition, (*separate.shape[:-1], condition.shape[-1]))
        restored = _restore(restorer, separate, maps, tile, progress)
        return jnp.moveaxis(restored[..., 0], 0, -1)

    height, width = image.shape[-3:-1]
    traced = any(isinstance(x, Tracer) for x in jax.tree.leaves((restorer, image, condition)))
    side = tile or (None if traced else _tile_side(restorer, image))
    if side is None or side >= max(height, width):
        return _apply(restorer, image, condition)
    if traced:
        raise ValueError("tiles are restored one after the other, which jit and vmap cannot do; omit `tile` there")
    on_grid, mask = np.asarray(_to_grid(image)), None if condition is None else np.asarray(_to_grid(condition))
    restored = _restore_tiles(restorer, on_grid, mask, side, progress)
    return jnp.asarray(restored[..., :height, :width, :], image.dtype)


def _checked(image: Image, condition: ConditionMap | None, tile: int | None) -> tuple[Array, Array | None]:
    """Image and condition as arrays, or what is wrong with them; what is traced has no values to check."""
    image = check_image(image)
    finite, most_above = jnp.isfinite(image).all(), jnp.count_nonzero(image > 2) > image.size // 2
    if not isinstance(finite, Tracer):
        if not finite:
            raise ValueError("the image holds NaN or infinity; only finite values can be restored")
        # Single photons go far above 1, but never most of the values.
        if most_above:
            raise ValueError("most values of the image are above 2; [0, 1] is needed (divide 8-bit values by 255)")
    if tile is not None:
        check_count(tile, "tile")
        if tile <= 2 * OVERLAP:
            raise ValueError(
                f"tiles of {tile} pixels are too small; they overlap by {OVERLAP}, so take at least {2 * OVERLAP + 1}"
            )
    if condition is None:
        return image, None
    known = check_image(condition, "condition")
    check_range(condition, "condition", 0, 1)
    if known.shape[-3:-1] != image.shape[-3:-1]:
        raise ValueError(f"the condition has {known.shape[-3:-1]} pixels and the image {image.shape[-3:-1]}")
    return image, known


@jax.jit
def _apply(restorer: Restorer, image: Array, condition: Array | None) -> Array:
    return jnp.clip(restorer(image, condition), 0, 1)


def dihedral_outputs(
    restorer: Restorer,
    image: Image,
    condition: ConditionMap | None = None,
    *,
    tile: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> Iterator[Array]:
    """Restore an image by way of each of the eight symmetries of the square.

    Args:
        restorer: as for :func:`restore`, like what follows.
        image: ``[*batch, height, width, channel]``.
        condition: ``[*batch, height, width, k]``.
        tile: side of the tiles.
        progress: called with the share done.

    Yields:
        Eight restored images, turned back and float32, each before the next is computed.

    Raises:
        TypeError: as :func:`restore`.
        ValueError: as :func:`restore`.

    Reference:
        Timofte et al., Seven ways to improve example-based single image super resolution, CVPR 2016.
    """
    image, condition = _checked(image, condition, tile)
    height, width = image.shape[-3:-1]
    # The blocks of JPEG stay where they were only if both sides are whole numbers of them.
    image, condition = _to_grid(image), None if condition is None else _to_grid(condition)
    for i in range(8):
        turn = lambda x, i=i: jnp.rot90(x[..., ::-1, :] if i >= 4 else x, i % 4, axes=(-3, -2))  # noqa: E731
        part = None if progress is None else lambda share, i=i: progress((i + share) / 8)
        known = None if condition is None else turn(condition)
        back = jnp.rot90(_restore(restorer, turn(image), known, tile, part), -i % 4, axes=(-3, -2))
        yield (back[..., ::-1, :] if i >= 4 else back)[..., :height, :width, :].astype(jnp.float32)


def _tile_side(restorer: Restorer, image: Array) -> int | None:
    """Side of the tiles that fit the memory at hand; ``None`` if the whole image does."""
    pixels = math.prod(image.shape[:-1])
    if pixels <= _WHOLE_WITHOUT_ASKING:
        return None
    probe = jax.ShapeDtypeStruct((*image.shape[:-3], 256, 256, restorer.card.channels), image.dtype)
    channels = restorer.model.condition.channels
    known = jax.ShapeDtypeStruct((*probe.shape[:-1], channels), image.dtype) if channels else None
    memory = _apply.lower(restorer, probe, known).compile().memory_analysis()
    per_pixel = max(memory.temp_size_in_bytes if memory else 0, 1) / math.prod(probe.shape[:-1])
    affordable = min(_LARGEST_BUDGET, _free_memory() / 2) / per_pixel
    if pixels <= affordable:
        return None
    per_image = affordable / math.prod(image.shape[:-3])
    return int(np.clip(math.isqrt(int(per_image)) // 64 * 64, 256, 1024))


def _free_memory() -> float:
    """Bytes that the default device could still give."""
    device = jax.devices()[0]
    stats = device.memory_stats() if device.platform != "cpu" else None
    if stats and "bytes_limit" in stats:
        return stats["bytes_limit"] - stats.get("bytes_in_use", 0)
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # neither macOS nor Windows says it so
        return 2 * _LARGEST_BUDGET


def _restore_tiles(
    restorer: Restorer,
    image: np.ndarray,
    condition: np.ndarray | None,
    side: int,
    progress: Callable[[float], None] | None,
) -> np.ndarray:
    (rows, side_y), (columns, side_x) = (_tiles(length, side) for length in image.shape[-3:-1])
    window = _ramp(side_y)[:, None, None] * _ramp(side_x)[None, :, None]
    total, weight = np.zeros(()), np.zeros((*image.shape[-3:-1], 1), np.float32)
    places = [(y, x) for y in rows for x in columns]
    for done, (top, left) in enumerate(places):
        here = (..., slice(top, top + side_y), slice(left, left + side_x), slice(None))
        restored = np.asarray(_apply(restorer, image[here], None if condition is None else condition[here]))
        if total.ndim == 0:  # a burst has lost its axis of frames
            total = np.zeros((*restored.shape[:-3], *image.shape[-3:]), np.float32)
        total[here] += window * restored
        weight[here] += window
        if progress:
            progress((done + 1) / len(places))
    return total / weight


def _to_grid(x: Array) -> Array:
    """Reflect the image at its end until both sides are multiples of the grid."""
    pads = [(0, 0)] * (x.ndim - 3) + [(0, -x.shape[-3] % _GRID), (0, -x.shape[-2] % _GRID), (0, 0)]
    return jnp.pad(x, pads, mode="reflect") if any(after for _, after in pads) else x


def _tiles(length: int, side: int) -> tuple[list[int], int]:
    """First pixels of evenly spread tiles on the grid, overlapping by about ``OVERLAP``, and their common side."""
    side = min(side + -side % _GRID, length)
    count = math.ceil((length - OVERLAP) / (side - OVERLAP)) if side < length else 1
    return [round(i * (length - side) / max(count - 1, 1) / _GRID) * _GRID for i in range(count)], side


def _ramp(side: int) -> np.ndarray:
    """Weight of a tile's pixels along one axis: falls smoothly towards both ends over ``OVERLAP`` pixels."""
    distance = np.minimum(np.arange(side), np.arange(side)[::-1]) + 0.5
    return (np.sin(np.pi / 2 * np.minimum(distance / OVERLAP, 1)) ** 2 + 1e-4).astype(np.float32)


def restore_file(
    restorer: Restorer,
    source: str | os.PathLike,
    target: str | os.PathLike,
    *,
    mask: str | os.PathLike | None = None,
    strength: float | None = None,
    **options: Any,
) -> None:
    """Restore a picture file; alpha, bit depth and gray stay as they are.

    Args:
        restorer: from :func:`restorax.load`.
        source: picture to restore.
        target: picture to write.
        mask: picture that is white where pixels are known, for restorers of missing pixels.
        strength: one value for the whole condition map of a restorer that takes another one, e.g. the noise level.
        **options: ``tile``, ``ensemble`` and ``progress`` of :func:`restore`.

    Raises:
        FileNotFoundError: if a file does not exist.
        ValueError: if a file is not a picture, or mask or strength are missing, unwanted or of another size.
    """
    from . import image

    name, condition, required = restorer.card.name, restorer.model.condition, restorer.model.required_condition
    if required.channels and mask is None and strength is None:
        option = "mask" if required is Condition.MASK else "strength"
        raise ValueError(f"{name} requires a {option} ({required.description})")
    if mask is not None and condition is not Condition.MASK:
        raise ValueError(f"{name} takes no mask")
    if strength is not None and condition in (Condition.NONE, Condition.MASK):
        raise ValueError(f"{name} takes no strength")
    if strength is not None and not 0 <= strength <= 1:
        raise ValueError(f"strength is {strength}; values from 0 to 1 are accepted (25 / 255 for sigma 25)")
    picture = image.read(source)
    known = None
    if mask is not None:
        known = (image.to_channels(image.read(mask).pixels, 1) > 0.5).astype(np.float32)
        if known.shape[:2] != picture.pixels.shape[:2]:
            raise ValueError(f"{mask} is {known.shape[:2]} pixels and {source} is {picture.pixels.shape[:2]}")
    if strength is not None:
        known = np.full((*picture.pixels.shape[:2], 1), strength, np.float32)
    gray = picture.pixels.shape[2] == 1
    pixels = picture.pixels
    if gray and restorer.card.channels == 3:
        pixels = image.to_channels(pixels, 3)
    restored = np.asarray(restore(restorer, pixels, known, **options))
    if gray:
        restored = restored.mean(-1, keepdims=True)
    image.write(Path(target), picture.with_pixels(restored))
