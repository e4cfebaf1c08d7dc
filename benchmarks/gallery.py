"""Gallery and table of all degradation operators: ``python -m benchmarks.gallery docs/gallery.jpg``.

The figure shows every operator at up to three strengths; the table goes to docs/degradations.md.
"""

import inspect
import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import typer
from rich.progress import track

from restorax.data import sample_images
from restorax.degrade import DEGRADATIONS, REGISTRATIONS, Expression, Op
from restorax.degrade.strengths import format_strength
from restorax.files.atomic import written_beside

from .zoo_table import fill

PAGE = Path(__file__).parent.parent / "docs" / "degradations.md"
PIPELINES = ("real_esrgan", "bsrgan")


def ladders() -> dict[str, tuple[Expression, ...]]:
    """Return degradations from weak to strong by name, without operators that require arrays."""
    found: dict[str, tuple[Expression, ...]] = {}
    for name, registration in REGISTRATIONS.items():
        needed = [s for s, default in registration.defaults.items() if default is inspect.Parameter.empty]
        if registration.examples or not needed:
            found[name] = tuple(Op(registration.operator, **example) for example in registration.examples or ({},))
    return found | {name: (DEGRADATIONS[name],) for name in PIPELINES}


def titles(name: str, ladder: tuple[Expression, ...]) -> tuple[str, str]:
    """Return the text of the weakest degradation and the changed strengths of the others."""
    first, *others = (one.strengths if isinstance(one, Op) else {} for one in ladder)
    changed = [next((format_strength(one[s]) for s in one if one[s] != first[s]), "") for one in others]
    return name if name in PIPELINES else str(ladder[0]), ", ".join(changed)


def table() -> str:
    """Markdown: the operators, their summaries, and the ranges of their strengths."""
    lines = ["| operator | what it does | strengths |", "|---|---|---|"]
    for name, registration in sorted(REGISTRATIONS.items()):
        if registration.operator.__module__.startswith("restorax."):
            strengths = "; ".join(_strength(registration, s) for s in registration.defaults) or "none"
            summary = inspect.getdoc(registration.operator).splitlines()[0].replace("|", "\\|")
            summary = re.sub(r"(?::func:)?`+([^`]+)`+", r"`\1`", summary)
            lines.append(f"| `{name}` | {summary} | {strengths} |")
    return "\n".join(lines)


def _strength(registration, name: str) -> str:
    default = registration.defaults[name]
    written = f"`{name}`" if default is inspect.Parameter.empty else f"`{name}={format_strength(default)}`"
    return f"{written} {registration.ranges[name]}" if name in registration.ranges else written


def main(out: str, side: int = 128) -> None:
    """Write the gallery as an image file and the table into docs/degradations.md."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    fill(PAGE, "operators", table())
    rungs = ladders()
    photograph = jnp.asarray(sample_images(3)["astronaut"][20 : 20 + side, 130 : 130 + side])
    columns = 3
    rows = -(-len(rungs) // columns)
    figure = plt.figure(figsize=(3 * columns * 1.34, rows * 1.48), dpi=100)
    place = {"left": 0.01, "bottom": 0.005, "right": 0.965, "top": 0.985, "wspace": 0.04, "hspace": 0.16}
    axes = [part.subplots(rows, 3, gridspec_kw=place) for part in figure.subfigures(1, columns)]
    for axis in np.ravel(axes):
        axis.axis("off")
    for index, (name, ladder) in enumerate(track(rungs.items(), "degrading")):
        column, row = divmod(index, rows)
        for i, degradation in enumerate(ladder):
            degraded = jax.jit(degradation)(jax.random.key(i), photograph).image
            degraded = degraded[0] if degraded.ndim > photograph.ndim else degraded
            axes[column][row, i].imshow(np.clip(degraded, 0, 1), interpolation="nearest")
        # The text of the first degradation spans two panels; the third panel names the other strengths.
        first, _, last = axes[column][row]
        whole, others = titles(name, ladder)
        first.set_title(whole, fontsize=7, loc="left", pad=2)
        last.set_title(others, fontsize=7, loc="right", pad=2)
    with written_beside(out) as beside:
        figure.savefig(beside, format=out.rsplit(".", 1)[-1])


if __name__ == "__main__":
    typer.run(main)
