"""``diagnose``: from an image, or a file, to the damages that it shows."""

import dataclasses
import os
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from ..degrade.codec import RGB_TO_YCC
from ..layers.resample import pull_push
from ..types import Array, Image, Params, check_image
from .codec import read_tables, subsampling_of, to_ycc
from .findings import LIKELY, Blur, Diagnosis, Impulses, Jpeg, Missing, Noise, Stripes
from .network import BLURS, FLAGS, Outputs, angle_of, apply_network, load_network
from .pixels import drawn_share, find_missing, find_stripes
from .statistics import block_energies, find_grid, mixed_difference, quiet_energies, read_statistics

SIDES = (256, 128)
LEAST_SIDE = 48  # below, no statistic is reliable
DRAWN = 0.35  # share of flat pixels from which an image is taken for a drawing
_CROPS = 9
_COMB = 0.12  # score from which the quality that the coefficients show counts as exact
_SIZES = {"gaussian": 1.0, "defocus": 2.0, "motion": 12**0.5}  # from the deviation of the kernel


def diagnose(image: Image, *, file: str | os.PathLike | None = None) -> Diagnosis:
    """Find the damages of an image: noise, impulses, JPEG, blur, missing pixels and stripes.

    Nine crops of large images are examined. The quality, grid and subsampling of JPEG are exact where the pixels come
    straight from the decoder, or where the file is given; a network estimates what cannot be read exactly.

    Args:
        image: ``[height, width, channel]`` in [0, 1], of one or three channels.
        file: the file that the image was read from; the tables of a JPEG file are used.

    Returns:
        The damages with their strengths and uncertainty.

    Raises:
        TypeError: if the image is not floating point.
        ValueError: if it is not one image, contains NaN or infinity, or lies mostly above 2 (8-bit values).
        FileNotFoundError: if ``file`` does not exist.

    Example:
        >>> import restorax
        >>> from restorax.data import sample_images
        >>> clean = jnp.asarray(sample_images(3)["astronaut"][:128, :128])
        >>> found = diagnose(restorax.degrade.jpeg(clean, quality=20))
        >>> found.damages, round(found.jpeg.quality)
        (('jpeg',), 20)
    """
    pixels = _checked(image)
    height, width, channels = pixels.shape
    gray = channels == 1 or bool((pixels == pixels[..., :1]).all())
    levels = np.round(255 * pixels[..., :1] if gray else 255 * pixels).astype(np.uint8)
    tables = read_tables(file) if file is not None else None
    missing = find_missing(levels)
    drawn = drawn_share(levels, missing.mask)
    nothing = _nothing(height, width, gray, drawn, missing)
    if min(height, width) < LEAST_SIDE:
        remark = f"the image has {height} x {width} pixels; at least {LEAST_SIDE} x {LEAST_SIDE} are needed"
        return dataclasses.replace(nothing, jpeg=_from_file(nothing.jpeg, tables), remarks=(remark,))
    colour = np.broadcast_to(pixels, (height, width, 3))
    if missing.mask is not None:
        known = jnp.asarray(missing.mask[None, ..., None], jnp.float32)
        colour = np.asarray(pull_push(jnp.asarray(colour)[None], known)[0])
        if missing.share > 0.5:
            remark = f"{missing.share:.0%} of the pixels are missing; other damages cannot be seen"
            return dataclasses.replace(nothing, remarks=(remark,))
    crops = cut_crops(colour)
    if not crops:
        return dataclasses.replace(
            nothing, jpeg=_from_file(nothing.jpeg, tables), remarks=("the image has no structure",)
        )
    readings = [read_crop(place, crop) for place, crop in crops]
    outputs = [one.outputs for one in readings]
    impulses = _impulses(outputs)
    if impulses.probability > 0.5 and missing.share < 2 * impulses.share:
        missing = Missing(0.0)
    found = Diagnosis(
        noise=_noise(readings),
        impulses=impulses,
        jpeg=_from_file(_jpeg(readings), tables),
        blur=_blur(outputs),
        missing=missing,
        stripes=find_stripes(255 * colour @ RGB_TO_YCC[0]),
        height=height,
        width=width,
        gray=gray,
        drawn=drawn,
    )
    return found if drawn < DRAWN else _of_drawing(found)


def measure_noise_level(image: Image) -> float:
    """Measure the noise level of an image, for restorers that take one.

    Args:
        image: ``[height, width, 1 or 3]`` in [0, 1].

    Returns:
        Standard deviation in [0, 1]; slightly low in most photographs, more so where all of the image is textured.

    Raises:
        TypeError: if the image is not floating point.
        ValueError: if no noise is found, or the image is refused by :func:`diagnose`.

    Example:
        >>> import jax
        >>> noisy = 0.5 + 0.1 * jax.random.normal(jax.random.key(0), (96, 96, 1))
        >>> 0.08 < measure_noise_level(noisy) < 0.12
        True
    """
    noise = diagnose(image).noise
    if noise.probability < LIKELY:
        raise ValueError("no noise is found in the image; give its noise level")
    return min(noise.level, 1.0)


