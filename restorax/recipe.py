"""Training recipes: dataclasses of all settings of a training run except the images."""

import dataclasses
import itertools
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .files.atomic import AnyPath
from .typed_json import from_json, read_object, to_json

_TERM = re.compile(r"(?:(\d+\.?\d*|\.\d+)\s*\*\s*)?(clean|pairs|noisy)")


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Stage of a training run, with its own degradation, loss, patches and learning-rate schedule.

    Attributes:
        steps: optimiser steps.
        degradation: training degradation of clean images, in the syntax of ``restorax.degrade.parse``; ``identity()``
            where all images are degraded already.
        source: kind of the images: ``"clean"``, ``"pairs"`` of degraded and clean ones, or ``"noisy"`` ones alone; or
            the first two in a ratio, such as ``"3 * clean + pairs"``.
        loss: training loss, in the syntax of ``restorax.train.losses.parse_loss``; with noisy images alone, one of
            ``restorax.train.self_supervised.LOSSES``.
        auxiliary_loss: weight of the network's own ``auxiliary_loss``, added to the loss.
        batch: patches per step over all devices.
        accumulate: gradient accumulation steps per batch, to save memory; the result is the same.
        patch: side of a patch in pixels; after blur, without the border that is cropped.
        learning_rate: peak of the cosine schedule, which decays to zero.
        warmup: steps of linear warm-up, at most a tenth of the stage.
    """

    steps: int
    degradation: str
    source: str = "clean"
    loss: str = "l1"
    auxiliary_loss: float = 0.0
    batch: int = 8
    accumulate: int = 1
    patch: int = 96
    learning_rate: float = 2e-3
    warmup: int = 500

    def __post_init__(self) -> None:
        """Check the values."""
        for name in ("steps", "batch", "accumulate", "patch"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}` must be an integer >= 1, got {getattr(self, name)!r}")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"`learning_rate` must be positive and finite, got {self.learning_rate!r}")
        if self.batch % self.accumulate:
            raise ValueError(f"`batch` must be divisible by `accumulate` {self.accumulate}, got {self.batch}")
        if "clean" not in self.kinds and self.degradation != "identity()":
            raise ValueError(
                f"`degradation` must be 'identity()' with source {self.source!r}, whose images are degraded already, "
                f"got {self.degradation!r}"
            )

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of images in ``source``."""
        return tuple(kind for kind, _ in self._terms())

    @property
    def rows_from_pairs(self) -> tuple[bool, ...]:
        """For each row of a batch, whether it is a pair; the rows are spread evenly."""
        weights = dict(self._terms())
        share = weights.get("pairs", 0.0) / sum(weights.values())
        return tuple(math.floor((row + 1) * share) > math.floor(row * share) for row in range(self.batch))

    def _terms(self) -> list[tuple[str, float]]:
        matches = [_TERM.fullmatch(term.strip()) for term in self.source.split("+")]
        terms = [(match[2], float(match[1] or 1)) for match in matches if match]
        kinds = {kind for kind, _ in terms}
        known = len(terms) == len(matches) == len(kinds) and (kinds <= {"clean", "pairs"} or kinds == {"noisy"})
        if not known or min(weight for _, weight in terms) <= 0:
            raise ValueError(
                f"`source` must be 'clean', 'pairs', 'noisy' or a ratio like '3 * clean + pairs', got {self.source!r}"
            )
        return terms


@dataclass(frozen=True, kw_only=True)
class Training:
    """Stages and optimiser settings of a training run.

    Attributes:
        stages: stages in order.
        start: entry to fine-tune, as accepted by ``restorax.load``; a colour one may start a gray network. Empty for a
            random initialisation.
        weight_decay: decoupled weight decay of kernels, multiplied by the learning rate.
        clip: maximum global gradient norm.
        ema: decay of the running average of the parameters, which is validated and published.
        dtype: type of the activations, ``"float32"`` or ``"bfloat16"``.
        seed: random seed of initialisation, data and degradation.
    """

    stages: tuple[Stage, ...]
    start: str = ""
    weight_decay: float = 0.01
    clip: float = 1.0
    ema: float = 0.999
    dtype: str = "float32"
    seed: int = 0

    def __post_init__(self) -> None:
        """Check stages and dtype."""
        if not self.stages:
            raise ValueError("`stages` must have at least one stage, got none")
        if self.dtype not in ("float32", "bfloat16"):
            raise ValueError(f"`dtype` must be 'float32' or 'bfloat16', got {self.dtype!r}")

    @property
    def steps(self) -> int:
        """Total optimiser steps."""
        return sum(stage.steps for stage in self.stages)

    @property
    def ends(self) -> tuple[int, ...]:
        """Cumulative steps at the end of each stage."""
        return tuple(itertools.accumulate(stage.steps for stage in self.stages))

    def stage_of(self, step: int) -> Stage:
        """Return the stage of a step, counted from 1."""
        return next(stage for end, stage in zip(self.ends, self.stages, strict=True) if step <= end)


