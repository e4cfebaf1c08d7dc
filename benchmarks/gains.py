"""Gains from which ``restorax.choose`` ranks entries and chains of two: ``python -m benchmarks gains --write``.

Entries are measured on the degradations that share an operator with their training, and on clean images; chains of two
on pairs of damages. PSNR counts up to 50 dB. ``--write`` updates ``restorax/diagnosis/gains.csv``.
"""

import csv
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import typer

import restorax
from restorax import data
from restorax.degrade import crop_border, parse
from restorax.diagnosis.candidates import TABLE, candidates, fits, operators
from restorax.diagnosis.statistics import mixed_difference
from restorax.files.atomic import written_beside
from restorax.files.image import read
from restorax.files.picture import to_channels
from restorax.types import Condition

from .crops import central
from .options import Publish, Quick, option
from .record import newest, record, table

CAP = 50.0
SINGLE = (
    "",
    *(f"gaussian_noise(sigma={s}/255)" for s in (1.5, 3, 6, 12, 25, 50)),
    *(f"correlated_noise(sigma={s}/255)" for s in (1.5, 2.5, 4, 10, 25)),
    "camera_iso_low",
    "camera_iso_high",
    *(f"shot_noise(peak={p})" for p in (1000, 100, 10)),
    *(f"salt_and_pepper_noise(amount={a})" for a in (0.01, 0.05, 0.3, 0.7)),
    *(f"impulse_noise(amount={a})" for a in (0.02, 0.1, 0.3)),
    *(f"jpeg(quality={q})" for q in (8, 20, 40, 60, 75, 85, 92, 97)),
    *(f"gaussian_blur(sigma={s}, radius=9)" for s in (0.8, 1.6, 2.6)),
    *(f"defocus_blur(blur_radius={r}, radius=6)" for r in (1.5, 3, 5)),
    *(f"motion_blur(length={n}, angle=35, radius=9)" for n in (4, 8, 15)),
    *(f"missing_pixels(missing={m})" for m in (0.05, 0.3, 0.8)),
    "missing_strokes(thickness=0.4)",
    "missing_blocks(side=0.1, blocks=3)",
)
PAIRS = (
    *(f"gaussian_noise(sigma={s}/255) + jpeg(quality={q})" for s in (8, 25) for q in (25, 60, 85)),
    *(f"jpeg(quality={q}) + gaussian_noise(sigma={s}/255)" for q in (15, 50) for s in (6, 20)),
    *(f"gaussian_blur(sigma=1.6, radius=9) + gaussian_noise(sigma={s}/255)" for s in (2.55, 12)),
    *(f"motion_blur(length=12, angle=35, radius=9) + gaussian_noise(sigma={s}/255)" for s in (2.55, 12)),
    *(f"gaussian_blur(sigma=1.6, radius=9) + jpeg(quality={q})" for q in (30, 75)),
    *(f"motion_blur(length=8, angle=35, radius=9) + jpeg(quality={q})" for q in (30, 70)),
    "defocus_blur(blur_radius=3, radius=6) + jpeg(quality=70)",
    "jpeg(quality=30) + salt_and_pepper_noise(amount=0.1)",
    "gaussian_noise(sigma=15/255) + salt_and_pepper_noise(amount=0.1)",
    "gaussian_noise(sigma=15/255) + missing_pixels(missing=0.3)",
    "jpeg(quality=30) + missing_pixels(missing=0.3)",
    *(f"correlated_noise(sigma={s}/255) + jpeg(quality={q})" for s, q in ((8, 80), (20, 60), (20, 25))),
    "gaussian_blur(sigma=1.6, radius=9) + salt_and_pepper_noise(amount=0.1)",
    "gaussian_blur(sigma=1.6, radius=9) + missing_pixels(missing=0.3)",
)
Method = Callable[[Any, Any], Any]


def applied(name: str) -> Method:
    """Return a function of an observed image and its condition that restores with an entry.

    Entries that need a noise level get the standard deviation of the mixed second difference.
    """
    restorer = restorax.load(name)

    def run(image: Any, condition: Any) -> Any:
        needed = restorer.model.required_condition
        if needed is Condition.NONE:
            condition = None
        elif needed is Condition.NOISE_LEVEL:
            level = float(jnp.stack([mixed_difference(image[..., c]).std() for c in range(image.shape[-1])]).mean())
            condition = min(level, 1.0)
        return restorax.restore(restorer, image, condition)

    return run


