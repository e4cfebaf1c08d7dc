"""Results as CSV rows that say where they come from; rows from elsewhere: ``python -m benchmarks.record FOLDER``."""

import csv
import datetime
import functools
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import jax

from restorax.files import written_beside

RESULTS = Path(os.environ.get("RESTORAX_RESULTS") or Path(__file__).parent / "results")


def record(suite: str, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Append rows to ``<suite>.csv`` in ``RESULTS``, each with date, device, driver, versions and commit.

    Args:
        suite: name of the file.
        rows: measurements; numbers are kept to four digits.

    Returns:
        The file.
    """
    path = RESULTS / f"{suite}.csv"
    _append(path, [{**origin(), **{key: _text(value) for key, value in row.items()}} for row in rows])
    return path


def read(suite: str) -> list[dict[str, str]]:
    """The rows of a suite, oldest first; none if it has not run."""
    path = RESULTS / f"{suite}.csv"
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def newest(rows: Iterable[Mapping[str, str]], key: Sequence[str]) -> list[Mapping[str, str]]:
    """The last row of each key, in the order in which the keys came first."""
    return list({tuple(row.get(k, "") for k in key): row for row in rows}.values())


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> str:
    """Rows as a Markdown table, also to be read in a terminal; by default with the columns of the first row."""
    columns = columns or list(rows[0])
    lines = [list(columns), *([_text(row.get(column, "")) for column in columns] for row in rows)]
    widths = [max(3, *map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        f"| {' | '.join(c.ljust(w) for c, w in zip(line, widths, strict=True))} |".replace("\n", " ") for line in lines
    )


def _text(value: Any) -> str:
    """Numbers to four digits, and without an exponent up to a million."""
    return f"{float(f'{value:.4g}'):g}" if isinstance(value, float) else str(value)


def device() -> str:
    """The accelerator, or the processor with the number of cores that this process may use."""
    if jax.default_backend() != "cpu":
        return jax.devices()[0].device_kind
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{name}, {len(os.sched_getaffinity(0))} cores"


def _append(path: Path, rows: list[Mapping[str, Any]]) -> None:
    """Rows may bring columns that the file has not had; they stay empty in the rows before."""
    before = []
    if path.exists():
        with path.open(newline="") as file:
            before = list(csv.DictReader(file))
    columns = dict.fromkeys(column for row in (*before[:1], *rows) for column in row)
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_beside(path) as beside, beside.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows((*before, *rows))


@functools.cache
def origin() -> dict[str, str]:
    """Date, device, driver, versions and commit, as every row says them."""
    return {
        "date": datetime.date.today().isoformat(),
        "device": device(),
        "driver": _driver(),
        "jax": jax.__version__,
        "xla": _version("jaxlib"),  # carries it
        "torch": _version("torch"),
        "commit": os.environ.get("RESTORAX_COMMIT") or _commit(),
    }


def _commit() -> str:
    """The commit that is checked out, with ``+`` if code has been changed since."""
    git = ("git", "-C", str(Path(__file__).parent.parent))
    changed = _said(*git, "status", "--porcelain", "--", "restorax", "benchmarks/*.py")
    return _said(*git, "rev-parse", "--short", "HEAD") + ("+" if changed else "")


def _driver() -> str:
    if jax.default_backend() != "gpu":
        return ""
    return _said("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader", "--id=0")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _said(*command: str) -> str:
    """What a command prints; nothing if there is no such command."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except FileNotFoundError:
        return ""


def main(folders: Sequence[str]) -> None:
    """Append the rows of every CSV file in the folders to those in ``RESULTS``."""
    for path in (path for folder in folders for path in sorted(Path(folder).glob("*.csv"))):
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        _append(RESULTS / path.name, rows)
        print(f"{len(rows)} rows of {path}")


if __name__ == "__main__":
    main(sys.argv[1:])
