"""Summarise the newest rows of every suite in benchmarks/out/report.md: ``python -m benchmarks report``.

With ``--publish``, only published rows count, and benchmarks/report.md, its figures and the speeds in README are
written. ``python -m benchmarks report SUITE`` prints all newest rows of one suite with all columns instead.
"""

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from restorax import zoo
from restorax.files.atomic import write_atomically

from . import published
from .figures import draw
from .hardware import CEILINGS, machines
from .options import option
from .record import OUT, Row, newest, read, table
from .sections import SECTIONS
from .sections.section import Section
from .speeds import SIZE, head, is_latency, milliseconds_per_megapixel, short_names, speeds

PAGE = Path(__file__).parent / "report.md"
README = PAGE.parent.parent / "README.md"
PLOTS = README.parent / "docs"
UNITS = ("GFLOP/s in matrix products", "GB/s in copies")  # of ``CEILINGS``


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
    """Return milliseconds per megapixel of the entries at 512 x 512, on the machine measured last."""
    last = max(machines(filter(is_latency, speed)), key=lambda rows: max(row["date"] for row in rows), default=[])
    return {name: milliseconds_per_megapixel(row) for row in last for name in row["entry"].split()}


def newest_rows(section: Section, *, local: bool = True) -> list[Row]:
    """Newest row of every measurement of a suite, of published rows alone or together with local ones."""
    rows = read(section.suite, local=local)
    if section.suite == "throughput":
        return speeds(rows)
    if not section.timed:
        rows = [row | dict.fromkeys(("device", *CEILINGS), "") for row in rows]
    return newest(rows, ("device", *section.key))


def page(plots: Path = PLOTS, *, local: bool = False) -> str:
    """Markdown of the report, of published rows alone or together with local ones; its plots go to ``plots``."""
    command = "python -m benchmarks report" + " --publish" * (not local)
    parts = [
        "# Benchmarks",
        "For every suite the question it answers and the newest rows that answer it. `python -m benchmarks SUITE`\n"
        f"measures, `{command}` generates this page, and\n"
        "`python -m benchmarks report SUITE` prints all newest rows of a suite. A table compares rows of one device\n"
        "whose ceilings, measured in the same run, differ by at most 15 %; older rows have no ceilings.\n"
        "`benchmarks/results/` holds every published row with device, versions and commit.",
    ]
    for section in SECTIONS:
        rows = newest_rows(section, local=local)
        if not rows:
            continue
        parts += [f"## {section.question}", f"Suite: `{section.suite}`. {section.note}".strip()]
        for mine in machines(rows):
            selected = list(section.select(mine))[: section.limit]
            if selected:
                parts += [_origin(mine), table(selected, section.columns)]
        parts += _figures(section.suite, plots, local)
    return "\n\n".join(parts) + "\n"


def _origin(rows: Sequence[Row]) -> str:
    """Device, ceilings, dates and versions of a table."""
    dates = sorted({row["date"] for row in rows if row.get("date")})
    ceilings = [f"{rows[0][key]} {unit}" for key, unit in zip(CEILINGS, UNITS, strict=True) if rows[0].get(key)]
    parts = [rows[0].get("device", ""), *ceilings, " to ".join(dict.fromkeys((*dates[:1], *dates[-1:])))]
    for name, package in (("JAX", "jax"), ("PyTorch", "torch")):
        versions = sorted({row[package] for row in rows if row.get(package)})
        parts.append(f"{name} {', '.join(versions)}" if versions else "")
    return f"{'; '.join(filter(None, parts))}."


def _figures(suite: str, plots: Path, local: bool) -> list[str]:
    """Markdown of the figures of a suite; those of quality are drawn."""
    page_folder = OUT if local else PAGE.parent
    link = lambda title, path: f"![{title}]({os.path.relpath(path, page_folder)})"  # noqa: E731
    if suite == "robustness":
        return [link("Gain in PSNR for every entry and degradation", PLOTS / "robustness.png")]
    if suite != "quality":
        return []
    figures, levels = [], _levels(newest(read("quality", local=local), ("dataset", "degradation", "method")))
    for name, title, costs in (
        ("multiply_adds", "multiply-adds per pixel", _work()),
        ("milliseconds", "ms per Mpix, float32", _times(speeds(read("throughput", local=local)))),
    ):
        points = [(row, costs.get(row["method"])) for row in levels]
        points = [(row, cost) for row, cost in points if cost or row["method"] not in zoo.list_models()]
        path = plots / f"psnr_{name}.png"
        if draw(points, title, path):
            figures.append(link(f"PSNR against {title}", path))
    return figures


def in_readme(text: str, rows: Sequence[Row]) -> str:
    """Replace the speeds at 512 x 512 of the device measured last between their markers, if the text has them."""
    columns = ("entry", "dtype", "JAX ms", "PyTorch ms", "torch.compile ms", "JAX / PyTorch")
    lines = [row | {"entry": short_names(row["entry"])} for row in head(rows) if row["size"] == SIZE]
    lines = [row for row in lines if all(row.get(column) for column in columns)]
    if not lines:
        return text
    last = max(rows, key=lambda row: row["date"])["device"]
    lines = [row for row in lines if row["device"] == last]
    return re.sub(
        r"(<!-- speed -->\n).*?(<!-- /speed -->)",
        lambda found: f"{found[1]}On {last}:\n\n{table(lines, columns)}\n{found[2]}",
        text,
        flags=re.DOTALL,
    )


def main(
    suite: Annotated[str, typer.Argument(help="Print all newest rows of this suite instead.")] = "",
    publish: Annotated[
        bool, option("Report published rows in benchmarks/report.md, docs/ and README instead.", "--publish")
    ] = False,
) -> None:
    """Summarise the newest rows of every suite in benchmarks/out/report.md."""
    if suite:
        section = next((section for section in SECTIONS if section.suite == suite), None)
        if section is None:
            sys.exit(f"{suite!r} is not a suite; expected one of {', '.join(section.suite for section in SECTIONS)}")
        rows = newest_rows(section, local=not publish)
        print(table(rows) if rows else f"no rows of {suite}: run python -m benchmarks {suite}")
        return
    path = PAGE if publish else OUT / PAGE.name
    write_atomically(path, page(PLOTS if publish else OUT, local=not publish))
    print(path)
    if publish:
        text = in_readme(README.read_text(), speeds(read("throughput", local=False)))
        if text != README.read_text():
            write_atomically(README, text)
            print(README)


if __name__ == "__main__":
    typer.run(main)
