"""What the suites measure: entries of the zoo, and architectures as published with fresh parameters."""

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import restorax
from restorax import zoo
from restorax.models import MODELS, RestorationNetwork

ARCHITECTURES = ("dncnn", "nafnet", "unet")
"""Measured beside the entries by default: those that everybody knows."""

QUICK = ("resunet_s-gray-noise", "dncnn")
"""An entry, which is a recipe too, and an architecture: enough to see that a suite works."""


def load(name: str, dtype: str = "float32", **fields: Any) -> zoo.Restorer:
    """An entry, or an architecture with fresh parameters and perhaps other fields."""
    if name in zoo.list_models():
        return zoo.load(name, dtype=jnp.dtype(dtype))
    model, params = restorax.create(name, **fields)
    some = zoo.Card.read(zoo.find(zoo.list_models()[0]))
    config = {"channels": model.channels, **fields}
    card = dataclasses.replace(some, name=name, architecture=name, config=config, channels=model.channels, sha256="")
    return zoo.Restorer(params, model.clone(dtype=jnp.dtype(dtype)), card)


def groups(names: Sequence[str] = ()) -> list[list[str]]:
    """Names, by default all entries and well-known architectures; those of equal networks, hence speed, together."""
    same: dict[str, list[str]] = {}
    for name in names or (*zoo.list_models(), *ARCHITECTURES):
        architecture, config = _network(name)
        config = {key: value for key, value in config.items() if key != "residual"}  # one sum: takes no time
        same.setdefault(json.dumps([architecture, config], sort_keys=True), []).append(name)
    return list(same.values())


def _network(name: str) -> tuple[str, dict[str, Any]]:
    """Architecture and configuration, for which no parameters need be read or made."""
    if name in zoo.list_models():
        card = zoo.Card.read(zoo.find(name))
        return card.architecture, card.config
    if name not in MODELS:
        raise ValueError(zoo.unknown_name("entry or architecture", name, [*zoo.list_models(), *MODELS]))
    return name, {"channels": MODELS[name]().channels}


def observed(model: RestorationNetwork, batch: int, height: int, width: int, seed: int = 0) -> tuple[jax.Array, ...]:
    """A random image, or a burst of five frames, and a condition if the network takes one, in device memory."""
    random = np.random.default_rng(seed)
    frames = (5,) if model.takes_frames else ()
    image = jnp.asarray(random.random((batch, *frames, height, width, model.channels), np.float32))
    if not model.condition.channels:
        return (image,)
    known = random.random((batch, height, width, model.condition.channels)) < 0.5
    return image, jnp.asarray(known, jnp.float32)
