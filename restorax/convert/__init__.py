"""Convert published PyTorch and MatConvNet weights to zoo entries."""

import hashlib
import os
from importlib.metadata import version
from pathlib import Path

from .. import zoo
from ..models.count import flops_per_megapixel
from ..models.create import build
from ..models.receptive_field import measure_receptive_field
from .files import read_tensors
from .layouts import CONVERTERS, to_params


def convert(
    source: str | os.PathLike,
    architecture: str,
    folder: str | os.PathLike,
    *,
    licence: str = "not stated",
    degradation: str = "not stated",
    member: str | None = None,
) -> zoo.Card:
    """Convert a file of published weights to an entry that :func:`restorax.load` reads.

    Nothing in the file is executed. Depth, width and channels are inferred from the tensors, batch normalisation is
    folded into the convolutions, and every tensor must have a counterpart of the right shape.

    Args:
        source: ``.safetensors``; ``.pth``, ``.pt``, ``.pkl`` or ``.ckpt`` of PyTorch with the key names of KAIR, NAFNet
            or MIMO-UNet, after any of ``PREFIXES``; ``.mat`` of MatConvNet (DnCNN, FFDNet).
        architecture: a key of ``CONVERTERS``.
        folder: folder of the new entry; its name becomes the name of the entry.
        licence: licence of the weights, for the card.
        degradation: training degradation in the syntax of ``restorax.degrade.parse``, for the card.
        member: name of the network, if the file holds several.

    Returns:
        The card as written.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file is damaged, of an unknown type, or of another architecture; the message names the first
            tensor that differs.
    """
    source, folder = Path(source), Path(folder)
    if architecture not in CONVERTERS:
        raise ValueError(zoo.unknown_name("converter", architecture, list(CONVERTERS)))
    tensors = read_tensors(source, member)
    config, params = to_params(tensors, architecture, str(source))
    model = build(architecture, config)
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    card = zoo.Card(
        name=folder.resolve().name,
        architecture=architecture,
        config=config,
        channels=model.channels,
        condition=model.required_condition,
        degradation=degradation,
        evaluation=[] if degradation == "not stated" else [degradation],
        data="not stated: weights of others",
        data_licence="not stated",
        weights_licence=licence,
        steps=0,
        seconds=0,
        hardware="not stated",
        versions={"restorax": version("restorax")},
        commit=f"converted from {source.name}{f', member {member}' if member else ''}, SHA-256 {digest}",
        parameters=0,
        parameter_dtype="float32",
        flops_per_megapixel=flops_per_megapixel(model),
        receptive_field=measure_receptive_field(model),
        limits="Trained elsewhere; its quality has not been measured here.",
        paper=" ".join((type(model).__doc__ or "").split("Reference:")[-1].split()),
    )
    zoo.save(folder, card, params)
    return zoo.Card.read(folder)
