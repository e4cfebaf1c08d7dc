"""The newest rows of every suite as one page, benchmarks/report.md: ``python -m benchmarks report``."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from restorax import zoo
from restorax.files import written_beside

from . import networks, published, record
from .record import newest, table

Row = Mapping[str, str]
PAGE = Path(__file__).parent / "report.md"
README = PAGE.parent.parent / "README.md"
PLOTS = README.parent / "docs"
SIZE = "512x512"  # of the speeds that README and cards say
SPEED = ("device", "entry", "form", "dtype", "size", "batch")
ORIGIN = ("date", "device", "driver", "jax", "xla", "torch", "commit")


class Section(NamedTuple):
    """A table of a suite's file: of the rows with one key (and device, where they are times), the newest."""

    suite: str
    title: str
    key: tuple[str, ...]
    timed: bool = True


SECTIONS = (
    Section(
        "ceiling",
        "Ceilings of the devices; convolutions may exceed the products of a library",
        ("what", "dtype", "side", "by"),
    ),
    Section("training", "Training", ("name", "what", "dtype", "devices", "batch", "patch")),
    Section("scaling", "Scaling; pretended devices show overhead, not speed", ("part", "name", "size", "dtype")),
    Section("pods", "Weak scaling on pods, estimated from the TPU compiler's numbers", ("name", "chip", "chips")),
    Section("tpu_compile", "What the TPU compiler says", ("recipe", "topology", "shards", "program")),
    Section("quality", "Quality", ("dataset", "degradation", "method"), timed=False),
    Section("operators", "Operators; ratio: time of the fastest peer / time of ours", ("operator", "batch")),
    Section("models", "Architectures beside PyTorch; ratios: time of ours / time of PyTorch's faster form", ("model",)),
    Section("conv", "Tuned convolutions against plain XLA, forward and backward", ("what", "input")),
    Section("recurrence", "Recurrences", ("recurrence", "steps", "form")),
    Section("recurrence_compile", "Compiling recurrent networks", ("network",)),
    Section("input", "Input", ("recipe", "source")),
    Section("large_image", "A large picture on the command line", ("model", "size")),
    Section(
        "explain",
        "How far restorers look, and whether they know their errors",
        ("entry", "dataset", "degradation"),
        timed=False,
    ),
    Section("halo", "Context that a tile needs", ("entry", "degradation", "core", "halo"), timed=False),
    Section(
        "ablation", "What recurrence is worth", ("variant", "trained", "degradation", "steps", "batch", "dtype", "seed")
    ),
)


def page(plots: Path = PLOTS) -> str:
    """Markdown; the plots that it shows are written beside."""
    parts = ["# Benchmarks", "Made by `python -m benchmarks report` from the rows in `benchmarks/results/`."]
    speed = speeds(record.read("throughput"))
    quality = newest(record.read("quality"), ("dataset", "degradation", "method"))
    parts += _by_device(
        "Throughput; share: of the fastest matrix product measured; JAX / PyTorch: of pixels per second", head(speed)
    )
    for name, title, costs in (
        ("multiply_adds", "multiply-adds per pixel", _work()),
        ("milliseconds", "ms per Mpix, float32", _times(speed)),
    ):
        points = [(row, costs.get(row["method"])) for row in _levels(quality)]
        points = [(row, cost) for row, cost in points if cost or row["method"] not in zoo.list_models()]
        if draw(points, title, plots / f"psnr_{name}.png"):
            parts.append(f"![PSNR against {title}](../docs/psnr_{name}.png)")
    for section in SECTIONS:
        rows = record.read(section.suite)
        if not section.timed:
            rows = _anywhere(rows)
        parts += _by_device(section.title, newest(rows, ("device", *section.key)))
    gains = newest(_anywhere(record.read("robustness")), ("entry", "degradation", "dataset"))
    parts += _by_device("Robustness: PSNR gained in dB", matrix(gains))
    if gains:
        parts.append("![Gains as a heat map](../docs/robustness.png)")
    return "\n\n".join(parts) + "\n"


def _anywhere(rows: Sequence[Row]) -> list[Row]:
    """Rows of what does not depend on the device."""
    return [row | {"device": "any device"} for row in rows]


def speeds(rows: Sequence[Row]) -> list[Row]:
    """The newest rows of throughput by network: each under the names that its network has today.

    A row says the names at the time of measuring, of which the first was loaded; since then others may have come.
    """
    today = {name: " ".join(together) for together in networks.groups() for name in together}
    return newest([row | {"entry": today.get(row["entry"].split()[0], row["entry"])} for row in rows], SPEED)


