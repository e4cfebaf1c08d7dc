"""Does the diagnosis find the damage, and is the choice good: ``python -m benchmarks diagnosis --data DIR``.

Crops of 256 x 256 from ``kodak24`` and ``live1`` in DIR, and of scikit-image's text, microscopy and astronomy, are
degraded by one or two damages with drawn strengths; ``polyu`` has real pairs. The gain of the automatic choice is set
beside that of the best of all candidates (the oracle, which also gets the true mask), of ``resunet_s-color-any`` and of
the single entry with the best mean. PSNR counts up to 50 dB.
"""

import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np

import restorax
from restorax import data
from restorax.diagnosis.automatic import apply_entry, restore_automatically
from restorax.diagnosis.candidates import candidates, fits
from restorax.diagnosis.examination import diagnose
from restorax.diagnosis.samples import operate
from restorax.files.image import list_pictures, read
from restorax.files.picture import to_channels
from restorax.types import Condition

from .camera import find_pairs
from .crops import central
from .diagnosis_rows import GENERALIST, KINDS, Row, clean_rows, detection, estimates, regret, row
from .gains import applied_once, quality
from .odd_images import odd_images
from .options import Publish, Quick, option
from .record import OUT, record, table

SIDE = 256
SETS = ("kodak24", "live1", "text", "microscopy", "astronomy")


def draw_damages(rng: np.random.Generator) -> list[tuple[str, dict[str, float], tuple]]:
    """Draw one or two damages, in their order: operator, traced strengths and static ones."""
    kinds = rng.choice(KINDS, int(rng.choice([1, 2], p=[0.65, 0.35])), replace=False, p=[0.28, 0.14, 0.26, 0.22, 0.1])
    order = ["blur", "noise", "jpeg", "impulses", "missing"]
    return [_draw(rng, str(kind)) for kind in sorted(kinds, key=order.index)]


def _draw(rng: np.random.Generator, kind: str) -> tuple[str, dict[str, float], tuple]:
    log = lambda low, high: float(np.exp(rng.uniform(np.log(low), np.log(high))))  # noqa: E731
    if kind == "noise":
        if rng.random() < 0.7:
            return "gaussian_noise", {"sigma": log(3, 60) / 255}, ()
        return "correlated_noise", {"sigma": log(4, 30) / 255}, ()
    if kind == "impulses":
        if rng.random() < 0.6:
            return "salt_and_pepper_noise", {"amount": log(0.01, 0.7)}, ()
        return "impulse_noise", {"amount": log(0.01, 0.4)}, ()
    if kind == "jpeg":
        shift = rng.integers(0, 8, 2) if rng.random() < 0.3 else (0, 0)
        static = (("subsampling", str(rng.choice(["4:2:0", "4:4:4"], p=[0.7, 0.3]))),)
        return "jpeg", {"quality": float(rng.integers(8, 91)), "down": int(shift[0]), "right": int(shift[1])}, static
    if kind == "blur":
        name = rng.choice(["gaussian_blur", "defocus_blur", "motion_blur"], p=[0.3, 0.25, 0.45])
        if name == "gaussian_blur":
            return str(name), {"sigma": float(rng.uniform(0.8, 2.5))}, (("radius", 9),)
        if name == "defocus_blur":
            return str(name), {"blur_radius": float(rng.uniform(1.5, 5))}, (("radius", 6),)
        return str(name), {"length": float(rng.uniform(5, 15)), "angle": float(rng.uniform(0, 180))}, (("radius", 9),)
    if rng.random() < 0.6:
        return "missing_pixels", {"missing": float(rng.uniform(0.05, 0.8))}, ()
    return "missing_strokes", {"thickness": float(rng.uniform(0.2, 0.6))}, ()


def degraded(clean: np.ndarray, damages: list[Any], seed: int) -> tuple[Any, Any, Any]:
    """Degrade and round to 8 bit; return the image, the mask or ``None``, and the clean image, cropped after blur."""
    image, mask = jnp.asarray(clean)[None], None
    for number, (name, strengths, static) in enumerate(damages):
        key = jax.random.fold_in(jax.random.key(seed), number)
        each = {key_: jnp.full(1, value) for key_, value in strengths.items()}
        if name.startswith("missing"):
            image, mask = restorax.degrade.OPERATORS[name](key, image, **each)
        else:
            image = operate(name, key, image, static, **each)
    border = 16 * any(name.endswith("_blur") for name, *_ in damages)
    inner = (slice(border, -border or None),) * 2
    stored = jnp.round(jnp.clip(image[0], 0, 1) * 255) / 255
    return stored[inner], None if mask is None else mask[0][inner], jnp.asarray(clean)[inner]


