"""Samples that teach the diagnosis network: degraded crops of clean images, their statistics and labels."""

import functools
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from .. import degrade
from ..types import Array
from .network import BLURS
from .statistics import read_statistics

BATCH = 8
SIDES = (256, 128)
BEST_QUALITY = 92  # above, JPEG counts as clean
LEAST_BLUR = 0.55  # standard deviation in pixels, below which blur counts as none


class Labels(NamedTuple):
    """Truth about a batch of crops.

    Attributes:
        flags: 0 or 1 for each of ``network.FLAGS``; -1 where it does not apply, ``[batch, 5]``.
        blur: index into ``network.BLURS``, ``[batch]``.
        strengths: logarithm of the noise level in 8-bit units, logarithm of the share of impulses, JPEG quality / 20,
            logarithm of the standard deviation of the blur kernel in pixels along its longest axis; NaN where absent,
            ``[batch, 4]``.
        angle: of motion in degrees, NaN without motion, ``[batch]``.
    """

    flags: Array | np.ndarray
    blur: Array | np.ndarray
    strengths: Array | np.ndarray
    angle: Array | np.ndarray


def kernel_deviation(blur: str, size: np.ndarray | float) -> np.ndarray | float:
    """Return the standard deviation of a blur kernel: sigma, radius / 2 or length / sqrt(12).

    Example:
        >>> float(kernel_deviation("defocus", 3.0))
        1.5
    """
    return size * {"gaussian": 1.0, "defocus": 0.5, "motion": 12**-0.5}[blur]


def operate(name: str, key: Array, images: Array, static: tuple = (), **strengths: Any) -> Array:
    """Apply a compiled operator; strengths are traced, so that others need no other compilation.

    Args:
        name: of the operator.
        key: random key, used if the operator is random.
        images: ``[batch, height, width, channel]``.
        static: names and values of the strengths that are not traced.
        **strengths: one value per image each.

    Returns:
        Degraded images.
    """
    function = _cached(name, static)
    out = function(key, images, **strengths) if degrade.REGISTRATIONS[name].random else function(images, **strengths)
    return getattr(out, "image", out)


@functools.cache
def _cached(name: str, static: tuple) -> Any:
    return jax.jit(functools.partial(degrade.OPERATORS[name], **dict(static)))


def draw(rng: np.random.Generator, clean: np.ndarray) -> tuple[Array, Labels]:
    """Degrade a batch of crops in one random way, with random strengths.

    Args:
        rng: source of randomness.
        clean: ``[batch, side, side, 1 or 3]`` in [0, 1].

    Returns:
        Degraded crops in [0, 1] and the labels.
    """
    n = len(clean)
    flags, blur = np.zeros((n, 5)), np.zeros(n, int)
    strengths, angles = np.full((n, 4), np.nan), np.full(n, np.nan)
    flags[:, [1, 3]] = -1
    images = jnp.asarray(clean, jnp.float32)
    for stage in _stages(rng):
        key = jax.random.key(int(rng.integers(2**31)))
        if stage == "blur":
            kind = rng.choice(["gaussian", "defocus", "motion"], p=[0.3, 0.25, 0.45])
            low, high = {"gaussian": (0.5, 3), "defocus": (1, 5), "motion": (3, 17)}[kind]
            size = rng.uniform(low, high, n)
            if kind == "gaussian":
                images = operate("gaussian_blur", key, images, (("radius", 9),), sigma=size)
            elif kind == "defocus":
                images = operate("defocus_blur", key, images, (("radius", 6),), blur_radius=size)
            else:
                angles = rng.uniform(0, 180, n)
                images = operate("motion_blur", key, images, (("radius", 9),), length=size, angle=angles)
            deviation = kernel_deviation(str(kind), size)
            blur[:] = np.where(deviation >= LEAST_BLUR, BLURS.index(str(kind)), 0)
            strengths[:, 3] = np.log(deviation)
        elif stage == "noise":
            images = _add_noise(rng, key, images, flags, strengths)
        elif stage == "jpeg":
            quality = np.round(rng.uniform(5, 98, n))
            static = (("subsampling", str(rng.choice(["4:2:0", "4:2:0", "4:2:2", "4:4:4"]))),)
            shift = rng.integers(0, 8, (2, n)) if rng.random() < 0.5 else np.zeros((2, n), int)
            images = operate("jpeg", key, images, static, quality=quality, down=shift[0], right=shift[1])
            flags[:, 4], strengths[:, 2] = quality <= BEST_QUALITY, quality / 20
        else:
            images = _add_impulses(rng, key, images, flags, strengths)
    images = jnp.clip(images, 0, 1)
    if rng.random() < 0.9:
        images = jnp.round(images * 255) / 255
    return jnp.broadcast_to(images, (*images.shape[:-1], 3)), Labels(flags, blur, strengths, angles)


def _stages(rng: np.random.Generator) -> list[str]:
    """Draw which damages occur, in their order."""
    count = rng.choice([0, 1, 2, 3], p=[0.2, 0.42, 0.3, 0.08])
    chosen = rng.choice(["blur", "noise", "jpeg", "impulses"], count, replace=False, p=[0.3, 0.3, 0.25, 0.15])
    ordered = [stage for stage in ("blur", "noise", "jpeg", "impulses") if stage in chosen]
    return list(rng.permutation(ordered)) if rng.random() < 0.25 else ordered


