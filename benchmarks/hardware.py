"""Identity of the device: processor, instruction sets, cores, and ceilings measured in the same run."""

import functools
import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import jax
import jax.numpy as jnp

from restorax import provenance

CEILINGS = ("matrix_gflop_per_s", "copy_gb_per_s")
TOLERANCE = 0.15
"""Rows whose ceilings differ by more are not compared."""

Row = TypeVar("Row", bound=Mapping[str, str])
_INSTRUCTIONS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve", "bf16")


def cores() -> int:
    """Return the number of cores that XLA uses on CPU."""
    return int(os.environ.get("PJRT_NPROC") or os.environ.get("NPROC") or len(os.sched_getaffinity(0)))


def label() -> str:
    """Return the accelerator, or the processor with family, model, instruction sets and cores.

    Virtual machines shorten the name of the processor, so that family and model are needed to tell generations apart.
    """
    if jax.default_backend() != "cpu":
        return jax.devices()[0].device_kind
    return f"{provenance.processor()} ({_details(_cpuinfo())}), {cores()} cores"


def _cpuinfo() -> str:
    try:
        return Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""


def _details(cpuinfo: str) -> str:
    fields = {}
    for line in cpuinfo.split("\n\n")[0].splitlines():
        key, _, value = line.partition(":")
        fields[key.strip()] = value.strip()
    flags = (fields.get("flags") or fields.get("Features") or "").split()
    identity = [
        f"{name} {fields[key]}" for name, key in (("family", "cpu family"), ("model", "model")) if key in fields
    ]
    return ", ".join((*identity, *(name for name in _INSTRUCTIONS if name in flags))) or "unknown model"


@functools.cache
def ceilings() -> dict[str, float]:
    """Measure float32 matrix products [GFLOP/s] and copies [GB/s] of this process's device, in about a second.

    The fastest call counts, which other load slows least. :mod:`benchmarks.ceiling` tries more sizes and types.
    """
    on_cpu = jax.default_backend() == "cpu"
    product, copy = jax.jit(lambda x: x @ x), jax.jit(lambda x: x + 1, donate_argnums=0)  # in place
    matrix = max(2e-9 * side**3 / _fastest(product, side) for side in ((512, 1024) if on_cpu else (4096, 8192)))
    block = 4096 if on_cpu else 16384
    return dict(zip(CEILINGS, (matrix, 8e-9 * block**2 / _fastest(copy, block)), strict=True))


def _fastest(function: Callable[[jax.Array], jax.Array], side: int, seconds: float = 0.4) -> float:
    """Return the shortest time of a function that is applied to its own results, for some seconds."""
    x = function(jnp.zeros((side, side))).block_until_ready()
    best, end = float("inf"), time.perf_counter() + seconds
    while (start := time.perf_counter()) < end or best == float("inf"):
        x = function(x).block_until_ready()
        elapsed = time.perf_counter() - start
        if elapsed > 0:
            best = min(best, elapsed)
    return best


def comparable(first: Mapping[str, str], second: Mapping[str, str]) -> bool:
    """Return whether two rows have the same device and ceilings within ``TOLERANCE``; old rows have no ceilings."""
    if first.get("device", "") != second.get("device", ""):
        return False
    return all(_close(first.get(column) or "", second.get(column) or "") for column in CEILINGS)


def _close(first: str, second: str) -> bool:
    if not (first and second):
        return first == second
    low, high = sorted((float(first), float(second)))
    return high <= (1 + TOLERANCE) * low


def machines(rows: Iterable[Row]) -> list[list[Row]]:
    """Group rows that are comparable with the first of their group, in order of appearance."""
    groups: list[list[Row]] = []
    for row in rows:
        group = next((group for group in groups if comparable(group[0], row)), None)
        groups.append([row]) if group is None else group.append(row)
    return groups
