"""``choose``: rank the entries, and the chains of two, by the gain that measurements promise for a diagnosis."""

import functools
import math
from typing import NamedTuple

from ..types import Condition
from .candidates import Gain, candidates, gains
from .damages import Damages, distance, of_diagnosis
from .findings import Diagnosis

LEAST_GAIN, LEAST_UNCERTAIN_GAIN = 0.15, 1.2
"""Expected gains in dB below which an image is left alone: where pixels or the file show a damage exactly, and where
the network estimates it. Texture resembles weak noise, and a mistake there costs more than is gained."""
CLOSE = 0.05
"""Difference in dB of expected gains below which two choices are close."""
_BANDWIDTH = 0.7
_DOUBT = 0.03  # weight of a gain of 0, which decides where nothing alike was measured
_SHARE_OF_DOMINANT = 0.6  # of a gain that is left where other damages remain
_FAR = 2.2  # distance from which nothing alike was measured


class Choice(NamedTuple):
    """A choice of :func:`choose`.

    Attributes:
        entries: names of at most two entries, to be applied in this order; empty to leave the image alone.
        gain: expected gain in PSNR in dB.
        reason: one sentence.
    """

    entries: tuple[str, ...]
    gain: float
    reason: str

    def __str__(self) -> str:
        """Join the names with arrows."""
        return " -> ".join(self.entries) or "left alone"


def choose(diagnosis: Diagnosis) -> tuple[Choice, ...]:
    """Rank entries and chains of two by their expected gain, with the choice to leave the image alone.

    The gain of an entry is averaged over the measurements of similar degradations, weighted by similarity, and over
    what may be wrong with the image, weighted by probability. Gains come from ``python -m benchmarks gains`` and the
    cards. Without anything similar, an image is left alone.

    Args:
        diagnosis: from :func:`restorax.diagnose`.

    Returns:
        Choices, the best first; one of them has no entries and gains 0.

    Example:
        >>> import jax.numpy as jnp, restorax
        >>> from restorax.data import sample_images
        >>> clean = jnp.asarray(sample_images(3)["astronaut"][200:328, 200:328])
        >>> choose(restorax.diagnose(restorax.degrade.jpeg(clean, quality=20)))[0].entries
        ('resunet_s-color-jpeg',)
        >>> choose(restorax.diagnose(clean))[0].entries
        ()
    """
    channels = 1 if diagnosis.gray else 3
    cases = list(of_diagnosis(diagnosis))
    likeliest = max(cases, key=lambda case: case[0])[1]
    ranked = []
    for entries, rows in _measured(channels).items():
        if not _applies(entries, channels, diagnosis):
            continue
        nearest, alike = _nearest(rows, likeliest)
        if alike > _FAR and (simpler := _dominant(likeliest)) != likeliest:
            nearest, alike = _nearest(rows, simpler)
            expected = _SHARE_OF_DOMINANT * _expected(rows, simpler)
        else:
            expected = sum(weight * _expected(rows, damages) for weight, damages in cases)
        example = nearest.degradation or "clean images"
        reason = f"{nearest.psnr:+.1f} dB on {example}, the most similar measurement"
        if alike > _FAR:
            expected, reason = min(expected, 0.0), f"nothing similar to {diagnosis.describe()} was measured"
        ranked.append(Choice(entries, expected, reason))
    ranked.sort(key=lambda choice: (-choice.gain, len(choice.entries)))
    # A second entry must pay.
    ranked = [c for c in ranked if len(c.entries) < 2 or c.gain > _best_part(c, ranked) + 0.1]
    exact = diagnosis.missing.mask is not None or (
        "jpeg" in diagnosis.damages and diagnosis.jpeg.source in ("file", "comb")
    )
    least = LEAST_GAIN if exact else LEAST_UNCERTAIN_GAIN
    place = next((i for i, choice in enumerate(ranked) if choice.gain < least), len(ranked))
    return (*ranked[:place], Choice((), 0.0, _why_alone(diagnosis, ranked[0] if ranked else None)), *ranked[place:])


def _nearest(rows: list[Gain], damages: Damages) -> tuple[Gain, float]:
    nearest = min(rows, key=lambda row: distance(row.damages, damages))
    return nearest, distance(nearest.damages, damages)


def _dominant(damages: Damages) -> Damages:
    """Keep missing pixels alone, or impulses, which destroy pixels whatever else is wrong; otherwise leave out blur."""
    alone = next(({kind: damages[kind]} for kind in ("missing", "impulses") if kind in damages), None)
    return alone or {kind: damage for kind, damage in damages.items() if kind != "blur"} or damages


def _why_alone(diagnosis: Diagnosis, best: Choice | None) -> str:
    if diagnosis.remarks:
        return diagnosis.remarks[0]
    if not diagnosis.damages:
        return "no damage found"
    if best is None or best.gain <= 0:
        return f"no entry is known to help against {diagnosis.describe()}"
    return f"the best entry promises only {best.gain:+.2f} dB"


def _best_part(choice: Choice, ranked: list[Choice]) -> float:
    return max((one.gain for one in ranked if len(one.entries) == 1 and one.entries[0] in choice.entries), default=0.0)


@functools.cache
def _measured(channels: int) -> dict[tuple[str, ...], list[Gain]]:
    """Gains by method for images of one or three channels."""
    found: dict[tuple[str, ...], list[Gain]] = {}
    for row in gains():
        if row.channels == channels:
            found.setdefault(tuple(row.method.split(" -> ")), []).append(row)
    return found


def _applies(entries: tuple[str, ...], channels: int, diagnosis: Diagnosis) -> bool:
    """Whether entries are candidates, and a mask is there if the first needs one."""
    cards = candidates(channels)
    if not set(entries) <= cards.keys():
        return False
    masked = [cards[name].condition is Condition.MASK for name in entries]
    return not any(masked[1:]) and (not masked[0] or diagnosis.missing.mask is not None)


def _expected(rows: list[Gain], damages: Damages) -> float:
    """Average gains with weights that fall with the distance of the damages."""
    total, weights = 0.0, _DOUBT
    for row in rows:
        weight = math.exp(-((distance(row.damages, damages) / _BANDWIDTH) ** 2) / 2)
        total, weights = total + weight * row.psnr, weights + weight
    return total / weights
