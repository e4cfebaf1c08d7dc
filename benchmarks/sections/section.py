"""A section of the benchmark report."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from ..record import Row

LIMIT = 10  # rows per table


class Section(NamedTuple):
    """Summary of a suite.

    Attributes:
        suite: name of the CSV file in ``benchmarks/results``.
        question: what the suite answers; the heading.
        key: columns that identify a measurement, of which the newest row counts.
        columns: columns of the table.
        select: chooses and condenses rows of one device.
        timed: whether results depend on the device.
        note: explanation of the columns.
        limit: rows per table.
    """

    suite: str
    question: str
    key: tuple[str, ...]
    columns: tuple[str, ...]
    select: Callable[[Sequence[Row]], Sequence[Row]] = list
    timed: bool = True
    note: str = ""
    limit: int = LIMIT
