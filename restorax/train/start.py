"""Parameters of a zoo entry as the start of a training."""

from typing import Any, cast

import flax.traverse_util
import numpy as np

from .. import zoo
from ..models.base import RestorationNetwork
from ..types import Params


def starting_params(name: str, model: RestorationNetwork) -> Params:
    """Load the parameters of an entry for a network of the same architecture.

    Those of a colour entry are folded for a gray network, which then returns the mean over the channels of what the
    colour network returns for three equal ones. Those of a blind entry gain zeros for the condition of the network,
    which then ignores it.

    Args:
        name: entry or folder, as accepted by :func:`restorax.load`.
        model: network to train.

    Returns:
        NumPy arrays in the structure of the network's parameters.

    Raises:
        FileNotFoundError: if there is no such entry.
        ValueError: if the entry has another network.

    Example:
        >>> from restorax.models.create import create
        >>> params = starting_params("ffdnet-gray-noise", create("ffdnet", channels=1)[0])
    """
    restorer, shapes = zoo.load(name), model.param_shapes()
    stored = cast(dict[str, Any], flax.traverse_util.flatten_dict(restorer.params, sep="/"))
    arrays = {path: np.asarray(leaf) for path, leaf in stored.items()}
    if restorer.card.channels == 3 and model.channels == 1:
        arrays = {path: _fold(leaf, shapes.get(path) or leaf.shape) for path, leaf in arrays.items()}
    if not restorer.model.condition.channels and (added := model.condition.channels):
        sizes = model.channels, model.channels + added
        arrays = {path: _widen(leaf, shapes.get(path) or leaf.shape, *sizes) for path, leaf in arrays.items()}
    params = cast(Params, flax.traverse_util.unflatten_dict(arrays, sep="/"))
    zoo.check_params(model, params, name)
    return params


def _fold(leaf: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Sum a parameter over the three channels of its input axis and average it over those of its output axis."""
    if leaf.ndim != len(shape):
        return leaf
    for axis, (colour, gray) in enumerate(zip(leaf.shape, shape, strict=True)):
        if colour == 3 * gray:
            grouped = leaf.reshape(*leaf.shape[:axis], gray, 3, *leaf.shape[axis + 1 :])
            leaf = grouped.mean(axis + 1) if axis == leaf.ndim - 1 else grouped.sum(axis + 1)
    return leaf


def _widen(leaf: np.ndarray, shape: tuple[int, ...], before: int, after: int) -> np.ndarray:
    """Add zeros for the condition to the input axis of the first convolution, which may follow a pixel unshuffle."""
    if leaf.ndim < 2 or leaf.shape[-2] * after != shape[-2] * before or leaf.shape == shape:
        return leaf
    grouped = leaf.reshape(*leaf.shape[:-2], -1, before, leaf.shape[-1])
    pads = [(0, 0)] * grouped.ndim
    pads[-2] = (0, after - before)
    return np.pad(grouped, pads).reshape(*leaf.shape[:-2], -1, leaf.shape[-1])
