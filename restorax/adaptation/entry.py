"""The zoo entry of an adaptation."""

import dataclasses
import os

from .. import provenance, zoo
from ..recipe import Training
from ..train.publish import detected_hardware, own_versions
from .loop import Adaptation


def save_adaptation(
    folder: str | os.PathLike, adaptation: Adaptation, *, data: str, licence: str = "not stated"
) -> zoo.Card:
    """Write the restorer of an adaptation as an entry, whose card states the images and the starting entry.

    Args:
        folder: the entry's folder, whose name becomes that of the entry.
        adaptation: from :func:`adapt`.
        data: description of the images.
        licence: their licence.

    Returns:
        The card as written; results of the entry to start from are left out.

    Raises:
        OSError: if the folder cannot be written.
    """
    restorer, before = adaptation.restorer, adaptation.restorer.card
    changes, outcome = {}, "not changed by"
    if adaptation.improved:
        outcome, limits = "adapted by", f"{before.limits} Adapted to a few images, and measured on them alone."
        changes = {"data": f"{before.data}; adapted to {data}", "data_licence": f"{before.data_licence}; {licence}"}
        changes |= {"parameter_dtype": "float32", "limits": limits.strip()}
    card = dataclasses.replace(
        before,
        name=os.path.basename(os.path.abspath(folder)),
        steps=adaptation.steps,
        seconds=round(adaptation.seconds),
        hardware=detected_hardware(),
        versions=own_versions(),
        commit=provenance.commit(),
        training=Training(stages=(adaptation.stage,), start=before.name, weight_decay=0.0, ema=0.98),
        provenance=f"{before.name}, {outcome} `restorax adapt` with {data}: {adaptation.reason}",
        results=[],
        ood_results=[],
        pair_results=[],
        **changes,
    )
    return zoo.save(folder, card, restorer.params)
