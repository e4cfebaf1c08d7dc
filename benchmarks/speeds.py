"""Rows of ``throughput`` as README, the report and the cards show them."""

from collections.abc import Sequence

from . import networks
from .hardware import machines
from .record import Row, groups, newest

SIZE = "512x512"  # image size of the speeds in README and cards
KEY = ("device", "entry", "form", "dtype", "size", "batch")


def speeds(rows: Sequence[Row]) -> list[Row]:
    """Return the newest rows of ``throughput`` by network, under the current names of the network.

    A row holds the names at the time of measuring, the first of which was loaded; entries may have been added since.
    """
    current = {name: " ".join(together) for together in networks.groups() for name in together}
    return newest([row | {"entry": current.get(row["entry"].split()[0], row["entry"])} for row in rows], KEY)


def is_latency(row: Row) -> bool:
    """Return whether a row of ``throughput`` is the time of one 512 x 512 image in float32 in JAX."""
    return (row["form"], row["dtype"], row["size"], row["batch"]) == ("JAX", "float32", SIZE, "1")


def milliseconds_per_megapixel(row: Row) -> float:
    """Return the median time of one image relative to its 10^6 pixels."""
    height, width = map(int, row["size"].split("x"))
    return 1e6 * float(row["median_ms"]) / (height * width)


def head(rows: Sequence[Row]) -> list[dict[str, str]]:
    """Put JAX and PyTorch side by side: latency of one image, and the best throughput of any batch.

    Rows of machines that are not comparable stay on separate lines.
    """
    return [line for alike in machines(rows) for line in _side_by_side(alike)]


def _side_by_side(rows: Sequence[Row]) -> list[dict[str, str]]:
    lines = []
    for same in groups(rows, "device", "entry", "dtype", "size"):
        line = {column: same[0][column] for column in ("device", "entry", "dtype", "size")}
        for form in ("JAX", "PyTorch", "torch.compile"):
            line[f"{form} ms"] = next(
                (r["median_ms"] for r in same if r["form"].split(",")[0] == form and r["batch"] == "1"), ""
            )
        ours, theirs = _fastest(same, jax=True), _fastest(same, jax=False)
        line |= {"JAX Mpix/s": ours["mpix_per_s"]} | {key: ours[key] for key in ("batch", "share", "memory_MiB")}
        if theirs:
            line["PyTorch Mpix/s"] = theirs["mpix_per_s"]
            line["JAX / PyTorch"] = f"{float(ours['mpix_per_s']) / float(theirs['mpix_per_s']):.2f}"
        lines.append(line)
    return lines


def _fastest(rows: Sequence[Row], *, jax: bool) -> Row | None:
    candidates = (row for row in rows if row["form"].startswith("JAX") == jax)
    return max(candidates, key=lambda row: float(row["mpix_per_s"]), default=None)


def short_names(entries: str) -> str:
    """Return the first of several entries, and how many others have the same network."""
    first, *others = entries.split()
    return f"{first} and {len(others)} like it" if others else first
