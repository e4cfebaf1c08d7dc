"""The training step: a pure function from (state, clean patches) to (state, metrics)."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax
import optax.contrib

from ..data import DevicePictures
from ..degrade import parse
from ..models import MODELS, RestorationNetwork
from ..models.create import build
from ..recipe import Recipe
from ..types import Array, ConditionMap, Observation, Params, PRNGKeyArray
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
    """Muon on the kernels and Adam on the rest, with warm-up and cosine cycles down to zero.

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
                "peak_value": recipe.learning_rate / 2**i,
                "warmup_steps": min(recipe.warmup, steps // 10),
                "decay_steps": steps,
            }
            for i, steps in enumerate(recipe.cycles)
        ]
    )
    muon = optax.contrib.muon(
        schedule,
        weight_decay=recipe.weight_decay,
        weight_decay_mask=partial(_decayed, recipe.decayed) if recipe.decayed else None,
        muon_weight_dimension_numbers=_kernel_axes,
        consistent_rms=0.2,
    )
    return optax.chain(optax.clip_by_global_norm(recipe.clip), muon)


def _kernel_axes(params: Params) -> Params:
    axes = optax.contrib.MuonDimensionNumbers(reduction_axis=(0, 1, 2), output_axis=3)
    return jax.tree.map(lambda p: axes if p.ndim == 4 else None, params)


def _decayed(pattern: str, params: Params) -> Params:
    name = lambda path: "/".join(entry.key for entry in path)  # noqa: E731
    return jax.tree_util.tree_map_with_path(lambda path, _: bool(re.search(pattern, name(path))), params)


def training_keys(recipe: Recipe) -> tuple[PRNGKeyArray, PRNGKeyArray]:
    """The keys of the initialisation and of the steps."""
    init_key, step_key = jax.random.split(jax.random.key(recipe.seed))
    return init_key, step_key


def init_state(recipe: Recipe, key: PRNGKeyArray) -> TrainState:
    """Fresh parameters and optimiser state."""
    model = build_model(recipe)
    patch = jnp.zeros((1, recipe.patch, recipe.patch, model.channels))
    condition = jnp.ones((*patch.shape[:-1], model.condition.channels)) if model.condition.channels else None
    params = jax.jit(model.init)(key, patch, condition)["params"]
    # The average starts as a copy: one buffer under two names could not be donated.
    return TrainState(jnp.zeros((), jnp.int32), params, jax.tree.map(jnp.copy, params), optimizer(recipe).init(params))


def make_step(
    recipe: Recipe,
    *,
    spread: Callable[[Callable], Callable] = lambda function: function,
    mean: Callable[[Any], Any] = lambda tree: tree,
) -> Callable[..., tuple[TrainState, dict[str, Array]]]:
    """Build the step of a recipe.

    Args:
        recipe: what to train and how.
        spread: how ``(params, keys, patches) -> (loss, gradients)`` is run on several devices.
        mean: how a device's loss and gradients become those of the whole batch.

    Returns:
        ``(state, patches, key, rows=None) -> (state, metrics)`` for ``patches`` ``[batch, patch, patch, channels]``
        uint8, or pictures in device memory from which ``batch`` patches are cropped. ``rows`` ``[batch]`` are the
        places of the patches in the whole batch, by default 0, 1, ...: the randomness of a patch depends on ``key``,
        ``state.step`` and its row alone, so it is the same wherever the patch is computed. A loss or gradient that
        is not finite leaves all but ``state.step`` as it was; ``metrics["skipped"]`` is 1 then.

    Raises:
        ValueError: if the batch cannot be split into equal parts, loss or degradation are not understood, or the recipe
            weights an auxiliary loss that the network does not have.
    """
    if recipe.batch % recipe.accumulate:
        raise ValueError(f"a batch of {recipe.batch} cannot be split into {recipe.accumulate} equal parts")
    optimise = optimizer(recipe)
    draw, gradients_of = make_draw(recipe), _make_gradients(recipe)
    differentiate = spread(lambda params, keys, patches: mean(gradients_of(params, *draw(keys, patches))))

    def step(state, patches, key, rows=None):
        rows = jnp.arange(recipe.batch) if rows is None else rows
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


def make_draw(recipe: Recipe) -> Callable[..., tuple[Observation, Array]]:
    """``(keys, patches) -> (degraded, clean)``: what is random in a step, from one key per patch."""
    degrade = parse(recipe.degradation)

    def draw(keys, patches):
        crop_keys, degrade_keys = jax.vmap(jax.random.split, out_axes=1)(keys)
        if isinstance(patches, DevicePictures):
            patches = jax.vmap(partial(patches.crop, size=recipe.patch))(crop_keys)
        clean = patches.astype(jnp.float32) / 255
        return jax.vmap(degrade)(degrade_keys, clean), clean

    return draw


def _make_gradients(recipe: Recipe) -> Callable[..., tuple[Array, Params]]:
    """``(params, degraded, clean) -> (loss, gradients)``, one part of the batch after the other."""
    model, distance = build_model(recipe), parse_loss(recipe.loss)
    if recipe.guide and not model.has_auxiliary_loss:
        raise ValueError(f"guide is {recipe.guide}; it must be 0, {recipe.architecture} has no auxiliary loss")

    def loss_of(params, observation, clean):
        loss = distance(model.apply({"params": params}, observation.image, observation.condition), clean)
        if recipe.guide:
            loss += recipe.guide * model.apply({"params": params}, observation.image, clean, method="auxiliary_loss")
        return loss

    def gradients_of(params, observation, clean):
        one = partial(jax.value_and_grad(loss_of), params)
        if recipe.accumulate == 1:
            return one(observation, clean)
        # Every part takes its rows from all over the batch, hence as many from each device.
        split = lambda x: x.reshape(-1, recipe.accumulate, *x.shape[1:]).swapaxes(0, 1)  # noqa: E731
        add = lambda sums, part: (jax.tree.map(jnp.add, sums, one(*part)), None)  # noqa: E731
        zeros = jax.tree.map(jnp.zeros_like, (jnp.zeros(()), params))
        parts = jax.tree.map(split, (observation, clean))
        # On CPU, convolutions in the body of a loop take four times as long, and memory is plenty.
        loop = lambda unroll: lambda parts: jax.lax.scan(add, zeros, parts, unroll=unroll)[0]  # noqa: E731
        total = jax.lax.platform_dependent(parts, cpu=loop(True), default=loop(1))
        return jax.tree.map(lambda x: x / recipe.accumulate, total)

    return gradients_of


def make_restore(recipe: Recipe) -> Callable[[Any, Array, ConditionMap | None], Array]:
    """The recipe's network as a pure function ``(params, image, condition) -> image`` in [0, 1]."""
    model = build_model(recipe)
    return lambda params, image, condition: jnp.clip(model.apply({"params": params}, image, condition), 0, 1)
