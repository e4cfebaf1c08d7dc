"""The camera presets beside real noise: ``python -m benchmarks.camera gallery|noise|cost``.

``gallery`` draws crops of real pairs beside the same clean crops in every preset; ``noise`` compares the level and the
correlation of real and simulated noise; ``cost`` times ``camera_photo`` beside a training step. Pairs are two files of
one scene, ``*_real.*`` one shot and ``*_mean.*`` the mean of many, as in PolyU.
"""

import dataclasses
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import typer
from PIL import Image

from restorax.degrade import DEGRADATIONS, parse
from restorax.degrade.codec import RGB_TO_YCC
from restorax.files.atomic import written_beside
from restorax.files.image import read
from restorax.recipes import RECIPES
from restorax.train.step import init_state, make_draw, make_step, patch_side

from .crops import central
from .timing import interleaved

PRESETS = ("camera_iso_low", "camera_iso_high", "phone", "web")
LAGS = (1, 2, 4)
app = typer.Typer(add_completion=False, help=__doc__)


def find_pairs(folder: Path, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Read noisy and clean images of scenes at regular distances in a folder."""
    noisy = sorted(folder.glob("*_real.*"))
    if not noisy:
        raise SystemExit(f"{folder} has no files *_real.*.")
    chosen = noisy[:: max(1, len(noisy) // count)][:count]
    return [(_read(path), _read(path.with_name(path.name.replace("_real", "_mean")))) for path in chosen]


def noise_statistics(noise: np.ndarray) -> list[float]:
    """Return the deviation in 8-bit units, and the correlation along rows at ``LAGS``, of Y, Cb and Cr."""
    rows = []
    for plane in np.moveaxis(noise @ RGB_TO_YCC.T, -1, 0):
        centred = plane - plane.mean()
        variance = (centred**2).mean()
        rows += [255 * variance**0.5, *((centred[:, lag:] * centred[:, :-lag]).mean() / variance for lag in LAGS)]
    return rows


@app.command()
def gallery(pairs: Path, out: str = "runs/camera.png", count: int = 4, side: int = 128, zoom: int = 2) -> None:
    """Write an image: a row per pair; its noisy crop, its clean crop, and the clean crop in every preset."""
    rows = []
    for index, (noisy, clean) in enumerate(find_pairs(pairs, count)):
        crops = [central(image, side) for image in (noisy, clean)]
        for preset in PRESETS:
            degraded = jax.jit(DEGRADATIONS[preset])(jax.random.key(index), jnp.asarray(crops[1])).image
            crops.append(np.clip(degraded, 0, 1))
        rows.append(np.concatenate(crops, 1))
    picture = np.repeat(np.repeat(np.concatenate(rows), zoom, 0), zoom, 1)
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    with written_beside(out) as beside:
        Image.fromarray(np.round(255 * picture).astype(np.uint8)).save(beside, format="PNG")
    print(f"{out}: real, clean, {', '.join(PRESETS)}")


@app.command()
def noise(pairs: Path, count: int = 20, quality: int = 75) -> None:
    """Print the noise of real pairs and of presets on their clean images, as JPEG of the quality of the pairs."""
    images = find_pairs(pairs, count)
    titles = [f"{plane} {what}" for plane in ("Y", "Cb", "Cr") for what in ("sigma", *(f"r{lag}" for lag in LAGS))]
    print(f"{'':16}", *(f"{title:>8}" for title in titles))
    _print_row("real", [noise_statistics(noisy - clean) for noisy, clean in images])
    for preset in PRESETS:
        degrade = jax.jit(parse(f"{DEGRADATIONS[preset]} + jpeg(quality={quality})"))
        found = []
        for index, (_, clean) in enumerate(images):
            degraded = np.asarray(degrade(jax.random.key(index), jnp.asarray(clean)).image)
            found.append(noise_statistics(degraded - clean))
        _print_row(preset, found)


@app.command()
def cost(
    entry: str = "resunet_s-color-noise", batch: int = 8, side: int = 128, dtype: str = "float32", rounds: int = 10
) -> None:
    """Print the time of camera_photo beside that of a training step of an entry, on the same patches."""
    # XLA on CPU has no fast bfloat16 convolution.
    recipe = dataclasses.replace(RECIPES[entry], dtype=dtype)
    stage = dataclasses.replace(recipe.stages[0], batch=batch, patch=side)
    # One key per patch, as in training.
    photo = jax.jit(make_draw(dataclasses.replace(stage, degradation="camera_photo(shot=log_uniform(1e-4, 2e-2))")))
    step = jax.jit(make_step(recipe, stage))
    state = jax.jit(partial(init_state, recipe))(jax.random.key(0))
    drawn = patch_side(stage)
    shape, arguments = (batch, drawn, drawn, recipe.config["channels"]), []
    for seed in range(3):
        patches = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
        arguments.append((jax.random.key(seed), jnp.asarray(patches)))
    photo_time, step_time = interleaved(
        [
            lambda key, patches: photo(jax.random.split(key, batch), patches),
            lambda key, patches: step(state, patches, key),
        ],
        arguments,
        rounds=rounds,
    )
    for name, timing in (("camera_photo", photo_time), (f"step of {entry}", step_time)):
        print(f"{name}: {1e3 * timing.median:.1f} ms ({1e3 * timing.p10:.1f} to {1e3 * timing.p90:.1f})")
    print(f"share of a step: {photo_time.median / step_time.median:.1%}")


def _read(path: Path) -> np.ndarray:
    return np.asarray(read(path).pixels, np.float32)


def _print_row(name: str, rows: list[list[float]]) -> None:
    print(f"{name:16}", *(f"{value:8.2f}" for value in np.mean(rows, 0)))


if __name__ == "__main__":
    app()
