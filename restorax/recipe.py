"""Training recipes: frozen dataclasses that decide everything about a training run except the images."""

import dataclasses
import itertools
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from .files import AnyPath
from .typed_json import from_json, read_object, to_json


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A part of a training run with its own degradation, loss, patches and learning-rate schedule.

    Attributes:
        steps: optimiser steps.
        degradation: what the network learns to undo, in the language of ``restorax.degrade.parse``.
        loss: what is minimised, in the language of ``restorax.train.losses.parse_loss``.
        auxiliary_loss: weight of the network's own ``auxiliary_loss``, added to the loss.
        batch: patches per step, over all devices.
        accumulate: parts into which a batch is split, one after the other, to save memory; the result is the same.
        patch: side of a patch in pixels.
        learning_rate: peak of the schedule, which decays to zero along a cosine.
        warmup: steps of linear warm-up, at most a tenth of the stage.
    """

    steps: int
    degradation: str
    loss: str = "l1"
    auxiliary_loss: float = 0.0
    batch: int = 8
    accumulate: int = 1
    patch: int = 96
    learning_rate: float = 2e-3
    warmup: int = 500

    def __post_init__(self) -> None:
        """Refuse numbers with which nothing can be trained."""
        for name in ("steps", "batch", "accumulate", "patch"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be an integer >= 1, got {getattr(self, name)!r}")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"`learning_rate` must be positive and finite, got {self.learning_rate!r}")
        if self.batch % self.accumulate:
            raise ValueError(f"a batch of {self.batch} cannot be split into {self.accumulate} equal parts")


@dataclass(frozen=True, kw_only=True)
class Training:
    """How parameters are found, given a network and images.

    Attributes:
        stages: what is trained, one after the other.
        start: entry whose parameters the training starts from, as ``restorax.load`` finds it; fresh ones by default.
        weight_decay: decoupled, times the learning rate, on kernels only.
        clip: largest global norm of a gradient.
        ema: decay of the running average of the parameters, which is validated and published.
        dtype: type of the activations, ``"float32"`` or ``"bfloat16"``.
        seed: of initialisation, data and degradation.
    """

    stages: tuple[Stage, ...]
    start: str = ""
    weight_decay: float = 0.01
    clip: float = 1.0
    ema: float = 0.999
    dtype: str = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse a training without stages, or in a type that no network computes in."""
        if not self.stages:
            raise ValueError("the recipe has no stages; at least one is needed")
        if self.dtype not in ("float32", "bfloat16"):
            raise ValueError(f"`dtype` must be 'float32' or 'bfloat16', got {self.dtype!r}")

    @property
    def steps(self) -> int:
        """Optimiser steps of all stages."""
        return sum(stage.steps for stage in self.stages)

    @property
    def ends(self) -> tuple[int, ...]:
        """Steps done when each stage ends."""
        return tuple(itertools.accumulate(stage.steps for stage in self.stages))

    def stage_of(self, step: int) -> Stage:
        """The stage of a step, counted from 1."""
        return next(stage for end, stage in zip(self.ends, self.stages, strict=True) if step <= end)


