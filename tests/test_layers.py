"""Every tuned form equals the plain one, in values and gradients."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from restorax.layers import conv
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


@pytest.mark.parametrize("width", [8, 64])
def test_convolutions_in_loops_stand_in_the_order_that_is_fast_there(width):
    x, kernel = _normal(0, 1, 8, 8, width), _normal(1, 3, 3, width, width)

    def loop(kernel):
        return (jax.lax.scan(lambda x, _: (conv.conv_bias_act(x, kernel), None), x, length=3)[0] ** 2).sum()

    program = jax.jit(jax.grad(loop)).lower(kernel).as_text(dialect="hlo")
    orders = set(re.findall(r"dim_labels=(\S+)", program))
    assert orders == {"b01f_01io->b01f"}


def test_kernel_that_is_common_to_all_devices_gets_one_gradient():
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    x, kernel, weight = _normal(0, 8, 5, 4, 2), _normal(1, 3, 3, 2, 3), _normal(2, 8, 5, 4, 3)

    def loss(kernel, x, weight):
        return (conv.conv_bias_act(x, kernel) * weight).sum()

    def shared(kernel, x, weight):
        return jax.grad(lambda kernel: jax.lax.psum(loss(kernel, x, weight), "data"))(kernel)

    sharded, common = jax.P("data"), jax.P()
    parallel = jax.shard_map(shared, mesh=mesh, in_specs=(common, sharded, sharded), out_specs=common, check_vma=True)
    np.testing.assert_allclose(jax.jit(parallel)(kernel, x, weight), jax.grad(loss)(kernel, x, weight), atol=1e-4)


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
