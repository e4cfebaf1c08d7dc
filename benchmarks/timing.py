"""Timing that waits for the result."""

import sys
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np


class Timing(NamedTuple):
    """Seconds: of the first call (with compilation), then median and 10th and 90th percentile of the rest."""

    first: float
    median: float
    p10: float
    p90: float

    def columns(self) -> dict[str, float]:
        """For a row; what the first call took beyond the others is called compiling."""
        compiling = {"compile_s": max(self.first - self.median, 0.0)}
        return {f"{name}_ms": 1e3 * getattr(self, name) for name in ("median", "p10", "p90")} | compiling


def interleaved(
    functions: Sequence[Callable], arguments: Sequence[tuple], *, rounds: int = 20, seconds: float | None = None
) -> list[Timing]:
    """Time several functions in turns, so that a busy machine slows them alike.

    Args:
        functions: what to time; each result is waited for.
        arguments: tuples of arguments, used one after the other, so that caches do not lie.
        rounds: timed calls of every function.
        seconds: fewer rounds, but three, if all of them would take longer.

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
    """Until JAX and PyTorch have computed every array in it."""
    jax.block_until_ready(result)
    if any(getattr(leaf, "is_cuda", False) for leaf in jax.tree.leaves(result)):
        sys.modules["torch"].cuda.synchronize()
