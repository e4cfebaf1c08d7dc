"""Training report: curves, restored images, and a page that shows them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .. import image
from ..evaluation import compile_degradation
from ..recipe import Recipe, Stage, middle
from ..types import Params

_SHOWN = 4  # validation pictures that are restored to be looked at


def strips(
    restore: Callable, params: Params, pictures: Mapping[str, np.ndarray], recipe: Recipe
) -> dict[str, np.ndarray]:
    """Degraded, restored and clean, side by side, of the first few pictures under the middle evaluation.

    Args:
        restore: ``(params, image, condition) -> image``.
        params: parameters.
        pictures: clean pictures ``[height, width, channels]`` in [0, 1] by name.
        recipe: gives the evaluations.

    Returns:
        ``[height, 3 * width, channels]`` in [0, 1] by name.
    """
    degrade = compile_degradation(middle(recipe.evaluation))
    out = {}
    for number, name in enumerate(sorted(pictures)[:_SHOWN]):
        observed = degrade(jax.random.fold_in(jax.random.key(0), number), jnp.asarray(pictures[name]))
        strip = image.strip(observed.image, restore(params, *observed), pictures[name])
        out[name] = np.clip(strip.pixels, 0, 1)
    return out


def _stage(stage: Stage) -> str:
    """A stage in one line."""
    return (
        f"{stage.steps} steps of {stage.batch} patches of {stage.patch} x {stage.patch}, loss `{stage.loss}`, peak "
        f"learning rate {stage.learning_rate:g}, `{stage.degradation}`"
    )


def plot_losses(lines: Sequence[Mapping[str, Any]], path: Path) -> str:
    """Draw loss and validation PSNR against steps.

    Args:
        lines: lines of the log.
        path: PNG file to write.

    Returns:
        Markdown that shows the figure, or says why there is none: no loss was logged, or matplotlib is missing.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return "For a figure of loss and validation PSNR, install `restorax[plot]`."

    losses = [(line["step"], line["loss"]) for line in lines if line.get("loss") is not None]
    quality = [(line["step"], line["validation_psnr"]) for line in lines if "validation_psnr" in line]
    if not losses:
        return "No loss was logged."
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(*zip(*losses, strict=True), linewidth=0.8)
    left.set(xlabel="step", ylabel="training loss", yscale="log")
    for degradation in quality[0][1] if quality else ():
        right.plot([s for s, _ in quality], [v[degradation] for _, v in quality], label=degradation)
    right.set(xlabel="step", ylabel="validation PSNR [dB]")
    if quality:
        right.legend()
    figure.savefig(path, dpi=100)
    return f"![Loss and validation PSNR against steps]({path.name})"


def write_report(
    folder: Path,
    *,
    name: str,
    recipe: Recipe,
    lines: Sequence[Mapping[str, Any]],
    best: int,
    facts: Mapping[str, Any],
    pictures: Mapping[str, np.ndarray],
) -> None:
    """Write ``report.md`` with ``loss.png`` and ``pictures/``.

    Args:
        folder: folder to write to.
        name: name of the trained entry.
        recipe: how it was trained.
        lines: lines of the log.
        best: step whose parameters were published.
        facts: further rows of the table at the top.
        pictures: images of :func:`strips`.
    """
    figure = plot_losses(lines, folder / "loss.png")
    (folder / "pictures").mkdir(exist_ok=True)
    for title, strip in pictures.items():
        image.write(folder / "pictures" / f"{title}.png", image.Picture(strip))
    rates = [line["images_per_second"] for line in lines if "images_per_second" in line]
    skipped = max((line.get("skipped", 0) for line in lines), default=0)
    rows = {
        "network": f"`{recipe.architecture}` {recipe.config}",
        "type": recipe.dtype,
        **{f"stage {number}": _stage(stage) for number, stage in enumerate(recipe.stages, 1)},
        "steps": f"{recipe.steps}, of which {skipped} skipped (not finite)",
        "patches per second": f"{np.median(rates):.1f} (median)" if rates else "not logged",
        **facts,
    }
    quality = [line for line in lines if "validation_psnr" in line]
    text = [f"# {name}", "", "| | |", "|---|---|", *(f"| {key} | {value} |" for key, value in rows.items()), ""]
    text += [figure, "", "## Validation PSNR [dB]", ""]
    text += ["| ".join(("", "step ", *(f"`{d}` " for d in recipe.evaluation), "")).strip()]
    text += ["|---" * (1 + len(recipe.evaluation)) + "|"]
    for line in quality:
        step = f"**{line['step']}**, published" if line["step"] == best else line["step"]
        text.append(f"| {step} | " + " | ".join(f"{line['validation_psnr'][d]:.2f}" for d in recipe.evaluation) + " |")
    text += ["", "Degraded, restored, clean:", ""]
    text += [f"![{title}](pictures/{title}.png)" for title in pictures]
    (folder / "report.md").write_text("\n".join(text) + "\n")
