"""Summarise the newest rows of every suite in benchmarks/report.md: ``python -m benchmarks report``.

``python -m benchmarks report SUITE`` prints all newest rows of one suite with all columns instead.
"""

import dataclasses
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from restorax import zoo
from restorax.files import write_atomically, written_beside

from . import published, record
from .record import newest, table
from .sections import LIMIT, SECTIONS, SIZE, Row, Section, head, short_names, speeds

PAGE = Path(__file__).parent / "report.md"
README = PAGE.parent.parent / "README.md"
PLOTS = README.parent / "docs"


def _levels(quality: Sequence[Row]) -> list[Row]:
    """Collect PSNR of entries (cards and suite), classical methods and published results."""
    cards = (zoo.Card.read(zoo.find(name)) for name in zoo.list_models())
    own = [
        {"dataset": r.dataset, "degradation": r.degradation, "method": card.name, "psnr": f"{r.psnr}"}
        for card in cards
        for r in card.results
    ]
    rows = [
        dict(row, degradation=published.without_noise_level(row["degradation"]))
        for row in (*quality, *own, *published.rows())
    ]
    return [row for row in newest(rows, ("dataset", "degradation", "method")) if row["method"] != "none"]


def _work() -> dict[str, float]:
    """Return multiply-adds per pixel of the entries."""
    return {name: zoo.Card.read(zoo.find(name)).flops_per_megapixel / 2 / 2**20 for name in zoo.list_models()}


def _times(speed: Sequence[Row]) -> dict[str, float]:
    """Return milliseconds per megapixel of the entries at 512 x 512, on the device measured last."""
    rows = [r for r in speed if (r["form"], r["dtype"], r["size"], r["batch"]) == ("JAX", "float32", SIZE, "1")]
    last = max(rows, key=lambda row: row["date"], default={"device": ""})["device"]
    per_pixel = [(row["entry"], float(row["median_ms"]) / _pixels(row)) for row in rows if row["device"] == last]
    return {name: time * 1e6 for together, time in per_pixel for name in together.split()}


def _pixels(row: Row) -> int:
    height, width = map(int, row["size"].split("x"))
    return height * width


