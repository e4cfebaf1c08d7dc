"""Derivatives of every layer with gradient rules of its own: forward mode, reverse mode and second order agree."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from restorax.layers import conv
from restorax.layers.depthwise import depthwise_conv
from restorax.layers.derivatives import transposed, with_derivatives
from restorax.layers.norm import layer_norm
from restorax.layers.recurrence import linear_recurrence


def _normal(seed, *shape):
    return jax.random.normal(jax.random.key(seed), shape)


def _recurrence(kind, a, b):
    return linear_recurrence(jax.nn.sigmoid(a), b, axis=1, kind=kind)


IMAGE = (2, 5, 4, 3)
LAYERS = {
    "convolution": (conv.conv_bias_act, (_normal(0, *IMAGE), _normal(1, 3, 3, 3, 2), _normal(2, 2))),
    "convolution of 64": (conv.conv_bias_act, (_normal(0, 1, 3, 3, 64), _normal(1, 3, 3, 64, 64), _normal(2, 64))),
    "pointwise": (conv.conv_bias_act, (_normal(0, *IMAGE), _normal(1, 1, 1, 3, 2))),
    "depthwise": (depthwise_conv, (_normal(0, *IMAGE), _normal(1, 3, 3, 1, 3), _normal(2, 3))),
    "norm": (layer_norm, (_normal(0, *IMAGE), _normal(1, 3), _normal(2, 3))),
    "recurrence": (partial(_recurrence, "scan"), (_normal(0, *IMAGE), _normal(1, *IMAGE))),
    "parallel recurrence": (partial(_recurrence, "associative"), (_normal(0, *IMAGE), _normal(1, *IMAGE))),
}


def _inner(first, second):
    return sum(jnp.vdot(a, b) for a, b in zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True))


@pytest.mark.parametrize("layer", LAYERS)
def test_forward_and_reverse_mode_are_transposes(layer):
    function, inputs = LAYERS[layer]
    function = jax.jit(function)
    tangents = tuple(_normal(10 + i, *x.shape) for i, x in enumerate(inputs))
    value, forward = jax.jvp(function, inputs, tangents)
    weight = _normal(20, *value.shape)
    gradients = jax.vjp(function, *inputs)[1](weight)
    np.testing.assert_allclose(_inner(forward, weight), _inner(tangents, gradients), rtol=2e-4)
    step = 1e-2
    moved = [function(*(x + sign * step * t for x, t in zip(inputs, tangents, strict=True))) for sign in (1, -1)]
    error = jnp.linalg.norm((moved[0] - moved[1]) / (2 * step) - forward) / jnp.linalg.norm(forward)
    assert error < 0.01


@pytest.mark.parametrize("layer", LAYERS)
def test_second_derivatives_agree_in_both_orders(layer):
    function, inputs = LAYERS[layer]
    tangents = tuple(_normal(10 + i, *x.shape) for i, x in enumerate(inputs))
    gradient = jax.grad(lambda inputs: jnp.sum(jnp.tanh(function(*inputs)) ** 2))
    forward = jax.jit(lambda: jax.jvp(gradient, (inputs,), (tangents,))[1])()
    reverse = jax.jit(lambda: jax.grad(lambda inputs: _inner(gradient(inputs), tangents))(inputs))()
    for a, b in zip(jax.tree.leaves(forward), jax.tree.leaves(reverse), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4 * float(jnp.abs(b).max()) + 1e-5)


@pytest.mark.parametrize("layer", LAYERS)
def test_gradients_of_a_batch_are_those_of_its_parts(layer):
    function, inputs = LAYERS[layer]
    batch = tuple(jnp.stack([x, 0.5 * x, -x]) for x in inputs)
    gradient = jax.grad(lambda *inputs: jnp.sum(jnp.tanh(function(*inputs))), argnums=tuple(range(len(inputs))))
    together = jax.jit(jax.vmap(gradient))(*batch)
    for i in range(3):
        for a, b in zip(together, gradient(*(x[i] for x in batch)), strict=True):
            np.testing.assert_allclose(a[i], b, atol=1e-4)


def test_the_given_gradient_is_the_one_in_use():
    gradients = (lambda x, y, g: 3 * g, lambda x, y, g: g * x)
    wrong = with_derivatives(lambda x, y: x * y, *map(transposed, gradients))
    assert [float(g) for g in jax.grad(wrong, (0, 1))(jnp.array(2.0), jnp.array(5.0))] == [3.0, 2.0]
    assert float(jax.jvp(wrong, (jnp.array(2.0), jnp.array(5.0)), (jnp.array(1.0), jnp.array(0.0)))[1]) == 3.0


def test_the_backward_pass_keeps_the_inputs_alone():
    x, kernel = _normal(0, 1, 6, 6, 4), _normal(1, 3, 3, 4, 4)
    kept = jax.tree.leaves(jax.vjp(jax.jit(conv.conv_bias_act), x, kernel)[1])
    assert sum(array.size for array in kept) <= x.size + kernel.size + 4
