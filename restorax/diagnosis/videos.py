"""Choose an entry for a video from the damages of its frames."""

from collections.abc import Iterable
from itertools import islice

import numpy as np

from ..types import Condition, Image
from ..zoo import Card
from .candidates import image_cards
from .choice import Choice, choose
from .examination import diagnose
from .findings import Diagnosis

_EXAMINED = 48  # frames


def choose_for_video(frames: Iterable[Image]) -> tuple[Diagnosis, Choice]:
    """Diagnose the frame of the highest contrast among the first 48, and choose one entry for all frames.

    Where noise is the likeliest damage, an entry with a noise level input is chosen, because streams average the frames
    along their motion for it (:mod:`restorax.averaging`), also against the correlation that chroma subsampling leaves.
    Entries that require a mask are not chosen.

    Args:
        frames: ``[height, width, 1 or 3]`` in [0, 1].

    Returns:
        The diagnosis of the frame, and the choice; it has no entries if none is known to help.

    Raises:
        ValueError: if there are no frames, or a frame is refused by :func:`restorax.diagnose`.

    Example:
        >>> choose_for_video([np.full((64, 64, 3), 0.5, np.float32)])[1].entries
        ()
    """
    frame = max(islice(frames, _EXAMINED), key=np.std, default=None)
    if frame is None:
        raise ValueError("the video has no frames")
    diagnosis = diagnose(frame)
    cards = image_cards()
    single = (c for c in choose(diagnosis) if len(c.entries) < 2)
    best = next(c for c in single if not any(cards[name].condition is Condition.MASK for name in c.entries))
    if best.entries and diagnosis.damages[:1] == ("noise",):
        best = best._replace(entries=(_with_noise_level(cards[best.entries[0]]),))
    return diagnosis, best


def _with_noise_level(card: Card) -> str:
    """Return the best entry of as many channels with a noise level input, or the given one if there is none."""
    alike = [
        other
        for other in image_cards().values()
        if (other.channels, other.condition) == (card.channels, Condition.NOISE_LEVEL)
    ]
    return max(alike, key=lambda other: other.results[0].psnr, default=card).name
