"""Restore arrays of any size, whole or in overlapping tiles if memory is short."""

import functools
import math
import operator
import os
import warnings
from collections.abc import Callable, Iterator
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from .buckets import pad_to_bucket
from .degrade.quantisation_intervals import JpegIntervals
from .tiling import GRID, OVERLAP, Window, in_tiles
from .types import (
    Array,
    ConditionLike,
    Image,
    check_condition,
    check_count,
    check_image,
    check_range,
)
from .zoo import Restorer, gray_twin

_ALWAYS_WHOLE = 2**20  # pixels that fit any memory
_TILE = 512  # for runtimes whose memory is not known
_LARGEST_BUDGET = 2 * 2**30  # bytes
_Values = Array | np.ndarray
_PROGRAMS = 32  # shapes whose compiled programs, about 10 MB each, stay in memory


def restore(
    restorer: Restorer,
    image: Image,
    condition: ConditionLike | None = None,
    *,
    tile: int | None = None,
    ensemble: bool = False,
    bucket: bool = False,
    consistent: JpegIntervals | None = None,
    progress: Callable[[float], None] | None = None,
) -> Array:
    """Restore an image and clip it to [0, 1].

    A gray restorer is applied to each colour channel separately. For a gray image (one channel, or equal ones), a
    colour restorer of the zoo leaves the work to the gray entry of the same architecture and task; without one, it
    warns, except if it fills missing pixels. Inside ``jit`` and ``vmap``, equal channels cannot be recognised. Large
    images are restored in blended tiles with an overlap of 64 pixels, so memory does not grow with the image.

    Args:
        restorer: from :func:`restorax.load`.
        image: ``[*batch, height, width, channel]``, floating point in [0, 1] (noise may exceed it);
            ``[*batch, frames, height, width, channel]`` for a burst restorer.
        condition: the condition on the restorer's card, in [0, 1]: a number, one number per image, or a map
            ``[height, width]`` or ``[*batch, height, width, 1]``, for example a boolean mask.
        tile: side of the tiles in pixels, rounded up to a multiple of 16. By default chosen from the free memory;
            images that fit, and all images inside ``jit`` or ``vmap``, are restored whole. A blur kernel is read from
            the whole image, whatever the tiles.
        ensemble: average over the eight flips and rotations of the image: slightly better, eight times slower.
        bucket: let images of many sizes share a few compiled programs: convolutional networks compute in the next
            larger of a few sides (``restorax.buckets``), with the same result to rounding. Other networks,
            and calls inside ``jit`` or ``vmap``, keep the size.
        consistent: intervals that the quantisation of the JPEG file of the image leaves
            (:func:`restorax.solvers.read_intervals`), into which the result is moved.
        progress: called after every tile with the fraction done.

    Returns:
        Restored image of the same shape and type, without the frame axis for a burst.

    Raises:
        TypeError: if image or condition are not floating point.
        ValueError: if the image contains NaN or infinity, or more than half of its values are above 2 (probably
            8-bit values), or it has an alpha channel; if values of the condition are not in [0, 1]; if shapes do not
            match the restorer; if ``tile`` is not an integer, too small, or given inside ``jit`` or ``vmap``.

    Example:
        >>> import restorax
        >>> restore(restorax.load("resunet_s-gray-noise"), jnp.full((20, 30, 1), 0.5)).shape
        (20, 30, 1)
    """
    if consistent is not None:
        consistent.check(np.shape(image))
        restored = restore(restorer, image, condition, tile=tile, ensemble=ensemble, bucket=bucket, progress=progress)
        return jnp.clip(_move_into(consistent, restored), 0, 1)
    if ensemble:
        outputs = dihedral_outputs(restorer, image, condition, tile=tile, bucket=bucket, progress=progress)
        return _on_device((functools.reduce(operator.add, outputs) / 8).astype(_on_device(image).dtype))
    return _on_device(_restore(restorer, *_checked(restorer, image, condition, tile), tile, bucket, progress))


@jax.jit
def _move_into(intervals: JpegIntervals, image: Array) -> Array:
    return intervals.project(image)


