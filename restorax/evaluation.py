"""Evaluation of restorers by a fixed protocol: same seeds, rounding and metrics for every method."""

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from . import degrade, metrics
from .card import MAX_PSNR, Result
from .types import Array, ConditionMap, Observation, PRNGKeyArray

PROTOCOL = "one seed per image (its index by name), degraded image not clipped; output rounded to 8 bit"
"""Protocol of synthetic degradations, without channels, border and seed."""

PAIRS_PROTOCOL = "degraded image as stored; output rounded to 8 bit; no border"
"""Protocol of pairs of degraded and clean images, without channels."""


class ImageQuality(NamedTuple):
    """Quality of one image, or of one video: the mean over its frames.

    Attributes:
        psnr: PSNR of the restored image in dB.
        ssim: its SSIM.
        input_psnr: PSNR of the degraded image in dB; of a burst, of its last frame.
        degraded: the degraded image ``[*frames, height, width, channels]``.
        restored: the restored image, of the same shape.
        clean: the clean image, of the same shape.
    """

    psnr: float
    ssim: float
    input_psnr: float
    degraded: np.ndarray
    restored: np.ndarray
    clean: np.ndarray


_JPEG_OPERATORS = (degrade.jpeg, degrade.jpeg_straight_through, degrade.double_jpeg)  # PSNR-B is measured too


def evaluate(
    restore: Callable[[Array, ConditionMap | None], Array],
    images: Mapping[str, np.ndarray],
    degradation: str,
    *,
    dataset: str,
    seed: int = 0,
    measured: Callable[[ImageQuality], None] | None = None,
) -> Result:
    """Degrade images, restore them and measure the quality.

    Where the degradation blurs, the pixels that the border of the image touched (``Expression.border``) are cropped
    from the degraded and the clean image before restoring. The PSNR of an image counts up to 100 dB.

    Args:
        restore: ``(image, condition) -> image``; images are ``[height, width, channels]``.
        images: ground truth by name, ``[height, width, channels]`` in [0, 1] with 8-bit values.
        degradation: text as for ``restorax.degrade.parse``.
        dataset: name of the dataset in the result.
        seed: random seed; the key of image ``i``, in order of names, is ``fold_in(key(seed), i)``.
        measured: called with the quality of every image, in order of names.

    Returns:
        Metrics averaged over the images.

    Raises:
        ValueError: if the degradation is invalid, there are no images, or one is too small to be cropped.

    Example:
        >>> from restorax.data import sample_images
        >>> crop = {"camera": sample_images(1)["camera"][:16, :16]}
        >>> evaluate(lambda image, condition: image, crop, "gaussian_noise(sigma=0.1)", dataset="crop").images
        1
    """
    if not images:
        raise ValueError("`images` must have at least one image, got 0.")
    degrade_image, expression = compile_degradation(degradation), degrade.parse(degradation)
    has_jpeg = any(op.operator in _JPEG_OPERATORS for op in expression.operators)
    rows = [
        _evaluate_image(restore, degrade_image, images[name], seed, i, has_jpeg=has_jpeg, measured=measured)
        for i, name in enumerate(sorted(images))
    ]
    psnr, ssim, input_psnr, *psnr_b = (round(float(np.mean(column)), 4) for column in zip(*rows, strict=True))
    cropped = f"{expression.border} pixels cropped on every side after blur" if expression.border else "no border"
    protocol = f"{_channels(next(iter(images.values())))}, {PROTOCOL}; {cropped}, seed {seed}"
    block_psnr = psnr_b[0] if has_jpeg else None
    return Result(dataset, degradation, len(images), psnr, ssim, input_psnr, protocol, block_psnr)


