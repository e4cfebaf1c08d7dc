"""Model cards: description, provenance and measured quality of a zoo entry."""

import dataclasses
import json
from typing import Any

from .files.atomic import AnyPath, write_atomically
from .recipe import Recipe, Training, recipe_fields
from .typed_json import from_json, read_object, to_json
from .types import Condition

MAX_PSNR = 100.0
"""PSNR in dB of an image that equals the ground truth, and the largest that counts in a mean."""


@dataclasses.dataclass(frozen=True)
class Result:
    """Quality measured on one test set, with the evaluation protocol.

    Attributes:
        dataset: name of the test set.
        degradation: degradation of the test images, in the syntax of ``restorax.degrade.parse``; of pairs, a
            description.
        images: number of images.
        psnr: mean of the per-image PSNR in dB, at most 100 per image.
        ssim: mean of the per-image SSIM.
        input_psnr: mean PSNR of the degraded images in dB; 100 if they equal the ground truth.
        protocol: channels, border, rounding and seeds of the evaluation.
        psnr_b: mean of the per-image PSNR-B in dB, for JPEG only.
        worse: number of images whose PSNR is below that of the degraded image, for pairs only.
        worst_gain: smallest difference of the two in dB, for pairs only.
    """

    dataset: str
    degradation: str
    images: int
    psnr: float
    ssim: float
    input_psnr: float
    protocol: str
    psnr_b: float | None = None
    worse: int | None = None
    worst_gain: float | None = None

    @property
    def is_clean(self) -> bool:
        """Whether the degraded images equal the ground truth, so that there is no gain."""
        return self.input_psnr >= MAX_PSNR


@dataclasses.dataclass(frozen=True)
class Card:
    """Model card of a zoo entry (``card.json``).

    Attributes:
        name: ``<architecture>-<gray|color>-<degradation>[-direct]``.
        architecture: a key of ``restorax.models.MODELS``.
        config: fields of the module.
        channels: image channels, 1 or 3.
        condition: kind of condition map that is required, or ``Condition.NONE`` for a blind restorer.
        degradation: training degradation with ranges, in the syntax of ``restorax.degrade.parse``.
        evaluation: degradations of ``results``.
        ood_degradations: out-of-distribution degradations of ``ood_results``.
        data: training data.
        data_licence: licence of the training data.
        weights_licence: licence of the parameters.
        steps: optimiser steps up to the published parameters (best validation).
        seconds: wall-clock time of the training.
        hardware: hardware of the training.
        versions: library versions.
        commit: commit of the training code.
        parameters: number of parameters.
        parameter_dtype: type of the stored parameters, ``"float32"`` or ``"float16"``.
        flops_per_megapixel: floating-point operations (two per multiply-add) for 2**20 pixels.
        receptive_field: side of the receptive field in pixels; ``None`` for the whole image.
        limits: known limitations.
        paper: reference to cite.
        training: stages, optimiser and starting entry of the run that made it; ``None`` for converted parameters.
        provenance: origin of the parameters if they cannot be reproduced from ``training``; otherwise empty.
        results: measured quality.
        ood_results: out-of-distribution results: other degradations and other kinds of images.
        pair_results: results on pairs of real degraded and clean images.
        throughput: megapixels per second on 512 x 512 images, by device and type of the activations.
        halo: pixels of context that keep tiled output within 0.05 dB of the whole image; ``None`` if not measured.
        sha256: checksum of ``params.safetensors``.
    """

    name: str
    architecture: str
    config: dict[str, Any]
    channels: int
    condition: Condition
    degradation: str
    evaluation: list[str]
    data: str
    data_licence: str
    weights_licence: str
    steps: int
    seconds: int
    hardware: str
    versions: dict[str, str]
    commit: str
    parameters: int
    parameter_dtype: str
    flops_per_megapixel: float
    receptive_field: int | None
    limits: str
    paper: str
    training: Training | None = None
    provenance: str = ""
    ood_degradations: list[str] = dataclasses.field(default_factory=list)
    results: list[Result] = dataclasses.field(default_factory=list)
    ood_results: list[Result] = dataclasses.field(default_factory=list)
    pair_results: list[Result] = dataclasses.field(default_factory=list)
    throughput: dict[str, float] = dataclasses.field(default_factory=dict)
    halo: int | None = None
    sha256: str = ""

    def __hash__(self) -> int:
        """Hash the static data of ``jit``: equal cards share a compiled function."""
        return hash((self.name, self.sha256))

    @property
    def recipe(self) -> Recipe:
        """The training recipe of the entry; its degradation is that of the last stage.

        Raises:
            ValueError: if the parameters were converted, not trained with restorax.
        """
        if self.training is None:
            raise ValueError(f"{self.name} was converted, not trained with restorax; it has no recipe")
        return from_json(Recipe, recipe_fields(to_json(self)), self.name)

    @classmethod
    def read(cls, folder: AnyPath) -> "Card":
        """Read ``folder/card.json``.

        Raises:
            FileNotFoundError: if there is no card.
            ValueError: if it is not JSON, or a field is missing, unknown or of the wrong type.
        """
        path = folder / "card.json"
        if not path.is_file():
            raise FileNotFoundError(f"{folder} has no card.json")
        return from_json(cls, read_object(path), str(path))

    def write(self, folder: AnyPath) -> None:
        """Write ``folder/card.json`` atomically."""
        content = to_json(self)
        for results in (content["results"], content["ood_results"], content["pair_results"]):
            results[:] = ({key: value for key, value in r.items() if value is not None} for r in results)
        write_atomically(folder / "card.json", json.dumps(content, indent=2, ensure_ascii=False) + "\n")
