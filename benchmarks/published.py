"""Published results of other methods, measured by the protocol of the model cards."""

import csv
import functools
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path

from restorax import zoo
from restorax.degrade import parse

PUBLISHED = Path(__file__).parent / "published.csv"


def rows() -> list[dict[str, str]]:
    """Published results: ``dataset``, ``degradation``, ``method``, ``psnr``, after JPEG ``psnr_b``, and ``source``."""
    with PUBLISHED.open(newline="") as file:
        return list(csv.DictReader(file))


def tables(cards: Mapping[str, zoo.Card]) -> str:
    """Markdown: one table per test set, with published methods and entries under the same degradations."""
    parts = []
    for dataset, group in groupby(rows(), lambda row: row["dataset"]):
        cells: dict[str, dict[str, tuple[float, ...]]] = {}
        for row in group:
            values = tuple(float(row[key]) for key in ("psnr", "psnr_b") if row[key])
            cells.setdefault(f"{row['method']} ({row['source']})", {})[row["degradation"]] = values
        degradations = list(dict.fromkeys(degradation for row in cells.values() for degradation in row))
        for name, card in cards.items():
            own = [r for r in card.results if r.dataset == dataset]
            found = {without_noise_level(r.degradation): (r.psnr, r.psnr_b) if r.psnr_b else (r.psnr,) for r in own}
            if shared := {degradation: found[degradation] for degradation in degradations if degradation in found}:
                cells[f"**`{name}`**"] = shared
        middle = degradations[(len(degradations) - 1) // 2]
        best_last = sorted(cells.items(), key=lambda cell: cell[1].get(middle, ()))
        lines = [[dataset, *(f"`{degradation}`" for degradation in degradations)], ["---"] * (len(degradations) + 1)]
        lines += [
            [name, *(" / ".join(f"{value:.2f}" for value in row.get(degradation, ())) for degradation in degradations)]
            for name, row in best_last
        ]
        parts.append("\n".join(f"| {' | '.join(line)} |" for line in lines))
    return "\n\n".join(parts)


@functools.cache
def without_noise_level(degradation: str) -> str:
    """Drop ``with_level`` from a degradation: it changes the condition, not the degraded image."""
    parsed = parse(degradation)
    if not any("with_level" in op.strengths for op in parsed.operators):
        return degradation
    return str(parsed.replace(with_level=None))
