"""Write published speeds and halos into the model cards: ``python -m benchmarks cards``.

No other suite changes a card. ``python -m benchmarks.zoo_table`` then updates the tables made from the cards.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from restorax import zoo

from .halo import CORE
from .record import Row, newest, read
from .speeds import SIZE, head, speeds


def throughputs(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Return megapixels per second at 512 x 512, by entry and then by device and type.

    Args:
        rows: newest rows of ``throughput``, oldest first; of several ceilings of a device the last counts.
    """
    found: dict[str, dict[str, float]] = {}
    lines = [row for row in head(rows) if row["size"] == SIZE]
    for name in zoo.list_models():
        matching = [row for row in lines if name in row["entry"].split()]
        found[name] = {f"{row['device']}, {row['dtype']}": float(row["JAX Mpix/s"]) for row in matching}
    return found


def halos(rows: Sequence[Row]) -> dict[str, int | None]:
    """Return the halo that suffices for all degradations of an entry, ``None`` if none does, by entry."""
    found: dict[str, int | None] = {}
    for row in newest([row for row in rows if row["core"] == str(CORE)], ("entry", "degradation")):
        needed = int(row["needed"]) if row["needed"].isdigit() else None
        previous = found.setdefault(row["entry"], needed)
        found[row["entry"]] = None if None in (needed, previous) else max(needed, previous)
    return found


def main() -> None:
    """Update the cards whose published measurements changed, and name them."""
    speed, halo = throughputs(speeds(read("throughput", local=False))), halos(read("halo", local=False))
    for name in zoo.list_models():
        card = zoo.Card.read(zoo.find(name))
        measured: dict[str, Any] = {"throughput": speed[name]} | ({"halo": halo[name]} if name in halo else {})
        if (updated := dataclasses.replace(card, **measured)) != card:
            updated.write(zoo.find(name))
            print(f"updated the card of {name}")


if __name__ == "__main__":
    import typer

    typer.run(main)