@dataclass(frozen=True, kw_only=True)
class Recipe(Training):
    """Everything that decides a training run, except the images.

    Attributes:
        architecture: a key of ``restorax.models.MODELS``.
        config: fields of the network.
        evaluation: degradations under which validation and the card report quality.
        ood_degradations: out-of-distribution degradations under which the card reports quality too.
        limits: what the entry should not be expected to do, for the card.
        paper: what to cite, for the card.
    """

    architecture: str
    evaluation: tuple[str, ...]
    ood_degradations: tuple[str, ...] = ()
    config: dict[str, Any] = field(default_factory=dict)
    limits: str = ""
    paper: str = ""

    def __post_init__(self) -> None:
        """Make tuples of lists in the configuration, as fields of networks have them and JSON does not."""
        super().__post_init__()
        config = {name: tuple(value) if isinstance(value, list) else value for name, value in self.config.items()}
        object.__setattr__(self, "config", config)

    @property
    def degradation(self) -> str:
        """What the network learns to undo in the last stage."""
        return self.stages[-1].degradation

    @property
    def training(self) -> Training:
        """The part of the recipe that a card does not state elsewhere."""
        return Training(**{f.name: getattr(self, f.name) for f in dataclasses.fields(Training)})

    def with_stages(self, **changes: Any) -> "Recipe":
        """The same recipe with some fields changed in all stages.

        Example:
            >>> from restorax.recipes import RECIPES
            >>> RECIPES["dncnn-gray-noise25"].with_stages(batch=4).stages[0].batch
            4
        """
        return replace(self, stages=tuple(replace(stage, **changes) for stage in self.stages))

    def adjusted(
        self,
        *,
        steps: int | None = None,
        batch: int | None = None,
        accumulate: int | None = None,
        learning_rate: float | None = None,
        dtype: str | None = None,
        start: str | None = None,
    ) -> "Recipe":
        """The same recipe for other means; what is ``None`` stays.

        Args:
            steps: train the first stage alone, for so many steps.
            batch: patches per step, in all stages.
            accumulate: parts of a batch, in all stages.
            learning_rate: peak of the first stage; those of the others change in proportion.
            dtype: type of the activations.
            start: entry to start from, ``""`` for fresh parameters.

        Returns:
            The changed recipe.

        Raises:
            ValueError: if a value is not accepted.
        """
        stages = self.stages if steps is None else (replace(self.stages[0], steps=steps),)
        scale = 1.0 if learning_rate is None else learning_rate / self.stages[0].learning_rate
        changes = {"batch": batch, "accumulate": accumulate}
        changes = {name: value for name, value in changes.items() if value is not None}
        stages = tuple(replace(s, learning_rate=s.learning_rate * scale, **changes) for s in stages)
        own = {name: value for name, value in {"dtype": dtype, "start": start}.items() if value is not None}
        return replace(self, stages=stages, **own)


def middle(evaluation: tuple[str, ...] | list[str]) -> str:
    """The middle one of some evaluations: the one that previews and sample strips show."""
    return evaluation[len(evaluation) // 2]


def stages(*steps: int, later: dict[str, Any] | None = None, **fields: Any) -> tuple[Stage, ...]:
    """Stages whose peak learning rate halves from one to the next.

    Args:
        *steps: of each stage.
        later: fields that differ from the second stage on.
        **fields: of all stages; ``learning_rate`` is that of the first.

    Returns:
        One stage for each of ``steps``.

    Example:
        >>> [stage.learning_rate for stage in stages(10, 10, degradation="jpeg(quality=10)", learning_rate=0.002)]
        [0.002, 0.001]
    """

    def one() -> Iterator[Stage]:
        peak = fields.pop("learning_rate", Stage.learning_rate)
        for number, count in enumerate(steps):
            yield Stage(steps=count, learning_rate=peak / 2**number, **fields | (later or {} if number else {}))

    return tuple(one())


def read_recipe(path: AnyPath) -> Recipe:
    """Read a recipe from JSON: a file of its fields, the ``recipe.json`` of a training directory, or a model card.

    Args:
        path: the file; anything with ``read_text``.

    Returns:
        The recipe.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not JSON, or a field is missing, unknown or of another type.
    """
    content = read_object(path)
    content.pop("validation", None)  # in a training directory
    return from_json(Recipe, recipe_fields(content) if "training" in content else content, str(path))


def recipe_fields(card: dict[str, Any]) -> dict[str, Any]:
    """The fields of a recipe in those of a model card, as JSON has them."""
    return {f.name: card[f.name] for f in dataclasses.fields(Recipe) if f.name in card} | (card["training"] or {})


def write_recipe(recipe: Recipe, **more: Any) -> str:
    """A recipe as JSON, with further entries beside its fields."""
    return json.dumps(to_json(recipe) | more, indent=2) + "\n"
