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
from ..degrade import parse
from ..models import MODELS, RestorationNetwork
from ..models.create import build
from ..recipe import Recipe, Stage
from ..types import Array, ConditionMap, Image, Observation, Params, PRNGKeyArray
from ..zoo import unknown_name
from .losses import parse_loss


class TrainState(flax.struct.PyTreeNode):
    """All that changes while training.

    Attributes:
        step: optimiser steps done.
        params: trained parameters, float32.
        ema: their running average, which is validated and published.
        opt_state: state of the optimiser.
    """

    step: Any
    params: Any
    ema: Any
    opt_state: Any


def build_model(recipe: Recipe) -> RestorationNetwork:
    """The recipe's network, computing in the recipe's type.

    Raises:
        ValueError: if there is no such architecture.
    """
    if recipe.architecture not in MODELS:
        raise ValueError(unknown_name("architecture", recipe.architecture, list(MODELS)))
    return build(recipe.architecture, recipe.config, dtype=jnp.dtype(recipe.dtype))


def optimizer(recipe: Recipe) -> optax.GradientTransformation:
    """Muon on the kernels and Adam on the rest, each stage with warm-up and a cosine decay to zero.

    A kernel is orthogonalised as the matrix [rows * columns * in_channels, out_channels]. Steps are scaled to the
    size of Adam's (``consistent_rms``), so one learning rate serves both.

    Reference:
        Jordan et al., Muon: an optimizer for hidden layers in neural networks, 2024; Liu et al., Muon is scalable
        for LLM training, 2025 (the scaling); Loshchilov and Hutter, SGDR, ICLR 2017 (the cycles).
    """
    schedule = optax.sgdr_schedule(
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
    muon = optax.contrib.muon(
        schedule,
        weight_decay=recipe.weight_decay,
        muon_weight_dimension_numbers=cast(Any, _kernel_axes),
        consistent_rms=0.2,
    )
    return optax.chain(optax.clip_by_global_norm(recipe.clip), muon)


def _kernel_axes(params: Params) -> Params:
    axes = optax.contrib.MuonDimensionNumbers(reduction_axis=(0, 1, 2), output_axis=3)
    return jax.tree.map(lambda p: axes if p.ndim == 4 else None, params)


def training_keys(recipe: Recipe) -> tuple[PRNGKeyArray, PRNGKeyArray]:
    """The keys of the initialisation and of the steps."""
    init_key, step_key = jax.random.split(jax.random.key(recipe.seed))
    return init_key, step_key


def init_state(recipe: Recipe, key: PRNGKeyArray) -> TrainState:
    """Fresh parameters and optimiser state."""
    model = build_model(recipe)
    side = recipe.stages[0].patch
    patch = jnp.zeros((1, side, side, model.channels))
    condition = jnp.ones((*patch.shape[:-1], model.condition.channels)) if model.condition.channels else None
    params = jax.jit(model.init)(key, patch, condition)["params"]
    # The average starts as a copy: one buffer under two names could not be donated.
    return TrainState(jnp.zeros((), jnp.int32), params, jax.tree.map(jnp.copy, params), optimizer(recipe).init(params))


def make_step(
    recipe: Recipe,
    stage: Stage,
    *,
    spread: Callable[[Callable], Callable] = lambda function: function,
    mean: Callable[[Any], Any] = lambda tree: tree,
) -> Callable[..., tuple[TrainState, dict[str, Array]]]:
    """Build the step of a stage.

    Args:
        recipe: gives the network and the optimiser.
        stage: the stage of the recipe whose step is built.
        spread: how ``(params, keys, patches) -> (loss, gradients)`` is run on several devices.
        mean: how a device's loss and gradients become those of the whole batch.

    Returns:
        ``(state, patches, key, rows=None) -> (state, metrics)`` for ``patches`` ``[batch, patch, patch, channels]``
        uint8, or pictures in device memory from which ``batch`` patches are cropped. ``rows`` ``[batch]`` are the
        places of the patches in the whole batch, by default 0, 1, ...: the randomness of a patch depends on ``key``,
        ``state.step`` and its row alone, so it is the same wherever the patch is computed. A loss or gradient that
        is not finite leaves all but ``state.step`` as it was; ``metrics["skipped"]`` is 1 then.

    Raises:
        ValueError: if loss or degradation are not understood, or the network has no auxiliary loss to weigh.
    """
    optimise = optimizer(recipe)
    draw, gradients_of = make_draw(stage), _make_gradients(recipe, stage)
    differentiate = spread(lambda params, keys, patches: mean(gradients_of(params, *draw(keys, patches))))

    def step(state, patches, key, rows=None):
        rows = jnp.arange(stage.batch) if rows is None else rows
        keys = jax.vmap(partial(jax.random.fold_in, jax.random.fold_in(key, state.step)))(rows)
        loss, gradients = differentiate(state.params, keys, patches)
        norm = optax.tree.norm(gradients)
        updates, opt_state = optimise.update(gradients, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        # A short memory at first: an average of nothing but the initialisation says little.
        decay = jnp.minimum(recipe.ema, (1 + state.step) / (10 + state.step))
        ema = optax.incremental_update(params, state.ema, 1 - decay)
        new = TrainState(state.step + 1, params, ema, opt_state)
        finite = jnp.isfinite(loss) & jnp.isfinite(norm)
        kept = jax.tree.map(partial(jnp.where, finite), new, state.replace(step=new.step))
        return kept, {"loss": loss, "gradient_norm": norm, "skipped": 1 - finite.astype(jnp.int32)}

    return step


def make_draw(stage: Stage) -> Callable[..., tuple[Observation, Array]]:
    """``(keys, patches) -> (degraded, clean)``: everything random in a step, from one key per patch."""
    degrade = parse(stage.degradation)

    def draw(keys, patches):
        crop_keys, degrade_keys = jax.vmap(jax.random.split, out_axes=1)(keys)
        if isinstance(patches, DeviceImages):
            patches = jax.vmap(partial(patches.crop, size=stage.patch))(crop_keys)
        clean = patches.astype(jnp.float32) / 255
        return jax.vmap(degrade)(degrade_keys, clean), clean

    return draw


def _make_gradients(recipe: Recipe, stage: Stage) -> Callable[..., tuple[Array, Params]]:
    """``(params, degraded, clean) -> (loss, gradients)``, one part of the batch after the other."""
    model, distance = build_model(recipe), parse_loss(stage.loss)
    if stage.auxiliary_loss and not model.has_auxiliary_loss:
        raise ValueError(f"auxiliary_loss is {stage.auxiliary_loss}; it must be 0, {recipe.architecture} has none")

    def loss_of(params, observation, clean):
        loss = distance(model.run(params, observation.image, observation.condition), clean)
        if stage.auxiliary_loss:
            auxiliary = model.apply({"params": params}, observation.image, clean, method="auxiliary_loss")
            loss += stage.auxiliary_loss * cast(Array, auxiliary)
        return loss

    def gradients_of(params, observation, clean):
        one = partial(jax.value_and_grad(loss_of), params)
        if stage.accumulate == 1:
            return one(observation, clean)
        # Every part takes its rows from all over the batch, hence as many from each device.
        split = lambda x: x.reshape(-1, stage.accumulate, *x.shape[1:]).swapaxes(0, 1)  # noqa: E731
        add = lambda sums, part: (jax.tree.map(jnp.add, sums, one(*part)), None)  # noqa: E731
        zeros = jax.tree.map(jnp.zeros_like, (jnp.zeros(()), params))
        parts = jax.tree.map(split, (observation, clean))
        # On CPU, convolutions in the body of a loop take four times as long, and memory is plenty.
        loop = lambda unroll: lambda parts: jax.lax.scan(add, zeros, parts, unroll=unroll)[0]  # noqa: E731
        total = jax.lax.platform_dependent(parts, cpu=loop(True), default=loop(1))
        return jax.tree.map(lambda x: x / stage.accumulate, total)

    return gradients_of


def make_restore(recipe: Recipe) -> Callable[[Any, Image, ConditionMap | None], Array]:
    """The recipe's network as a pure function ``(params, image, condition) -> image`` in [0, 1]."""
    model = build_model(recipe)
    return lambda params, image, condition: jnp.clip(model.run(params, image, condition), 0, 1)
