"""Write a zoo entry from trained parameters: parameters, model card and preview."""

import dataclasses
import os
from importlib.metadata import version
from pathlib import Path

import jax
import jax.numpy as jnp

from .. import provenance, zoo
from ..data import sample_images
from ..degrade import parse
from ..files import image
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
    weights_licence: str,
    steps: int,
    seconds: float,
    hardware: str = "",
    before: zoo.Card | None = None,
) -> Path:
    """Write a zoo entry: parameters, card and preview. Results of an earlier card are kept if the parameters are equal.

    Args:
        name: zoo name.
        recipe: training recipe.
        params: parameters to publish.
        folder: the entry's folder.
        data: training data.
        data_licence: licence of the training data.
        weights_licence: licence of the parameters.
        steps: optimiser steps of these parameters.
        seconds: wall-clock time of the training so far.
        hardware: note to append to the detected hardware.
        before: the card to replace.

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
        weights_licence=weights_licence,
        steps=steps,
        seconds=round(seconds),
        hardware=detected_hardware(hardware),
        versions=own_versions(),
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
        kept = ("results", "ood_results", "pair_results", "throughput", "halo")
        measured = {field: getattr(before, field) for field in kept}
        dataclasses.replace(card, **measured).write(folder)
    if recipe.evaluation:
        write_preview(folder / "preview.png", recipe, params)
    return folder


def _start(name: str) -> str:
    """Return the card name of the entry that was fine-tuned; one on the Hugging Face hub keeps its address."""
    if zoo.is_on_hub(name):
        return name
    try:
        return zoo.Card.read(zoo.find(name)).name if name else ""
    except Exception:  # bucket paths raise unrelated classes
        return name


def write_preview(path: Path, recipe: Recipe, params: Params) -> None:
    """Write a strip (degraded, restored, clean) of a photograph shipped with scikit-image, smaller in colour."""
    channels = build_model(recipe).channels
    name, side = ("chelsea", 128) if channels == 3 else ("camera", 192)
    clean = sample_images(channels)[name][64 : 64 + side, 128 : 128 + side]
    observed, clean = parse(middle(recipe.evaluation)).observe(jax.random.key(0), jnp.asarray(clean))
    restored = make_restore(recipe)(params, *observed)
    image.write(path, image.strip(observed.image, restored, clean))


def detected_hardware(note: str = "") -> str:
    """Describe the devices of all hosts, or the processor, followed by a note."""
    device = jax.devices()[0]
    kind = provenance.processor() if device.platform == "cpu" else device.device_kind
    found = f"{jax.device_count()} x {kind}" if device.platform != "cpu" else f"{os.cpu_count()} cores of {kind}"
    return f"{found}, {note}" if note else found


def own_versions() -> dict[str, str]:
    """Return the versions of the libraries that a training depends on."""
    import restorax  # a checkout need not be installed to train

    return {"restorax": restorax.__version__} | {package: version(package) for package in ("jax", "flax", "optax")}
