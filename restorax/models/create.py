"""Build networks by name, and initialise their parameters."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from ..types import Condition, DTypeLike, Params, check_count
from . import MODELS, RestorationNetwork


def create(name: str, *, seed: int = 0, **fields: Any) -> tuple[RestorationNetwork, Params]:
    """Build an architecture and initialise its parameters.

    Args:
        name: a key of ``restorax.models.MODELS``.
        seed: random seed of the parameters.
        **fields: fields of the module, e.g. ``channels=3, residual=True``; the defaults are the published ones.

    Returns:
        The module and its parameters, float32; ``module.apply({"params": params}, image, condition)`` runs it.

    Raises:
        ValueError: if there is no such architecture, or it has no such field or takes no such value.

    Example:
        >>> model, params = create("resunet_s", channels=3, residual=True)
        >>> model.apply({"params": params}, jnp.zeros((10, 15, 3))).shape
        (10, 15, 3)
    """
    model = build(name, fields)
    observed = [jnp.zeros(x.shape, x.dtype) for x in model.input_shapes(16, 16)]
    params = jax.jit(model.init)(jax.random.key(seed), *observed)["params"]
    # With 64-bit types enabled, initialisers return float64.
    return model, jax.tree.map(lambda p: p.astype(jnp.float32), params)


def build(name: str, config: Mapping[str, Any], *, dtype: DTypeLike = jnp.float32) -> RestorationNetwork:
    """Build an architecture from JSON fields: lists for tuples, a string for the condition.

    Args:
        name: a key of ``restorax.models.MODELS``.
        config: fields of the module, such as ``{"channels": 3, "condition": "mask"}``.
        dtype: type of the activations, unless ``config`` gives it.

    Returns:
        The module.

    Raises:
        ValueError: if there is no such architecture, or it has no such field or takes no such value.

    Example:
        >>> build("resunet_s", {"widths": [8, 16], "condition": "noise_level"}).condition.channels
        1
    """
    if name not in MODELS:
        raise ValueError(f"no architecture named {name!r}; expected one of {', '.join(MODELS)}")
    known = [f.name for f in dataclasses.fields(MODELS[name]()) if f.name not in ("parent", "name")]
    if unknown := [field for field in config if field not in known]:
        raise ValueError(f"unknown field {unknown[0]!r} of {name}; expected one of {', '.join(known)}")
    if "channels" in config:
        check_count(config["channels"], "channels")
    fields = {field: tuple(value) if isinstance(value, list) else value for field, value in config.items()}
    if fields.get("widths") == ():
        raise ValueError("`widths` must have at least one element, got ()")
    if "condition" in fields:
        fields["condition"] = Condition(fields["condition"])
    return MODELS[name](**{"dtype": dtype} | fields)
