"""Networks for the suites: zoo entries, and published architectures with fresh parameters."""

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
"""Well-known architectures measured by default, in addition to the entries."""

QUICK = ("resunet_s-gray-noise", "dncnn")
"""One entry and one architecture for smoke tests."""


def load(name: str, dtype: str = "float32", **fields: Any) -> zoo.Restorer:
    """Load an entry, or create an architecture with fresh parameters and optional fields."""
    if name in zoo.list_models():
        return zoo.load(name, dtype=jnp.dtype(dtype))
    model, params = restorax.create(name, **fields)
    template = zoo.Card.read(zoo.find(zoo.list_models()[0]))
    config = {"channels": model.channels, **fields}
    card = dataclasses.replace(
        template, name=name, architecture=name, config=config, channels=model.channels, sha256=""
    )
    return zoo.Restorer(params, model.clone(dtype=jnp.dtype(dtype)), card)


def groups(names: Sequence[str] = ()) -> list[list[str]]:
    """Group names (by default all entries and ``ARCHITECTURES``) whose networks are identical, hence equally fast."""
    same: dict[str, list[str]] = {}
    for name in names or (*zoo.list_models(), *ARCHITECTURES):
        architecture, config = _network(name)
        config = {key: value for key, value in config.items() if key != "residual"}  # a single addition
        same.setdefault(json.dumps([architecture, config], sort_keys=True), []).append(name)
    return list(same.values())


def _network(name: str) -> tuple[str, dict[str, Any]]:
    """Return architecture and configuration without loading or creating parameters."""
    if name in zoo.list_models():
        card = zoo.Card.read(zoo.find(name))
        return card.architecture, card.config
    if name not in MODELS:
        raise ValueError(zoo.unknown_name("entry or architecture", name, [*zoo.list_models(), *MODELS]))
    return name, {"channels": MODELS[name]().channels}


def observed(model: RestorationNetwork, batch: int, height: int, width: int, seed: int = 0) -> tuple[jax.Array, ...]:
    """Return a random image or burst of five frames, and a condition map if the network takes one, on the device."""
    random = np.random.default_rng(seed)
    frames = (5,) if model.takes_frames else ()
    image = jnp.asarray(random.random((batch, *frames, height, width, model.channels), np.float32))
    if not model.condition.channels:
        return (image,)
    mask = random.random((batch, height, width, model.condition.channels)) < 0.5
    return image, jnp.asarray(mask, jnp.float32)
