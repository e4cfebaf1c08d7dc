"""Sections on compiled programs: recurrences, convolutions, input pipelines and TPU pods."""

from collections.abc import Sequence

from ..record import Row
from .section import Section


def _longest(rows: Sequence[Row]) -> list[Row]:
    steps = max((int(row["steps"]) for row in rows), default=0)
    return [row for row in rows if row["steps"] == str(steps) and row["recurrence"] in ("linear", "LSTM", "GRU")]


def _largest_programs(rows: Sequence[Row]) -> list[Row]:
    programs = [row for row in rows if row["program"] == "training step"]
    return sorted(programs, key=lambda row: -float(row["scratch MiB"]))


def _pods(rows: Sequence[Row]) -> list[Row]:
    largest = max((int(row["chips"]) for row in rows), default=0)
    return sorted((row for row in rows if row["chips"] == str(largest)), key=lambda row: float(row["efficiency"]))


SECTIONS = (
    Section(
        "recurrence",
        "Which form of a recurrence is fastest, and how much memory does its gradient take?",
        ("recurrence", "steps", "form"),
        ("recurrence", "steps", "form", "forward_ms", "both_ms", "backward_MiB"),
        _longest,
    ),
    Section(
        "recurrence_compile",
        "How long do recurrent networks compile?",
        ("network",),
        ("network", "parameters", "forward_s", "gradient_s"),
    ),
    Section(
        "conv",
        "Are tuned convolutions faster than plain XLA, forward and backward?",
        ("what", "input"),
        ("what", "input", "plain_median_ms", "tuned_median_ms", "plain / tuned"),
    ),
    Section(
        "input",
        "Is the input pipeline faster than the training step?",
        ("recipe", "source"),
        ("recipe", "source", "pipeline_images_per_s", "step_images_per_s", "ratio"),
    ),
    Section(
        "tpu_compile",
        "How much memory per chip do the largest training steps need on TPU pods?",
        ("recipe", "topology", "shards", "program"),
        ("recipe", "topology", "per chip", "held MiB", "scratch MiB", "collectives"),
        _largest_programs,
    ),
    Section(
        "pods",
        "Which recipes would scale worst on the largest TPU pods, estimated from compiler output?",
        ("name", "chip", "chips"),
        ("name", "chip", "chips", "per_chip", "efficiency"),
        _pods,
        timed=False,
    ),
)
