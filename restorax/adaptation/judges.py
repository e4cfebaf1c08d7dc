"""Measures of parameters on what is held out of an adaptation."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np

from ..recipe import Recipe
from ..train.self_supervised.base import draw_noise, is_unclipped
from ..train.step import build_model
from ..types import Array, Params
from .noise_model import NoiseModel

_HELD_OUT = 128  # side of the parts of pairs that are measured
_PARTS = 80  # that are measured: four of each of 20 images
_AROUND = 32  # pixels around a corner that the network sees


class Judge(NamedTuple):
    """Measure of parameters on the held-out parts of images.

    Attributes:
        measure: parameters to the errors of the parts, ``[parts, measures]``.
        owners: number of the image of each part, ``[parts]``.
    """

    measure: Callable[[Params], np.ndarray]
    owners: np.ndarray


def corner(length: int) -> int:
    """Return the height or width of the held-out corners of an image: an eighth."""
    return length // 8


def corner_judge(recipe: Recipe, images: Sequence[np.ndarray], noise: NoiseModel) -> Judge:
    """Measure corners, each with its surroundings as context.

    Returns:
        A judge with two measures: the squared error that Stein's formula estimates from the noise model, and the
        squared difference to neighbouring pixels at half the size, which needs no model. Both are sums relative to the
        mean number of pixels that count, so corners with few of them have little weight.
    """
    model = build_model(recipe)
    places = [(number, which) for number in range(len(images)) for which in range(4)]
    # Neighbours in this order are different corners of different images.
    chosen = sorted(places, key=lambda place: ((place[1] + place[0]) % 4, place[0]))[:_PARTS]
    inner = [min(corner(image.shape[axis]) for image in images) for axis in (0, 1)]
    level = {name: getattr(noise, name) for name in ("sigma", "shot", "gain", "rows", "columns")}
    crops = []
    for number, which in chosen:
        crop = images[number][:: -1 if which // 2 else 1, :: -1 if which % 2 else 1]
        crops.append(crop[: inner[0] + _AROUND, : inner[1] + _AROUND])

    @jax.jit
    def measure(params: Params, crop: Array, key: Array) -> tuple[Array, Array, Array]:
        probe = draw_noise(key[None], crop, jax.random.rademacher, **level)
        restored, pull = jax.vjp(lambda y: cast(Array, model.apply({"params": params}, y)), crop)
        here = jnp.zeros_like(crop).at[:, : inner[0], : inner[1]].set(1)
        if noise.in_range:
            here = here * is_unclipped(crop, sigma=noise.sigma, shot=noise.shot, gain=noise.gain)
        change = pull(here * probe)[0] * probe
        estimate = here * ((restored - crop) ** 2 - probe**2) + 2 * change
        # The diagonal neighbour shares neither rows nor columns.
        first, second = (crop[:, start : height + start : 2, start : width + start : 2] for start in (0, 1))
        error = here[:, 1 : height + 1 : 2, 1 : width + 1 : 2] * (
            (cast(Array, model.apply({"params": params}, first)) - second) ** 2
        )
        return estimate.sum(), error.sum(), here.sum()

    height, width = (min(crop.shape[axis] for crop in crops) // 2 * 2 - 1 for axis in (0, 1))
    keys = jax.random.split(jax.random.key(recipe.seed), len(crops))

    def errors(params: Params) -> np.ndarray:
        parts = zip(crops, keys, strict=True)
        sums = np.array([jax.device_get(measure(params, jnp.asarray(crop[None]), key)) for crop, key in parts])
        return sums[:, :2] / max(sums[:, 2].mean(), 1)

    return Judge(errors, np.array([number for number, _ in chosen]))


def pair_judge(recipe: Recipe, pairs: Sequence[np.ndarray]) -> Judge:
    """Measure the squared error to the targets, in parts of one size of the held-out pairs."""
    model = build_model(recipe)
    height, width = (min(_HELD_OUT, *(pair.shape[axis] for pair in pairs)) for axis in (0, 1))
    places = [
        (number, top, left)
        for number, pair in enumerate(pairs)
        for top in range(0, pair.shape[0] - height + 1, height)
        for left in range(0, pair.shape[1] - width + 1, width)
    ]
    chosen = places[:: max(1, len(places) // _PARTS)]

    @jax.jit
    def measure(params: Params, pair: Array) -> Array:
        degraded, target = jnp.split(pair, 2, axis=-1)
        return jnp.mean((jnp.clip(cast(Array, model.apply({"params": params}, degraded)), 0, 1) - target) ** 2)

    def errors(params: Params) -> np.ndarray:
        parts = (pairs[n][None, top : top + height, left : left + width] for n, top, left in chosen)
        return np.array([[float(measure(params, part))] for part in parts])

    return Judge(errors, np.array([number for number, _, _ in chosen]))
