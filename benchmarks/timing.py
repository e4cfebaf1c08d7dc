"""Timing that blocks until results are ready and interleaves the compared functions."""

import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np

ATTEMPTS = 100


class Timing(NamedTuple):
    """Seconds of the first call (with compilation), and median, 10th and 90th percentile of the others."""

    first: float
    median: float
    p10: float
    p90: float

    def columns(self) -> dict[str, float | str]:
        """Return columns of a CSV row; the excess of the first call counts as compilation, and is empty without one."""
        excess = self.first - self.median
        times = {f"{name}_ms": 1e3 * getattr(self, name) for name in ("median", "p10", "p90")}
        return times | {"compile_s": excess if excess > 0 else ""}


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

    Raises:
        RuntimeError: if the clock does not advance during a call.
    """
    first = [_seconds(f, arguments[0]) for f in functions]
    once = sum(_seconds(f, arguments[-1]) for f in functions)
    if seconds is not None:
        rounds = min(rounds, max(3, int(seconds / once)))
    samples = [[_seconds(f, arguments[i % len(arguments)]) for f in functions] for i in range(rounds)]
    columns = zip(first, np.transpose(samples), strict=True)
    return [Timing(start, *np.percentile(column, (50, 10, 90))) for start, column in columns]


def _seconds(f: Callable, arguments: tuple) -> float:
    """Time one call; a call that the clock does not resolve is repeated."""
    for _ in range(ATTEMPTS):
        start = time.perf_counter()
        _wait(f(*arguments))
        seconds = time.perf_counter() - start
        if seconds > 0:
            return seconds
    raise RuntimeError(f"a time must be positive, got {seconds} s in each of {ATTEMPTS} calls; is the clock running?")


def _wait(result: object) -> None:
    """Block until JAX and PyTorch have computed every array in a result."""
    jax.block_until_ready(result)
    if any(getattr(leaf, "is_cuda", False) for leaf in jax.tree.leaves(result)):
        sys.modules["torch"].cuda.synchronize()
