"""Sections on the quality of entries, of ``solve`` and of the diagnosis."""

import statistics
from collections.abc import Sequence

from restorax import zoo

from ..record import Row, groups
from ..zoo_table import CHOICES
from .section import Section


def _best_methods(rows: Sequence[Row]) -> list[Row]:
    """One line per degradation of ``CHOICES``: the best classical method and the best entry."""
    lines, entries = [], set(zoo.list_models())
    for group in groups(rows, "dataset", "degradation"):
        degraded = next((row["psnr"] for row in group if row["method"] == "none"), "")
        line = dict(group[0]) | {"input": degraded}
        for title, names in (
            ("classical", {row["method"] for row in group if "true kernel" not in row["method"]} - entries - {"none"}),
            ("entry", entries),
        ):
            best = max((row for row in group if row["method"] in names), key=lambda row: float(row["psnr"]), default={})
            line |= {title: best.get("method", ""), f"{title} PSNR": best.get("psnr", "")}
        if line["classical"] and line["entry"]:
            lines.append(line)
    chosen = {degradation for *_, degradation in CHOICES}
    return [line for line in lines if line["degradation"] in chosen] or lines


def _out_of_distribution(rows: Sequence[Row]) -> list[Row]:
    """One line per entry: its gains on degradations whose operators it was not trained on."""
    lines = []
    for group in groups([row for row in rows if row.get("trained") != "True"], "entry"):
        gains = [float(row["gain"]) for row in group]
        worst = min(group, key=lambda row: float(row["gain"]))
        improved = f"{sum(gain > 0 for gain in gains)} of {len(gains)}"
        lines.append(
            group[0]
            | {"improved": improved, "median gain [dB]": f"{statistics.median(gains):.2f}"}
            | {"worst gain [dB]": worst["gain"], "worst degradation": worst["degradation"]}
        )
    chosen = {name for _, name, _ in CHOICES}
    return sorted(lines, key=lambda line: line["entry"] not in chosen)


def _solved(rows: Sequence[Row]) -> list[Row]:
    """One line per degradation: the best form of ``solve`` beside the best of the other methods."""
    lines = []
    for group in groups(rows, "part", "dataset", "degradation"):
        forms = [row for row in group if row["method"].startswith("solve")]
        others = [row for row in group if row not in forms]
        best, other = (max(some, key=lambda row: float(row["psnr"])) for some in (forms, others))
        lines.append(
            best
            | {"best of the others": other["method"], "its PSNR": other["psnr"]}
            | {"solve": best["method"], "solve PSNR": best["psnr"]}
        )
    return lines


def _best_gains(rows: Sequence[Row]) -> list[Row]:
    """The best method on each degradation of colour images."""
    colour = [row for row in rows if row["channels"] == "3" and row["degradation"]]
    return [max(group, key=lambda row: float(row["gain"])) for group in groups(colour, "degradation")]


def _without_details(rows: Sequence[Row]) -> list[Row]:
    """The rows over all sets."""
    parts = ("estimate", "gain", "harm", "time")
    return [row for row in rows if row["part"] in parts and not row["name"].endswith(("kodak24", "live1"))]


SECTIONS = (
    Section(
        "quality",
        "How do the entries compare with oracle-tuned classical baselines?",
        ("dataset", "degradation", "method"),
        ("dataset", "degradation", "input", "classical", "classical PSNR", "entry", "entry PSNR"),
        _best_methods,
        timed=False,
    ),
    Section(
        "robustness",
        "How much do the entries gain on degradations that they were not trained on?",
        ("entry", "degradation", "dataset"),
        ("entry", "improved", "median gain [dB]", "worst gain [dB]", "worst degradation"),
        _out_of_distribution,
        timed=False,
        note="Gain in PSNR over the degraded image, clipped to [0, 1].",
    ),
    Section(
        "harm",
        "How far do blind restorers change clean images?",
        ("entry",),
        ("entry", "photographs", "odd", "worst", "of", "black", "white"),
        lambda rows: sorted(rows, key=lambda row: -float(row["odd"])),
        timed=False,
        note="PSNR of the output for clean input, at most 60 dB; black and white in 8-bit units.",
        limit=40,
    ),
    Section(
        "solve",
        "How does `restorax.solve` with a known degradation compare with trained entries and classical methods?",
        ("part", "dataset", "degradation", "method"),
        ("part", "dataset", "images", "size", "degradation", "best of the others", "its PSNR", "solve", "solve PSNR"),
        _solved,
        timed=False,
        note="The best method beside the best form of solve; the first images of each set, cropped to size.",
        limit=20,
    ),
    Section(
        "solve_speed",
        "How fast is `restorax.solve`, compared with deepinv in PyTorch with the same denoiser?",
        ("border", "size", "method", "denoiser"),
        ("border", "size", "method", "psnr", "median_ms", "compile_s", "memory_MiB"),
        note="Motion blur of 15 pixels and noise of 2.55/255 on gray photographs; 8 iterations of half-quadratic\n"
        "splitting. Images of 2048 x 2048 are solved in tiles by restorax and whole by deepinv.",
        limit=20,
    ),
    Section(
        "schedule",
        "What does a schedule of `restorax.solve` gain that is trained for a family of blurs?",
        ("dataset", "images", "iterations", "degradation"),
        ("dataset", "images", "size", "iterations", "degradation", "default", "trained", "gain"),
        timed=False,
        note="PSNR with the default schedule and with the trained one.",
        limit=20,
    ),
    Section(
        "gains",
        "How much do entries and chains of two gain, from which `restorax.choose` ranks them?",
        ("method", "channels", "degradation"),
        ("degradation", "method", "gain", "worst"),
        _best_gains,
        timed=False,
        note="The best on each degradation of colour images; PSNR counts up to 50 dB.",
    ),
    Section(
        "diagnosis",
        "Does the diagnosis find the damage, and how near is the automatic choice to the best?",
        ("part", "name"),
        ("part", "name", "images", "value", "unit"),
        _without_details,
        timed=False,
        note="Crops of sets that neither the network nor the choice has seen; the oracle tries all candidates.",
    ),
)