def head(rows: Sequence[Row]) -> list[dict[str, str]]:
    """JAX and PyTorch side by side: one image alone, and the most pixels per second of any batch."""
    lines = []
    for key in dict.fromkeys((row["device"], row["entry"], row["dtype"], row["size"]) for row in rows):
        same = [row for row in rows if (row["device"], row["entry"], row["dtype"], row["size"]) == key]
        line = dict(zip(("device", "entry", "dtype", "size"), key, strict=True)) | {
            k: same[-1].get(k, "") for k in ORIGIN if k != "device"
        }
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
    wanted = (row for row in rows if row["form"].startswith("JAX") == jax)
    return max(wanted, key=lambda row: float(row["mpix_per_s"]), default=None)


def matrix(rows: Sequence[Row]) -> list[dict[str, str]]:
    """Entries as columns, degradations as lines."""
    lines: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows:
        key = row["degradation"], row["dataset"]
        same = {"date": row["date"], "device": row["device"], "degradation": key[0], "dataset": key[1]}
        lines.setdefault(key, same)[row["entry"]] = row["gain"]
    return list(lines.values())


def _levels(quality: Sequence[Row]) -> list[Row]:
    """PSNR of entries, from their cards and from the suite, of classical methods, and of papers."""
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
    """Multiply-adds per pixel of the entries."""
    return {name: zoo.Card.read(zoo.find(name)).flops_per_megapixel / 2 / 2**20 for name in zoo.list_models()}


def _times(speed: Sequence[Row]) -> dict[str, float]:
    """Milliseconds per megapixel of the entries in images of 512 x 512, on the device that was measured last."""
    rows = [r for r in speed if (r["form"], r["dtype"], r["size"], r["batch"]) == ("JAX", "float32", SIZE, "1")]
    last = max(rows, key=lambda row: row["date"], default={"device": ""})["device"]
    per_pixel = [(row["entry"], float(row["median_ms"]) / _pixels(row)) for row in rows if row["device"] == last]
    return {name: time * 1e6 for together, time in per_pixel for name in together.split()}


def _pixels(row: Row) -> int:
    height, width = map(int, row["size"].split("x"))
    return height * width


def draw(points: Sequence[tuple[Row, float | None]], title: str, path: Path) -> bool:
    """Plot PSNR against a cost: a panel where entries compete, with lines for methods whose cost is not known.

    Returns:
        Whether there was anything to plot.
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


def _by_device(title: str, rows: Sequence[Row]) -> list[str]:
    """A table for every device, with what the rows have in common above it."""
    parts = [f"## {title}"] if rows else []
    for device in dict.fromkeys(row.get("device", "") for row in rows):
        mine = [row for row in rows if row.get("device", "") == device]
        dates = sorted({row["date"] for row in mine if row.get("date")})
        versions = {f"{k} {row[k]}" for row in mine for k in ("driver", "jax", "torch", "commit") if row.get(k)}
        if device:
            parts.append(
                f"{device}; {' to '.join(dict.fromkeys((dates[0], dates[-1])))}; {', '.join(sorted(versions))}"
            )
        seen = dict.fromkeys(c for row in mine for c in row if c not in ORIGIN and any(r.get(c) for r in mine))
        parts.append(table(mine, list(seen)))
    return parts


def in_readme(text: str, rows: Sequence[Row]) -> str:
    """The same text with the speed at 512 x 512 beside PyTorch between its markers, if it has them."""
    columns = ("device", "entry", "dtype", "JAX ms", "PyTorch ms", "torch.compile ms", "JAX / PyTorch")
    lines = [row | {"entry": _short(row["entry"])} for row in head(rows) if row["size"] == SIZE]
    lines = [row for row in lines if all(row.get(column) for column in columns)]
    if not lines:
        return text
    return re.sub(
        r"(<!-- speed -->\n).*?(<!-- /speed -->)",
        lambda found: f"{found[1]}{table(lines, columns)}\n{found[2]}",
        text,
        flags=re.DOTALL,
    )


def _short(entries: str) -> str:
    """The first of several entries, and how many have the same network."""
    first, *others = entries.split()
    return f"{first} and {len(others)} like it" if others else first


def in_cards(rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Megapixels per second in images of 512 x 512, by entry and then by device and type, as cards say them."""
    found: dict[str, dict[str, float]] = {}
    lines = [row for row in head(rows) if row["size"] == SIZE]
    for name in zoo.list_models():
        known = [row for row in lines if name in row["entry"].split()]
        found[name] = {f"{row['device']}, {row['dtype']}": float(row["JAX Mpix/s"]) for row in known}
    return found


def main() -> None:
    """Write the page and its plots, the head of the table of speeds into README, and speeds into cards."""
    with written_beside(PAGE) as beside:
        beside.write_text(page())
    speed = speeds(record.read("throughput"))
    for name, throughput in in_cards(speed).items():
        card = zoo.Card.read(zoo.find(name))
        if throughput != card.throughput:
            dataclasses.replace(card, throughput=throughput).write(zoo.find(name))
    text = in_readme(README.read_text(), speed)
    if text != README.read_text():
        with written_beside(README) as beside:
            beside.write_text(text)
    print(PAGE)


if __name__ == "__main__":
    main()
