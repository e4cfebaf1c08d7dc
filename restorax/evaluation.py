"""Evaluation of restorers by a fixed protocol: same seeds, rounding and metrics for every method."""

import functools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from . import degrade, metrics
from .card import Result
from .types import Array, ConditionMap, Degradation

PROTOCOL = "one seed per image (its index by name), degraded image not clipped; output rounded to 8 bit; no border"

_JPEG_OPERATORS = (degrade.jpeg, degrade.jpeg_straight_through, degrade.double_jpeg)  # PSNR-B is measured too


def evaluate(
    restore: Callable[[Array, ConditionMap | None], Array],
    images: Mapping[str, np.ndarray],
    degradation: str,
    *,
    dataset: str,
    seed: int = 0,
) -> Result:
    """Degrade images, restore them and measure the quality.

    Args:
        restore: ``(image, condition) -> image``; images are ``[height, width, channels]``.
        images: ground truth by name, ``[height, width, channels]`` in [0, 1] with 8-bit values.
        degradation: text as for ``restorax.degrade.parse``.
        dataset: name of the dataset in the result.
        seed: random seed; the key of image ``i``, in order of names, is ``fold_in(key(seed), i)``.

    Returns:
        Metrics averaged over the images.

    Raises:
        ValueError: if the degradation is invalid, or there are no images.

    Example:
        >>> from restorax.data import sample_images
        >>> crop = {"camera": sample_images(1)["camera"][:16, :16]}
        >>> evaluate(lambda image, condition: image, crop, "gaussian_noise(sigma=0.1)", dataset="crop").images
        1
    """
    if not images:
        raise ValueError("`images` must have at least one image, got 0.")
    degrade_image = compile_degradation(degradation)
    has_jpeg = any(op.operator in _JPEG_OPERATORS for op in degrade.parse(degradation).operators)
    rows = [
        _evaluate_image(restore, degrade_image, images[name], seed, i, has_jpeg=has_jpeg)
        for i, name in enumerate(sorted(images))
    ]
    psnr, ssim, input_psnr, *psnr_b = (round(float(np.mean(column)), 4) for column in zip(*rows, strict=True))
    channels = next(iter(images.values())).shape[-1]
    protocol = f"{'gray' if channels == 1 else 'RGB'}, {PROTOCOL}, seed {seed}"
    return Result(dataset, degradation, len(images), psnr, ssim, input_psnr, protocol, *psnr_b)


@functools.lru_cache(maxsize=64)
def compile_degradation(degradation: str) -> Degradation:
    """Parse a degradation and jit it; the function is cached by text."""
    return jax.jit(degrade.parse(degradation))


def _evaluate_image(
    restore: Callable, degrade_image: Degradation, clean: np.ndarray, seed: int, index: int, *, has_jpeg: bool
) -> tuple[float, ...]:
    """Return PSNR, SSIM and PSNR of the degraded image; after JPEG, PSNR-B too."""
    observed = degrade_image(jax.random.fold_in(jax.random.key(seed), index), jnp.asarray(clean))
    restored = jnp.round(jnp.clip(restore(*observed), 0, 1) * 255) / 255
    psnr, ssim, *psnr_b = map(float, _measure(restored, clean, has_jpeg=has_jpeg))
    # The last frame of a burst, [frames, height, width, channel], is the one to restore.
    degraded = observed.image if observed.image.ndim == clean.ndim else observed.image[-1]
    return psnr, ssim, float(metrics.psnr(degraded, clean)), *psnr_b


@functools.partial(jax.jit, static_argnames="has_jpeg")
def _measure(restored: Array, clean: Array, *, has_jpeg: bool) -> tuple[Array, ...]:
    measured = (metrics.psnr, metrics.ssim, metrics.psnr_b) if has_jpeg else (metrics.psnr, metrics.ssim)
    return tuple(metric(restored, clean) for metric in measured)
