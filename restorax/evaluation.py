"""Quality by protocol: the same images, seeds and rounding whoever measures."""

import functools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from . import degrade, metrics
from .card import Result
from .types import Array, ConditionMap, Degradation

PROTOCOL = "one seed per image (its place by name), degraded image not clipped; output rounded to 8 bit; no border"

_BLOCKS = (degrade.jpeg, degrade.jpeg_straight_through, degrade.double_jpeg)  # after these PSNR-B is measured too


def evaluate(
    restore: Callable[[Array, ConditionMap | None], Array],
    images: Mapping[str, np.ndarray],
    degradation: str,
    *,
    dataset: str,
    seed: int = 0,
) -> Result:
    """Degrade every image, restore it, compare.

    Args:
        restore: ``(image, condition) -> image``, both ``[height, width, channels]``.
        images: clean images by name, ``[height, width, channels]`` in [0, 1], 8-bit values.
        degradation: in the language of ``restorax.degrade.parse``.
        dataset: how the set is called in the result.
        seed: image ``i`` in the order of names is degraded with ``fold_in(key(seed), i)``.

    Returns:
        Means over the images.

    Raises:
        ValueError: if the degradation is not understood, or there are no images.

    Example:
        >>> from restorax.data import sample_images
        >>> crop = {"camera": sample_images(1)["camera"][:64, :64]}
        >>> evaluate(lambda image, condition: image, crop, "gaussian_noise(sigma=0.1)", dataset="crop").images
        1
    """
    if not images:
        raise ValueError("there are no images to measure on")
    observe = compiled(degradation)
    grid = any(op.operator in _BLOCKS for op in degrade.parse(degradation).operators)
    rows = [_one(restore, observe, images[n], seed, i, grid=grid) for i, n in enumerate(sorted(images))]
    psnr, ssim, input_psnr, *blocks = (round(float(np.mean(column)), 4) for column in zip(*rows, strict=True))
    channels = next(iter(images.values())).shape[-1]
    protocol = f"{'gray' if channels == 1 else 'RGB'}, {PROTOCOL}, seed {seed}"
    return Result(dataset, degradation, len(images), psnr, ssim, input_psnr, protocol, *blocks)


@functools.lru_cache(maxsize=64)
def compiled(degradation: str) -> Degradation:
    """A degradation as one compiled function, the same one for the same text."""
    return jax.jit(degrade.parse(degradation))


def _one(
    restore: Callable, observe: Degradation, clean: np.ndarray, seed: int, index: int, *, grid: bool
) -> tuple[float, ...]:
    observed = observe(jax.random.fold_in(jax.random.key(seed), index), jnp.asarray(clean))
    restored = jnp.round(jnp.clip(restore(*observed), 0, 1) * 255) / 255
    quality, structure, *blocks = map(float, _compare(restored, clean, grid=grid))
    # Of a burst, [frames, height, width, channel], the last frame is the one to restore.
    before = observed.image if observed.image.ndim == clean.ndim else observed.image[-1]
    return quality, structure, float(metrics.psnr(before, clean)), *blocks


@functools.partial(jax.jit, static_argnames="grid")
def _compare(restored: Array, clean: Array, *, grid: bool) -> tuple[Array, ...]:
    wanted = (metrics.psnr, metrics.ssim, metrics.psnr_b) if grid else (metrics.psnr, metrics.ssim)
    return tuple(metric(restored, clean) for metric in wanted)
