"""CSV rows of results with date, device, versions and commit; ``python -m benchmarks.record FOLDER`` imports rows."""

import csv
import datetime
import functools
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import jax

from restorax import provenance
from restorax.files import written_beside

RESULTS = Path(os.environ.get("RESTORAX_RESULTS") or Path(__file__).parent / "results")


def record(suite: str, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Append rows to ``<suite>.csv`` in ``RESULTS``, each with date, device, driver, versions and commit.

    Args:
        suite: name of the file, without suffix.
        rows: measurements; numbers are rounded to four digits.

    Returns:
        Path of the file.
    """
    path = RESULTS / f"{suite}.csv"
    _append(path, [{**origin(), **{key: _text(value) for key, value in row.items()}} for row in rows])
    return path


def read(suite: str) -> list[dict[str, str]]:
    """Read the rows of a suite, oldest first; empty if there are none."""
    path = RESULTS / f"{suite}.csv"
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def newest(rows: Iterable[Mapping[str, str]], key: Sequence[str]) -> list[Mapping[str, str]]:
    """Return the last row of each key, ordered by the first appearance of the keys."""
    return list({tuple(row.get(k, "") for k in key): row for row in rows}.values())


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> str:
    """Format rows as an aligned Markdown table, by default with the columns of the first row."""
    columns = columns or list(rows[0])
    lines = [list(columns), *([_text(row.get(column, "")) for column in columns] for row in rows)]
    widths = [max(3, *map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(
        f"| {' | '.join(c.ljust(w) for c, w in zip(line, widths, strict=True))} |".replace("\n", " ") for line in lines
    )


def _text(value: Any) -> str:
    """Format floats with four digits, without an exponent up to a million."""
    return f"{float(f'{value:.4g}'):g}" if isinstance(value, float) else str(value)


def device() -> str:
    """Return the accelerator, or the processor with the number of cores available to this process."""
    if jax.default_backend() != "cpu":
        return jax.devices()[0].device_kind
    return f"{provenance.processor()}, {len(os.sched_getaffinity(0))} cores"


def _append(path: Path, rows: list[Mapping[str, Any]]) -> None:
    """Append rows; new columns stay empty in previous rows."""
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
    """Return date, device, driver, versions and commit: the first columns of every row."""
    return {
        "date": datetime.date.today().isoformat(),
        "device": device(),
        "driver": _driver(),
        "jax": jax.__version__,
        "xla": _version("jaxlib"),  # jaxlib contains XLA
        "torch": _version("torch"),
        "commit": os.environ.get("RESTORAX_COMMIT") or provenance.commit("benchmarks/*.py", short=True),
    }


def _driver() -> str:
    if jax.default_backend() != "gpu":
        return ""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader", "--id=0"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except FileNotFoundError:
        return ""


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def main(folders: Sequence[str]) -> None:
    """Append the rows of all CSV files in the folders to those in ``RESULTS``."""
    for path in (path for folder in folders for path in sorted(Path(folder).glob("*.csv"))):
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        _append(RESULTS / path.name, rows)
        print(f"{len(rows)} rows of {path}")


if __name__ == "__main__":
    main(sys.argv[1:])
