"""Restore an image with the entries that its diagnosis suggests."""

import dataclasses
import functools
import os
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .. import inference, zoo
from ..degrade import parse
from ..degrade.quantisation_intervals import JpegIntervals
from ..types import Array, Condition, ConditionLike, Image, check_image, check_range
from .choice import CLOSE, Choice, choose
from .damages import without
from .examination import cut_crops, diagnose
from .findings import Diagnosis

_TRIED = 2  # close choices that are run on crops


class Outcome(NamedTuple):
    """A restored image, and why.

    Attributes:
        image: restored image, of the shape and type of the input.
        diagnosis: damages of the input.
        choice: the entries that restored it.
    """

    image: Array
    diagnosis: Diagnosis
    choice: Choice


def restore_automatically(
    image: Image,
    *,
    file: str | os.PathLike | None = None,
    amount: float = 1.0,
    force: bool = False,
    tile: int | None = None,
    ensemble: bool = False,
    apply: Callable[..., Array | np.ndarray] = inference.restore,
    progress: Callable[[float], None] | None = None,
) -> Outcome:
    """Diagnose an image, choose entries and restore it with them; leave it alone where none is known to help.

    Noise levels, JPEG qualities and masks of missing pixels are passed on to entries that take them.

    Args:
        image: ``[height, width, 1 or 3]`` in [0, 1].
        file: the file that it was read from, as for :func:`restorax.diagnose`.
        amount: share of the restored image in the result, in [0, 1]; the rest is the input.
        force: restore with the best entry even where leaving the image alone is the best choice.
        tile: side of the tiles, as for :func:`restorax.restore`.
        ensemble: average over flips and rotations.
        apply: restores an image with an entry, as :func:`restorax.inference.restore` does.
        progress: called with the fraction done.

    Returns:
        The result.

    Raises:
        TypeError: if the image is not floating point.
        ValueError: if it is not one image, is not finite, or ``amount`` is not in [0, 1].

    Example:
        >>> outcome = restore_automatically(jnp.full((8, 8, 3), 0.5))
        >>> outcome.choice.entries, float(outcome.image[0, 0, 0])
        ((), 0.5)
    """
    check_range(amount, "amount", 0, 1)
    image = check_image(image)
    diagnosis = diagnose(image, file=file)
    choice = select(image, diagnosis, force=force)
    restored: Any = image
    for number, name in enumerate(choice.entries):
        part = None if progress is None else lambda done, n=number: progress((n + done) / len(choice.entries))
        options: dict[str, Any] = {"tile": tile, "ensemble": ensemble, "progress": part}
        restored = apply_entry(name, restored, diagnosis, apply=apply, **options)
    if choice.entries and amount < 1:
        restored = amount * restored + (1 - amount) * np.clip(np.asarray(image), 0, 1)
    return Outcome(jax.device_put(restored), diagnosis, choice)


def restore(
    restorer: zoo.Restorer | Image,
    image: Image | None = None,
    condition: ConditionLike | None = None,
    *,
    tile: int | None = None,
    ensemble: bool = False,
    consistent: JpegIntervals | None = None,
    progress: Callable[[float], None] | None = None,
) -> Array:
    """Restore an image with a restorer, or, without one, with those that its diagnosis suggests.

    ``restore(restorer, image)`` is :func:`restorax.inference.restore`, and ``restore(image)`` returns the image of
    :func:`restorax.diagnosis.restore_automatically`, which leaves alone what no entry is known to help.

    Args:
        restorer: from :func:`restorax.load`; omitted to diagnose the image.
        image: ``[*batch, height, width, channel]``, floating point in [0, 1], as for
            :func:`restorax.inference.restore`; without a restorer, one image ``[height, width, 1 or 3]``.
        condition: the condition on the restorer's card.
        tile: side of the tiles in pixels.
        ensemble: average over the eight flips and rotations of the image.
        consistent: intervals that the quantisation of the JPEG file of the image leaves
            (:func:`restorax.solvers.read_intervals`), into which the result is moved.
        progress: called after every tile with the fraction done.

    Returns:
        Restored image in [0, 1] of the same shape and type, without the frame axis for a burst.

    Raises:
        TypeError: if image or condition are not floating point, or a condition is given without a restorer.
        ValueError: as :func:`restorax.inference.restore` and :func:`restorax.diagnose`.

    Example:
        >>> restore(jnp.full((20, 30, 3), 0.5)).shape
        (20, 30, 3)
    """
    if image is not None:
        options: dict[str, Any] = {"tile": tile, "ensemble": ensemble, "progress": progress}
        options["consistent"] = consistent
        return inference.restore(restorer, image, condition, **options)  # type: ignore[arg-type]
    if isinstance(restorer, zoo.Restorer):
        raise TypeError(f"`image` is missing; restore({restorer.card.name!r}, image) restores an image")
    if condition is not None:
        raise TypeError("`condition` requires a restorer")
    restored = restore_automatically(restorer, tile=tile, ensemble=ensemble, progress=progress).image
    return restored if consistent is None else jnp.clip(consistent.project(restored), 0, 1)