def draw(points: Sequence[tuple[Row, float | None]], title: str, path: Path) -> bool:
    """Plot PSNR against cost, one panel per degradation with several entries; lines mark methods of unknown cost.

    Returns:
        Whether there were points to plot.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    panels: dict[tuple[str, str], list[tuple[Row, float | None]]] = {}
    for row, cost in points:
        panels.setdefault((row["dataset"], row["degradation"]), []).append((row, cost))
    panels = {key: some for key, some in panels.items() if sum(cost is not None for _, cost in some) > 1}
    if not panels:
        return False
    columns = min(3, len(panels))
    lines = -(-len(panels) // columns)
    size = (4.2 * columns, 3 * lines)
    figure, axes = plt.subplots(lines, columns, figsize=size, squeeze=False, layout="constrained")
    for axis in axes.flat[len(panels) :]:
        axis.remove()
    for axis, ((dataset, degradation), some) in zip(axes.flat, panels.items(), strict=False):
        best = max(float(row["psnr"]) for row, cost in some if cost)
        for row, cost in some:
            level = float(row["psnr"])
            if cost:
                axis.plot(cost, level, "o", markersize=4)
                axis.annotate(row["method"], (cost, level), (-4, 4), textcoords="offset points", fontsize=6, ha="right")
            elif level > best - 5:
                axis.axhline(level, linewidth=0.6, linestyle="--", color="grey")
                axis.text(1.01, level, row["method"], transform=axis.get_yaxis_transform(), fontsize=5, va="center")
        axis.set_title(f"{degradation}, {dataset}", fontsize=6)
        axis.set_xlabel(title, fontsize=7)
        axis.set_ylabel("PSNR [dB]", fontsize=7)
        axis.tick_params(labelsize=6)
        axis.margins(0.1, 0.3)
        axis.set_xlim(0)
        axis.ticklabel_format(axis="x", style="plain")
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_beside(path) as beside:
        figure.savefig(beside, format="png", dpi=110)
    plt.close(figure)
    return True


def newest_rows(section: Section) -> list[Row]:
    """Newest row of every measurement of a suite."""
    rows = record.read(section.suite)
    if section.suite == "throughput":
        return speeds(rows)
    if not section.timed:
        rows = [row | {"device": ""} for row in rows]
    return newest(rows, ("device", *section.key))


def page(plots: Path = PLOTS) -> str:
    """Markdown of the report; its plots are written to ``plots``."""
    parts = [
        "# Benchmarks",
        "For every suite the question it answers and the newest rows that answer it. `python -m benchmarks report`\n"
        "generates this page, `python -m benchmarks report SUITE` prints all newest rows of a suite, and\n"
        "`python -m benchmarks SUITE` runs it. `benchmarks/results/` holds every row with device, versions and commit.",
    ]
    for section in SECTIONS:
        rows = newest_rows(section)
        if not rows:
            continue
        parts += [f"## {section.question}", f"Suite: `{section.suite}`. {section.note}".strip()]
        for device in dict.fromkeys(row.get("device", "") for row in rows):
            mine = [row for row in rows if row.get("device", "") == device]
            selected = list(section.select(mine))[:LIMIT]
            if selected:
                parts += [_origin(mine), table(selected, section.columns)]
        parts += _figures(section.suite, plots)
    return "\n\n".join(parts) + "\n"


def _origin(rows: Sequence[Row]) -> str:
    """Device, dates and versions of a table."""
    dates = sorted({row["date"] for row in rows if row.get("date")})
    parts = [rows[0].get("device", ""), " to ".join(dict.fromkeys((*dates[:1], *dates[-1:])))]
    for name, package in (("JAX", "jax"), ("PyTorch", "torch")):
        versions = sorted({row[package] for row in rows if row.get(package)})
        parts.append(f"{name} {', '.join(versions)}" if versions else "")
    return f"{'; '.join(filter(None, parts))}."


def _figures(suite: str, plots: Path) -> list[str]:
    """Markdown of the figures of a suite; those of quality are drawn."""
    if suite == "robustness":
        return ["![Gain in PSNR for every entry and degradation](../docs/robustness.png)"]
    if suite != "quality":
        return []
    figures, levels = [], _levels(newest(record.read("quality"), ("dataset", "degradation", "method")))
    for name, title, costs in (
        ("multiply_adds", "multiply-adds per pixel", _work()),
        ("milliseconds", "ms per Mpix, float32", _times(speeds(record.read("throughput")))),
    ):
        points = [(row, costs.get(row["method"])) for row in levels]
        points = [(row, cost) for row, cost in points if cost or row["method"] not in zoo.list_models()]
        if draw(points, title, plots / f"psnr_{name}.png"):
            figures.append(f"![PSNR against {title}](../docs/psnr_{name}.png)")
    return figures


def in_readme(text: str, rows: Sequence[Row]) -> str:
    """Replace the table of speeds at 512 x 512 between its markers, if the text has them."""
    columns = ("device", "entry", "dtype", "JAX ms", "PyTorch ms", "torch.compile ms", "JAX / PyTorch")
    lines = [row | {"entry": short_names(row["entry"])} for row in head(rows) if row["size"] == SIZE]
    lines = [row for row in lines if all(row.get(column) for column in columns)]
    if not lines:
        return text
    return re.sub(
        r"(<!-- speed -->\n).*?(<!-- /speed -->)",
        lambda found: f"{found[1]}{table(lines, columns)}\n{found[2]}",
        text,
        flags=re.DOTALL,
    )


def in_cards(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Return megapixels per second at 512 x 512 for the cards, by entry and then by device and type."""
    found: dict[str, dict[str, float]] = {}
    lines = [row for row in head(rows) if row["size"] == SIZE]
    for name in zoo.list_models():
        matching = [row for row in lines if name in row["entry"].split()]
        found[name] = {f"{row['device']}, {row['dtype']}": float(row["JAX Mpix/s"]) for row in matching}
    return found


def main(suite: str = "") -> None:
    """Write the report, its plots, and the speeds in README and cards; or print all newest rows of one suite."""
    if suite:
        section = next((section for section in SECTIONS if section.suite == suite), None)
        if section is None:
            sys.exit(f"{suite!r} is not a suite; expected one of {', '.join(section.suite for section in SECTIONS)}")
        print(table(newest_rows(section)))
        return
    write_atomically(PAGE, page())
    speed = speeds(record.read("throughput"))
    for name, throughput in in_cards(speed).items():
        card = zoo.Card.read(zoo.find(name))
        if throughput != card.throughput:
            dataclasses.replace(card, throughput=throughput).write(zoo.find(name))
    text = in_readme(README.read_text(), speed)
    if text != README.read_text():
        write_atomically(README, text)
    print(PAGE)


if __name__ == "__main__":
    main(*sys.argv[1:])
