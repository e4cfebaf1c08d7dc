"""Model cards: what an entry is, how it was made and how good it is."""

import dataclasses
import json
from typing import Any

from .files import AnyPath, write_atomically
from .recipe import Recipe, Training, recipe_fields
from .typed_json import from_json, read_object, to_json
from .types import Condition


@dataclasses.dataclass(frozen=True)
class Result:
    """One measured number of a card, with the protocol that makes it comparable.

    Attributes:
        dataset: name of the test set.
        degradation: what was done to the images, in the language of ``restorax.degrade.parse``.
        images: how many.
        psnr: mean of the per-image PSNR in dB.
        ssim: mean of the per-image SSIM.
        input_psnr: the same of the degraded images.
        protocol: channels, border, rounding and seeds.
        psnr_b: mean of the per-image PSNR-B in dB, after JPEG.
    """

    dataset: str
    degradation: str
    images: int
    psnr: float
    ssim: float
    input_psnr: float
    protocol: str
    psnr_b: float | None = None


@dataclasses.dataclass(frozen=True)
class Card:
    """What an entry is, how it was made and how good it is (``card.json``).

    Attributes:
        name: ``<architecture>-<gray|color>-<degradation>[-direct]``.
        architecture: a key of ``restorax.models.MODELS``.
        config: fields of the module.
        channels: image channels, 1 or 3.
        condition: what the condition map must hold, or ``Condition.NONE`` for a blind restorer.
        degradation: what it was trained to undo, with ranges, in the language of ``restorax.degrade.parse``.
        evaluation: degradations under which its results are given.
        ood_degradations: out-of-distribution degradations under which it is measured too.
        data: what it was trained on.
        data_licence: licence of that data.
        weights_licence: licence of the parameters.
        steps: optimiser steps up to the published parameters, those that validated best.
        seconds: wall-clock time of the training.
        hardware: on what it was trained.
        versions: versions of the libraries that matter.
        commit: of the code that trained it.
        parameters: number of parameters.
        parameter_dtype: how they are stored, ``"float32"`` or ``"float16"``.
        flops_per_megapixel: floating-point operations (two per multiply-add) for 2**20 pixels.
        receptive_field: side in pixels of what an output pixel sees; ``None`` means the whole image.
        limits: what it should not be expected to do.
        paper: what to cite.
        training: stages, optimiser and starting entry of the run that made it; ``None`` for converted parameters.
        provenance: how it came about, where no command repeats that; empty where its recipe does.
        results: measured quality.
        ood_results: the same for what it was not trained on: other degradations, and other kinds of image.
        throughput: megapixels per second in images of 512 x 512, by device and type of the activations.
        halo: pixels of context that keep tiles within 0.05 dB of the whole image, where that has been measured.
        sha256: of ``params.safetensors``.
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
    throughput: dict[str, float] = dataclasses.field(default_factory=dict)
    halo: int | None = None
    sha256: str = ""

    def __hash__(self) -> int:
        """Cards are static under ``jit``: equal ones share a compiled function."""
        return hash((self.name, self.sha256))

    @property
    def recipe(self) -> Recipe:
        """The recipe that made the entry; its degradation is that of the last stage.

        Raises:
            ValueError: if the parameters were converted, not trained here.
        """
        if self.training is None:
            raise ValueError(f"{self.name} was converted, not trained with restorax; it has no recipe")
        return from_json(Recipe, recipe_fields(to_json(self)), self.name)

    @classmethod
    def read(cls, folder: AnyPath) -> "Card":
        """Read ``folder/card.json``.

        Raises:
            FileNotFoundError: if there is none.
            ValueError: if it is not JSON, or a field is missing, unknown or of another type.
        """
        path = folder / "card.json"
        if not path.is_file():
            raise FileNotFoundError(f"{folder} has no card.json")
        return from_json(cls, read_object(path), str(path))

    def write(self, folder: AnyPath) -> None:
        """Write ``folder/card.json`` atomically."""
        content = to_json(self)
        for results in (content["results"], content["ood_results"]):
            results[:] = ({key: value for key, value in r.items() if value is not None} for r in results)
        write_atomically(folder / "card.json", json.dumps(content, indent=2, ensure_ascii=False) + "\n")