def methods(text: str, channels: int) -> Iterator[tuple[str, ...]]:
    """Yield the entries and the chains of two to measure on a degradation."""
    cards, needed = candidates(channels), operators(text)
    # Cameras leave correlated noise.
    related = needed | ({"camera_photo", "gaussian_noise"} if "correlated_noise" in needed else set())
    masked = any(name.startswith("missing") for name in needed)
    fit = [
        name
        for name, card in cards.items()
        if (masked or card.condition is not Condition.MASK) and (not needed or fits(card, related))
    ]
    yield from ((name,) for name in fit)
    if text in PAIRS:
        first, last = (op.operator.__name__ for op in parse(text).operators)
        for before, after in itertools.permutations(fit, 2):
            if fits(cards[before], {last} | (related - needed)) and fits(cards[after], {first} | (related - needed)):
                yield before, after


def quality(image: Any, clean: Any) -> float:
    """PSNR in dB of an image rounded to 8 bit, at most ``CAP``."""
    error = jnp.round(jnp.clip(image, 0, 1) * 255) / 255 - clean
    return float(min(CAP, -10 * np.log10(max(float((error**2).mean()), 1e-12))))


def measure(text: str, images: dict[str, np.ndarray], channels: int, names: list[str]) -> list[dict[str, Any]]:
    """Return one row per entry and chain that fits a degradation."""
    degrade = jax.jit(parse(text).__call__) if text else None
    observed = []
    for index, name in enumerate(sorted(images)):
        clean = jnp.asarray(images[name])
        if degrade is None:
            observed.append((clean, None, clean))
            continue
        seen = degrade(jax.random.key(index), clean)
        stored = jnp.round(jnp.clip(seen.image, 0, 1) * 255) / 255
        border = parse(text).border
        parts = (stored, seen.condition, clean)
        observed.append(tuple(None if part is None else crop_border(part, border) for part in parts))
    before = [quality(image, clean) for image, _, clean in observed]
    rows = []
    for chain in methods(text, channels):
        if names and not set(chain) & set(names):
            continue
        after = []
        for image, condition, clean in observed:
            for name in chain:
                image = applied_once(name)(image, condition)
            after.append(quality(image, clean))
        gained = np.subtract(after, before)
        rows.append(
            {
                "method": " -> ".join(chain),
                "channels": str(channels),
                "degradation": text,
                "images": len(images),
                "input_psnr": f"{np.mean(before):.2f}",
                "gain": f"{gained.mean():.2f}",
                "worst": f"{gained.min():.2f}",
            }
        )
    return rows


_APPLIED: dict[str, Method] = {}


def applied_once(name: str) -> Method:
    """Load an entry the first time that it is used."""
    if name not in _APPLIED:
        _APPLIED[name] = applied(name)
    return _APPLIED[name]


def crops(folder: Path | None, channels: int, side: int, count: int) -> dict[str, np.ndarray]:
    """Return central crops of scikit-image's photographs, and of images at regular distances in a folder."""
    images = data.sample_images(3)
    if folder is not None and count:
        files = sorted(p for p in folder.iterdir() if p.suffix.lower() in (".jpg", ".png"))
        for path in files[:: max(1, len(files) // count)][:count]:
            images[path.stem] = read(path).pixels
    found = {}
    for name, image in images.items():
        if min(image.shape[:2]) >= side:
            found[name] = to_channels(central(image, side), channels)
    return found


def main(
    data_folder: Annotated[Path | None, option("Folder of more clean images.", "--data")] = None,
    name: Annotated[list[str] | None, option("Measure only methods with this entry, repeatable [all].")] = None,
    channels: Annotated[list[int] | None, option("Channels of the images, repeatable [3 and 1].")] = None,
    degradation: Annotated[list[str] | None, option("Degradation, repeatable [those of the suite].")] = None,
    count: Annotated[int, option("Number of images of the folder.")] = 4,
    side: Annotated[int, option("Side of the crops in pixels.")] = 176,
    write: Annotated[bool, option("Update the table of the package.", "--write")] = False,
    quick: Quick = False,
    publish: Publish = False,
) -> None:
    texts = ("", "jpeg(quality=20)") if quick else degradation or (*SINGLE, *PAIRS)
    rows = []
    for depth in (3,) if quick else channels or (3, 1):
        images = crops(data_folder, depth, 64 if quick else side, count)
        images = dict(list(images.items())[: 1 if quick else None])
        for text in texts:
            if depth == 1 and text.startswith("camera"):
                continue
            found = measure(text, images, depth, ["resunet_s-color-jpeg"] if quick else name or [])
            for row in found:
                print({key: row[key] for key in ("method", "channels", "degradation", "gain", "worst")}, flush=True)
            rows += found
    if not rows:
        raise typer.BadParameter(f"no method with {' or '.join(name or [])} is a candidate for these images")
    print(table(rows))
    if quick:
        return
    record("gains", rows, publish=publish)
    if write:
        kept = []
        if TABLE.is_file():
            with TABLE.open(newline="") as file:
                kept = list(csv.DictReader(file))
        merged = newest([*kept, *rows], ("method", "channels", "degradation"))
        with written_beside(TABLE) as beside, beside.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(merged)


if __name__ == "__main__":
    typer.run(main)