def _add_noise(rng: np.random.Generator, key: Array, images: Array, flags: np.ndarray, strengths: np.ndarray) -> Array:
    n, before = len(images), images
    kind = rng.choice(["white", "gray", "correlated", "shot", "camera"], p=[0.45, 0.08, 0.17, 0.15, 0.15])
    level = np.exp(rng.uniform(np.log(1), np.log(75), n)) / 255
    if kind == "camera" and images.shape[-1] == 1:
        kind = "white"
    if kind in ("white", "gray"):
        images = operate("gaussian_noise", key, images, (("per_pixel", kind == "gray"),), sigma=level)
    elif kind == "correlated":
        level = np.exp(rng.uniform(np.log(2), np.log(45), n)) / 255
        images = operate("correlated_noise", key, images, sigma=level)
    elif kind == "shot":
        images = operate("shot_noise", key, images, peak=np.exp(rng.uniform(np.log(8), np.log(4000), n)))
    else:
        images = operate("camera_photo", key, images, shot=np.exp(rng.uniform(np.log(1e-4), np.log(1e-2), n)))
    if kind in ("shot", "camera"):
        level = np.maximum(np.asarray(jnp.sqrt(((images - before) ** 2).mean((1, 2, 3)))), 0.3 / 255)
    flags[:, 0], flags[:, 1] = level > 0.8 / 255, kind in ("correlated", "camera")
    strengths[:, 0] = np.log(255 * level)
    return images


def _add_impulses(
    rng: np.random.Generator, key: Array, images: Array, flags: np.ndarray, strengths: np.ndarray
) -> Array:
    n, random_values = len(images), rng.random() < 0.4
    share = np.exp(rng.uniform(np.log(0.004), np.log(0.5 if random_values else 0.8), n))
    name = "impulse_noise" if random_values else "salt_and_pepper_noise"
    images = operate(name, key, images, (("per_pixel", bool(rng.random() < 0.4)),), amount=share)
    flags[:, 2], flags[:, 3], strengths[:, 1] = 1, random_values, np.log(share)
    return images


def clean_crops(rng: np.random.Generator, files: list[Path], side: int) -> np.ndarray:
    """Cut a batch of crops from a random image, sometimes reduced, gray, or a drawing.

    Args:
        rng: source of randomness.
        files: image files.
        side: side of the crops.

    Returns:
        ``[BATCH, side, side, 1 or 3]`` float32 in [0, 1].
    """
    from PIL import Image

    if rng.random() < 0.08:
        crops = np.stack([draw_shapes(rng, side) for _ in range(BATCH)])
    else:
        with Image.open(files[int(rng.integers(len(files)))]) as file:
            image = file.convert("RGB")
        least = side / min(image.size)
        if least > 1 or rng.random() < 0.6:
            scale = max(least, rng.uniform(0.5, 1)) * 1.0001
            image = image.resize([int(np.ceil(scale * s)) for s in image.size], Image.Resampling.LANCZOS)
        pixels = np.asarray(image)
        tops, lefts = (rng.integers(0, s - side + 1, BATCH) for s in pixels.shape[:2])
        crops = np.stack([pixels[y : y + side, x : x + side] for y, x in zip(tops, lefts, strict=True)])
    crops = crops.astype(np.float32) / 255
    if rng.random() < 0.15:
        crops = np.round(255 * (crops @ np.array([[0.299], [0.587], [0.114]], np.float32))) / 255
    return crops.astype(np.float32)


def draw_shapes(rng: np.random.Generator, side: int) -> np.ndarray:
    """Draw rectangles, lines, ellipses and text, as on screens.

    Returns:
        ``[side, side, 3]``, 8 bit.
    """
    from PIL import Image, ImageDraw, ImageFont

    colours = rng.choice([0, 255, *rng.integers(0, 256, 6)], (32, 3))
    picked = iter(tuple(map(int, colour)) for colour in colours)
    image = Image.new("RGB", (side, side), next(picked) if rng.random() < 0.5 else (255, 255, 255))
    pen = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(2, 14))):
        x, y = rng.integers(-20, side, 2).tolist()
        w, h = rng.integers(3, side, 2).tolist()
        match rng.integers(4):
            case 0:
                pen.rectangle((x, y, x + w, y + h), fill=next(picked))
            case 1:
                pen.line((x, y, x + w, y + h - side // 2), fill=next(picked), width=int(rng.integers(1, 5)))
            case 2:
                pen.ellipse((x, y, x + w, y + h), outline=next(picked), width=int(rng.integers(1, 4)))
            case _:
                text = "".join(chr(c) for c in rng.integers(33, 122, 30))
                pen.text((x, y), text, fill=next(picked), font=ImageFont.load_default(int(rng.integers(8, 30))))
    return np.asarray(image)


@jax.jit
def _statistics(images: Array) -> tuple[Array, Array]:
    return jax.vmap(read_statistics)(images)


def make_samples(files: list[Path], batches: int, seed: int) -> tuple[tuple[np.ndarray, np.ndarray], Labels]:
    """Compute statistics and labels of random batches, one of 256 pixels a side for each two of 128."""
    rng, found = np.random.default_rng(seed), []
    for number in range(batches):
        crops = clean_crops(rng, files, SIDES[number % 3 > 0])
        images, labels = draw(rng, crops)
        found.append((*map(np.asarray, _statistics(images)), labels))
    vectors, spectra, labels = zip(*found, strict=True)
    return (np.concatenate(vectors), np.concatenate(spectra)), Labels(*map(np.concatenate, zip(*labels, strict=True)))
