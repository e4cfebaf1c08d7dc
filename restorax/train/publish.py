"""From trained parameters to a zoo entry."""

import dataclasses
import os
from importlib.metadata import version
from pathlib import Path

import jax
import jax.numpy as jnp

from .. import image, provenance, zoo
from ..data import sample_images
from ..degrade import parse
from ..models.count import flops_per_megapixel
from ..models.receptive_field import measure_receptive_field
from ..recipe import Recipe, middle
from ..types import Params
from .step import build_model, make_restore


def publish(
    name: str,
    recipe: Recipe,
    params: Params,
    *,
    folder: Path,
    data: str,
    data_licence: str,
    steps: int,
    seconds: float,
    hardware: str = "",
    before: zoo.Card | None = None,
) -> Path:
    """Write a zoo entry: parameters, card, preview; the card has results only if these parameters had them before.

    Args:
        name: zoo name.
        recipe: how it was trained.
        params: what to publish.
        folder: the entry's folder.
        data: what it was trained on.
        data_licence: terms of that data.
        steps: optimiser steps so far.
        seconds: wall-clock time of the training so far.
        hardware: what the card adds to the devices that were found.
        before: the card that this one replaces.

    Returns:
        ``folder``.
    """
    model = build_model(recipe)
    card = zoo.Card(
        name=name,
        architecture=recipe.architecture,
        config=recipe.config,
        channels=model.channels,
        condition=model.required_condition,
        degradation=recipe.degradation,
        evaluation=list(recipe.evaluation),
        ood_degradations=list(recipe.ood_degradations),
        data=data,
        data_licence=data_licence,
        weights_licence="Apache-2.0, as far as the terms of the training data allow",
        steps=steps,
        seconds=round(seconds),
        hardware=detected_hardware(hardware),
        versions={"restorax": _own_version()} | {package: version(package) for package in ("jax", "flax", "optax")},
        commit=provenance.commit(),
        parameters=0,
        parameter_dtype="float16",
        flops_per_megapixel=flops_per_megapixel(model),
        receptive_field=measure_receptive_field(model),
        limits=recipe.limits,
        paper=recipe.paper,
        training=dataclasses.replace(recipe.training, start=_start(recipe.start)),
    )
    card = zoo.save(folder, card, params)
    if before is not None and before.sha256 == card.sha256:
        measured = {field: getattr(before, field) for field in ("results", "ood_results", "throughput", "halo")}
        dataclasses.replace(card, **measured).write(folder)
    write_preview(folder / "preview.png", recipe, params)
    return folder


def _start(name: str) -> str:
    """The name on the card of the entry that a training started from."""
    try:
        return zoo.Card.read(zoo.find(name)).name if name else ""
    except Exception:  # of many classes, for paths in buckets
        return name


def write_preview(path: Path, recipe: Recipe, params: Params) -> None:
    """Degraded, restored and clean, side by side, on a photograph that scikit-image ships."""
    channels = build_model(recipe).channels
    clean = sample_images(channels)["chelsea" if channels == 3 else "camera"][64:256, 128:320]
    observed = parse(middle(recipe.evaluation))(jax.random.key(0), jnp.asarray(clean))
    restored = make_restore(recipe)(params, *observed)
    image.write(path, image.strip(observed.image, restored, clean))


def detected_hardware(note: str = "") -> str:
    """The devices of all hosts, or the processor, followed by a note."""
    device = jax.devices()[0]
    kind = provenance.processor() if device.platform == "cpu" else device.device_kind
    found = f"{jax.device_count()} x {kind}" if device.platform != "cpu" else f"{os.cpu_count()} cores of {kind}"
    return f"{found}, {note}" if note else found


def _own_version() -> str:
    import restorax  # a checkout need not be installed to train

    return restorax.__version__
