"""Zoo entries compared with oracle-tuned classical baselines: ``python -m benchmarks quality NAME --data DIR``.

Classical methods know the degradation, and the best setting of a grid (by mean PSNR) counts; BM3D and biharmonic
inpainting have no settings. Entries receive only the condition on their cards; those that accept a known blur kernel
are measured both with it and without.
"""

import importlib.util
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
import typer
from rich.console import Console
from rich.table import Table

import restorax
from restorax import data, zoo
from restorax.evaluation import evaluate
from restorax.models.blind_deconvolution import BlindDeconvolution

from .classical import methods, observe, true_kernel
from .options import Publish, Quick, option
from .record import record


def compare(
    restorers: Sequence[zoo.Restorer], images: dict[str, np.ndarray], degradation: str, *, dataset: str
) -> list[dict[str, object]]:
    """Return one row per method: entries first, then classical methods, the degraded image last."""
    forms = {restorer.card.name: [partial(restorax.restore, restorer)] for restorer in restorers} | {
        name: [observe(one) for one in settings] for name, settings in methods(degradation).items()
    }
    if (kernel := true_kernel(degradation)) is not None:
        non_blind = [
            restorer
            for restorer in restorers
            if isinstance(restorer.model, BlindDeconvolution) and restorer.model.filters
        ]
        forms |= {
            f"{restorer.card.name}, true kernel": [partial(_deconvolve, restorer, kernel)] for restorer in non_blind
        }
    rows = []
    for name, settings in forms.items():
        results = [evaluate(one, images, degradation, dataset=dataset) for one in settings]
        best = max(results, key=lambda result: result.psnr)
        where = {"dataset": dataset, "images": len(images), "degradation": degradation, "method": name}
        quality = {"psnr": f"{best.psnr:.2f}", "ssim": f"{best.ssim:.4f}"}
        rows.append(where | {"setting": f"{results.index(best) + 1} of {len(settings)}"} | quality)
    degraded = {"method": "none", "setting": "", "psnr": f"{best.input_psnr:.2f}", "ssim": ""}
    return [*rows, where | degraded]


def _deconvolve(restorer: zoo.Restorer, kernel: np.ndarray, image: jax.Array, condition: None) -> jax.Array:
    variables, kernel = {"params": restorer.params}, jnp.asarray(kernel, jnp.float32)
    return jnp.clip(restorer.model.apply(variables, image, kernel, method="deconvolve"), 0, 1)


def main(
    folder: Annotated[Path, option("Folder of clean test images.", "--data")],
    names: Annotated[list[str] | None, typer.Argument(help=r"Entries \[all].")] = None,
    degradation: Annotated[list[str] | None, option("Degradation, repeatable [those of the card].")] = None,
    quick: Quick = False,
    publish: Publish = False,
) -> None:
    """Degrade every image, restore it by every method, print and record the results."""
    console, together = Console(), {}
    if not importlib.util.find_spec("bm3d"):
        print("BM3D is left out of the baselines, because the package bm3d is missing: pip install '.[bench]'")
    for restorer in map(zoo.load, names or zoo.list_models()):
        for text in degradation or restorer.card.evaluation:
            together.setdefault((restorer.card.channels, text), []).append(restorer)
    for (channels, text), restorers in together.items():
        images = data.test_images(folder, channels)
        if quick:
            images = {key: images[key][:96, :96] for key in sorted(images)[:2]}
        rows = compare(restorers, images, text, dataset=folder.resolve().name)
        table = Table("method", "setting", "PSNR [dB]", "SSIM", title=f"{text}, {folder.name}")
        for row in rows:
            table.add_row(*(row[key] for key in ("method", "setting", "psnr", "ssim")))
        console.print(table)
        if not quick:
            record("quality", rows, publish=publish)


if __name__ == "__main__":
    typer.run(main)
