"""Print tables that fit the terminal width, and JSON."""

import json
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from ..card import Card, Result
else:
    Card = Result = object  # --help starts without JAX

_GAP = "  "


def aligned(rows: Sequence[Sequence[str]], width: int, *, flexible: int = 0, left: Collection[int] = (0,)) -> list[str]:
    """Lay out a table: its heading, then one line for each further row.

    Args:
        rows: cells; the first row is the heading.
        width: cells of the terminal that a line may take.
        flexible: column that is cut where a line would be longer.
        left: columns of text, aligned to the left; the others are aligned to the right.

    Returns:
        Lines of at most ``width``, as long as the other columns and five cells of the flexible one fit in it.

    Example:
        >>> aligned([("entry", "gain"), ("a_long_name-gray-noise", "+9.81")], 19)
        ['entry          gain', 'a_long_name…  +9.81']
    """
    sides = [max(map(cell_len, column)) for column in zip(*rows, strict=True)]
    room = width - sum(sides) + sides[flexible] - len(_GAP) * (len(sides) - 1)
    sides[flexible] = max(5, min(sides[flexible], room))
    lines = []
    for row in rows:
        cells = [
            set_cell_size(cut(cell, side), side) if column in left else " " * (side - cell_len(cell)) + cell
            for column, (cell, side) in enumerate(zip(row, sides, strict=True))
        ]
        lines.append(_GAP.join(cells).rstrip())
    return lines


def cut(text: str, width: int) -> str:
    """Shorten a text to the cells of a column."""
    return text if cell_len(text) <= width else set_cell_size(text, width - 1).rstrip() + "…"


def print_table(console: Console, rows: Sequence[Sequence[str]], **options: Any) -> None:
    """Print rows as :func:`aligned` lays them out, the heading in bold."""
    heading, *lines = aligned(rows, console.width, **options)
    print_line(console, heading, style="bold")
    for line in lines:
        print_line(console, line)


def print_line(console: Console, text: str, style: str = "") -> None:
    """Print text verbatim, without wrapping, highlighting or markup."""
    console.print(text, style=style, highlight=False, markup=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """Print JSON; NaN and infinity become ``null``."""
    finite = json.loads(json.dumps(value), parse_constant=lambda _: None)
    print(json.dumps(finite, indent=2))


def print_fields(console: Console, fields: Iterable[tuple[str, str]]) -> None:
    """Print names and values, long values on several lines."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in fields:
        grid.add_row(name, value)
    console.print(grid, highlight=False, markup=False)


def condition(card: Card) -> str:
    """Return the condition of a restorer for display, ``blind`` if there is none."""
    return "blind" if card.condition == "none" else card.condition.replace("_", " ")


def psnr_gain(results: Sequence[Result]) -> str:
    """Format the mean PSNR gain in dB; results on clean images have none."""
    gains = [r.psnr - r.input_psnr for r in results if not r.is_clean]
    return f"{sum(gains) / len(gains):+.2f}" if gains else ""


def print_results(console: Console, results: Sequence[Result], title: str) -> None:
    """Print results, grouped by degradation, one line per data set."""
    block_metric = any(r.psnr_b is not None for r in results)
    on_pairs = any(r.worse is not None for r in results)
    more = [*["PSNR-B"] * block_metric, *["worse", "worst"] * on_pairs]
    rows = [["", "images", "PSNR before", "after", "gain", "SSIM", *more]]
    by_degradation: dict[str, list[Result]] = {}
    for r in results:
        by_degradation.setdefault(r.degradation, []).append(r)
    ordered = [r for these in by_degradation.values() for r in these]
    for r in ordered:
        before = "clean" if r.is_clean else f"{r.input_psnr:.2f}"
        rows.append([f"  {r.dataset}", str(r.images), before, f"{r.psnr:.2f}", psnr_gain([r])])
        rows[-1] += [f"{r.ssim:.4f}", *["" if r.psnr_b is None else f"{r.psnr_b:.2f}"] * block_metric]
        if on_pairs:
            rows[-1] += ["", ""] if r.worse is None else [str(r.worse), f"{r.worst_gain:+.2f}"]
    heading, *lines = aligned(rows, console.width)
    print_line(console, cut(title, console.width), style="bold")
    print_line(console, heading)
    previous = None
    for r, line in zip(ordered, lines, strict=True):
        if r.degradation != previous:
            console.print(previous := r.degradation, highlight=False, markup=False)
        print_line(console, line)
