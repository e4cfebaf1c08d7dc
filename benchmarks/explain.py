"""How far restorers look, and whether they know their own errors: ``python -m benchmarks.explain``.

For every entry for single images and every degradation of its card, on pictures of 256 x 256: within what distance
(along rows or columns) 50, 90 and 99 % of the influence on a pixel lie; the rank correlation between the disagreement
of eight turns and the true error, both averaged over blocks of 8 x 8, where there is an error; and, for white Gaussian
noise, the PSNR that Stein's estimate gives without the clean picture beside the true one. With examples in
docs/explain.jpg.
"""

import functools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats

import restorax
from restorax import data, explain, metrics, zoo
from restorax.degrade import parse
from restorax.files import written_beside
from restorax.models import BurstRNN

from .record import record, table

PICTURE = Path(__file__).parent.parent / "docs" / "explain.jpg"
EXAMPLES = (
    "resunet_s-gray-noise",
    "resunet_s-gray-blur",
    "scanunet_s-gray-blur",
    "wiener_unet-gray-blur",
    "scanunet_s-gray-missing",
)
SHARES = (0.5, 0.9, 0.99)
BLOCK = 8


def measure(restorer: zoo.Restorer, pictures: Mapping[str, np.ndarray], degradation: str) -> dict[str, Any]:
    """One row: means over the pictures, and for the reach the median over pixels and pictures.

    Args:
        restorer: of single images.
        pictures: clean images by name, ``[height, width, channels]`` in [0, 1], sides multiples of 8.
        degradation: in the language of ``restorax.degrade.parse``.

    Returns:
        ``reach_50``, ``reach_90`` and ``reach_99`` in pixels; ``error_rank`` from -1 to 1; ``psnr`` in dB of the
        network's output, not clipped, and ``sure``, its estimate, where there is one.
    """
    degrade, apply = jax.jit(parse(degradation)), jax.jit(lambda restorer, *observed: restorer(*observed))
    reaches, ranks, qualities, estimates = [], [], [], []
    noise = re.fullmatch(r"gaussian_noise\(sigma=(\d+)/255(, with_level=True)?\)", degradation)
    estimate = functools.partial(jax.jit(explain.sure), sigma=int(noise[1]) / 255) if noise else None
    for i, name in enumerate(sorted(pictures)):
        key, clean = jax.random.fold_in(jax.random.key(0), i), jnp.asarray(pictures[name])
        image, condition = degrade(key, clean)
        for at in [(y * clean.shape[0] // 4, x * clean.shape[1] // 4) for y in (1, 2, 3) for x in (1, 2, 3)]:
            found = explain.influence(restorer, image, condition, at=at)
            reaches.append([explain.reach(found, at=at, share=share) for share in SHARES])
        error = jnp.abs(restorax.restore(restorer, image, condition) - clean)
        ranks.append(_rank(explain.disagreement(restorer, image, condition), error))
        qualities.append(float(metrics.psnr(apply(restorer, image, condition), clean)))
        if estimate:
            estimates.append(-10 * np.log10(float(estimate(jax.random.fold_in(key, 1), restorer, image, condition))))
    return {
        **{f"reach_{round(100 * s)}": f"{r:.0f}" for s, r in zip(SHARES, np.median(reaches, axis=0), strict=True)},
        "error_rank": f"{np.mean(ranks):.2f}",
        "psnr": f"{np.mean(qualities):.2f}",
        "sure": f"{np.mean(estimates):.2f}" if estimates else "",
        "sure_off": f"{np.abs(np.subtract(estimates, qualities)).max():.2f}" if estimates else "",
    }


def _rank(uncertainty: jax.Array, error: jax.Array) -> float:
    blocks = np.stack([_blocks(np.asarray(x)).ravel() for x in (uncertainty, error)])
    wrong = blocks[:, blocks[1] > 0]  # pixels that are known and copied would be ranked too well
    return float(scipy.stats.spearmanr(*wrong).statistic)


def _blocks(x: np.ndarray) -> np.ndarray:
    height, width, _ = x.shape
    return x.reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK, -1).mean((1, 3, 4))


def draw(names: Sequence[str], path: Path, *, side: int = 256) -> None:
    """One row for each entry, on the cat of scikit-image: what came in and out, where it looked, where it is wrong."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    titles = "degraded", "restored", "influence on the cross", "source of the window", "disagreement", "error"
    figure, axes = plt.subplots(len(names), 6, figsize=(13, 2.3 * len(names)), layout="constrained", squeeze=False)
    for axis, title in zip(axes[0], titles, strict=True):
        axis.set_title(title, fontsize=9)
    for row, name in zip(axes, names, strict=True):
        restorer = zoo.load(name)
        clean = data.sample_images(restorer.card.channels)["chelsea"][-side:, :side]
        image, condition = jax.jit(parse(restorer.card.evaluation[-1]))(jax.random.key(0), jnp.asarray(clean))
        restored = restorax.restore(restorer, image, condition)
        at, window = (side // 2, side // 2), (side // 2 - 16, side // 2 - 16, 32, 32)
        influence = explain.influence(restorer, image, condition, at=at)
        source = jnp.abs(explain.attribution(restorer, image, condition, window=window))
        smooth = lambda x: np.kron(_blocks(np.asarray(x)), np.ones((BLOCK, BLOCK)))  # noqa: E731
        maps = (
            (np.clip(image, 0, 1), "gray", 0, 1),
            (restored, "gray", 0, 1),
            (np.log10(influence / influence.max() + 1e-9), "magma", -4, 0),
            (np.log10(source / source.max() + 1e-9), "magma", -3, 0),
            (smooth(explain.disagreement(restorer, image, condition)), "viridis", 0, None),
            (smooth(jnp.abs(restored - clean)), "viridis", 0, None),
        )
        for axis, (picture, colours, low, high) in zip(row, maps, strict=True):
            axis.imshow(np.asarray(picture).squeeze(), colours, vmin=low, vmax=high, interpolation="nearest")
            axis.set(xticks=[], yticks=[])
        if getattr(restorer.model, "filters", 0):
            inset = row[1].inset_axes((0.7, 0, 0.3, 0.3), xticks=[], yticks=[])
            inset.imshow(restorer.model.apply({"params": restorer.params}, image, method="kernel"), "gray")
        row[0].set_ylabel(f"{name}\n{restorer.card.evaluation[-1]}".replace(" + ", "\n+ "), fontsize=7)
        row[1].plot(*at, "r+")
        row[1].add_patch(plt.Rectangle(window[:2], 32, 32, fill=False, edgecolor="red"))
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_beside(path) as beside:
        figure.savefig(beside, format="jpg", dpi=100)
    plt.close(figure)


def main(name: list[str] | None = None, folder: str = "", quick: bool = False, write: bool = True) -> None:
    """Measure on a folder of clean pictures, else on the photographs of scikit-image; print, record and draw."""
    for one in name or zoo.list_models():
        restorer = zoo.load(one)
        if isinstance(restorer.model, BurstRNN):
            print(f"{one} restores bursts, not single images")
            continue
        channels, side = restorer.card.channels, 48 if quick else 256
        pictures = data.test_images(folder, channels) if folder else data.sample_images(channels)
        pictures = {key: pictures[key][:side, :side] for key in sorted(pictures)[: 1 if quick else None]}
        dataset = Path(folder).resolve().name if folder else "sample photographs"
        about = {"entry": one, "dataset": dataset, "images": len(pictures)}
        texts = restorer.card.evaluation[: 1 if quick else None]
        rows = [{**about, "degradation": text, **measure(restorer, pictures, text)} for text in texts]
        print(f"\n{table(rows)}", flush=True)
        if write and not quick:
            record("explain", rows)
    if write and not quick:
        draw(EXAMPLES, PICTURE)


if __name__ == "__main__":
    import typer

    typer.run(main)
