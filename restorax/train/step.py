"""The training step: a pure function from (state, clean patches) to (state, metrics)."""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import flax.struct
import jax
import jax.numpy as jnp
import optax
import optax.contrib

from ..data import DeviceImages
from ..degrade import crop_border, parse
from ..models import MODELS, RestorationNetwork
from ..models.create import build
from ..paired_data import scaled
from ..recipe import Recipe, Stage
from ..types import Array, ConditionMap, Image, Observation, Params, PRNGKeyArray
from ..zoo import unknown_name
from .losses import parse_loss
from .self_supervised import LOSSES, parse_self_supervised


class TrainState(flax.struct.PyTreeNode):
    """Training state.

    Attributes:
        step: number of optimiser steps.
        params: trained parameters, float32.
        ema: running average of the parameters, which is validated and published.
        opt_state: optimiser state.
    """

    step: Any
    params: Any
    ema: Any
    opt_state: Any


def build_model(recipe: Recipe) -> RestorationNetwork:
    """Build the network of a recipe, with the recipe's dtype.

    Raises:
        ValueError: if the architecture is unknown.
    """
    if recipe.architecture not in MODELS:
        raise ValueError(unknown_name("architecture", recipe.architecture, list(MODELS)))
    return build(recipe.architecture, recipe.config, dtype=jnp.dtype(recipe.dtype))


