"""PSNR against cost, one panel per degradation, with labels beside the panels so that they never overlap."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from restorax.files.atomic import written_beside

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Point = tuple[Mapping[str, str], float | None]

WIDTH, HEIGHT = 2.6, 2.3  # of the axes, in inches
LEFT, RIGHT, BOTTOM, TOP = 0.55, 2.0, 0.45, 0.35  # around the axes; labels are on the right
FONT = 6  # points
BELOW_BEST = 5  # dB; baselines further below the best entry are left out


def draw(points: Sequence[Point], title: str, path: Path, *, target: float | None = None) -> bool:
    """Write a figure of PSNR against cost.

    Args:
        points: rows with ``dataset``, ``degradation``, ``method`` and ``psnr``, each with a cost, or ``None`` for
            methods of unknown cost, which become lines.
        title: label of the cost.
        path: PNG file.
        target: PSNR to mark, in dB.

    Returns:
        Whether there was a panel to draw: a degradation with at least two costs.
    """
    figure = panels(points, title, target=target)
    if figure is None:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_beside(path) as beside:
        figure.savefig(beside, format="png", dpi=110)
    return True


def panels(points: Sequence[Point], title: str, *, target: float | None = None) -> "Figure | None":
    """Return the figure of :func:`draw`, or ``None`` without a panel."""
    from matplotlib.figure import Figure

    groups: dict[tuple[str, str], list[Point]] = {}
    for row, cost in points:
        groups.setdefault((row["dataset"], row["degradation"]), []).append((row, cost))
    groups = {key: some for key, some in groups.items() if sum(cost is not None for _, cost in some) > 1}
    if not groups:
        return None
    columns = min(3, len(groups))
    lines = -(-len(groups) // columns)
    width, height = columns * (LEFT + WIDTH + RIGHT), lines * (BOTTOM + HEIGHT + TOP)
    figure = Figure(figsize=(width, height))
    for i, ((dataset, degradation), some) in enumerate(groups.items()):
        x = (i % columns) * (LEFT + WIDTH + RIGHT) + LEFT
        y = height - (i // columns + 1) * (BOTTOM + HEIGHT + TOP) + BOTTOM
        axis = figure.add_axes((x / width, y / height, WIDTH / width, HEIGHT / height))
        axis.set_title(f"{degradation}, {dataset}", fontsize=7, x=0, ha="left")
        axis.set_xlabel(title, fontsize=7)
        axis.set_ylabel("PSNR [dB]", fontsize=7)
        axis.tick_params(labelsize=6)
        _fill(axis, some, target)
    return figure


def _fill(axis: "Axes", points: Sequence[Point], target: float | None) -> None:
    """Plot entries as points and baselines as lines, each joined to its label on the right by a leader."""
    labels = []  # level, cost, name, colour
    best = max(float(row["psnr"]) for row, cost in points if cost)
    for row, cost in points:
        level = float(row["psnr"])
        if cost:
            (marker,) = axis.plot(cost, level, "o", markersize=4)
            labels.append((level, cost, row["method"], marker.get_color()))
        elif level > best - BELOW_BEST:
            axis.axhline(level, linewidth=0.6, linestyle="--", color="grey")
            labels.append((level, None, row["method"], "dimgrey"))
    if target is not None:
        axis.axhline(target, linewidth=1, color="black")
        labels.append((target, None, f"{target:g} dB", "black"))
    axis.margins(0.1, 0.1)
    axis.set_xlim(0, 1.1 * max(cost for _, cost in points if cost))
    axis.ticklabel_format(style="plain", useOffset=False)
    low, high = axis.get_ylim()
    labels.sort(key=lambda label: label[0])
    places = spread([(label[0] - low) / (high - low) for label in labels], 1.3 * FONT / 72 / HEIGHT)
    right = axis.get_xlim()[1]
    for (level, cost, name, colour), place in zip(labels, places, strict=True):
        axis.annotate(
            "",
            (right if cost is None else cost, level),
            (1.05, place),
            textcoords="axes fraction",
            arrowprops={"arrowstyle": "-", "linewidth": 0.4, "color": colour, "shrinkA": 0, "shrinkB": 0},
            annotation_clip=False,
        )
        axis.text(1.06, place, name, transform=axis.transAxes, fontsize=FONT, color=colour, va="center")


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Move increasing places apart until neighbours differ by at least ``gap``, none above 1.

    Example:
        >>> spread([0.5, 0.5, 1.0], 0.25)
        [0.375, 0.625, 1.0]
    """
    up, down = list(places), list(places)
    for i in range(1, len(up)):
        up[i] = max(up[i], up[i - 1] + gap)
    for i in reversed(range(len(down) - 1)):
        down[i] = min(down[i], down[i + 1] - gap)
    moved = [(high + low) / 2 for high, low in zip(up, down, strict=True)]
    for i in reversed(range(len(moved))):
        moved[i] = min(moved[i], moved[i + 1] - gap if i + 1 < len(moved) else 1.0)
    return moved
