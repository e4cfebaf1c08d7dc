"""Fastest entry of a required quality on this device: ``python -m benchmarks choose --task noise --psnr 31``.

PSNR comes from the cards, for the degradation that the zoo table shows for the task. Times of one 512 x 512 image in
float32 are read from earlier measurements on this device at the present ceilings, and measured where they are missing.
"""

import os
import textwrap
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, NamedTuple

import typer

from restorax import zoo

from . import hardware, networks, throughput
from .ceiling import Ceiling
from .figures import draw
from .options import option
from .published import without_noise_level
from .record import OUT, Row, origin, read, record, table
from .speeds import SIZE, is_latency, milliseconds_per_megapixel, speeds
from .zoo_table import CHOICES

LIMIT = 120.0  # seconds of measuring
WIDTH = 80


class Task(NamedTuple):
    """Degradation and test set that the zoo table shows for a task."""

    name: str
    channels: int
    degradation: str
    dataset: str


def tasks() -> dict[tuple[str, int], Task]:
    """Return the tasks of the zoo table by name and channels; of several rows of the table the first counts.

    Example:
        >>> tasks()["noise", 1].degradation
        'gaussian_noise(sigma=25/255)'
    """
    found: dict[tuple[str, int], Task] = {}
    for _, entry, degradation in CHOICES:
        card = zoo.Card.read(zoo.find(entry))
        result = next(result for result in card.results if result.degradation == degradation)
        task = Task(entry.split("-")[2], card.channels, without_noise_level(degradation), result.dataset)
        found.setdefault((task.name, task.channels), task)
    return found


def candidates(task: Task) -> dict[str, float]:
    """Return PSNR by entry, for the entries whose cards have a result for the task."""
    return {
        name: result.psnr
        for name in zoo.list_models()
        for card in (zoo.Card.read(zoo.find(name)),)
        for result in card.results
        if (result.dataset, without_noise_level(result.degradation)) == (task.dataset, task.degradation)
        and card.channels == task.channels
    }


def known() -> dict[str, Row]:
    """Return the newest comparable times on this device by entry."""
    here = origin() | {key: str(value) for key, value in hardware.ceilings().items()}
    rows = [row for row in speeds(read("throughput")) if is_latency(row) and hardware.comparable(row, here)]
    return {name: row for row in rows for name in row["entry"].split()}


def measure(names: Sequence[str], limit: float) -> None:
    """Time entries in the given order and record them locally, until the next would take longer than the limit."""
    matrix, copy = (hardware.ceilings()[column] for column in hardware.CEILINGS)
    end = time.perf_counter() + limit
    for entries in networks.groups(names) if names else ():
        # A first call, a second and three timed ones at a third of the ceiling, and compilation.
        expected = 5 * _work(entries[0]) / (1e9 * matrix / 3) + 5
        if time.perf_counter() + expected > end:
            continue
        _say(f"measuring {', '.join(entries)}")
        top = Ceiling(1e9 * matrix, float("nan"), 1e9 * copy)
        restorer = networks.load(entries[0])
        rows = throughput.measure(restorer, "float32", 512, 1, top, peers=False, compiled=False, seconds=2)
        record("throughput", [{"entry": " ".join(entries), **row} for row in rows])


def _work(name: str) -> float:
    """Return the floating-point operations of one 512 x 512 image."""
    return zoo.Card.read(zoo.find(name)).flops_per_megapixel * 512**2 / 2**20


def ranked(levels: Mapping[str, float], times: Mapping[str, Row], psnr: float) -> list[dict[str, str]]:
    """Return one line per measured entry: first those of the required PSNR, the fastest first.

    Args:
        levels: PSNR in dB by entry.
        times: rows of ``throughput`` by entry.
        psnr: required PSNR in dB.
    """
    cost = {name: milliseconds_per_megapixel(times[name]) for name in levels if name in times}
    return [
        {
            "entry": name,
            "PSNR [dB]": f"{levels[name]:.2f}",
            "ms/Mpx": f"{cost[name]:.0f}",
            "memory [MiB]": f"{float(times[name]['memory_MiB']):.0f}",
            "met": "yes" if levels[name] >= psnr else "no",
        }
        for name in sorted(cost, key=lambda name: (levels[name] < psnr, cost[name]))
    ]


def main(
    task: Annotated[str, option("Task, the third part of the entries' names: noise, jpeg, blur, missing, ...")],
    psnr: Annotated[float, option("Required PSNR in dB.")],
    channels: Annotated[int | None, option("1 for gray, 3 for colour [both].")] = None,
    limit: Annotated[float, option("Longest time of measuring in seconds; 0 measures nothing.")] = LIMIT,
) -> None:
    """Show the entries for a task, the fastest of the required PSNR first, measuring those without times here."""
    available = tasks()
    chosen = [one for one in available.values() if one.name == task and channels in (None, one.channels)]
    if not chosen:
        accepted = ", ".join(f"{name} --channels {count}" for name, count in available)
        raise typer.BadParameter(f"no entry for --task {task} with these channels; expected one of {accepted}")
    end = time.perf_counter() + limit
    for one in chosen:
        levels, times = candidates(one), known()
        missing = [name for name in levels if name not in times]
        measure(sorted(missing, key=lambda name: (levels[name] < psnr, _work(name))), end - time.perf_counter())
        _show(one, levels, known(), psnr)
    _say(f"PSNR from the cards; times on {hardware.label()}; memory: temporary buffers of one {SIZE} image.")


def _show(task: Task, levels: Mapping[str, float], times: Mapping[str, Row], psnr: float) -> None:
    """Print the table of a task and write its figure."""
    print(f"\n{task.degradation}, {task.dataset}, {'gray' if task.channels == 1 else 'colour'}")
    if lines := ranked(levels, times, psnr):
        print(table(lines))
    if left := [name for name in levels if name not in times]:
        _say(f"Not measured within the limit: {', '.join(left)}. Repeat the command or raise --limit.")
    if max(levels.values()) < psnr:
        _say(f"No entry reaches {psnr:g} dB; the best is {max(levels, key=lambda name: levels[name])}.")
    identity = {"dataset": task.dataset, "degradation": task.degradation}
    points = [
        (identity | {"method": name, "psnr": f"{level}"}, milliseconds_per_megapixel(times[name]))
        for name, level in levels.items()
        if name in times
    ]
    path = OUT / f"choose-{task.name}-{task.channels}.png"
    if draw(points, "ms per Mpix, float32", path, target=psnr):
        print(f"figure: {os.path.relpath(path)}")


def _say(text: str) -> None:
    print(textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False), flush=True)


if __name__ == "__main__":
    typer.run(main)