def _of_drawing(found: Diagnosis) -> Diagnosis:
    """Keep what pixels or the file show exactly; the network knows photographs, and flat areas have no noise."""
    none = {name: dataclasses.replace(getattr(found, name), probability=0.0) for name in ("noise", "blur", "impulses")}
    jpeg = dataclasses.replace(found.jpeg, probability=0.0) if found.jpeg.source == "network" else found.jpeg
    remark = f"{found.drawn:.0%} of the pixels are flat, as in drawings and screenshots"
    return dataclasses.replace(found, **none, jpeg=jpeg, stripes=Stripes(0.0), remarks=(remark,))


def _checked(image: Any) -> np.ndarray:
    image = np.asarray(check_image(image))
    if image.ndim != 3 or image.shape[-1] not in (1, 3):
        raise ValueError(f"`image` must be one image [height, width, 1 or 3], got shape {image.shape}")
    if not np.isfinite(image).all():
        raise ValueError("`image` must be finite, got NaN or infinity")
    if np.count_nonzero(image > 2) > image.size // 2:
        raise ValueError("`image` must be in [0, 1], got mostly values above 2; divide 8-bit values by 255")
    return np.clip(image.astype(np.float32), 0, 1)


def _nothing(height: int, width: int, gray: bool, drawn: float, missing: Missing) -> Diagnosis:
    """A diagnosis without other damages than missing pixels."""
    noise = Noise(0.0, 0.0, 2.0, 0.0, (np.nan,) * 4)
    kinds: dict[str, float] = dict.fromkeys(BLURS[1:], 1 / 3)
    blur = Blur(0.0, "gaussian", 0.0, 2.0, kinds)
    jpeg, impulses = Jpeg(0.0, 100.0, 30.0), Impulses(0.0, 0.0, 2.0, 0.0)
    return Diagnosis(noise, impulses, jpeg, blur, missing, Stripes(0.0), height, width, gray, drawn)


def cut_crops(image: np.ndarray, count: int = _CROPS) -> list[tuple[tuple[int, int], np.ndarray]]:
    """Cut up to nine crops with the most structure, on a grid of multiples of 16.

    Args:
        image: ``[height, width, 3]``.
        count: largest number of crops.

    Returns:
        Top left corners and crops ``[side, side, 3]`` of 256 pixels, or 128 for smaller images, which are extended by
        reflection if needed. Crops without structure are left out.
    """
    side = next((s for s in SIDES if min(image.shape[:2]) >= s), SIDES[-1])
    pads = [(0, max(0, side - length)) for length in image.shape[:2]]
    if any(after for _, after in pads):
        image = np.pad(image, (*pads, (0, 0)), mode="symmetric")
    places = [np.arange(0, length - side + 1, side) for length in image.shape[:2]]
    places = [p[np.unique(np.linspace(0, len(p) - 1, 6).astype(int))] for p in places]
    crops = [((y, x), image[y : y + side, x : x + side]) for y in places[0].tolist() for x in places[1].tolist()]
    contrast = [float(np.std(crop[::2, ::2])) for _, crop in crops]
    order = sorted(range(len(crops)), key=lambda i: -contrast[i])[:count]
    return [crops[i] for i in sorted(order) if contrast[i] > 1e-3]


class Reading(NamedTuple):
    """What a crop shows.

    Attributes:
        place: its top left corner.
        outputs: of the network, without batch axis.
        grid: first row and column of a block of JPEG in the crop.
        scores: of the qualities, ``[100]``.
        numbers: coefficients that count for each quality, ``[100]``.
        blocks: number of blocks by brightness, ``[4]``.
        quiet: energy of the quiet ones, ``[4]``.
        crop: ``[side, side, 3]``.
    """

    place: tuple[int, int]
    outputs: Outputs
    grid: np.ndarray
    scores: np.ndarray
    numbers: np.ndarray
    blocks: np.ndarray
    quiet: np.ndarray
    crop: np.ndarray


