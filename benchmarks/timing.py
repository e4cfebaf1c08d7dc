"""Timing that blocks until results are ready and interleaves the compared functions."""

import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np


class Timing(NamedTuple):
    """Seconds of the first call (with compilation), and median, 10th and 90th percentile of the others."""

    first: float
    median: float
    p10: float
    p90: float

    def columns(self) -> dict[str, float]:
        """Return columns of a CSV row; the excess of the first call counts as compilation."""
        compiling = {"compile_s": max(self.first - self.median, 0.0)}
        return {f"{name}_ms": 1e3 * getattr(self, name) for name in ("median", "p10", "p90")} | compiling


def interleaved(
    functions: Sequence[Callable], arguments: Sequence[tuple], *, rounds: int = 20, seconds: float | None = None
) -> list[Timing]:
    """Time several functions in alternation, so that other load slows them equally.

    Args:
        functions: functions to time; each call blocks until its result is ready.
        arguments: tuples of arguments, used in rotation to avoid measuring caches.
        rounds: timed calls of every function.
        seconds: time budget, which lowers the rounds to three at least.

    Returns:
        One timing per function.
    """
    first = [_seconds(f, arguments[0]) for f in functions]
    once = sum(_seconds(f, arguments[-1]) for f in functions)
    if seconds is not None:
        rounds = min(rounds, max(3, int(seconds / once)))
    samples = [[_seconds(f, arguments[i % len(arguments)]) for f in functions] for i in range(rounds)]
    columns = zip(first, np.transpose(samples), strict=True)
    return [Timing(start, *np.percentile(column, (50, 10, 90))) for start, column in columns]


def _seconds(f: Callable, arguments: tuple) -> float:
    start = time.perf_counter()
    _wait(f(*arguments))
    return time.perf_counter() - start


def _wait(result: object) -> None:
    """Block until JAX and PyTorch have computed every array in a result."""
    jax.block_until_ready(result)
    if any(getattr(leaf, "is_cuda", False) for leaf in jax.tree.leaves(result)):
        sys.modules["torch"].cuda.synchronize()
