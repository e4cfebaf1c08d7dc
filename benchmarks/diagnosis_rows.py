"""Rows of the suite ``diagnosis``: its results on many images, summarised."""

from collections.abc import Iterator
from typing import Any

import numpy as np

GENERALIST = "resunet_s-color-any"
KINDS = ("noise", "impulses", "jpeg", "blur", "missing")
Row = dict[str, Any]


def row(part: str, name: str, images: int, value: float, unit: str) -> Row:
    """Return a row of the suite."""
    return {"part": part, "name": name, "images": images, "value": f"{value:.2f}", "unit": unit}


def kind_of(name: str) -> str:
    """Kind of damage of an operator."""
    if name.startswith("missing"):
        return "missing"
    if name in ("salt_and_pepper_noise", "impulse_noise"):
        return "impulses"
    return "noise" if name.endswith("_noise") else "blur" if name.endswith("_blur") else "jpeg"


def detection(results: list[Row]) -> list[Row]:
    """Rows of recall and false alarms by kind, and of the confusion of single damages."""
    rows = []
    for kind in KINDS:
        there = [kind in {kind_of(n) for n, _ in r["damages"]} for r in results]
        named = [kind in r["named"] for r in results]
        hits = [n for n, t in zip(named, there, strict=True) if t]
        alarms = [n for n, t in zip(named, there, strict=True) if not t]
        rows.append(row("detection", f"{kind}, found", len(hits), 100 * np.mean(hits), "%"))
        rows.append(row("detection", f"{kind}, false alarms", len(alarms), 100 * np.mean(alarms), "%"))
    for kind in ("clean", *KINDS):
        single = [r for r in results if [kind_of(n) for n, _ in r["damages"]] == ([kind] if kind != "clean" else [])]
        named = [r["named"][0] if r["named"] else "clean" for r in single]
        shares = {other: named.count(other) for other in ("clean", *KINDS, "stripes") if other in named}
        text = ", ".join(f"{other} {count}" for other, count in shares.items())
        rows.append(
            row("confusion", f"{kind} named as {text}", len(single), 100 * np.mean([n == kind for n in named]), "%")
        )
    return rows


def estimates(results: list[Row]) -> list[Row]:
    """Rows of errors of the estimates, for single damages and for pairs."""
    rows = []
    for title, count in (("single", 1), ("pairs", 2)):
        values: dict[tuple[str, str], list[float]] = {}
        for result in results:
            if len(result["damages"]) == count:
                for name, unit, error in _errors(result):
                    values.setdefault((name, unit), []).append(error)
        for (name, unit), numbers in values.items():
            value = 100 * np.mean(numbers) if unit == "share" else np.median(numbers)
            rows.append(row("estimate", f"{name}, {title}", len(numbers), value, "%"))
    return rows


def _errors(result: Row) -> Iterator[tuple[str, str, float]]:
    """Yield name, unit and value of each error: relative in %, or whether it is within a bound."""
    found = result["found"]
    for name, strengths in result["damages"]:
        if name == "gaussian_noise":
            sigma = strengths["sigma"]
            yield "noise level, median error", "%", _relative(found["noise"]["level"], sigma)
            yield "noise level, median error of estimate_sigma", "%", _relative(result["sigma"], sigma)
        elif kind_of(name) == "impulses":
            error = _relative(found["impulses"]["share"], strengths["amount"])
            yield "impulses, median error of the share", "%", error
        elif kind_of(name) == "jpeg":
            yield "JPEG quality, within 3", "share", abs(found["jpeg"]["quality"] - strengths["quality"]) <= 3
        elif name == "motion_blur" and strengths["length"] >= 7:
            apart = abs((found["blur"]["angle"] - strengths["angle"] + 90) % 180 - 90)
            yield "motion angle, within 10 degrees", "share", apart <= 10
            yield "motion length, median error", "%", _relative(_length(found["blur"]), strengths["length"])


def _relative(estimate: float, true: float) -> float:
    return 100 * abs(estimate / true - 1)


def _length(blur: Row) -> float:
    factor = {"gaussian": 12**0.5, "defocus": 12**0.5 / 2, "motion": 1.0}[blur["kind"]]
    return factor * blur["size"]


def regret(results: list[Row], title: str) -> list[Row]:
    """Rows of the mean gain of the choice, the oracle, the generalist and the best single entry."""
    degraded_ones = [r for r in results if r["entries"]]
    if not degraded_ones:
        return []
    gain = np.mean([r["gain"] for r in degraded_ones])
    best = np.mean([max(0.0, *r["entries"].values()) for r in degraded_ones])
    names = {name for r in degraded_ones for name in r["entries"]}
    single = {n: np.mean([r["entries"].get(n, 0.0) for r in degraded_ones]) for n in names}
    top = max(single, key=single.__getitem__)
    n = len(degraded_ones)
    worse = 100 * np.mean([r["gain"] < -0.5 for r in degraded_ones])
    return [
        row("gain", f"automatic, {title}", n, gain, "dB"),
        row("gain", f"oracle, {title}", n, best, "dB"),
        row("gain", f"share of the oracle, {title}", n, 100 * gain / best, "%"),
        row("gain", f"{GENERALIST}, {title}", n, single.get(GENERALIST, 0.0), "dB"),
        row("gain", f"best single entry ({top}), {title}", n, single[top], "dB"),
        row("harm", f"worse by more than 0.5 dB, {title}", n, worse, "%"),
    ]


def clean_rows(results: list[Row]) -> list[Row]:
    """Rows of the loss on clean images."""
    rows = []
    for title in ("photographs", "text, microscopy, astronomy"):
        photographs = title == "photographs"
        part = [
            r for r in results if not r["damages"] and (r["set"] in ("text", "microscopy", "astronomy")) != photographs
        ]
        if part:
            losses = [-r["gain"] for r in part]
            rows.append(row("harm", f"clean {title}, mean loss", len(part), np.mean(losses), "dB"))
            rows.append(row("harm", f"clean {title}, largest loss", len(part), max(losses), "dB"))
            touched = 100 * np.mean([r["choice"] != "left alone" for r in part])
            rows.append(row("harm", f"clean {title}, touched", len(part), touched, "%"))
    return rows
