"""Sections on what networks look at and on how they are trained."""

import statistics
from collections import Counter
from collections.abc import Sequence

from ..record import Row, groups
from ..zoo_table import CHOICES
from .section import Section


def _halos(rows: Sequence[Row]) -> list[Row]:
    """Per entry the degradation that needs most context, with the loss of tiles without a halo."""
    lines = []
    for group in groups([row for row in rows if row["halo"] == "0"], "entry"):
        needed = lambda row: float(row["needed"]) if row["needed"].isdigit() else float("inf")  # noqa: E731
        most = max(group, key=needed)
        lines.append(most | {"loss without halo [dB]": most["mean"], "halo needed [px]": most["needed"]})
    chosen = {name for _, name, _ in CHOICES}
    return sorted(lines, key=lambda line: line["entry"] not in chosen)


def _chosen(rows: Sequence[Row]) -> Sequence[Row]:
    """Rows of the entries and degradations in ``zoo_table.CHOICES``, or all where there are none."""
    chosen = {(name, degradation) for _, name, degradation in CHOICES}
    return [row for row in rows if (row["entry"], row["degradation"]) in chosen] or rows


def _variants(rows: Sequence[Row]) -> list[Row]:
    """One line per degradation and variant: the mean over seeds at the number of steps that was used most for it.

    Where every variant had its own number of steps, as with a time budget, all are shown.
    """
    lines = []
    for same in groups([row for row in rows if not row["variant"].endswith("_rotating")], "degradation"):
        counts = Counter(row["steps"] for row in same)
        kept = [row for row in same if counts[row["steps"]] == max(counts.values())]
        for group in groups(kept, "degradation", "variant"):
            psnr = statistics.mean(float(row["psnr"]) for row in group)
            lines.append(group[0] | {"seeds": str(len(group)), "psnr": f"{psnr:.2f}"})
    return sorted(lines, key=lambda line: (line["degradation"], -float(line["psnr"])))


SECTIONS = (
    Section(
        "halo",
        "How much context does a tile need?",
        ("entry", "degradation", "core", "halo"),
        ("entry", "degradation", "loss without halo [dB]", "halo needed [px]"),
        _halos,
        timed=False,
    ),
    Section(
        "explain",
        "How far do the entries look, and do error estimates agree with the true error?",
        ("entry", "dataset", "degradation"),
        ("entry", "degradation", "reach_50", "reach_90", "reach_99", "error_rank", "psnr", "sure"),
        _chosen,
        timed=False,
        note="Reach: pixels within which 50, 90 and 99 % of the influence on an output pixel lie; `error_rank`: rank\n"
        "correlation of estimated and true error; `sure`: PSNR estimated without ground truth.",
    ),
    Section(
        "ablation",
        "What does recurrence gain at equal parameters and training?",
        ("variant", "trained", "degradation", "steps", "batch", "dtype", "seed"),
        ("degradation", "variant", "parameters", "steps", "seeds", "psnr"),
        _variants,
        note="`_convolutional`: convolutional blocks of equal size in place of the scans. `video_none`,\n"
        "`video_fixed`, `video_warped`: no state, a state kept in place, a state warped along the motion, at equal\n"
        "training time.",
        limit=40,
    ),
    Section(
        "self_supervised",
        "What does training without clean images cost?",
        ("noise", "loss", "dataset", "steps", "seed"),
        ("noise", "loss", "dataset", "input_psnr", "psnr", "to_supervised", "steps"),
        timed=False,
        note="One network of 0.41 M parameters, trained equally long on images degraded once; `to_supervised`:\n"
        "difference to the same network trained on pairs of noisy and clean images.",
        limit=40,
    ),
    Section(
        "adapt",
        "What does adapting an entry to one's own images gain?",
        ("entry", "dataset", "degradation", "learned_from"),
        (
            "entry",
            "dataset",
            "degradation",
            "learned_from",
            "input_psnr",
            "start",
            "psnr",
            "gain",
            "worst",
            "outcome",
            "minutes",
        ),
        timed=False,
        limit=20,
        note="Damages that the entry was not trained for; `start` and `psnr`: before and after; `gain` and `worst`:\n"
        "mean and smallest difference in dB.",
    ),
)
