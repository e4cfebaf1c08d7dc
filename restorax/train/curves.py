"""Figure of a training report: loss, validation PSNR and learning rate against steps."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ..recipe import Recipe
from .step import learning_rate_schedule

_POINTS = 500  # of the learning-rate curve


def plot_curves(lines: Sequence[Mapping[str, Any]], recipe: Recipe, path: Path) -> str:
    """Plot training loss, validation PSNR and learning rate against steps.

    The PSNR panel also shows the degraded images (dashed) and the entry that was fine-tuned (dotted); panels without
    values are omitted.

    Args:
        lines: log lines.
        recipe: training recipe.
        path: PNG file to write.

    Returns:
        Markdown of the figure, or a note if matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return "Install `restorax[plot]` for a plot of loss, validation PSNR and learning rate."

    losses = [(line["step"], line["loss"]) for line in lines if line.get("loss") is not None]
    quality = [(line["step"], line["validation_psnr"]) for line in lines if "validation_psnr" in line]
    panels = [*["training loss"] * bool(losses), *["validation PSNR [dB]"] * bool(quality), "learning rate"]
    labels = len(quality[0][1]) + 2 if quality else 0
    figure = Figure(figsize=(4.2 * len(panels), 3.6 + 0.22 * labels), layout="constrained")
    axes = dict(zip(panels, figure.subplots(1, len(panels), squeeze=False)[0], strict=True))
    for title, axis in axes.items():
        axis.set(xlabel="step", title=title, xlim=(0, recipe.steps))
        axis.grid(alpha=0.3)
    if losses:
        axes["training loss"].plot(*zip(*losses, strict=True), **_style(losses))
        axes["training loss"].set_yscale("log")
    if quality:
        _plot_quality(axes["validation PSNR [dB]"], lines, quality)
        figure.legend(loc="outside lower center", ncols=1, fontsize="small")
    steps = np.unique(np.linspace(0, recipe.steps, _POINTS).round().astype(np.int32))
    axes["learning rate"].plot(steps, jax.vmap(learning_rate_schedule(recipe))(jnp.asarray(steps)))
    axes["learning rate"].set_ylim(bottom=0)
    axes["learning rate"].ticklabel_format(axis="y", scilimits=(0, 0))
    figure.savefig(path, dpi=100)
    return f"![{', '.join(panels)} against steps]({path.name})".replace(" [dB]", "")


def _plot_quality(axis: Any, lines: Sequence[Mapping[str, Any]], quality: Sequence[tuple[int, Mapping]]) -> None:
    references = [
        (style, label, values)
        for style, label, key in (("--", "degraded images", "input_psnr"), (":", "starting entry", "start_psnr"))
        if (values := {name: psnr for line in lines for name, psnr in line.get(key, {}).items()})
    ]
    for number, degradation in enumerate(quality[-1][1]):  # a later stage may be validated on others
        points = [(step, values[degradation]) for step, values in quality if degradation in values]
        axis.plot(*zip(*points, strict=True), color=f"C{number % 10}", label=degradation, **_style(points))
        for style, _, values in references:
            if degradation in values:
                axis.axhline(values[degradation], color=f"C{number % 10}", linestyle=style, linewidth=1)
    for style, label, _ in references:
        axis.plot([], [], color="gray", linestyle=style, linewidth=1, label=label)


def _style(points: Sequence) -> dict[str, Any]:
    """Return the line style: markers where there are few points."""
    return {"linewidth": 0.9, "marker": "o" if len(points) < 20 else "", "markersize": 3}
