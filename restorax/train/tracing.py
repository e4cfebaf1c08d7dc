"""A profile of a few steps."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
from etils import epath


@contextmanager
def trace_steps(folder: epath.Path, start: int, end: int) -> Iterator[Callable[[int, Any], None]]:
    """Profile the steps between two, of which the first finds everything compiled; yields what to call after each."""
    running = False

    def after(done, metrics):
        nonlocal running
        if done in (start, end):
            jax.block_until_ready(metrics)
            jax.profiler.start_trace(str(folder)) if done == start else jax.profiler.stop_trace()
            running = done == start

    try:
        yield after
    finally:
        if running:
            jax.profiler.stop_trace()
