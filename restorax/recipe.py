"""What decides a training: one frozen dataclass."""

import math
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training, except the pictures.

    Attributes:
        architecture: a key of ``restorax.models.MODELS``.
        config: fields of the module.
        degradation: what the network learns to undo, in the language of ``restorax.degrade.parse``.
        evaluation: degradations under which validation and the card report quality.
        beyond: degradations that it does not learn to undo, under which the card reports quality too.
        cycles: steps of each cosine cycle of the learning rate; the peak halves from one to the next.
        later: fields that differ after the first cycle: ``patch``, ``batch``, ``accumulate``, ``loss``,
            ``guide``, ``degradation``.
        batch: patches per step, over all devices.
        accumulate: parts into which a batch is split, one after the other, to save memory; the result is the same.
        patch: side of a patch in pixels.
        learning_rate: peak of the first cycle.
        warmup: steps of linear warm-up at the start of each cycle, at most a tenth of it.
        weight_decay: decoupled, times the learning rate, on kernels only.
        decayed: which of them: a regular expression searched in their names, such as ``unet/head/kernel``.
        clip: largest global norm of a gradient.
        ema: decay of the running average of parameters that is validated and published.
        loss: what is lowered, in the language of ``restorax.train.losses.parse_loss``.
        guide: weight of the network's auxiliary loss, if it has one.
        dtype: type of the activations, ``"float32"`` or ``"bfloat16"``.
        seed: of initialisation, data and degradation.
        start: entry whose parameters the training begins with, as ``restorax.load`` finds it; by default fresh ones.
        limits: what the entry should not be expected to do, for the card.
        paper: what to cite, for the card.
    """

    architecture: str
    degradation: str
    evaluation: tuple[str, ...]
    beyond: tuple[str, ...] = ()
    config: dict[str, Any] = field(default_factory=dict)
    cycles: tuple[int, ...] = (30_000,)
    later: dict[str, Any] = field(default_factory=dict)
    batch: int = 8
    accumulate: int = 1
    patch: int = 96
    learning_rate: float = 2e-3
    warmup: int = 500
    weight_decay: float = 0.01
    decayed: str = ""
    clip: float = 1.0
    ema: float = 0.999
    loss: str = "l1"
    guide: float = 0.0
    dtype: str = "float32"
    seed: int = 0
    start: str = ""
    limits: str = ""
    paper: str = ""

    def __post_init__(self) -> None:
        """Refuse numbers with which nothing can be trained."""
        for name in ("batch", "accumulate", "patch", "cycles"):
            value = getattr(self, name)
            if min(value if name == "cycles" else (value,), default=0) < 1:
                raise ValueError(f"{name} is {value!r}; whole numbers from 1 on are accepted")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate is {self.learning_rate!r}; a number above 0 is accepted")

    @property
    def steps(self) -> int:
        """Optimiser steps in all."""
        return sum(self.cycles)

    @property
    def stages(self) -> tuple[tuple[int, "Recipe"], ...]:
        """What is trained up to which step: the recipe as it stands, then with the fields of its later cycles."""
        first, whole = replace(self, later={}), (self.steps, replace(self, **self.later, later={}))
        return ((self.cycles[0], first), whole) if self.later else (whole,)