def _library(image: Image) -> Any:
    """Return the library of an array. On NumPy's, operations around the network compile nothing for every size."""
    return np if isinstance(image, np.ndarray) else jnp


def _on_device(x: Any) -> Any:
    """Transfer a NumPy array; ``jnp.asarray`` would compile a program for every size."""
    return jax.device_put(x) if isinstance(x, np.ndarray) else jnp.asarray(x)


def _is_gray(image: Image) -> bool:
    """Tell whether an image has one channel, or equal ones that are not flat; traced arrays have no values."""
    if image.shape[-1] == 1 or isinstance(image, Tracer):
        return image.shape[-1] == 1
    return bool((image == image[..., :1]).all() & (image != image[(0,) * image.ndim]).any())


def describe_fit(restorer: Restorer, image: Image) -> str:
    """Say in a phrase what a restorer does with an image beyond its training, or return an empty string.

    Args:
        restorer: from :func:`restorax.load`.
        image: ``[height, width, channel]``.

    Returns:
        A phrase without the name of the image.

    Example:
        >>> from restorax import zoo
        >>> describe_fit(zoo.load("resunet_s-color-noise"), jnp.zeros((8, 8, 1)))
        'gray; restored by resunet_s-gray-noise'
    """
    name = restorer.card.name
    if restorer.model.channels == 3 and _is_gray(image):
        twin = gray_twin(restorer)
        if twin:
            return f"gray; restored by {twin.card.name}"
        if not restorer.model.fills_holes:
            return f"gray, but {name} was trained on colour images"
    if restorer.model.has_context:
        sure = float(_read_context(restorer, image)[1].min())
        if sure < 1:
            return f"no blur that can be read; {name} changes it only by {sure:.0%}"
    if restorer.model.channels == 1 and image.shape[-1] == 3:
        return f"colour; {name} restores each channel separately"
    return ""


def _for_gray(restorer: Restorer, image: _Values) -> tuple[Restorer, _Values]:
    """Return the restorer to use for a gray image, and the image with its channels."""
    twin = gray_twin(restorer)
    if twin is not None:
        return twin.replace(runtime=restorer.runtime), image[..., :1]
    if not restorer.model.fills_holes:
        warnings.warn(
            f"the image is gray and {restorer.card.name} was trained on colour images; the result may be poor",
            stacklevel=4,
        )
    return restorer, _library(image).broadcast_to(image, (*image.shape[:-1], 3))


def _restore(
    restorer: Restorer,
    image: _Values,
    condition: _Values | None,
    tile: int | None,
    bucket: bool,
    progress: Callable[[float], None] | None,
) -> _Values:
    """Restore checked inputs."""
    xp = _library(image)
    channels, gray = image.shape[-1], restorer.model.channels == 3 and _is_gray(image)
    if gray:  # equal noise in all channels would look like detail
        restorer, image = _for_gray(restorer, image)
    context = _read_context(restorer, image) if restorer.model.has_context else ()
    if restorer.card.channels == 1 and image.shape[-1] > 1:
        separate = xp.moveaxis(image, -1, 0)[..., None]
        maps = None if condition is None else xp.broadcast_to(condition, (*separate.shape[:-1], 1))
        context = tuple(jnp.concatenate([part] * image.shape[-1]) for part in context)
        restored = _restore_in_tiles(restorer, separate, maps, context, tile, bucket, progress)
        restored = xp.moveaxis(restored[..., 0], 0, -1)
    else:
        restored = _restore_in_tiles(restorer, image, condition, context, tile, bucket, progress)
    return xp.broadcast_to(restored.mean(-1, keepdims=True), (*restored.shape[:-1], channels)) if gray else restored


