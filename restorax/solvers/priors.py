"""Non-blind denoisers, which take the noise level, as priors."""

import functools
from collections.abc import Callable
from typing import Any, cast

import jax.numpy as jnp
import numpy as np

from .. import zoo
from ..card import Card
from ..types import Array, Condition
from ..zoo import Restorer

Denoiser = Callable[[Array, Array], Array]
"""Function ``(image, level) -> image`` of an image ``[height, width, channel]`` and the deviation of its noise."""

# The mean of the channels and two differences: orthogonal, so white noise stays white, at these levels.
_TO_OPPONENT = np.array(
    [[1 / 3, 1 / 3, 1 / 3], [1 / 2, 0, -1 / 2], [1 / np.sqrt(12), -1 / np.sqrt(3), 1 / np.sqrt(12)]]
)
_LEVELS = np.sqrt((_TO_OPPONENT**2).sum(1))
_SHIFTS = np.array([0, 0.5, 0.5])  # of the differences, into [0, 1]


def denoisers(channels: int) -> list[str]:
    """List the non-blind entries against Gaussian noise, the best first.

    They are ranked by the mean PSNR on the test images that all were measured on; those without results come last.

    Args:
        channels: of the images, 1 or 3.

    Returns:
        Names.

    Example:
        >>> "ffdnet-gray-noise" in denoisers(1)
        True
    """
    cards = [Card.read(zoo.find(name)) for name in zoo.list_models()]
    suitable = [
        card
        for card in cards
        if card.condition is Condition.NOISE_LEVEL
        and card.channels == channels
        and card.degradation.startswith("gaussian_noise(")
    ]
    results = {card.name: {(r.dataset, r.degradation): r.psnr for r in card.results} for card in suitable}
    measured = [psnr for psnr in results.values() if psnr]
    shared = set.intersection(*map(set, measured)) if measured else set()
    quality = {name: sum(psnr[key] for key in shared) if psnr else -np.inf for name, psnr in results.items()}
    return sorted(quality, key=lambda name: -quality[name])


@functools.cache
def default_denoiser(channels: int) -> Restorer:
    """Load the best non-blind denoiser for images of 1 or 3 channels; without a colour entry, the best gray one."""
    names = denoisers(channels) or denoisers(1)
    return zoo.load(names[0])


def check_denoiser(denoiser: Any, channels: int) -> Restorer | Denoiser:
    """Return the denoiser to use.

    Args:
        denoiser: non-blind entry, its name, a function ``(image, level) -> image``, or
            ``None`` for the default.
        channels: of the image.

    Raises:
        FileNotFoundError: if there is no such entry.
        TypeError: if it is neither.
        ValueError: if the entry takes no noise level, or is for images of other channels.
    """
    if denoiser is None:
        if channels not in (1, 3):
            raise ValueError(f"there is no denoiser for {channels} channels; give one as a function (image, level)")
        return default_denoiser(channels)
    if isinstance(denoiser, str):
        denoiser = zoo.load(denoiser)
    if not isinstance(denoiser, Restorer):
        if not callable(denoiser):
            raise TypeError(
                f"`denoiser` must be an entry, its name or a function (image, level), got {type(denoiser).__name__}"
            )
        return cast(Denoiser, denoiser)
    name, suitable = denoiser.card.name, ", ".join(denoisers(channels) or denoisers(1))
    if denoiser.model.condition is not Condition.NOISE_LEVEL or denoiser.model.takes_frames:
        raise ValueError(f"{name} takes no noise level, which `solve` requires; use {suitable}")
    if denoiser.model.channels not in (1, channels):
        raise ValueError(f"{name} is for images of {denoiser.model.channels} channels, got {channels}; use {suitable}")
    return denoiser


def as_function(denoiser: Restorer | Denoiser) -> Denoiser:
    """Return a denoiser as a function ``(image, level) -> image``.

    A gray entry denoises the channels of a colour image in an opponent space, where the mean of the channels holds most
    of the detail and has less noise.
    """
    if not isinstance(denoiser, Restorer):
        return denoiser

    def denoise(image: Array, level: Array) -> Array:
        level = jnp.clip(level, 0, 1).astype(image.dtype)
        if denoiser.model.channels == image.shape[-1]:
            return denoiser.model.run(denoiser.params, image, level)
        if image.shape[-1] != 3:
            separate = jnp.moveaxis(image, -1, 0)[..., None]
            levels = jnp.full(image.shape[-1], level)
            return jnp.moveaxis(denoiser.model.run(denoiser.params, separate, levels)[..., 0], 0, -1)
        to, back, levels, shifts = (
            jnp.asarray(x, image.dtype) for x in (_TO_OPPONENT, np.linalg.inv(_TO_OPPONENT), _LEVELS, _SHIFTS)
        )
        planes = jnp.moveaxis(image @ to.T + shifts.reshape(1, 1, 3), -1, 0)[..., None]
        clean = jnp.moveaxis(denoiser.model.run(denoiser.params, planes, levels * level)[..., 0], 0, -1)
        return (clean - shifts.reshape(1, 1, 3)) @ back.T

    return denoise
