"""Image files restored with a known degradation."""

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from ..degrade import Chain, Expression, Op, missing_overlay
from ..files.frames import check_target, read_frames, write_frames
from ..files.mask import read_mask
from .blind import deblur
from .observation import read_intervals
from .plug_and_play import solve


def solve_file(
    source: str | os.PathLike,
    target: str | os.PathLike,
    degradation: Expression | None = None,
    *,
    noise: float | None = None,
    mask: str | os.PathLike | None = None,
    mask_marks: str | None = None,
    jpeg: bool = False,
    blind: bool = False,
    value_range: tuple[float, float] | None = None,
    max_pixels: int | None = None,
    quality: int | None = None,
    progress: Callable[[float], None] | None = None,
    **options: Any,
) -> None:
    """Restore an image file, each of its frames or pages, with a known degradation; all else it holds is preserved.

    Args:
        source: image file to restore.
        target: image file to write.
        degradation: what is known besides the mask.
        noise: standard deviation of the noise in [0, 1].
        mask: image file, white where pixels are known; filled pixels become opaque.
        mask_marks: what white in the mask marks, as in :func:`restorax.files.mask.read_mask`.
        jpeg: ``source`` is a JPEG file, and its quantisation is the degradation.
        blind: estimate the blur kernel from the image.
        value_range: stored values of black and white, as in :func:`restorax.files.image.read`.
        max_pixels: largest number of pixels to read.
        quality: quality of a lossy output.
        progress: called with the fraction done.
        **options: other arguments of :func:`restorax.solve`.

    Raises:
        FileNotFoundError: if a file does not exist.
        ValueError: if nothing is known, or known twice; as :func:`restorax.solve` and
            :func:`restorax.pictures.restore_file`.
    """
    known = sum((degradation is not None or mask is not None, jpeg, blind))
    if known != 1:
        raise ValueError("give a degradation or a mask, or that of a JPEG file, or a blur that is to be estimated")
    intervals = read_intervals(source) if jpeg else None
    frames, restored = read_frames(source, value_range=value_range, max_pixels=max_pixels), []
    check_target(target, frames)
    for index, picture in enumerate(frames.pictures):
        options["progress"] = progress and (lambda share, index=index: progress((index + share) / len(frames.pictures)))
        if intervals is not None:
            intervals.check_decoded(picture.pixels)
            pixels = solve(intervals, picture.pixels, noise=noise, **options)
        elif blind:
            if noise is None:
                raise ValueError("`noise`, the standard deviation of the noise in [0, 1], is required; 0 for none")
            pixels, _ = deblur(picture.pixels, noise=noise, **options)
        else:
            parts = [] if degradation is None else [degradation]
            if mask is not None:
                values = read_mask(mask, mask_marks, picture)
                parts.append(Op(missing_overlay, mask=values))
                if picture.alpha is not None:
                    picture = replace(picture, alpha=np.maximum(picture.alpha, 1 - values))
            pixels = solve(Chain(*parts), picture.pixels, noise=noise, **options)
        restored.append(picture.with_pixels(np.asarray(pixels)))
    write_frames(target, replace(frames, pictures=restored), quality=quality)