def _restore_in_tiles(
    restorer: Restorer,
    image: _Values,
    condition: _Values | None,
    context: tuple[Array, ...],
    tile: int | None,
    bucket: bool,
    progress: Callable[[float], None] | None,
) -> _Values:
    """Restore an image with the channels of the restorer, whole if it fits."""
    height, width = image.shape[-3:-1]
    traced = any(isinstance(x, Tracer) for x in jax.tree.leaves((restorer, image, condition)))
    side = tile or (None if traced else _tile_side(restorer, image))
    if side is None or side >= max(height, width):
        return _run(restorer, image, condition, context, bucket and not traced)
    if traced:
        raise ValueError("tiles are restored sequentially, which jit and vmap do not support; omit `tile` there")
    on_grid, mask = np.asarray(_to_grid(image)), None if condition is None else np.asarray(_to_grid(condition))

    def run(window: Window) -> np.ndarray:
        here = (..., *window, slice(None))
        return np.asarray(_run(restorer, on_grid[here], None if mask is None else mask[here], context, bucket))

    restored = in_tiles((on_grid.shape[-3], on_grid.shape[-2]), side, run, progress)
    return _library(image).asarray(restored[..., :height, :width, :], image.dtype)


def _checked(
    restorer: Restorer, image: Image, condition: ConditionLike | None, tile: int | None
) -> tuple[_Values, _Values | None]:
    """Check image, condition and tile; return the arrays. Traced arrays have no values to check."""
    xp = _library(image)
    image = xp.asarray(check_image(_on_device(image)))
    if restorer.model.channels == 1 and image.shape[-1] in (2, 4):
        raise ValueError(f"`image` must have 1 or 3 channels, got {image.shape[-1]}; pass it without its alpha channel")
    finite, most_above = xp.isfinite(image).all(), xp.count_nonzero(image > 2) > image.size // 2
    if not isinstance(finite, Tracer):
        if not finite:
            raise ValueError("`image` must be finite, got NaN or infinity")
        # Single-photon detections exceed 2, but never in most pixels.
        if most_above:
            raise ValueError("`image` must be in [0, 1], got mostly values above 2; divide 8-bit values by 255")
    check_tile(tile)
    if condition is None:
        return image, None
    checked = xp.asarray(check_condition(condition, image, mask=restorer.model.fills_holes))
    check_range(checked, "condition", 0, 1)
    return image, checked


def check_tile(tile: int | None) -> None:
    """Check the side of tiles in pixels; ``None`` leaves the choice to :func:`restore`.

    Raises:
        ValueError: if it is not an integer, or not larger than twice the overlap.
    """
    if tile is None:
        return
    check_count(tile, "tile")
    if tile <= 2 * OVERLAP:
        raise ValueError(f"`tile` must be at least {2 * OVERLAP + 1} (tiles overlap by {OVERLAP}), got {tile}")


def _run(
    restorer: Restorer, image: _Values, condition: _Values | None, context: tuple[Array, ...], bucket: bool
) -> _Values:
    """Restore an image or a tile whole, in the library of the image."""
    model, xp = restorer.model, _library(image)
    if restorer.runtime is not None:
        return xp.asarray(restorer.runtime(restorer, *jax.tree.map(np.asarray, (image, condition, context))))
    if not (bucket and model.can_be_padded):
        return xp.asarray(_program(np.shape(image))(restorer, image, condition, context))
    height, width = image.shape[-3:-1]
    padded, sides = pad_to_bucket(np.asarray(image), model.multiple)
    maps = None if condition is None else pad_to_bucket(np.asarray(condition), model.multiple)[0]
    restored = np.asarray(_program(padded.shape, padded=True)(restorer, padded, maps, np.asarray([sides], np.int32)))
    return xp.asarray(restored[..., :height, :width, :])


@functools.lru_cache(maxsize=_PROGRAMS)
def _program(shape: tuple[int, ...], padded: bool = False) -> Callable[..., Array]:
    """Return a compiled function for images of one shape; its programs leave memory with it."""
    return jax.jit(functools.partial(_apply_padded if padded else _apply))


def _apply_padded(restorer: Restorer, image: Array, condition: Array | None, sides: Array) -> Array:
    return jnp.clip(restorer.model.run_padded(restorer.params, image, condition, sides), 0, 1)


def _apply(restorer: Restorer, image: Array, condition: Array | None, context: tuple[Array, ...] = ()) -> Array:
    return jnp.clip(restorer.model.run(restorer.params, image, condition, context), 0, 1)


