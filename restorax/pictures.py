"""Restore image files, with all else that they hold."""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from jax.typing import ArrayLike

from .degrade.quantisation_intervals import JpegIntervals
from .files.frames import check_target, read_frames, write_frames
from .files.jpeg import read_planes
from .files.mask import read_mask
from .inference import check_tile, restore
from .types import Condition, Image
from .zoo import Restorer


def check_file_options(
    restorer: Restorer,
    *,
    has_mask: bool,
    strength: float | Callable[[Image], float] | None = None,
    tile: int | None = None,
) -> None:
    """Check the options of :func:`restore_file` that do not depend on the file.

    Raises:
        ValueError: if mask or strength is missing, unexpected or out of range, or ``tile`` is too small.
    """
    name, condition, required = restorer.card.name, restorer.model.condition, restorer.model.required_condition
    if required.channels and not has_mask and strength is None:
        option = "mask" if required is Condition.MASK else "strength"
        raise ValueError(f"{name} requires a {option} ({required.description})")
    if has_mask and condition is not Condition.MASK:
        raise ValueError(f"{name} takes no mask")
    if strength is not None and condition in (Condition.NONE, Condition.MASK):
        raise ValueError(f"{name} takes no strength")
    if isinstance(strength, float | int) and not 0 <= strength <= 1:
        raise ValueError(f"`strength` must be in [0, 1], got {strength}; divide by 255 for 8-bit units")
    check_tile(tile)


def restore_file(
    restorer: Restorer,
    source: str | os.PathLike,
    target: str | os.PathLike,
    *,
    mask: str | os.PathLike | None = None,
    mask_marks: str | None = None,
    strength: float | Callable[[Image], float] | None = None,
    value_range: tuple[float, float] | None = None,
    max_pixels: int | None = None,
    quality: int | None = None,
    consistent: bool = False,
    progress: Callable[[float], None] | None = None,
    apply: Callable[..., ArrayLike] = restore,
    **options: Any,
) -> None:
    """Restore an image file, every frame of an animation or every page; all else that the file holds is preserved.

    Args:
        restorer: from :func:`restorax.load`.
        source: image file to restore.
        target: image file to write.
        mask: image file, white where pixels are known, for inpainting restorers; filled pixels become opaque.
        mask_marks: what white in the mask marks, as in :func:`restorax.files.mask.read_mask`.
        strength: constant value of any other condition map, in [0, 1], e.g. the noise level; or a function that
            measures it in each image, such as :func:`restorax.diagnosis.measure_noise_level`.
        value_range: stored values of black and white, as in :func:`restorax.files.image.read`.
        max_pixels: largest number of pixels to read, as in :func:`restorax.files.image.read`.
        quality: quality of a lossy output, as in :func:`restorax.files.image.write`.
        consistent: move the result into the intervals that the quantisation of ``source``, a JPEG file, leaves.
        progress: called with the fraction done.
        apply: function to use instead of :func:`restorax.restore`, with the same arguments.
        **options: ``tile``, ``ensemble`` and ``bucket`` of :func:`restorax.restore`.

    Raises:
        FileNotFoundError: if a file does not exist.
        ValueError: if a file is not an image or of a kind that is not supported; if mask or strength is missing,
            unexpected, or of another size or range; if the mask is refused by :func:`restorax.files.mask.read_mask`; if
            the target does not hold several frames.
    """
    check_file_options(restorer, has_mask=mask is not None, strength=strength)
    intervals = JpegIntervals.of(read_planes(source)) if consistent else None
    frames, restored = read_frames(source, value_range=value_range, max_pixels=max_pixels), []
    check_target(target, frames)
    for index, picture in enumerate(frames.pictures):
        values = None
        if mask is not None:
            values = read_mask(mask, mask_marks, picture)
            if picture.alpha is not None:
                picture = replace(picture, alpha=np.maximum(picture.alpha, 1 - values))
        if strength is not None:
            level = strength(picture.pixels) if callable(strength) else strength
            values = np.full((*picture.pixels.shape[:2], 1), level, np.float32)
        part = progress and (lambda share, index=index: progress((index + share) / len(frames.pictures)))
        if intervals is not None:
            intervals.check_decoded(picture.pixels)
            options["consistent"] = intervals
        pixels = np.asarray(apply(restorer, picture.pixels, values, progress=part, **options))
        restored.append(picture.with_pixels(pixels))
    write_frames(target, replace(frames, pictures=restored), quality=quality)
