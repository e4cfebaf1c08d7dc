"""CSV rows of results with date, device, ceilings, versions and commit.

Measurements go to the ignored folder ``benchmarks/out/results``, or to ``benchmarks/results`` if they are published.
``python -m benchmarks.record FOLDER`` publishes the rows of a folder.
"""

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
from restorax.files.atomic import written_beside

from . import hardware

OUT = Path(__file__).parent / "out"
LOCAL = Path(os.environ.get("RESTORAX_RESULTS") or OUT / "results")
PUBLISHED = Path(__file__).parent / "results"
Row = Mapping[str, str]


def record(suite: str, rows: Iterable[Mapping[str, Any]], *, publish: bool = False) -> Path:
    """Append rows to ``<suite>.csv``, each with date, device, ceilings, driver, versions and commit.

    Args:
        suite: name of the file, without suffix.
        rows: measurements; numbers are rounded to four digits.
        publish: append to ``PUBLISHED`` instead of ``LOCAL``.

    Returns:
        Path of the file.

    Raises:
        ValueError: if a time or a rate is not positive.
    """
    path = (PUBLISHED if publish else LOCAL) / f"{suite}.csv"
    rows = list(rows)
    for row in rows:
        _check_times(row)
    measured = origin() | {key: _text(value) for key, value in hardware.ceilings().items()}
    _append(path, [{**measured, **{key: _text(value) for key, value in row.items()}} for row in rows])
    return path


def read(suite: str, *, local: bool = True) -> list[dict[str, str]]:
    """Read the published rows of a suite, followed by the local ones; empty if there are none.

    Args:
        suite: name of the file, without suffix.
        local: include the rows that were not published.
    """
    folders = dict.fromkeys((PUBLISHED, LOCAL) if local else (PUBLISHED,))
    return [row for folder in folders for row in _rows(folder / f"{suite}.csv")]


def _check_times(row: Mapping[str, Any]) -> None:
    """Raise ``ValueError`` if a column of times or rates holds a number that is not positive."""
    for column, value in row.items():
        if (column.endswith(("_ms", "_s")) or column in ("ms", "seconds")) and str(value) and float(value) <= 0:
            raise ValueError(f"`{column}` must be positive, got {value}")


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def newest(rows: Iterable[Row], key: Sequence[str]) -> list[Row]:
    """Return the last row of each key, ordered by the first appearance of the keys."""
    return list({tuple(row.get(k, "") for k in key): row for row in rows}.values())


def groups(rows: Sequence[Row], *keys: str) -> list[list[Row]]:
    """Group rows with equal values of the keys, in order of appearance."""
    found: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        found.setdefault(tuple(row.get(key, "") for key in keys), []).append(row)
    return list(found.values())


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


def _append(path: Path, rows: list[Mapping[str, Any]]) -> None:
    """Append rows; new columns stay empty in previous rows."""
    before = _rows(path)
    columns = dict.fromkeys(column for row in (*before[:1], *rows) for column in row)
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_beside(path) as beside, beside.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows((*before, *rows))


@functools.cache
def origin() -> dict[str, str]:
    """Return date, device, driver, versions and commit."""
    return {
        "date": datetime.date.today().isoformat(),
        "device": hardware.label(),
        "driver": _driver(),
        "jax": jax.__version__,
        "xla": _version("jaxlib"),  # jaxlib contains XLA
        "torch": _version("torch"),
        "commit": provenance.commit("benchmarks/*.py", short=True),
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
    """Append the rows of all CSV files in the folders to those in ``PUBLISHED``."""
    for path in (path for folder in folders for path in sorted(Path(folder).glob("*.csv"))):
        rows = _rows(path)
        _append(PUBLISHED / path.name, rows)
        print(f"{len(rows)} rows of {path}")


if __name__ == "__main__":
    main(sys.argv[1:])
