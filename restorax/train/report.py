"""Training report in Markdown, with curves and restored images."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import jax
import jax.numpy as jnp
import numpy as np

from ..evaluation import compile_degradation
from ..files import image
from ..metrics import psnr
from ..recipe import Recipe, Stage, middle
from ..types import Params
from .curves import plot_curves

_SHOWN = 4  # validation images in the report


class Sample(NamedTuple):
    """A validation image, ``[height, width, channels]`` each; the degraded one may exceed [0, 1]."""

    degraded: np.ndarray
    restored: np.ndarray
    clean: np.ndarray


def samples(restore: Callable, params: Params, images: Mapping[str, np.ndarray], recipe: Recipe) -> dict[str, Sample]:
    """Degrade and restore the first few images under the middle evaluation.

    Args:
        restore: ``(params, image, condition) -> image``.
        params: parameters.
        images: clean images ``[height, width, channels]`` in [0, 1] by name.
        recipe: recipe with the evaluation.

    Returns:
        Degraded, restored and clean images by name; of a burst or a video, the last frame.
    """
    degrade = compile_degradation(middle(recipe.evaluation))
    out = {}
    for number, name in enumerate(sorted(images)[:_SHOWN]):
        observed, clean = degrade(jax.random.fold_in(jax.random.key(0), number), jnp.asarray(images[name]))
        degraded, clean = np.asarray(observed.image), np.asarray(clean)
        restored = np.asarray(restore(params, *observed))
        last = (x if x.ndim == 3 else x[-1] for x in (degraded, restored, clean))
        out[name] = Sample(*last)
    return out


def write_report(
    folder: Path,
    *,
    name: str,
    recipe: Recipe,
    entry: str,
    lines: Sequence[Mapping[str, Any]],
    best: int,
    facts: Mapping[str, Any],
    pictures: Mapping[str, Sample],
) -> None:
    """Write ``report.md`` with ``curves.png`` and ``pictures/``.

    Args:
        folder: folder to write to.
        name: name of the trained entry.
        recipe: training recipe.
        entry: folder of the trained entry.
        lines: log lines.
        best: step of the published parameters.
        facts: further rows of the summary table.
        pictures: images from :func:`samples`, written as files.
    """
    rates = [line["images_per_second"] for line in lines if line.get("images_per_second")]
    skipped = max((line.get("skipped", 0) for line in lines), default=0)
    rows = {
        "network": f"`{recipe.architecture}` {recipe.config}",
        "type": recipe.dtype,
        **{f"stage {number}": _stage(stage) for number, stage in enumerate(recipe.stages, 1)},
        "steps": f"{recipe.steps}, of which {skipped} skipped (not finite)",
        "throughput": f"{np.median(rates):.1f} patches per second (median)" if rates else "not logged",
        **facts,
    }
    text = [f"# {name}", "", "| | |", "|---|---|", *(f"| {key} | {value} |" for key, value in rows.items()), ""]
    text += [plot_curves(lines, recipe, folder / "curves.png"), "", "## Validation PSNR [dB]", ""]
    text += _psnr_table(recipe, lines, best)
    text += ["", *_picture_table(folder / "pictures", middle(recipe.evaluation), pictures)]
    text += ["", *_next_steps(entry)]
    (folder / "report.md").write_text("\n".join(text) + "\n")


def _stage(stage: Stage) -> str:
    """Describe a stage in one line."""
    return (
        f"{stage.steps} steps of {stage.batch} patches of {stage.patch} x {stage.patch}, loss `{stage.loss}`, peak "
        f"learning rate {stage.learning_rate:g}, `{stage.degradation}`"
    )


def _psnr_table(recipe: Recipe, lines: Sequence[Mapping[str, Any]], best: int) -> list[str]:
    """Tabulate PSNR by degradation: degraded images, starting entry, then every validation."""
    rows = [("step", {d: f"`{d}`" for d in recipe.evaluation})]
    for title, key in (("degraded images", "input_psnr"), (f"start, `{recipe.start}`", "start_psnr")):
        rows += [(title, _formatted(line[key])) for line in lines if key in line][:1]
    for line in lines:
        if "validation_psnr" in line:
            step = f"**{line['step']}**, published" if line["step"] == best else str(line["step"])
            rows.append((step, _formatted(line["validation_psnr"])))
    table = [f"| {title} | " + " | ".join(cells[d] for d in recipe.evaluation) + " |" for title, cells in rows]
    return [table[0], "|---" * (1 + len(recipe.evaluation)) + "|", *table[1:]]


def _formatted(quality: Mapping[str, float]) -> dict[str, str]:
    return {degradation: f"{value:.2f}" for degradation, value in quality.items()}


def _picture_table(folder: Path, degradation: str, pictures: Mapping[str, Sample]) -> list[str]:
    """Write the images and return a table that shows them with their PSNR."""
    folder.mkdir(exist_ok=True)
    text = [
        f"## Validation images, `{degradation}`",
        "",
        "| image | degraded | restored | clean |",
        "|---|---|---|---|",
    ]
    for title, sample in pictures.items():
        cells = []
        for part, pixels in sample._asdict().items():
            file = f"{title}-{part}.png"
            image.write(folder / file, image.Picture(pixels))
            quality = "" if part == "clean" else f"<br>{float(psnr(pixels, sample.clean)):.2f} dB"
            cells.append(f"![{title}, {part}]({folder.name}/{quote(file)}){quality}")
        text.append(f"| {title} | " + " | ".join(cells) + " |")
    return text if pictures else []


def _next_steps(entry: str) -> list[str]:
    return [
        "## Next steps",
        "",
        f"- Measure it on test images and store the results in its card: `restorax eval {entry} --data DIR --write`.",
        f"- Restore an image: `restorax restore in.png out.png --model {entry}`.",
        "- Train on: append a stage to the recipe and run the same command with `--recipe FILE`.",
        f"- Fine-tune for other images or another degradation: `restorax train NAME --start {entry}`.",
        f"- Deploy without restorax: `restorax export {entry} OUT`.",
    ]
