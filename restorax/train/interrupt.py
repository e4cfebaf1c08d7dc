"""Stopping a training on request: SIGINT, SIGTERM, preemption."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import jax
from jax.experimental import multihost_utils


class Stop:
    """Whether somebody asked the training to stop."""

    asked = False

    def requested(self, done: int) -> bool:
        """Whether to stop after ``done`` steps; all hosts of a job get the same answer."""
        if jax.process_count() > 1:
            return multihost_utils.reached_preemption_sync_point(done)
        return self.asked


@contextmanager
def stop_on_signal() -> Iterator[Stop]:
    """Turn the first SIGINT or SIGTERM into a request; a second one acts as usual.

    In a job of several processes SIGTERM belongs to JAX, which tells the others.
    """
    stop, before = Stop(), {}

    def request(number, frame):
        stop.asked = True
        signal.signal(number, before[number])

    try:
        for number in (signal.SIGINT, signal.SIGTERM) if jax.process_count() == 1 else ():
            before[number] = signal.signal(number, request)
    except ValueError:  # not in the main thread, where signals cannot be caught
        pass
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