def _read_context(restorer: Restorer, image: Image) -> tuple[Array, ...]:
    return _context_program(np.shape(image))(restorer, image)


@functools.lru_cache(maxsize=_PROGRAMS)
def _context_program(shape: tuple[int, ...]) -> Callable[..., tuple[Array, ...]]:
    def read(restorer: Restorer, image: Array) -> tuple[Array, ...]:
        context = restorer.model.apply({"params": restorer.params}, image, method="read_context")
        return cast(tuple[Array, ...], context)

    return jax.jit(read)


def dihedral_outputs(
    restorer: Restorer,
    image: Image,
    condition: ConditionLike | None = None,
    *,
    tile: int | None = None,
    bucket: bool = False,
    progress: Callable[[float], None] | None = None,
) -> Iterator[_Values]:
    """Restore an image under each of the eight flips and rotations (dihedral group).

    Args:
        restorer: from :func:`restorax.load`.
        image: ``[*batch, height, width, channel]``.
        condition: as in :func:`restore`.
        tile: side of the tiles.
        bucket: as in :func:`restore`.
        progress: called with the fraction done.

    Yields:
        Eight restored images, transformed back, float32, computed lazily.

    Raises:
        TypeError: as :func:`restore`.
        ValueError: as :func:`restore`.

    Reference:
        Timofte et al., Seven ways to improve example-based single image super resolution, CVPR 2016.
    """
    image, condition = _checked(restorer, image, condition, tile)
    (height, width), xp = image.shape[-3:-1], _library(image)
    # Flips keep the JPEG block grid aligned only if both sides are multiples of the block.
    image, condition = _to_grid(image), None if condition is None else _to_grid(condition)
    for i in range(8):
        transform = lambda x, i=i: xp.rot90(x[..., ::-1, :] if i >= 4 else x, i % 4, axes=(-3, -2))  # noqa: E731
        part = None if progress is None else lambda done, i=i: progress((i + done) / 8)
        turned = None if condition is None else transform(condition)
        back = xp.rot90(_restore(restorer, transform(image), turned, tile, bucket, part), -i % 4, axes=(-3, -2))
        yield (back[..., ::-1, :] if i >= 4 else back)[..., :height, :width, :].astype(jnp.float32)


def _tile_side(restorer: Restorer, image: Image) -> int | None:
    """Return the side of tiles that fit the free memory, or ``None`` if the whole image fits."""
    pixels = math.prod(image.shape[:-1])
    if pixels <= _ALWAYS_WHOLE:
        return None
    if restorer.runtime is not None:
        return _TILE
    probe = jax.ShapeDtypeStruct((*image.shape[:-3], 256, 256, restorer.card.channels), image.dtype)
    channels = restorer.model.condition.channels
    probe_condition = jax.ShapeDtypeStruct((*probe.shape[:-1], channels), image.dtype) if channels else None
    memory = jax.jit(_apply).lower(restorer, probe, probe_condition).compile().memory_analysis()
    per_pixel = max(memory.temp_size_in_bytes if memory else 0, 1) / math.prod(probe.shape[:-1])
    affordable = min(_LARGEST_BUDGET, _free_memory() / 2) / per_pixel
    if pixels <= affordable:
        return None
    per_image = affordable / math.prod(image.shape[:-3])
    return int(np.clip(math.isqrt(int(per_image)) // 64 * 64, 256, 1024))


def _free_memory() -> float:
    """Estimate the free memory of the default device in bytes."""
    device = jax.devices()[0]
    stats = device.memory_stats() if device.platform != "cpu" else None
    if stats and "bytes_limit" in stats:
        return stats["bytes_limit"] - stats.get("bytes_in_use", 0)
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):  # not available on macOS and Windows
        return 2 * _LARGEST_BUDGET


def _to_grid(x: _Values) -> _Values:
    """Pad an image by reflection until both sides are multiples of the grid."""
    pads = [(0, 0)] * (x.ndim - 3) + [(0, -x.shape[-3] % GRID), (0, -x.shape[-2] % GRID), (0, 0)]
    return _library(x).pad(x, pads, mode="reflect") if any(after for _, after in pads) else x
