"""Gains of single-image entries on out-of-distribution degradations: ``python -m benchmarks robustness``.

The gain is the PSNR in dB over the degraded image clipped to [0, 1]; docs/robustness.png shows a heat map. Entries that
require a mask get the true one, or one of all known pixels; the noise level is estimated from the image.
"""

import importlib.util
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import jax.numpy as jnp
import numpy as np

import restorax
from restorax import data, zoo
from restorax.degrade import parse
from restorax.evaluation import evaluate
from restorax.files.atomic import written_beside
from restorax.types import Condition

from .options import Publish, Quick, option
from .record import OUT, newest, read, record, table

MAP = Path(__file__).parent.parent / "docs" / "robustness.png"
DEGRADATIONS = (
    *(f"gaussian_noise(sigma={s}/255)" for s in (5, 15, 25, 50, 75)),
    *(f"correlated_noise(sigma={s}/255)" for s in (15, 25)),
    "speckle_noise(sigma=0.2)",
    *(f"shot_noise(peak={p})" for p in (100, 10, 1)),
    "emccd_noise(peak=10)",
    *(f"salt_and_pepper_noise(amount={a})" for a in (0.05, 0.3, 0.8)),
    "impulse_noise(amount=0.2)",
    *(f"jpeg(quality={q})" for q in (40, 10, 3)),
    *(f"gaussian_noise(sigma=15/255) + jpeg(quality={q})" for q in (95, 90)),
    "correlated_noise(sigma=15/255) + jpeg(quality=90)",
    "jpeg(quality=10) + gaussian_noise(sigma=15/255)",
    *(f"missing_pixels(missing={m})" for m in (0.1, 0.5, 0.8, 0.95)),
    "missing_strokes()",
    *(f"gaussian_blur(sigma={s})" for s in (1, 1.6, 3)),
    "motion_blur(length=15) + gaussian_noise(sigma=2.55/255)",
    "defocus_blur(blur_radius=3) + gaussian_noise(sigma=2.55/255)",
)


def gains(
    restorer: zoo.Restorer, images: Mapping[str, np.ndarray], degradations: Sequence[str], *, dataset: str
) -> list[dict[str, Any]]:
    """Return one row per degradation, with the PSNR before and after."""
    rows = []
    for text in degradations:
        result = evaluate(partial(_restore, restorer), images, text, dataset=dataset)
        # Clipping alone gains up to 3 dB for strong noise.
        clipped = evaluate(lambda image, _: image, images, text, dataset=dataset).psnr
        quality = {"input_psnr": f"{clipped:.2f}", "psnr": f"{result.psnr:.2f}"}
        identity = {
            "entry": restorer.card.name,
            "degradation": text,
            "trained": trained(restorer.card.degradation, text),
        }
        gain = {"gain": f"{result.psnr - clipped:.2f}"}
        rows.append({**identity, "dataset": dataset, "images": len(images), **quality, **gain})
    return rows


def _restore(restorer: zoo.Restorer, image: Any, condition: Any = None) -> Any:
    required = restorer.model.required_condition
    if required is Condition.NONE:
        condition = None
    elif required is Condition.NOISE_LEVEL:
        from skimage.restoration import estimate_sigma

        level = estimate_sigma(np.asarray(image), average_sigmas=True, channel_axis=-1)
        condition = jnp.full((*image.shape[:-1], 1), level)
    elif condition is None:
        condition = jnp.ones((*image.shape[:-1], 1))
    return restorax.restore(restorer, image, condition)


def trained(training: str, degradation: str) -> bool:
    """Return whether all operators of a degradation occur in training, whatever their strengths."""
    seen, needed = ({op.operator for op in parse(text).operators} for text in (training, degradation))
    return needed <= seen


def unsuitable(restorer: zoo.Restorer) -> str:
    """Return why an entry cannot be measured, or an empty string."""
    if restorer.model.takes_frames:
        return "restores frames, not single images"
    if restorer.model.required_condition is Condition.NOISE_LEVEL and not importlib.util.find_spec("pywt"):
        return "requires a noise level, whose estimation requires PyWavelets: pip install '.[bench]'"
    return ""


def complete_rows(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the rows of the degradations that were measured for every entry."""
    entries = {row["entry"] for row in rows}
    measured: dict[str, set[str]] = {}
    for row in rows:
        measured.setdefault(row["degradation"], set()).add(row["entry"])
    return [row for row in rows if measured[row["degradation"]] == entries]


def heat_map(rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw gains by degradation (rows) and entry (columns); frames mark operators seen in training."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    entries, texts = (list(dict.fromkeys(row[key] for row in rows)) for key in ("entry", "degradation"))
    grid = np.full((len(texts), len(entries)), np.nan)
    figure, axis = plt.subplots(figsize=(3.4 + 0.75 * len(entries), 1.6 + 0.27 * len(texts)), layout="constrained")
    for row in rows:
        place = texts.index(row["degradation"]), entries.index(row["entry"])
        grid[place] = gain = float(row["gain"])
        axis.text(*place[::-1], f"{gain:+.1f}", ha="center", va="center", fontsize=7, color="wk"[abs(gain) < 8])
        if str(row["trained"]) == "True":
            axis.add_patch(plt.Rectangle((place[1] - 0.48, place[0] - 0.46), 0.96, 0.92, fill=False, linewidth=1))
    colours = axis.imshow(grid, "RdBu", aspect="auto", vmin=-12, vmax=12)
    axis.set_xticks(range(len(entries)), entries, rotation=40, ha="right", fontsize=7)
    axis.set_yticks(range(len(texts)), texts, fontsize=7)
    axis.set_title("Gain in PSNR [dB]; framed: operators seen in training", fontsize=8)
    figure.colorbar(colours, extend="both")
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_beside(path) as beside:
        figure.savefig(beside, format=path.suffix[1:], dpi=110)
    plt.close(figure)


def main(
    name: Annotated[list[str] | None, option("Entry, repeatable [all].")] = None,
    folder: Annotated[str, option("Folder of clean images [sample images of scikit-image].")] = "",
    degradation: Annotated[list[str] | None, option("Degradation, repeatable [those of the suite].")] = None,
    quick: Quick = False,
    publish: Publish = False,
) -> None:
    """Measure on a folder of clean images or the sample images of scikit-image; print, record and draw."""
    for one in name or zoo.list_models():
        restorer = zoo.load(one)
        if reason := unsuitable(restorer):
            print(f"{one} is left out: it {reason}", flush=True)
            continue
        channels = restorer.card.channels
        images = data.test_images(folder, channels) if folder else data.sample_images(channels)
        if quick:
            images = {key: images[key][:48, :48] for key in sorted(images)[:1]}
        dataset = Path(folder).resolve().name if folder else "sample photographs"
        texts = degradation or DEGRADATIONS[:: 9 if quick else 1]
        rows = gains(restorer, images, texts, dataset=dataset)
        print(f"\n{table(rows)}", flush=True)
        if not quick:
            record("robustness", rows, publish=publish)
    if not quick:
        rows = newest(read("robustness", local=not publish), ("entry", "degradation", "dataset"))
        complete = complete_rows(rows)
        for text in dict.fromkeys(row["degradation"] for row in rows if row not in complete):
            print(f"{text} is left out of the map: not every entry was measured")
        if complete:
            heat_map(complete, MAP if publish else OUT / MAP.name)


if __name__ == "__main__":
    import typer

    typer.run(main)
