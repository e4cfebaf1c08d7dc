"""Sections of the benchmark report: for each suite, its question and the rows that answer it."""

from . import networks, programs, quality, speed

SECTIONS = (*quality.SECTIONS, *speed.SECTIONS, *networks.SECTIONS, *programs.SECTIONS)
"""Sections in the order of the report."""
