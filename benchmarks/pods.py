"""Weak scaling on TPU pods, estimated from compiler output: ``python -m benchmarks pods``.

Nothing is run on a pod. results/tpu_compile.csv gives FLOP, memory traffic and exchanged bytes of a training step on
one chip; the documentation of the chips gives their speed. See ``weak_scaling`` for the assumptions, which are
pessimistic about communication; input and stragglers are ignored.
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from .options import Publish, Quick
from .record import record, table

COMPILED = Path(__file__).parent / "results" / "tpu_compile.csv"


class Chip(NamedTuple):
    """Peak bfloat16 FLOP/s, bytes/s of memory and of one link in one direction, and axes of the torus.

    Reference:
        Cloud TPU documentation, pages of v5e, v5p and v6e: 197, 459 and 918 TFLOP/s; 819, 2765 and 1638 GB/s; links of
        all ports and both directions together 400, 1200 and 800 GB/s, of 4, 6 and 4 ports.
    """

    flops: float
    memory: float
    link: float
    axes: int


CHIPS = {
    "v5e": Chip(197e12, 819e9, 50e9, 2),
    "v5p": Chip(459e12, 2765e9, 100e9, 3),
    "v6e": Chip(918e12, 1638e9, 100e9, 2),
}
HOP = 1e-6  # assumed latency in seconds from one chip to the next


def weak_scaling(chip: Chip, *, flops: float, touched: float, exchanged: float, chips: int) -> tuple[float, float]:
    """Estimate seconds of computation and of communication of a step with a fixed batch per chip.

    Computation is bounded by the slower of arithmetic and memory at peak speed, which overstates the share of
    communication. Gradients are summed after all computation, along one axis of the torus after the other, in one
    ring in one direction: a link carries ``2 (n - 1) / n`` times their bytes, in ``2 d (n ** (1 / d) - 1)`` hops
    for ``d`` axes. A real pod uses all links at once and overlaps them with the backward pass.

    Args:
        chip: speed of one chip.
        flops: floating-point operations of the step on one chip.
        touched: bytes read and written in the memory of one chip.
        exchanged: bytes of the gradients.
        chips: number of chips.
    """
    computing = max(flops / chip.flops, touched / chip.memory)
    hops = 2 * chip.axes * (chips ** (1 / chip.axes) - 1)
    return computing, 2 * (chips - 1) / chips * exchanged / chip.link + hops * HOP


def pods(path: Path, counts: Sequence[int]) -> list[dict[str, Any]]:
    """Estimate the efficiency of training on pods from the rows of ``tpu_compile``."""
    rows = []
    with path.open() as file:
        compiled = [row for row in csv.DictReader(file) if row["program"] == "training step" and row["shards"] == "1"]
    for row in compiled:
        kind = row["topology"].split(":")[0]
        cost = {
            "flops": 1e9 * float(row["GFLOP"]),
            "touched": 1e9 * float(row["GB touched"]),
            "exchanged": 2**20 * float(row["collective MiB"]),
        }
        for count in counts:
            computing, communicating = weak_scaling(CHIPS[kind], **cost, chips=count)
            times = {"computing_ms": 1e3 * computing, "communication_ms": 1e3 * communicating}
            identity = {"name": row["recipe"], "chip": kind, "chips": count, "per_chip": row["per chip"]}
            rows.append({**identity, **times, "efficiency": computing / (computing + communicating)})
    return rows


def main(quick: Quick = False, publish: Publish = False) -> None:
    """Print and record the estimates."""
    rows = pods(COMPILED, (256,) if quick else (4, 16, 64, 256))
    print(table(rows))
    if not quick:
        record("pods", rows, publish=publish)


if __name__ == "__main__":
    import typer

    typer.run(main)