@functools.cache
def _load(name: str) -> zoo.Restorer:
    return zoo.load(name)


def apply_entry(
    name: str,
    image: Image,
    diagnosis: Diagnosis,
    *,
    apply: Callable[..., Array | np.ndarray] = inference.restore,
    **options: Any,
) -> Any:
    """Restore an image with an entry, which gets the condition that it needs from the diagnosis."""
    restorer = _load(name)
    condition = {
        Condition.NONE: lambda: None,
        Condition.MASK: lambda: diagnosis.missing.mask,
        Condition.NOISE_LEVEL: lambda: min(diagnosis.noise.level, 1.0),
        Condition.JPEG_QUALITY: lambda: diagnosis.jpeg.quality / 100,
    }[restorer.model.required_condition]()
    return apply(restorer, image, condition, **options)


def select(image: Array, diagnosis: Diagnosis, *, force: bool = False) -> Choice:
    """Take the best choice; between close ones, that whose result explains the image best.

    Args:
        image: ``[height, width, 1 or 3]``.
        diagnosis: of the image.
        force: do not leave the image alone if any entry applies.

    Returns:
        The choice.
    """
    ranked = choose(diagnosis)
    if force:
        ranked = tuple(choice for choice in ranked if choice.entries) or ranked
    best = ranked[0]
    close = [one for one in ranked if one.entries and one.gain > best.gain - CLOSE][:_TRIED]
    many = len(close) > 1 and best.entries
    crops = cut_crops(np.broadcast_to(np.asarray(image), (*image.shape[:2], 3)), 1) if many else []
    if not crops or diagnosis.missing.mask is not None:
        return best
    (top, left), crop = crops[0]
    crop = jnp.asarray(crop[..., : image.shape[-1]])
    return min(close, key=lambda one: inconsistency(_restored(one, crop, diagnosis), crop, diagnosis, (top, left)))


def _restored(choice: Choice, crop: Array, diagnosis: Diagnosis) -> Array:
    for name in choice.entries:
        crop = apply_entry(name, crop, diagnosis)
    return crop


def inconsistency(restored: Array, image: Array, diagnosis: Diagnosis, place: tuple[int, int] = (0, 0)) -> float:
    """Measure how badly a restored image explains the degraded one.

    The restored image is degraded again as diagnosed, without noise. What is then left should have the diagnosed noise
    level, or vanish without noise.

    Args:
        restored: ``[height, width, channel]``.
        image: degraded image of the same shape.
        diagnosis: of the degraded image.
        place: top left corner of the crop in the image that was diagnosed.

    Returns:
        Ratio of the larger to the smaller of the two levels, as a logarithm.
    """
    grid = tuple((start - offset) % 8 for start, offset in zip(diagnosis.jpeg.grid, place, strict=True))
    here = dataclasses.replace(diagnosis, jpeg=dataclasses.replace(diagnosis.jpeg, grid=grid))
    text = without(here, "noise", "impulses", "stripes", "missing").degradation()
    again = parse(text)(jax.random.key(0), jnp.clip(restored, 0, 1)).image if text else restored
    left = float(jnp.sqrt(jnp.mean((again - image) ** 2)))
    expected = diagnosis.noise.level if "noise" in diagnosis.damages else 0.0
    floor = 0.5 / 255
    return abs(float(np.log((left + floor) / (expected + floor))))
