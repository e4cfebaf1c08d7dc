"""The restorers that a choice considers, from their cards, and the gains that were measured for them."""

import csv
import functools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ..degrade import parse
from ..models.create import build
from ..types import Condition
from ..zoo import Card, find, list_models
from .damages import Damages, of_degradation

TABLE = Path(__file__).parent / "gains.csv"
"""Gains of entries and chains, written by ``python -m benchmarks gains --write``."""


class Gain(NamedTuple):
    """A measured gain.

    Attributes:
        method: name of an entry, or of two with ``" -> "`` between them.
        channels: of the images, 1 or 3.
        degradation: text of the degradation, empty for clean images.
        damages: the damages of the degradation.
        psnr: mean gain in dB; PSNR counts up to 50 dB.
    """

    method: str
    channels: int
    degradation: str
    damages: Damages
    psnr: float


@functools.cache
def image_cards() -> Mapping[str, Card]:
    """Cards of the entries for single images."""
    cards = {name: Card.read(find(name)) for name in list_models()}
    return {name: card for name, card in cards.items() if not build(card.architecture, card.config).takes_frames}


@functools.cache
def considered() -> Mapping[str, Card]:
    """Cards of the entries for single images that no other entry surpasses in all results that they share.

    Example:
        >>> [name in considered() for name in ("resunet_s-color-noise", "dncnn-gray-noise25", "video_rnn-color-noise")]
        [True, False, False]
    """
    cards = image_cards()
    cards = {name: card for name, card in cards.items() if not _needs_a_guess(card, cards)}
    return {name: card for name, card in cards.items() if not any(_surpasses(c, card) for c in cards.values())}


@functools.cache
def candidates(channels: int) -> Mapping[str, Card]:
    """Cards of the entries to consider for images of one or three channels.

    A gray entry restores the channels of a colour image separately; it is left out where a colour entry was trained on
    the same operators. Colour entries are left out for gray images.

    Example:
        >>> sorted(name for name in candidates(3) if "-gray-" in name)
        ['resunet_s-gray-avalanche', 'resunet_s-gray-impulse', 'wiener_unet-gray-blur']
    """
    cards = considered()
    if channels == 1:
        return {name: card for name, card in cards.items() if card.channels == 1}
    trained = [operators(card.degradation) for card in cards.values() if card.channels == 3]
    return {
        name: card
        for name, card in cards.items()
        if card.channels == 3 or not any(operators(card.degradation) <= colour for colour in trained)
    }


def fits(card: Card, needed: set[str]) -> bool:
    """Whether an entry was trained on one of some operators; one for blur, on the blur."""
    shared = needed & operators(card.degradation)
    if card.name.split("-")[2:3] == ["blur"]:
        return any(name.endswith("_blur") for name in shared)
    return bool(shared)


def _needs_a_guess(card: Card, cards: Mapping[str, Card]) -> bool:
    """Whether an entry takes a noise level, which would be estimated, and a blind one was trained on the same noise."""
    return card.condition is Condition.NOISE_LEVEL and any(
        (other.channels, other.condition) == (card.channels, Condition.NONE)
        and operators(card.degradation) <= operators(other.degradation)
        for other in cards.values()
    )


def _surpasses(better: Card, card: Card) -> bool:
    """Whether one entry is better than another of the same channels and condition on every result of both."""
    if (better.channels, better.condition) != (card.channels, card.condition):
        return False
    theirs = {(r.dataset, r.degradation): r.psnr for r in better.results}
    shared = [(r.psnr, theirs[r.dataset, r.degradation]) for r in card.results if (r.dataset, r.degradation) in theirs]
    return len(shared) == len(card.results) and all(ours < other for ours, other in shared)


def operators(text: str) -> set[str]:
    """Return the names of the operators of a degradation.

    Example:
        >>> operators("gaussian_noise(sigma=0.1)")
        {'gaussian_noise'}
    """
    return {op.operator.__name__ for op in parse(text).operators} if text else set()


@functools.cache
def gains() -> tuple[Gain, ...]:
    """Read the measured gains; for entries without any, take the results of their cards."""
    rows = []
    if TABLE.is_file():
        with TABLE.open(newline="") as file:
            for row in csv.DictReader(file):
                damages = of_degradation(row["degradation"], float(row["input_psnr"]))
                if damages is not None:
                    psnr = float(row["gain"])
                    rows.append(Gain(row["method"], int(row["channels"]), row["degradation"], damages, psnr))
    measured = {row.method for row in rows}
    for name, card in considered().items():
        if name in measured:
            continue
        for result in (*card.results, *card.ood_results):
            damages = of_degradation(result.degradation, result.input_psnr)
            if damages is None:
                continue
            psnr = min(result.psnr, 50.0) - min(result.input_psnr, 50.0)
            rows.append(Gain(name, card.channels, result.degradation, damages, psnr))
    return tuple(row for row in rows if math.isfinite(row.psnr))
