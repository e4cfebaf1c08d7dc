"""Effective receptive fields and error estimates of the entries: ``python -m benchmarks explain``.

For every single-image entry and every degradation of its card, on images of 256 x 256:

- the distance (along rows or columns) within which 50, 90 and 99 % of the influence on an output pixel lie,
- the rank correlation between the disagreement over the dihedral group and the true error, over blocks of 8 x 8,
- for white Gaussian noise, Stein's unbiased estimate of the PSNR, and the true one.

Examples are drawn in docs/explain.jpg.
"""

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.stats

import restorax
from restorax import data, explanation, metrics, zoo
from restorax.degrade import Op, gaussian_noise, parse
from restorax.files.atomic import written_beside
from restorax.models import BurstRNN
from restorax.models.blind_deconvolution import BlindDeconvolution

from .options import Publish, Quick, option
from .record import OUT, record, table

FIGURE = Path(__file__).parent.parent / "docs" / "explain.jpg"
EXAMPLES = (
    "resunet_s-gray-noise",
    "scanunet_s-gray-blur",
    "wiener_unet-gray-blur",
    "scanunet_s-gray-missing",
)
SHARES = (0.5, 0.9, 0.99)
BLOCK = 8


def measure(restorer: zoo.Restorer, images: Mapping[str, np.ndarray], degradation: str) -> dict[str, Any]:
    """Return one row: means over the images, and for the reach the median over pixels and images.

    Args:
        restorer: a single-image restorer.
        images: clean images by name, ``[height, width, channels]`` in [0, 1], sides multiples of 8.
        degradation: as parsed by ``restorax.degrade.parse``.

    Returns:
        ``reach_50``, ``reach_90`` and ``reach_99`` in pixels; ``error_rank`` from -1 to 1; ``psnr`` in dB of the
        unclipped output, and ``sure``, its estimate, for white Gaussian noise of known level.
    """
    parsed, apply = parse(degradation), jax.jit(lambda restorer, *observed: restorer(*observed))
    degrade, reaches, ranks, qualities, estimates = jax.jit(parsed), [], [], [], []
    sigma = parsed.strengths["sigma"] if isinstance(parsed, Op) and parsed.operator is gaussian_noise else None
    level_known = isinstance(sigma, float | int) and "per_pixel" not in parsed.strengths
    estimate = functools.partial(jax.jit(explanation.sure), sigma=sigma) if level_known else None
    for i, name in enumerate(sorted(images)):
        key, clean = jax.random.fold_in(jax.random.key(0), i), jnp.asarray(images[name])
        image, condition = degrade(key, clean)
        for at in [(y * clean.shape[0] // 4, x * clean.shape[1] // 4) for y in (1, 2, 3) for x in (1, 2, 3)]:
            found = explanation.effective_receptive_field(restorer, image, condition, at=at)
            reaches.append([explanation.reach(found, at=at, share=share) for share in SHARES])
        error = jnp.abs(restorax.restore(restorer, image, condition) - clean)
        ranks.append(_rank(explanation.disagreement(restorer, image, condition), error))
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
    restored = blocks[:, blocks[1] > 0]  # known pixels are copied; their zero error would inflate the correlation
    return float(scipy.stats.spearmanr(*restored).statistic)


def _blocks(x: np.ndarray) -> np.ndarray:
    height, width, _ = x.shape
    return x.reshape(height // BLOCK, BLOCK, width // BLOCK, BLOCK, -1).mean((1, 3, 4))


def draw(names: Sequence[str], path: Path, *, side: int = 256) -> None:
    """Draw one row per entry: input, output, influence, attribution, disagreement and error on a sample image."""
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
        influence = explanation.effective_receptive_field(restorer, image, condition, at=at)
        source = jnp.abs(explanation.attribution(restorer, image, condition, window=window))
        smooth = lambda x: np.kron(_blocks(np.asarray(x)), np.ones((BLOCK, BLOCK)))  # noqa: E731
        maps = (
            (np.clip(image, 0, 1), "gray", 0, 1),
            (restored, "gray", 0, 1),
            (np.log10(influence / influence.max() + 1e-9), "magma", -4, 0),
            (np.log10(source / source.max() + 1e-9), "magma", -3, 0),
            (smooth(explanation.disagreement(restorer, image, condition)), "viridis", 0, None),
            (smooth(jnp.abs(restored - clean)), "viridis", 0, None),
        )
        for axis, (values, colours, low, high) in zip(row, maps, strict=True):
            axis.imshow(np.asarray(values).squeeze(), colours, vmin=low, vmax=high, interpolation="nearest")
            axis.set(xticks=[], yticks=[])
        if isinstance(restorer.model, BlindDeconvolution) and restorer.model.filters:
            inset = row[1].inset_axes((0.7, 0, 0.3, 0.3), xticks=[], yticks=[])
            inset.imshow(restorer.model.apply({"params": restorer.params}, image, method="kernel"), "gray")
        row[0].set_ylabel(f"{name}\n{restorer.card.evaluation[-1]}".replace(" + ", "\n+ "), fontsize=7)
        row[1].plot(*at, "r+")
        row[1].add_patch(plt.Rectangle(window[:2], 32, 32, fill=False, edgecolor="red"))
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_beside(path) as beside:
        figure.savefig(beside, format="jpg", dpi=100)
    plt.close(figure)


def main(
    name: Annotated[list[str] | None, option("Entry, repeatable [all].")] = None,
    folder: Annotated[str, option("Folder of clean images [sample images of scikit-image].")] = "",
    quick: Quick = False,
    publish: Publish = False,
) -> None:
    """Measure on a folder of clean images or the sample images of scikit-image; print, record and draw."""
    for one in name or zoo.list_models():
        restorer = zoo.load(one)
        if isinstance(restorer.model, BurstRNN):
            print(f"{one} restores bursts, not single images")
            continue
        channels, side = restorer.card.channels, 48 if quick else 256
        images = data.test_images(folder, channels) if folder else data.sample_images(channels)
        images = {key: images[key][:side, :side] for key in sorted(images)[: 1 if quick else None]}
        dataset = Path(folder).resolve().name if folder else "sample photographs"
        identity = {"entry": one, "dataset": dataset, "images": len(images)}
        texts = restorer.card.evaluation[: 1 if quick else None]
        rows = [{**identity, "degradation": text, **measure(restorer, images, text)} for text in texts]
        print(f"\n{table(rows)}", flush=True)
        if not quick:
            record("explain", rows, publish=publish)
    if not quick:
        draw(EXAMPLES, FIGURE if publish else OUT / FIGURE.name)


if __name__ == "__main__":
    import typer

    typer.run(main)