@dataclass(frozen=True, kw_only=True)
class Recipe(Training):
    """All settings of a training run except the images.

    Attributes:
        architecture: a key of ``restorax.models.MODELS``.
        config: fields of the network.
        evaluation: degradations of the validation and of the results on the card.
        ood_degradations: out-of-distribution degradations of further results on the card.
        limits: known limitations, for the card.
        paper: reference to cite, for the card.
    """

    architecture: str
    evaluation: tuple[str, ...]
    ood_degradations: tuple[str, ...] = ()
    config: dict[str, Any] = field(default_factory=dict)
    limits: str = ""
    paper: str = ""

    def __post_init__(self) -> None:
        """Convert lists from JSON to tuples in the network configuration."""
        super().__post_init__()
        config = {name: tuple(value) if isinstance(value, list) else value for name, value in self.config.items()}
        object.__setattr__(self, "config", config)

    @property
    def degradation(self) -> str:
        """Degradation of the last stage."""
        return self.stages[-1].degradation

    @property
    def training(self) -> Training:
        """The fields that a card stores under ``training``."""
        return Training(**{f.name: getattr(self, f.name) for f in dataclasses.fields(Training)})

    def with_stages(self, **changes: Any) -> "Recipe":
        """Return the recipe with some fields changed in all stages.

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
        loss: str | None = None,
    ) -> "Recipe":
        """Return the recipe with other training settings; ``None`` keeps a setting.

        Args:
            steps: train only the first stage, for this many steps.
            batch: patches per step, in all stages.
            accumulate: gradient accumulation steps, in all stages.
            learning_rate: peak of the first stage; the other stages scale in proportion.
            dtype: type of the activations.
            start: entry to fine-tune, ``""`` for a random initialisation.
            loss: training loss, in all stages.

        Returns:
            The changed recipe.

        Raises:
            ValueError: if a value is invalid.
        """
        stages = self.stages if steps is None else (replace(self.stages[0], steps=steps),)
        scale = 1.0 if learning_rate is None else learning_rate / self.stages[0].learning_rate
        changes = {"batch": batch, "accumulate": accumulate, "loss": loss}
        changes = {name: value for name, value in changes.items() if value is not None}
        stages = tuple(replace(s, learning_rate=s.learning_rate * scale, **changes) for s in stages)
        own_changes = {name: value for name, value in {"dtype": dtype, "start": start}.items() if value is not None}
        return replace(self, stages=stages, **own_changes)

    def for_kinds(self, kinds: Sequence[str]) -> "Recipe":
        """Return a recipe for clean images with the source of all stages changed to other kinds.

        Args:
            kinds: ``"clean"``, ``"pairs"``, both in equal shares, or ``"noisy"``.

        Returns:
            The changed recipe; unchanged if it states other sources than clean images, or there are only these.

        Example:
            >>> from restorax.recipes import RECIPES
            >>> RECIPES["dncnn-gray-noise25"].for_kinds(["pairs"]).stages[0].degradation
            'identity()'
        """
        if set(kinds) == {"clean"} or any(stage.source != "clean" for stage in self.stages):
            return self
        degraded = {} if "clean" in kinds else {"degradation": "identity()"}
        return self.with_stages(source=" + ".join(kinds), **degraded)


def middle(evaluation: tuple[str, ...] | list[str]) -> str:
    """Return the middle degradation of an evaluation, which previews and sample strips use."""
    return evaluation[len(evaluation) // 2]


def stages(
    *steps: int, learning_rate: float = Stage.learning_rate, later: dict[str, Any] | None = None, **fields: Any
) -> tuple[Stage, ...]:
    """Make stages whose peak learning rate halves from each to the next.

    Args:
        *steps: optimiser steps of each stage.
        learning_rate: peak of the first stage.
        later: fields to change from the second stage on.
        **fields: fields of all stages.

    Returns:
        One stage per value of ``steps``.

    Example:
        >>> [stage.learning_rate for stage in stages(10, 10, degradation="jpeg(quality=10)", learning_rate=0.002)]
        [0.002, 0.001]
    """

    return tuple(
        Stage(steps=count, learning_rate=learning_rate / 2**number, **fields | (later or {} if number else {}))
        for number, count in enumerate(steps)
    )


def read_recipe(path: AnyPath) -> Recipe:
    """Read a recipe from a JSON file of its fields, ``recipe.json`` of a training directory, or a model card.

    Args:
        path: a local or ``etils.epath`` path.

    Returns:
        The recipe.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not JSON, or a field is missing, unknown or of the wrong type.
    """
    content = read_object(path)
    content.pop("validation", None)  # stored in training directories
    return from_json(Recipe, recipe_fields(content) if "training" in content else content, str(path))


def recipe_fields(card: dict[str, Any]) -> dict[str, Any]:
    """Extract the JSON fields of a recipe from those of a model card."""
    return {f.name: card[f.name] for f in dataclasses.fields(Recipe) if f.name in card} | (card["training"] or {})


def write_recipe(recipe: Recipe, **more: Any) -> str:
    """Serialise a recipe to JSON, with further fields."""
    return json.dumps(to_json(recipe) | more, indent=2) + "\n"