def evaluate_pairs(
    restore: Callable[[Array, ConditionMap | None], Array],
    pairs: Iterable[tuple[np.ndarray, np.ndarray]],
    *,
    dataset: str,
    degradation: str = "real degradation",
    measured: Callable[[ImageQuality], None] | None = None,
) -> Result:
    """Restore degraded images and measure the quality against their clean counterparts.

    Args:
        restore: ``(image, condition) -> image``, as for :func:`evaluate`; the condition is ``None``.
        pairs: degraded and clean image, ``[height, width, channels]`` in [0, 1] each.
        dataset: name of the dataset in the result.
        degradation: description of the degradation in the result.
        measured: called with the quality of every image.

    Returns:
        Metrics averaged over the images, with the number of images that came out worse and the smallest gain.

    Raises:
        ValueError: if there are no pairs, or the images of a pair differ in shape.

    Example:
        >>> clean = np.full((16, 16, 1), 0.5, np.float32)
        >>> evaluate_pairs(lambda image, condition: image - 0.1, [(clean + 0.1, clean)], dataset="flat").worse
        0
    """
    rows, channels = [], ""
    for degraded, clean in pairs:
        restored = restore(jnp.asarray(degraded), None)
        psnr, ssim, *_ = _quality(restored, clean)
        before = _psnr(jnp.asarray(degraded), clean)
        rows.append((psnr, ssim, before))
        channels = _channels(clean)
        if measured:
            measured(ImageQuality(psnr, ssim, before, degraded, np.asarray(restored), clean))
    if not rows:
        raise ValueError("`pairs` must have at least one pair, got 0.")
    psnr, ssim, input_psnr = (round(float(np.mean(column)), 4) for column in zip(*rows, strict=True))
    gains = [after - before for after, _, before in rows]
    return Result(
        *(dataset, degradation, len(rows), psnr, ssim, input_psnr, f"{channels}, {PAIRS_PROTOCOL}"),
        worse=sum(gain < 0 for gain in gains),
        worst_gain=round(min(gains), 4),
    )


@functools.lru_cache(maxsize=64)
def compile_degradation(degradation: str) -> Callable[[PRNGKeyArray, Array], tuple[Observation, Array]]:
    """Parse a degradation and jit its ``observe``; the function is cached by text."""
    return jax.jit(degrade.parse(degradation).observe)


def _evaluate_image(
    restore: Callable,
    degrade_image: Callable,
    clean: np.ndarray,
    seed: int,
    index: int,
    *,
    has_jpeg: bool,
    measured: Callable[[ImageQuality], None] | None,
) -> tuple[float, ...]:
    """Return PSNR, SSIM and PSNR of the degraded image; after JPEG, PSNR-B too."""
    observed, clean = degrade_image(jax.random.fold_in(jax.random.key(seed), index), jnp.asarray(clean))
    restored = restore(*observed)
    psnr, ssim, *psnr_b = _quality(restored, clean, has_jpeg=has_jpeg)
    # The last frame of a burst, [frames, height, width, channel], is the one to restore.
    degraded = observed.image if observed.image.ndim == clean.ndim else observed.image[-1]
    before = _psnr(degraded, clean)
    if measured:
        measured(ImageQuality(psnr, ssim, before, *map(np.asarray, (degraded, restored, clean))))
    return psnr, ssim, before, *psnr_b


def _quality(restored: Array | np.ndarray, clean: Array | np.ndarray, *, has_jpeg: bool = False) -> tuple[float, ...]:
    """Round an image to 8 bit and return PSNR, SSIM and, after JPEG, PSNR-B."""
    restored = jnp.round(jnp.clip(restored, 0, 1) * 255) / 255
    psnr, ssim, *psnr_b = map(float, _measure(restored, jnp.asarray(clean), has_jpeg=has_jpeg))
    return min(psnr, MAX_PSNR), ssim, *(min(value, MAX_PSNR) for value in psnr_b)


def _psnr(image: Array, clean: Array | np.ndarray) -> float:
    return min(float(metrics.psnr(image, jnp.asarray(clean)).mean()), MAX_PSNR)


def _channels(image: np.ndarray) -> str:
    return "gray" if image.shape[-1] == 1 else "RGB"


@functools.partial(jax.jit, static_argnames="has_jpeg")
def _measure(restored: Array, clean: Array, *, has_jpeg: bool) -> tuple[Array, ...]:
    measured = (metrics.psnr, metrics.ssim, metrics.psnr_b) if has_jpeg else (metrics.psnr, metrics.ssim)
    return tuple(metric(restored, clean).mean() for metric in measured)  # of a video, over its frames