def learning_rate_schedule(recipe: Recipe) -> optax.Schedule:
    """Return the learning rate as a function of the step: warm-up and cosine decay in each stage.

    Reference:
        Loshchilov and Hutter, SGDR, ICLR 2017.
    """
    return optax.sgdr_schedule(
        [
            {
                "init_value": 0.0,
                "peak_value": stage.learning_rate,
                "warmup_steps": min(stage.warmup, stage.steps // 10),
                "decay_steps": stage.steps,
            }
            for stage in recipe.stages
        ]
    )


def optimizer(recipe: Recipe) -> optax.GradientTransformation:
    """Make the optimiser: Muon for kernels, Adam for the rest, with the learning rates of the stages.

    A kernel is orthogonalised as the matrix [rows * columns * in_channels, out_channels]. Updates are scaled to the
    RMS of Adam's (``consistent_rms``), so both use the same learning rate.

    Reference:
        Jordan et al., Muon: an optimizer for hidden layers in neural networks, 2024; Liu et al., Muon is scalable
        for LLM training, 2025 (the scaling).
    """
    muon = optax.contrib.muon(
        learning_rate_schedule(recipe),
        weight_decay=recipe.weight_decay,
        muon_weight_dimension_numbers=cast(Any, _kernel_axes),
        consistent_rms=0.2,
    )
    return optax.chain(optax.clip_by_global_norm(recipe.clip), muon)


def _kernel_axes(params: Params) -> Params:
    axes = optax.contrib.MuonDimensionNumbers(reduction_axis=(0, 1, 2), output_axis=3)
    return jax.tree.map(lambda p: axes if p.ndim == 4 else None, params)


def training_keys(recipe: Recipe) -> tuple[PRNGKeyArray, PRNGKeyArray]:
    """Return the random keys of initialisation and training steps."""
    init_key, step_key = jax.random.split(jax.random.key(recipe.seed))
    return init_key, step_key


def init_state(recipe: Recipe, key: PRNGKeyArray) -> TrainState:
    """Initialise parameters and optimiser state."""
    model = build_model(recipe)
    side = recipe.stages[0].patch
    patch = jnp.zeros((1, side, side, model.channels))
    condition = jnp.ones((*patch.shape[:-1], model.condition.channels)) if model.condition.channels else None
    params = jax.jit(model.init)(key, patch, condition)["params"]
    # Copy for the average: a buffer shared by two leaves cannot be donated.
    return TrainState(jnp.zeros((), jnp.int32), params, jax.tree.map(jnp.copy, params), optimizer(recipe).init(params))


def make_step(
    recipe: Recipe,
    stage: Stage,
    *,
    spread: Callable[[Callable], Callable] = lambda function: function,
    mean: Callable[[Any], Any] = lambda tree: tree,
) -> Callable[..., tuple[TrainState, dict[str, Array]]]:
    """Build the training step of a stage.

    Args:
        recipe: recipe with the network and the optimiser.
        stage: stage of the recipe.
        spread: transformation that runs ``(params, (keys, rows), patches) -> (loss, gradients)`` on several devices.
        mean: average of loss and gradients over devices.

    Returns:
        ``(state, patches, key, rows=None) -> (state, metrics)`` for ``patches`` ``[batch, side, side, channels]``
        uint8 with the side of :func:`patch_side`, or ``DeviceImages``, from which ``batch`` patches are cropped. Pairs
        have ``2 * channels``; patches of degraded images may also be uint16 or float32.
        ``rows`` ``[batch]`` are the row numbers of the patches in the global batch, by default 0, 1, ...: the
        randomness of a patch depends only on ``key``, ``state.step`` and its row, not on the device. If loss or
        gradient are not finite, only ``state.step`` changes and ``metrics["skipped"]`` is 1.

    Raises:
        ValueError: if loss or degradation are invalid, or the network lacks the auxiliary loss.
    """
    optimise = optimizer(recipe)
    draw, gradients_of = make_draw(stage), _make_gradients(recipe, stage)

    def mean_gradients(params, keys_and_rows, patches):
        keys, rows = keys_and_rows
        return mean(gradients_of(params, keys, *draw(keys, patches, rows)))

    differentiate = spread(mean_gradients)

    def step(state, patches, key, rows=None):
        rows = jnp.arange(stage.batch) if rows is None else rows
        keys = jax.vmap(partial(jax.random.fold_in, jax.random.fold_in(key, state.step)))(rows)
        loss, gradients = differentiate(state.params, (keys, rows), patches)
        norm = optax.tree.norm(gradients)
        updates, opt_state = optimise.update(gradients, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        # Shorter averaging early on, to forget the initialisation.
        decay = jnp.minimum(recipe.ema, (1 + state.step) / (10 + state.step))
        ema = optax.incremental_update(params, state.ema, 1 - decay)
        new = TrainState(state.step + 1, params, ema, opt_state)
        finite = jnp.isfinite(loss) & jnp.isfinite(norm)
        kept = jax.tree.map(partial(jnp.where, finite), new, state.replace(step=new.step))
        return kept, {"loss": loss, "gradient_norm": norm, "skipped": 1 - finite.astype(jnp.int32)}

    return step


def patch_side(stage: Stage) -> int:
    """Return the side of the patches that a stage reads: larger than ``stage.patch`` by what is cropped after blur."""
    return stage.patch + 2 * parse(stage.degradation).border


def make_draw(stage: Stage) -> Callable[..., tuple[Observation, Array]]:
    """Return ``(keys, patches, rows=None) -> (degraded, target)``: random crops and degradations, a key per patch.

    The patches have a side of :func:`patch_side`, and the results a side of ``stage.patch``. The target is the clean
    image, or the noisy one again if there is no other. ``rows`` are those of the batch, by default 0, 1, ...
    """
    degradation, side = parse(stage.degradation), patch_side(stage)
    border, from_pairs = degradation.border, jnp.asarray(stage.rows_from_pairs)

    def draw(keys, patches, rows=None):
        crop_keys, degrade_keys = jax.vmap(jax.random.split, out_axes=1)(keys)
        if isinstance(patches, DeviceImages):
            patches = jax.vmap(partial(patches.crop, size=side))(crop_keys)
        stored = scaled(patches)
        if stage.kinds == ("noisy",):
            return Observation(stored, None), stored
        if "pairs" in stage.kinds:
            degraded, clean = jnp.split(stored, 2, axis=-1)
            if stage.kinds == ("pairs",):
                return Observation(degraded, None), clean
        else:
            degraded, clean = None, stored
        observed, clean = jax.vmap(degradation.observe)(degrade_keys, clean)
        if degraded is not None:
            if observed.condition is not None:
                raise ValueError(f"{stage.degradation!r} states a condition, which pairs do not have; omit it")
            real = from_pairs[jnp.arange(stage.batch) if rows is None else rows][:, None, None, None]
            observed = Observation(jnp.where(real, crop_border(degraded, border), observed.image), None)
        return observed, jnp.asarray(clean)

    return draw


def _make_gradients(recipe: Recipe, stage: Stage) -> Callable[..., tuple[Array, Params]]:
    """Return ``(params, keys, degraded, target) -> (loss, gradients)``, with gradient accumulation."""
    model, without_clean = build_model(recipe), parse_self_supervised(stage.loss)
    _check_loss(recipe, stage, model)
    distance = parse_loss("mse" if without_clean else stage.loss)

    def loss_of(params, keys, observation, target):
        restore = lambda image: cast(Array, model.apply({"params": params}, image, observation.condition))  # noqa: E731
        if without_clean:
            return without_clean(restore, keys, observation.image, target)
        loss = distance(restore(observation.image), target)
        if stage.auxiliary_loss:
            auxiliary = model.apply({"params": params}, observation.image, target, method="auxiliary_loss")
            loss += stage.auxiliary_loss * cast(Array, auxiliary)
        return loss

    def gradients_of(params, keys, observation, target):
        one = partial(jax.value_and_grad(loss_of), params)
        if stage.accumulate == 1:
            return one(keys, observation, target)
        # Interleave rows, so that every part has the same number from each device.
        split = lambda x: x.reshape(-1, stage.accumulate, *x.shape[1:]).swapaxes(0, 1)  # noqa: E731
        add = lambda sums, part: (jax.tree.map(jnp.add, sums, one(*part)), None)  # noqa: E731
        zeros = jax.tree.map(jnp.zeros_like, (jnp.zeros(()), params))
        parts = jax.tree.map(split, (keys, observation, target))
        # Unroll on CPU, where convolutions inside a loop are four times slower and memory is plentiful.
        loop = lambda unroll: lambda parts: jax.lax.scan(add, zeros, parts, unroll=unroll)[0]  # noqa: E731
        total = jax.lax.platform_dependent(parts, cpu=loop(True), default=loop(1))
        return jax.tree.map(lambda x: x / stage.accumulate, total)

    return gradients_of


def _check_loss(recipe: Recipe, stage: Stage, model: RestorationNetwork) -> None:
    """Check that loss, network and source of a stage fit."""
    if stage.auxiliary_loss and not model.has_auxiliary_loss:
        raise ValueError(f"`auxiliary_loss` must be 0 for {recipe.architecture}, got {stage.auxiliary_loss}")
    name = stage.loss.partition("(")[0].strip()
    needed = "pairs" if name == "noise2noise" else "noisy" if name in LOSSES else ""
    if stage.kinds != (needed,) if needed else "noisy" in stage.kinds:
        accepted = ", ".join(name for name in LOSSES if name != "noise2noise")
        raise ValueError(
            f"loss {stage.loss!r} does not fit source {stage.source!r}; noisy images alone take {accepted}, two noisy "
            "shots as pairs also noise2noise"
        )
    if name == "sure" and recipe.dtype != "float32":
        raise ValueError(f"loss {stage.loss!r} requires `dtype` 'float32', got {recipe.dtype!r}")
    if stage.source == "clean":
        return
    if model.required_condition.channels or model.takes_frames:
        needed = "bursts" if model.takes_frames else f"a condition ({model.required_condition.description})"
        raise ValueError(f"{recipe.architecture} takes {needed}, which source {stage.source!r} does not have")


def make_restore(recipe: Recipe) -> Callable[[Any, Image, ConditionMap | None], Array]:
    """Return the network as a pure function ``(params, image, condition) -> image``, clipped to [0, 1]."""
    model = build_model(recipe)
    return lambda params, image, condition: jnp.clip(model.run(params, image, condition), 0, 1)
