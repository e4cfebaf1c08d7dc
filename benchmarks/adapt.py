"""What adapting an entry to images gains, and whether it knows when to stop: ``python -m benchmarks adapt``.

An entry is adapted to the noisy images of a folder under damages that it was not trained for, and to pairs of real
noise, of which one half is adapted to and the other measured. Images are stored in 8 bits, as files are.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np

import restorax
from restorax import adapt, data, metrics
from restorax.degrade import parse
from restorax.pairs import match_pairs, read_pair

from .options import Publish, Quick, option
from .record import record, table

DAMAGES = (
    "shot_noise(peak=10)",
    "shot_noise(peak=30) + gaussian_noise(sigma=10/255)",
    "speckle_noise(sigma=0.3)",
    "stripe_noise(sigma=25/255)",
    "stripe_noise(sigma=15/255, columns=True) + gaussian_noise(sigma=5/255)",
    "uniform_noise(amplitude=0.2)",
    "gaussian_noise(sigma=75/255)",
    "correlated_noise(sigma=25/255)",
)
COLUMNS = (
    "entry",
    "dataset",
    "degradation",
    "learned_from",
    "images",
    "input_psnr",
    "start",
    "psnr",
    "gain",
    "worst",
    "outcome",
)


def stored(pixels: Any) -> np.ndarray:
    """Clip and round to 8 bits."""
    return np.round(np.clip(np.asarray(pixels), 0, 1) * 255) / np.float32(255)


def qualities(restorer: restorax.Restorer | None, images: Sequence[np.ndarray], clean: Sequence[np.ndarray]) -> Any:
    """Return the PSNR of each image as it is, or restored."""
    shown = images if restorer is None else [stored(restorax.restore(restorer, image)) for image in images]
    return np.array([float(metrics.psnr(a, b)) for a, b in zip(shown, clean, strict=True)])


def row(
    restorer: restorax.Restorer,
    learned: tuple[Sequence[np.ndarray], Sequence[np.ndarray] | None],
    measured: tuple[Sequence[np.ndarray], Sequence[np.ndarray]],
    **options: Any,
) -> dict[str, Any]:
    """Adapt to the first images, and measure on the second."""
    began = time.monotonic()
    before, start = (qualities(one, *measured) for one in (None, restorer))
    try:
        adapted = adapt(restorer, *learned, **options)
    except ValueError as refusal:  # the noise is not of a kind that can be learned
        outcome, gains, steps = f"refused: {str(refusal).split(';')[0]}", np.zeros(len(start)), 0
    else:
        outcome, steps = ("adapted" if adapted.improved else "kept"), adapted.steps
        gains = qualities(adapted.restorer, *measured) - start if adapted.improved else np.zeros(len(start))
    return {
        "entry": restorer.card.name,
        "images": len(learned[0]),
        "input_psnr": f"{before.mean():.2f}",
        "start": f"{start.mean():.2f}",
        "psnr": f"{(start + gains).mean():.2f}",
        "gain": f"{gains.mean():.2f}",
        "worst": f"{gains.min():.2f}",
        "outcome": outcome,
        "steps": steps,
        **({} if options["steps"] else {"minutes": f"{(time.monotonic() - began) / 60:.1f}"}),
    }


def noise2void_row(images: Sequence[np.ndarray], clean: Sequence[np.ndarray], seconds: float) -> dict[str, Any]:
    """Train Noise2Void of careamics on images instead, for as long; empty, with a message, where it is missing."""
    try:
        from . import careamics_peer
    except ImportError as error:
        print(f"careamics is left out, because the package {error.name} is missing: pip install '.[bench]'")
        return {}
    began = time.monotonic()
    restored, steps = careamics_peer.noise2void(images, seconds)
    return {
        "entry": "Noise2Void of careamics",
        "images": len(images),
        "input_psnr": f"{qualities(None, images, clean).mean():.2f}",
        "psnr": f"{qualities(None, [stored(one) for one in restored], clean).mean():.2f}",
        "outcome": "trained",
        "steps": steps,
        "minutes": f"{(time.monotonic() - began) / 60:.1f}",
    }


def damaged(text: str, clean: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Degrade images, each with a seed of its own, and store them in 8 bits."""
    degrade = jax.jit(parse(text).__call__)
    return [stored(degrade(jax.random.key(number), jnp.asarray(one)).image) for number, one in enumerate(clean)]


def main(
    folder: Annotated[Path | None, option("Folder of clean images [photographs of scikit-image].", "--data")] = None,
    polyu: Annotated[Path | None, option("Folder of pairs *_real* and *_mean*.")] = None,
    gray: Annotated[str, option("Entry that is adapted to the damages.")] = "resunet_s-gray-noise",
    color: Annotated[str, option("Entry that is adapted to the pairs.")] = "resunet_s-color-noise",
    degradation: Annotated[list[str] | None, option("Damage, repeatable [eight].", "--with")] = None,
    side: Annotated[int, option("Largest side of the crops of the images.")] = 512,
    limit: Annotated[int | None, option("Number of images, and of pairs in each half.")] = None,
    minutes: Annotated[float, option("Time for each.")] = 3.0,
    steps: Annotated[int | None, option("Optimiser steps instead, for repeatable rows.")] = None,
    careamics: Annotated[bool, option("Train Noise2Void of careamics on the same images for as long, too.")] = False,
    quick: Quick = False,
    publish: Publish = False,
) -> None:
    """Adapt to damages and to real pairs; print and record."""
    options: dict[str, Any] = {"seconds": 60 * minutes - 10, "steps": 2 if quick else steps}
    images = data.test_images(folder, 1) if folder else data.sample_images(1)
    limit, side, gray = (2, 64, "dncnn-gray-noise25") if quick else (limit, side, gray)
    clean = [images[name][:side, :side] for name in sorted(images)[:limit]]
    dataset = folder.resolve().name if folder else "sample photographs"
    rows = []
    for text in degradation or DAMAGES[:: 7 if quick else 1]:
        noisy = damaged(text, clean)
        names = {"dataset": dataset, "degradation": text, "learned_from": "noisy images"}
        rows.append(names | row(restorax.load(gray), (noisy, None), (noisy, clean), **options))
        print(rows[-1], flush=True)
        if careamics and (found := noise2void_row(noisy, clean, 5 if quick else options["seconds"])):
            rows.append(names | found)
            print(rows[-1], flush=True)
    if polyu:
        files = match_pairs(polyu, "*_real*", "*_mean*")
        halves = [[read_pair(pair, 3) for pair in files[half::2][:limit]] for half in (0, 1)]
        (noisy, means), measured = (tuple(zip(*half, strict=True)) for half in halves)
        for kind, learned in (("noisy images", (noisy, None)), ("pairs", (noisy, means))):
            names = {"dataset": polyu.resolve().name, "degradation": "real camera noise", "learned_from": kind}
            rows.append(names | row(restorax.load(color), learned, measured, **options))
            print(rows[-1], flush=True)
    print(table(rows, COLUMNS))
    if not quick:
        record("adapt", rows, publish=publish)


if __name__ == "__main__":
    import typer

    typer.run(main)
