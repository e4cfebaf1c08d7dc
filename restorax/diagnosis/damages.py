"""Degradations and diagnoses as strengths on common scales, which makes them comparable."""

import dataclasses
import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ..degrade import LogUniform, Uniform, parse
from .findings import Diagnosis

_BLUR = {"gaussian_blur": ("sigma", 1.0), "defocus_blur": ("blur_radius", 0.5), "motion_blur": ("length", 12**-0.5)}
_MISSING = ("missing_pixels", "missing_strokes", "missing_blocks", "missing_lines", "dead_pixels")
_CAMERA = ("camera_photo", "correlated_noise")
_DEPENDENT = ("shot_noise", "speckle_noise", "emccd_noise", "apd_noise")
_NOISE = ("gaussian_noise", "uniform_noise", *_DEPENDENT, *_CAMERA)
_RISE = 2.0  # of the noise level from dark to bright, from which it depends on the signal
_VARIANT = {"noise": 2.0, "impulses": 1.2, "blur": 1.2, "missing": 1.2}  # distance of two variants
_ABSENT = 3.0  # distance of a damage that only one of two has, besides its strength
_OPEN = (0.1, 0.9)  # probabilities between which a damage may be there or not


class Damage(NamedTuple):
    """One damage.

    Attributes:
        strength: on a scale on which equal differences change the gain of a restorer about equally.
        variant: what else a restorer must match, such as the kind of blur.
    """

    strength: float
    variant: str


Damages = dict[str, Damage]


def noise(level: float, variant: str) -> Damage:
    """Scale a noise level in [0, 1]: an octave is one unit, 1/255 is 1."""
    return Damage(math.log2(max(255 * level, 0.5)) + 1, variant)


def impulses(share: float, *, random_values: bool) -> Damage:
    """Scale a share of impulses in [0, 1]."""
    return Damage(math.log2(max(share, 1e-3)) / 2 + 5, "random" if random_values else "salt and pepper")


def jpeg(quality: float | int) -> Damage:
    """Scale a JPEG quality: 100 is 0, and 15 steps of quality are one unit."""
    return Damage((100 - quality) / 15, "")


def blur(deviation: float, kind: str) -> Damage:
    """Scale the standard deviation of a blur kernel in pixels."""
    return Damage(1.5 * math.log2(max(deviation, 0.3)) + 3, kind)


def missing(share: float, shape: str) -> Damage:
    """Scale a share of missing pixels."""
    return Damage(1 + 3 * share, shape)


def of_degradation(text: str, input_psnr: float = math.nan) -> Damages | None:
    """Read the damages of a degradation with fixed strengths.

    Args:
        text: as for :func:`restorax.degrade.parse`; empty for none.
        input_psnr: PSNR of the degraded image in dB, from which the level of noise that has no sigma is computed.

    Returns:
        Damages by kind; ``None`` if an operator is of no kind that a diagnosis knows.

    Example:
        >>> of_degradation("jpeg(quality=70)")
        {'jpeg': Damage(strength=2.0, variant='')}
    """
    found: Damages = {}
    for op in parse(text).operators if text else ():
        name, strengths = op.operator.__name__, {key: _middle(value) for key, value in op.strengths.items()}
        if name in _NOISE:
            level = strengths.get("sigma", 10 ** (-input_psnr / 20))
            variant = "correlated" if name in _CAMERA else "signal-dependent" if name in _DEPENDENT else "white"
            found["noise"] = noise(level, variant)
        elif name in ("salt_and_pepper_noise", "impulse_noise"):
            found["impulses"] = impulses(strengths["amount"], random_values=name == "impulse_noise")
        elif name == "jpeg":
            # The stronger of two decides.
            found["jpeg"] = max(jpeg(strengths["quality"]), found.get("jpeg", jpeg(100)))
        elif name in _BLUR:
            strength, factor = _BLUR[name]
            found["blur"] = blur(factor * strengths[strength], name.removesuffix("_blur"))
        elif name in _MISSING:
            scattered = name in ("missing_pixels", "dead_pixels")
            share = strengths.get("missing", strengths.get("amount", 0.1))
            found["missing"] = missing(share, "pixels" if scattered else "regions")
        elif name not in ("rescale", "unsharp_mask", "vignetting"):
            return None
    return found


def _middle(value: object) -> float:
    """A number, or the middle of its range."""
    if isinstance(value, LogUniform):
        return math.sqrt(float(value.low) * float(value.high))
    if isinstance(value, Uniform):
        return (float(value.low) + float(value.high)) / 2
    return float(value) if isinstance(value, int | float) else math.nan


def of_diagnosis(diagnosis: Diagnosis) -> Iterator[tuple[float, Damages]]:
    """Yield what may be wrong with an image, with its probability.

    A damage whose probability is neither small nor large is there in one case and absent in another.
    """
    d = diagnosis
    kinds = {
        "noise": (d.noise.probability, noise(d.noise.level, _noise_variant(d))),
        "impulses": (
            d.impulses.probability,
            impulses(d.impulses.share, random_values=d.impulses.random_values >= 0.5),
        ),
        "jpeg": (d.jpeg.probability, jpeg(d.jpeg.quality)),
        "blur": (d.blur.probability, blur(_deviation(d), d.blur.kind)),
        "missing": (d.missing.probability, missing(d.missing.share, d.missing.shape)),
    }
    certain = {kind: damage for kind, (p, damage) in kinds.items() if p > _OPEN[1]}
    possible = {kind: p for kind, (p, _) in kinds.items() if _OPEN[0] <= p <= _OPEN[1]}
    for there in itertools.product((False, True), repeat=len(possible)):
        weight = math.prod(p if yes else 1 - p for yes, p in zip(there, possible.values(), strict=True))
        added = {kind: kinds[kind][1] for kind, yes in zip(possible, there, strict=True) if yes}
        yield weight, {**certain, **added}


def _noise_variant(diagnosis: Diagnosis) -> str:
    if diagnosis.noise.correlated >= 0.5:
        return "correlated"
    seen = [level for level in diagnosis.noise.by_brightness if math.isfinite(level)]
    rises = len(seen) > 2 and seen == sorted(seen) and seen[-1] > _RISE * seen[0]
    return "signal-dependent" if rises and diagnosis.noise.level > 6 / 255 else "white"


def _deviation(diagnosis: Diagnosis) -> float:
    factor = {"gaussian": 1.0, "defocus": 0.5, "motion": 12**-0.5}[diagnosis.blur.kind]
    return diagnosis.blur.size * factor


def distance(first: Damages, second: Damages) -> float:
    """Measure how different two lists of damages are.

    Example:
        >>> distance({"jpeg": jpeg(70)}, {"jpeg": jpeg(40)})
        2.0
    """
    total = 0.0
    for kind in first.keys() | second.keys():
        if kind in first and kind in second:
            a, b = first[kind], second[kind]
            total += (a.strength - b.strength) ** 2 + (_VARIANT[kind] if a.variant != b.variant else 0) ** 2
        else:
            present = first.get(kind) or second[kind]
            total += (_ABSENT * np.clip(present.strength / 2, 0.4, 1)) ** 2
    return math.sqrt(total)


def without(diagnosis: Diagnosis, *kinds: str) -> Diagnosis:
    """Return a diagnosis with some damages removed."""
    changes = {kind: dataclasses.replace(getattr(diagnosis, kind), probability=0.0) for kind in kinds}
    return dataclasses.replace(diagnosis, **changes)
