"""Results as CSV rows that say where they come from."""

import csv
import datetime
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jax

RESULTS = Path(__file__).parent / "results"


def record(suite: str, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Append rows to ``benchmarks/results/<suite>.csv``, each with date, device, versions and commit.

    Args:
        suite: name of the file.
        rows: measurements, all with the same keys; numbers are kept to four digits.

    Returns:
        The file.
    """
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{suite}.csv"
    rows = [{**_origin(), **{k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()}} for row in rows]
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        if new:
            writer.writeheader()
        writer.writerows(rows)
    return path


def _origin() -> dict[str, str]:
    return {
        "date": datetime.date.today().isoformat(),
        "device": device(),
        "jax": jax.__version__,
        "commit": _commit(),
    }


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


def _commit() -> str:
    command = ["git", "-C", str(RESULTS.parent), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
