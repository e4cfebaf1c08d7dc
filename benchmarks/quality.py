"""Entries of the zoo against classical methods on the same pictures: ``python -m benchmarks.quality NAME --data DIR``.

Every classical method knows the degradation and has its parameters set by the truth (the best mean of a grid), except
BM3D and biharmonic inpainting, which have none; the entries know only what their cards' `condition` says. Those that
can be told the kernel of a blur are measured both ways.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

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
from .record import record


def compare(
    restorers: Sequence[zoo.Restorer], pictures: dict[str, np.ndarray], degradation: str, *, dataset: str
) -> list[dict[str, object]]:
    """One row per method: the entries first, then the classical ones, the degraded image last."""
    forms = {restorer.card.name: [partial(restorax.restore, restorer)] for restorer in restorers} | {
        name: [observe(one) for one in settings] for name, settings in methods(degradation).items()
    }
    if (kernel := true_kernel(degradation)) is not None:
        told = [
            restorer
            for restorer in restorers
            if isinstance(restorer.model, BlindDeconvolution) and restorer.model.filters
        ]
        forms |= {f"{restorer.card.name}, true kernel": [partial(_deconvolve, restorer, kernel)] for restorer in told}
    rows = []
    for name, settings in forms.items():
        results = [evaluate(one, pictures, degradation, dataset=dataset) for one in settings]
        best = max(results, key=lambda result: result.psnr)
        where = {"dataset": dataset, "images": len(pictures), "degradation": degradation, "method": name}
        quality = {"psnr": f"{best.psnr:.2f}", "ssim": f"{best.ssim:.4f}"}
        rows.append(where | {"setting": f"{results.index(best) + 1} of {len(settings)}"} | quality)
    untouched = {"method": "none", "setting": "", "psnr": f"{best.input_psnr:.2f}", "ssim": ""}
    return [*rows, where | untouched]


def _deconvolve(restorer: zoo.Restorer, kernel: np.ndarray, image: jax.Array, condition: None) -> jax.Array:
    variables, known = {"params": restorer.params}, jnp.asarray(kernel, jnp.float32)
    return jnp.clip(restorer.model.apply(variables, image, known, method="deconvolve"), 0, 1)


def main(
    names: list[str] = typer.Argument(None, help="Entries; all by default."),  # noqa: B008
    folder: Path = typer.Option(..., "--data", help="Clean test pictures."),  # noqa: B008
    degradation: list[str] = typer.Option([], help="What is undone [every evaluation of the card]."),  # noqa: B008
    quick: bool = typer.Option(False, "--quick", help="Two pictures, quarter size."),
    write: bool = typer.Option(True, help="Append rows to benchmarks/results/quality.csv."),
) -> None:
    """Degrade every picture, restore it by every method, print a table per degradation and append CSV rows."""
    console, together = Console(), {}
    for restorer in map(zoo.load, names or zoo.list_models()):
        for text in degradation or restorer.card.evaluation:
            together.setdefault((restorer.card.channels, text), []).append(restorer)
    for (channels, text), restorers in together.items():
        pictures = data.test_images(folder, channels)
        if quick:
            pictures = {key: pictures[key][:96, :96] for key in sorted(pictures)[:2]}
        rows = compare(restorers, pictures, text, dataset=folder.resolve().name)
        table = Table("method", "setting", "PSNR [dB]", "SSIM", title=f"{text}, {folder.name}")
        for row in rows:
            table.add_row(*(row[key] for key in ("method", "setting", "psnr", "ssim")))
        console.print(table)
        if write and not quick:
            record("quality", rows)


if __name__ == "__main__":
    typer.run(main)