def pictures(
    root: Path | None, names: tuple[str, ...], limit: int | None, skip: int, quick: bool
) -> Iterator[tuple[str, str, np.ndarray]]:
    """Yield set, name and crop."""
    kinds = data.other_images(3)
    for name in names:
        if name in kinds:
            images = kinds[name]
        elif root is not None and (root / name).is_dir():
            files = list_pictures(root / name)[skip:]
            chosen = files[:: max(1, len(files) // limit)][:limit] if limit else files
            images = {path.stem: to_channels(read(path).pixels, 3) for path in chosen}
        else:
            continue
        for stem, image in images.items():
            side = 128 if quick or min(image.shape[:2]) < SIDE else SIDE
            if min(image.shape[:2]) >= side:
                yield name, stem, np.ascontiguousarray(central(image, side))


def examine(clean: np.ndarray, damages: list[Any], seed: int, *, oracle: bool = True) -> Row:
    """Diagnose, choose, restore, and measure the candidates on one degraded image."""
    image, mask, truth = degraded(clean, damages, seed)
    before = quality(image, truth)
    start = time.perf_counter()
    outcome = restore_automatically(image)
    seconds = time.perf_counter() - start
    after = quality(outcome.image, truth)
    found = outcome.diagnosis
    entries = {}
    if oracle and damages:
        names = {name for name, *_ in damages} | ({"camera_photo"} if damages[0][0] == "correlated_noise" else set())
        for name, card in candidates(3).items():
            if (fits(card, names) or name == GENERALIST) and (mask is not None or card.condition is not Condition.MASK):
                entries[name] = quality(applied_once(name)(image, mask), truth) - before
    return {
        "damages": [(name, strengths) for name, strengths, _ in damages],
        "before": before,
        "gain": after - before,
        "choice": str(outcome.choice),
        "ranked": str(restorax.choose(found)[0]),
        "expected": outcome.choice.gain,
        "entries": entries,
        "found": found.to_json(),
        "named": list(found.damages),
        "sigma": _wavelet_sigma(image),
        "seconds": seconds,
    }


def _wavelet_sigma(image: Any) -> float:
    try:
        from skimage.restoration import estimate_sigma

        return float(estimate_sigma(np.asarray(image), average_sigmas=True, channel_axis=-1))
    except ImportError:  # PyWavelets is an extra
        return math.nan


def odd_rows() -> list[Row]:
    """Rows of odd images: whether each gets an answer or one sentence, and the largest loss."""
    answered, losses = 0, []
    for image in odd_pictures().values():
        try:
            outcome = restore_automatically(image)
            losses.append(50 - quality(outcome.image, image))
            answered += 1
        except (ValueError, TypeError) as error:
            answered += "\n" not in str(error)
    return [
        row("odd", "answered", len(odd_pictures()), answered, "images"),
        row("odd", "largest change, of 50 dB", len(losses), max(losses), "dB"),
    ]


def odd_pictures() -> dict[str, Any]:
    """Tiny, thin, flat, periodic, noisy and broken images, and drawings."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:128, :128]
    float32 = lambda a: np.asarray(a, np.float32)  # noqa: E731
    drawings = odd_images(3)
    drawn = (
        "text",
        "code_of_squares",
        "screenshot",
        "checkerboard_of_eight",
        "one_pixel_lines",
        "stars",
        "gradient",
        "ordered_dither",
    )
    return {
        "1 x 1": float32(np.full((1, 1, 3), 0.3)),
        "3 x 2000": float32(rng.random((3, 2000, 3))),
        "2000 x 3": float32(rng.random((2000, 3, 1))),
        "black": np.zeros((128, 128, 3), np.float32),
        "constant gray": np.full((64, 70, 1), 0.5, np.float32),
        "checkerboard of one pixel": float32(np.repeat(((y + x) % 2)[..., None], 3, 2)),
        "NaN": np.full((64, 64, 3), np.nan, np.float32),
        "8-bit values": float32(np.full((64, 64, 3), 128)),
        "four channels": float32(np.ones((64, 64, 4))),
        "two axes": float32(np.ones((64, 64))),
        "16-bit gradient": float32(np.round(x / 127 * 65535) / 65535)[..., None],
        "half black": float32(np.repeat((x > 64)[..., None] * rng.random((128, 128, 1)), 3, 2)),
        **{name: drawings[name] for name in drawn},
    }


def timing(megapixels: float) -> list[Row]:
    """Rows of the time to diagnose and to restore a large photograph."""
    clean = np.concatenate([np.concatenate([data.sample_images(3)["coffee"]] * 11, 1)] * 8)
    side = int(np.sqrt(megapixels * 1e6 / 12))
    photograph = clean[: 3 * side, : 4 * side]
    noisy = photograph + np.random.default_rng(0).normal(0, 0.08, photograph.shape)
    image = jnp.asarray(np.round(np.clip(noisy, 0, 1) * 255) / 255, jnp.float32)
    outcome = restore_automatically(image[:512, :512])
    diagnose(image[:1024, :1024])
    start = time.perf_counter()
    found = diagnose(image)
    middle = time.perf_counter()
    for name in outcome.choice.entries:
        jax.block_until_ready(apply_entry(name, image, found))
    end = time.perf_counter()
    return [
        row("time", f"diagnosis of {image.size / 3e6:.1f} Mpx", 1, middle - start, "s"),
        row("time", f"restoration with {outcome.choice}", 1, end - middle, "s"),
        row("time", "diagnosis / restoration", 1, 100 * (middle - start) / max(end - middle, 1e-9), "%"),
    ]


def main(
    data_folder: Annotated[Path | None, option("Folder with kodak24, live1 and polyu.", "--data")] = None,
    sets: Annotated[list[str] | None, option("Name of a set, repeatable [all].", "--set")] = None,
    repeats: Annotated[int, option("Draws per image.")] = 3,
    limit: Annotated[int | None, option("Images per folder [all].")] = None,
    skip: Annotated[int, option("Images at the beginning of each folder to leave out.")] = 0,
    megapixels: Annotated[float, option("Size of the image that is timed, 0 for none.")] = 12,
    seed: Annotated[int, option("Random seed.")] = 0,
    quick: Quick = False,
    publish: Publish = False,
) -> None:
    names = ("astronomy",) if quick else tuple(sets or SETS)
    results = []
    log = OUT / "diagnosis.jsonl"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as file:
        for number, (name, stem, clean) in enumerate(pictures(data_folder, names, limit, skip, quick)):
            rng = np.random.default_rng([seed, number])
            draws = [[], *(draw_damages(rng) for _ in range(1 if quick else repeats))]
            for index, damages in enumerate(draws):
                result = {"set": name, "image": stem} | examine(clean, damages, 1000 * number + index, oracle=not quick)
                results.append(result)
                print(json.dumps(result, default=float), file=file, flush=True)
            if quick and number == 1:
                break
    rows = detection(results) + estimates(results) + regret([r for r in results if r["damages"]], "all sets")
    for one in dict.fromkeys(r["set"] for r in results):
        rows += regret([r for r in results if r["set"] == one and r["damages"]], one)
    rows += clean_rows(results) + odd_rows()
    if data_folder is not None and (data_folder / "polyu").is_dir() and not quick:
        rows += _real_pairs(data_folder / "polyu")
    if not quick and megapixels:
        rows += timing(megapixels)
    print(table(rows))
    if not quick:
        record("diagnosis", rows, publish=publish)


def _real_pairs(folder: Path) -> list[Row]:
    """Rows of real pairs: the choice beside the generalist and every candidate for noise."""
    gains: dict[str, list[float]] = {}
    for noisy, mean in find_pairs(folder, 20):
        noisy, mean = (jnp.asarray(one[128:384, 128:384]) for one in (noisy, mean))
        before = quality(noisy, mean)
        gains.setdefault("automatic", []).append(quality(restore_automatically(noisy).image, mean) - before)
        for name in (GENERALIST, "resunet_s-color-photo", "resunet_s-color-noise"):
            gains.setdefault(name, []).append(quality(applied_once(name)(noisy, None), mean) - before)
    rows = [row("gain", f"{name}, polyu", len(values), np.mean(values), "dB") for name, values in gains.items()]
    worse = 100 * np.mean(np.array(gains["automatic"]) < -0.5)
    return [*rows, row("harm", "worse by more than 0.5 dB, polyu", len(gains["automatic"]), worse, "%")]


if __name__ == "__main__":
    import typer

    typer.run(main)
