"""Every tuned form equals the plain one, in values and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from restorax.layers import conv
from restorax.layers.recurrence import linear_recurrence
from restorax.layers.resample import pixel_shuffle, pixel_unshuffle, pull_push


def _normal(seed, *shape, dtype=jnp.float32):
    return jax.random.normal(jax.random.key(seed), shape).astype(dtype)


# --- convolution ---


@pytest.mark.parametrize("size", [(1, 1), (3, 3), (5, 3)])
@pytest.mark.parametrize("image", [(1, 1), (7, 10)])
@pytest.mark.parametrize("relu", [False, True])
def test_tuned_convolution_equals_plain(size, image, relu, monkeypatch):
    x, kernel, bias = _normal(0, 2, *image, 4), _normal(1, *size, 4, 6), _normal(2, 6)

    def run(x, kernel, bias):
        return (conv.conv_bias_act(x, kernel, bias, relu=relu) * _normal(3, 2, *image, 6)).sum()

    tuned = jax.value_and_grad(run, (0, 1, 2))(x, kernel, bias)
    monkeypatch.setenv("RESTORAX_CONV", "plain")
    plain = jax.value_and_grad(run, (0, 1, 2))(x, kernel, bias)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), tuned, plain)


def test_plain_form_is_really_another_program(monkeypatch):
    x, kernel = _normal(0, 1, 5, 5, 2), _normal(1, 3, 3, 2, 2)
    program = lambda: str(jax.make_jaxpr(jax.grad(lambda k: conv.conv_bias_act(x, k).sum()))(kernel))  # noqa: E731
    tuned = program()
    monkeypatch.setenv("RESTORAX_CONV", "plain")
    assert "platform_index" in tuned
    assert "platform_index" not in program()


def test_convolution_keeps_the_type_of_its_input():
    out = conv.conv_bias_act(_normal(0, 1, 5, 5, 2, dtype=jnp.bfloat16), _normal(1, 3, 3, 2, 2), _normal(2, 2))
    assert out.dtype == jnp.bfloat16
    exact = conv.conv_bias_act(_normal(0, 1, 5, 5, 2), _normal(1, 3, 3, 2, 2), _normal(2, 2))
    np.testing.assert_allclose(out.astype(jnp.float32), exact, atol=0.1)


def test_strides_and_groups_reach_the_convolution():
    x = _normal(0, 1, 8, 8, 4)
    assert conv.conv_bias_act(x, _normal(1, 2, 2, 4, 6), strides=(2, 2), padding="VALID").shape == (1, 4, 4, 6)
    depthwise = conv.conv_bias_act(x, _normal(1, 3, 3, 1, 4), groups=4)
    alone = conv.conv_bias_act(x[..., 2:3], _normal(1, 3, 3, 1, 4)[..., 2:3])
    np.testing.assert_allclose(depthwise[..., 2:3], alone, atol=1e-5)


# --- recurrence ---


def _loop(a, b, reverse):
    order = range(a.shape[0])[::-1] if reverse else range(a.shape[0])
    h, states = jnp.zeros(a.shape[1:]), [None] * a.shape[0]
    for t in order:
        h = a[t].astype(jnp.float32) * h + b[t].astype(jnp.float32)
        states[t] = h
    return jnp.stack(states)


@pytest.mark.parametrize("length", [1, 2, 7])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_recurrence_equals_a_loop_in_values_and_gradients(length, reverse, dtype):
    a = jax.nn.sigmoid(_normal(0, length, 3, 2)).astype(dtype)
    b, weight = _normal(1, length, 3, 2, dtype=dtype), _normal(2, length, 3, 2)

    def total(run):
        return jax.value_and_grad(lambda a, b: (run(a, b) * weight).sum(), (0, 1))(a, b)

    scanned = total(lambda a, b: linear_recurrence(a, b, axis=0, reverse=reverse))
    looped = total(lambda a, b: _loop(a, b, reverse))
    jax.tree.map(
        lambda x, y: (
            np.testing.assert_allclose(x.astype(jnp.float32), y.astype(jnp.float32), rtol=2e-2, atol=1e-5)
            if dtype == jnp.bfloat16
            else np.testing.assert_allclose(x, y, atol=1e-5)
        ),
        scanned,
        looped,
    )


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_recurrence_runs_along_any_axis(axis):
    a, b = jax.nn.sigmoid(_normal(0, 4, 5, 6)), _normal(1, 4, 5, 6)
    expected = jnp.moveaxis(_loop(jnp.moveaxis(a, axis, 0), jnp.moveaxis(b, axis, 0), False), 0, axis)
    np.testing.assert_allclose(linear_recurrence(a, b, axis=axis), expected, atol=1e-5)


def test_recurrence_refuses_two_shapes():
    with pytest.raises(ValueError, match="one shape"):
        linear_recurrence(jnp.ones(3), jnp.ones(4), axis=0)


# --- resolution ---


def test_unshuffle_is_undone_by_shuffle_and_takes_squares():
    x = _normal(0, 2, 6, 4, 3)
    np.testing.assert_array_equal(pixel_shuffle(pixel_unshuffle(x)), x)
    np.testing.assert_array_equal(pixel_unshuffle(x)[0, 1, 0].reshape(2, 2, 3), x[0, 2:4, 0:2])


def test_pull_push_keeps_what_is_known_and_fills_the_rest_within_its_range(photograph):
    image = jnp.asarray(photograph[None, :67, :50])
    mask = (jax.random.uniform(jax.random.key(0), (1, 67, 50, 1)) > 0.7).astype(jnp.float32)
    filled = pull_push(image * mask + 9 * (1 - mask), mask)  # what stands in the holes does not matter
    np.testing.assert_array_equal(jnp.where(mask > 0, filled, 0), image * mask)
    assert float(filled.min()) >= float(image.min())
    assert float(filled.max()) <= float(image.max()) + 1e-6
    error = jnp.mean((filled - image) ** 2)
    assert float(error) < float(jnp.mean((jnp.where(mask > 0, image, image.mean()) - image) ** 2)) / 4


def test_pull_push_of_constants_and_of_nothing():
    mask = jnp.zeros((1, 9, 14, 1)).at[0, 8, 0].set(1)
    np.testing.assert_allclose(pull_push(0.3 * jnp.ones((1, 9, 14, 2)), mask), 0.3, atol=1e-6)
    np.testing.assert_allclose(pull_push(jnp.ones((1, 9, 14, 2)), 0 * mask), 0.5)
