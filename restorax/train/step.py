"""The training step: a pure function from (state, clean patches) to (state, metrics)."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import optax
import optax.contrib

from ..degrade import parse
from ..models import MODELS
from ..recipes import Recipe
from ..types import Array, Condition, Params, PRNGKeyArray

LOSSES: dict[str, Callable[[Array, Array], Array]] = {
    "l1": lambda x, y: jnp.mean(jnp.abs(x - y)),
    "mse": lambda x, y: jnp.mean((x - y) ** 2),
    "charbonnier": lambda x, y: jnp.mean(jnp.sqrt((x - y) ** 2 + 1e-6)),
}


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


def build_model(recipe: Recipe) -> nn.Module:
    """The recipe's network, computing in the recipe's type."""
    return MODELS[recipe.architecture](**recipe.config, dtype=jnp.dtype(recipe.dtype))


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
        muon_weight_dimension_numbers=_kernel_axes,
        consistent_rms=0.2,
    )
    return optax.chain(optax.clip_by_global_norm(recipe.clip), muon)


def _kernel_axes(params: Params) -> Params:
    axes = optax.contrib.MuonDimensionNumbers(reduction_axis=(0, 1, 2), output_axis=3)
    return jax.tree.map(lambda p: axes if p.ndim == 4 else None, params)


def init_state(recipe: Recipe, key: PRNGKeyArray) -> TrainState:
    """Fresh parameters and optimiser state."""
    channels, k = recipe.config.get("channels", 1), recipe.config.get("condition_channels", 0)
    patch = jnp.zeros((1, recipe.patch, recipe.patch, channels))
    condition = jnp.ones((1, recipe.patch, recipe.patch, k)) if k else None
    params = jax.jit(build_model(recipe).init)(key, patch, condition)["params"]
    # The average starts as a copy: one buffer under two names could not be donated.
    return TrainState(jnp.zeros((), jnp.int32), params, jax.tree.map(jnp.copy, params), optimizer(recipe).init(params))


def make_step(
    recipe: Recipe,
) -> Callable[[TrainState, Array, PRNGKeyArray], tuple[TrainState, dict[str, Array]]]:
    """Build the step of a recipe.

    Args:
        recipe: what to train and how.

    Returns:
        ``(state, patches, key) -> (state, metrics)`` for ``patches`` ``[batch, patch, patch, channels]`` uint8. The
        randomness of a step depends on ``key`` and ``state.step`` alone.
    """
    model, optimise, degrade = build_model(recipe), optimizer(recipe), parse(recipe.degradation)
    distance = LOSSES[recipe.loss]

    def loss_of(params, observation, clean):
        return distance(model.apply({"params": params}, observation.image, observation.condition), clean)

    def step(state, patches, key):
        clean = patches.astype(jnp.float32) / 255
        observation = degrade(jax.random.fold_in(key, state.step), clean)
        loss, gradients = jax.value_and_grad(loss_of)(state.params, observation, clean)
        updates, opt_state = optimise.update(gradients, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        # A short memory at first: an average of nothing but the initialisation says little.
        decay = jnp.minimum(recipe.ema, (1 + state.step) / (10 + state.step))
        ema = optax.incremental_update(params, state.ema, 1 - decay)
        metrics = {"loss": loss, "gradient_norm": optax.tree.norm(gradients)}
        return TrainState(state.step + 1, params, ema, opt_state), metrics

    return step


def make_restore(recipe: Recipe) -> Callable[[Any, Array, Condition | None], Array]:
    """The recipe's network as a pure function ``(params, image, condition) -> image`` in [0, 1]."""
    model = build_model(recipe)
    return lambda params, image, condition: jnp.clip(model.apply({"params": params}, image, condition), 0, 1)