@jax.jit
def _read(params: Params, crop: Array) -> tuple[Any, ...]:
    luma = to_ycc(crop)[..., 0]
    vector, spectrum = read_statistics(crop)
    outputs = jax.tree.map(lambda x: x[0], apply_network(params, vector[None], spectrum[None]))
    means = luma.reshape(luma.shape[0] // 8, 8, -1, 8).mean((1, 3)).reshape(-1)
    blocks, quiet = quiet_energies(block_energies(jnp.pad(mixed_difference(luma), 1)), means)
    return (outputs, *find_grid(luma)[:3], blocks, jnp.exp(quiet))


def read_crop(place: tuple[int, int], crop: np.ndarray) -> Reading:
    """Read a crop ``[side, side, 3]``."""
    outputs, grid, scores, numbers, blocks, quiet = jax.tree.map(np.asarray, _read(load_network(), crop))
    return Reading(place, outputs, grid, scores, numbers, blocks, quiet, crop)


def _flag(outputs: list[Outputs], name: str) -> float:
    """Probability of a flag, from the mean of the logits of the crops."""
    return _probability(np.mean([one.flags[FLAGS.index(name)] for one in outputs]))


def _probability(logit: Any) -> float:
    return float(1 / (1 + np.exp(-np.clip(logit, -30, 30))))


def _strength(outputs: list[Outputs], index: int) -> tuple[float, float]:
    """Mean weighted by precision, and its deviation, which is no smaller than half of the best crop's."""
    means, deviations = (np.array([one[field][index] for one in outputs]) for field in (2, 3))
    weights = np.exp(-2 * deviations)
    mean = (weights * means).sum() / weights.sum()
    scatter = np.sqrt((weights * (means - mean) ** 2).sum() / weights.sum())
    return float(mean), float(np.hypot(np.exp(deviations.min()) / 2, scatter))


def _noise(readings: list[Reading]) -> Noise:
    outputs = [one.outputs for one in readings]
    mean, deviation = _strength(outputs, 0)
    level = float(np.exp(mean) / 255)
    weights = np.stack([np.where(one.blocks >= 32, one.blocks, 0) for one in readings])
    seen = weights.sum(0)
    energy = (weights * np.stack([one.quiet for one in readings])).sum(0) / np.maximum(seen, 1)
    overall = (seen * energy).sum() / max(seen.sum(), 1)
    ratio = np.where(seen > 0, energy, np.nan) / overall if overall > 0 else np.full(4, np.nan)
    by_brightness = tuple(map(float, level * np.sqrt(ratio)))
    return Noise(_flag(outputs, "noise"), level, deviation, _flag(outputs, "correlated"), by_brightness)


def _impulses(outputs: list[Outputs]) -> Impulses:
    mean, deviation = _strength(outputs, 1)
    share = float(np.clip(np.exp(mean), 0, 1))
    return Impulses(_flag(outputs, "impulses"), share, deviation, _flag(outputs, "random_impulses"))


def _jpeg(readings: list[Reading]) -> Jpeg:
    """Take the quality from the coefficients where they are multiples of its steps, else from the network."""
    outputs = [one.outputs for one in readings]
    mean, deviation = _strength(outputs, 2)
    grids = [tuple(((one.grid + one.place) % 8).tolist()) for one in readings]
    grid = max(dict.fromkeys(grids), key=grids.count)
    agree = [one for one, here in zip(readings, grids, strict=True) if here == grid]
    counted = [max(int(one.numbers.max()), 24) for one in agree]
    total = np.sum([one.scores * number for one, number in zip(agree, counted, strict=True)], 0) / sum(counted)
    quality = int(total.argmax()) + 1
    number = sum(int(one.numbers[quality - 1]) for one in agree)
    if total.max() > _COMB and number >= 40 and len(agree) * 2 >= len(readings):
        best = max(agree, key=lambda one: one.numbers.max())
        top, left = ((start - place) % 8 for start, place in zip(grid, best.place, strict=True))
        subsampling = subsampling_of((255 * best.crop @ RGB_TO_YCC.T)[top:, left:], quality)
        return Jpeg(float(quality <= 92), float(quality), 0.7, "comb", subsampling, grid)
    return Jpeg(_flag(outputs, "jpeg"), float(np.clip(20 * mean, 1, 100)), 20 * deviation)


def _from_file(jpeg: Jpeg, tables: Any) -> Jpeg:
    """Prefer the tables of the file; stronger traces in the pixels are of an earlier compression."""
    if tables is None:
        return jpeg
    earlier = jpeg.probability > 0.5 and jpeg.quality + 2 * jpeg.deviation + 5 < tables.quality
    if earlier:
        return dataclasses.replace(jpeg, earlier=True)
    return Jpeg(float(tables.quality <= 92), float(tables.quality), 0.0, "file", tables.subsampling)


def _blur(outputs: list[Outputs]) -> Blur:
    logits = np.mean([one.blurs for one in outputs], 0)
    share = np.exp(logits - logits.max())
    share /= share.sum()
    given = share[1:] / share[1:].sum()
    kind = BLURS[1 + int(given.argmax())]
    mean, deviation = _strength(outputs, 3)
    angle, angle_deviation = angle_of(np.mean([one.angles for one in outputs], 0))
    kinds: dict[str, float] = dict(zip(BLURS[1:], map(float, given), strict=True))
    return Blur(float(1 - share[0]), kind, float(np.exp(mean) * _SIZES[kind]), deviation, kinds, angle, angle_deviation)
