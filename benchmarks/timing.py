"""Timing that waits for the result."""

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


def interleaved(functions: Sequence[Callable], arguments: Sequence[tuple], *, rounds: int = 20) -> list[Timing]:
    """Time several functions in turns, so that a busy machine slows them alike.

    Args:
        functions: what to time; each result is waited for.
        arguments: tuples of arguments, used one after the other, so that caches do not lie.
        rounds: timed calls of every function.

    Returns:
        One timing per function.
    """
    first = [_seconds(f, arguments[0]) for f in functions]
    for f in functions:
        _seconds(f, arguments[-1])
    samples = [[_seconds(f, arguments[i % len(arguments)]) for f in functions] for i in range(rounds)]
    columns = zip(first, np.transpose(samples), strict=True)
    return [Timing(start, *np.percentile(column, (50, 10, 90))) for start, column in columns]


def _seconds(f: Callable, arguments: tuple) -> float:
    start = time.perf_counter()
    jax.block_until_ready(f(*arguments))
    return time.perf_counter() - start
