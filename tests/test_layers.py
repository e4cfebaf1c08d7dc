"""Layers: tuned implementations against plain ones, in values and gradients."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from restorax.layers import conv
from restorax.layers.depthwise import depthwise_conv
from restorax.layers.gating import simple_gate
from restorax.layers.holes import GatedConv, PartialConv
from restorax.layers.norm import layer_norm
from restorax.layers.resample import max_pool, pixel_shuffle, pixel_unshuffle, pull_push, repeat_pixels
from restorax.models.nafnet import NAFBlock


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


def test_plain_convolution_is_another_program(monkeypatch):
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
def test_convolutions_in_loops_use_the_layout_that_is_fast_there(width):
    x, kernel = _normal(0, 1, 8, 8, width), _normal(1, 3, 3, width, width)

    def loop(kernel):
        return (jax.lax.scan(lambda x, _: (conv.conv_bias_act(x, kernel), None), x, length=3)[0] ** 2).sum()

    program = jax.jit(jax.grad(loop)).lower(kernel).as_text(dialect="hlo")
    orders = set(re.findall(r"dim_labels=(\S+)", program))
    assert orders == {"b01f_01io->b01f"}


def test_a_replicated_kernel_gets_one_gradient():
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    x, kernel, weight = _normal(0, 8, 5, 4, 2), _normal(1, 3, 3, 2, 3), _normal(2, 8, 5, 4, 3)

    def loss(kernel, x, weight):
        return (conv.conv_bias_act(x, kernel) * weight).sum()

    def shared(kernel, x, weight):
        return jax.grad(lambda kernel: jax.lax.psum(loss(kernel, x, weight), "data"))(kernel)

    sharded, common = jax.P("data"), jax.P()
    parallel = jax.shard_map(shared, mesh=mesh, in_specs=(common, sharded, sharded), out_specs=common, check_vma=True)
    np.testing.assert_allclose(jax.jit(parallel)(kernel, x, weight), jax.grad(loss)(kernel, x, weight), atol=1e-4)


def test_a_block_of_nafnet_has_its_gradient_inside_shard_map():
    mesh = jax.make_mesh((2,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    model, images = NAFBlock(4), _normal(0, 2, 6, 6, 4)
    shapes, draw = jax.eval_shape(model.init, jax.random.key(0), images)["params"], np.random.default_rng(0)
    params = jax.tree.map(lambda p: jnp.asarray(draw.normal(scale=0.3, size=p.shape), jnp.float32), shapes)
    loss = lambda params, images: (model.apply({"params": params}, images) ** 2).sum()  # noqa: E731
    shared = lambda params, images: jax.grad(lambda p: jax.lax.psum(loss(p, images), "data"))(params)  # noqa: E731
    specs = {"in_specs": (jax.P(), jax.P("data")), "out_specs": jax.P()}
    parallel = jax.jit(jax.shard_map(shared, mesh=mesh, check_vma=True, **specs))(params, images)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3),
        parallel,
        jax.jit(jax.grad(loss))(params, images),
    )


# --- resolution ---


def test_unshuffle_takes_blocks_and_is_undone_by_shuffle():
    x = _normal(0, 2, 6, 4, 3)
    np.testing.assert_array_equal(pixel_shuffle(pixel_unshuffle(x)), x)
    np.testing.assert_array_equal(pixel_unshuffle(x)[0, 1, 0].reshape(2, 2, 3), x[0, 2:4, 0:2])


def test_pull_push_keeps_known_pixels_and_fills_holes_within_their_range(photograph):
    image = jnp.asarray(photograph[None, :67, :50])
    mask = (jax.random.uniform(jax.random.key(0), (1, 67, 50, 1)) > 0.7).astype(jnp.float32)
    filled = jax.jit(pull_push)(jnp.where(mask > 0, image, jnp.nan), mask)  # values in holes are ignored
    np.testing.assert_array_equal(jnp.where(mask > 0, filled, 0), image * mask)
    assert float(filled.min()) >= float(image.min())
    assert float(filled.max()) <= float(image.max()) + 1e-6
    error = jnp.mean((filled - image) ** 2)
    assert float(error) < float(jnp.mean((jnp.where(mask > 0, image, image.mean()) - image) ** 2)) / 4


def test_pull_push_of_constants_and_without_known_pixels():
    mask = jnp.zeros((1, 9, 14, 1)).at[0, 8, 0].set(1)
    np.testing.assert_allclose(jax.jit(pull_push)(0.3 * jnp.ones((1, 9, 14, 2)), mask), 0.3, atol=1e-6)
    np.testing.assert_allclose(jax.jit(pull_push)(jnp.ones((1, 9, 14, 2)), 0 * mask), 0.5)


def test_max_pool_takes_the_largest_and_sends_each_gradient_to_one_pixel():
    x = _normal(0, 2, 6, 4, 3)
    np.testing.assert_array_equal(max_pool(x), x.reshape(2, 3, 2, 2, 2, 3).max((2, 4)))
    gradient = jax.grad(lambda x: max_pool(x).sum())(x)
    np.testing.assert_array_equal(gradient, (x == repeat_pixels(max_pool(x))).astype(jnp.float32))
    assert jax.grad(lambda x: max_pool(x).sum())(0 * x).sum() == max_pool(x).size


# --- transposed and dilated convolution ---


@pytest.mark.parametrize("size", [2, 4])
def test_transposed_convolution_is_the_gradient_of_a_strided_one(size):
    layer, x, y = conv.TransposedConv(5, size=size), _normal(0, 2, 3, 4, 6), _normal(1, 2, 6, 8, 5)
    variables = layer.init(jax.random.key(0), x)
    kernel, taps = variables["params"]["kernel"], size // 2
    # With four taps, tap i of output row a is row 3 - a - 2 i of the transposed kernel.
    whole = np.zeros((size, size, 5, 6), np.float32)
    for a, b, i, j in np.ndindex(2, 2, taps, taps):
        place = 2 * a + b
        row, column = (phase if taps == 1 else 3 - phase - 2 * tap for phase, tap in ((a, i), (b, j)))
        whole[row, column] = kernel[i, j, :, 5 * place : 5 * (place + 1)].T
    crop = taps - 1
    padded = jnp.pad(y, ((0, 0), (crop, crop), (crop, crop), (0, 0)))
    strided = conv.conv_bias_act(padded, jnp.asarray(whole), strides=(2, 2), padding="VALID")
    np.testing.assert_allclose((layer.apply(variables, x) * y).sum(), (x * strided).sum(), rtol=1e-4)


@pytest.mark.parametrize("dilation", [2, 3])
def test_dilated_convolution_is_a_convolution_with_a_spread_kernel(dilation):
    x, kernel = _normal(0, 2, 9, 8, 3), _normal(1, 3, 3, 3, 4)
    side = 2 * dilation + 1
    spread = jnp.zeros((side, side, 3, 4)).at[::dilation, ::dilation].set(kernel)
    layer = conv.Conv(4, dilation=dilation, bias=False)
    dilated = layer.apply({"params": {"kernel": kernel}}, x)
    np.testing.assert_allclose(dilated, conv.conv_bias_act(x, spread), atol=1e-4)


# --- depthwise convolution, normalisation, gate ---


@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize("image", [(1, 1), (7, 10)])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_depthwise_convolution_equals_the_grouped_one(size, image, dtype):
    x, kernel, bias = _normal(0, 2, *image, 6, dtype=dtype), _normal(1, size, size, 1, 6), _normal(2, 6)
    weight = _normal(3, *x.shape)

    def total(depthwise):
        return jax.jit(jax.value_and_grad(lambda *a: (depthwise(*a) * weight).sum(), (0, 1, 2)))(x, kernel, bias)

    tuned, plain = total(depthwise_conv), total(partial(conv.xla_conv_bias_act, groups=6))
    tolerance = {"atol": 0.5, "rtol": 0.1} if dtype == jnp.bfloat16 else {"atol": 1e-4}
    for a, b in zip(jax.tree.leaves(tuned), jax.tree.leaves(plain), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a.astype(jnp.float32), b.astype(jnp.float32), **tolerance)


def test_depthwise_convolution_is_chosen_by_platform():
    x, kernel, bias = _normal(0, 1, 5, 5, 4), _normal(1, 3, 3, 1, 4), jnp.zeros(4)
    both = jax.jit(depthwise_conv).trace(x, kernel, bias)
    assert "stablehlo.convolution" not in both.lower(lowering_platforms=("cpu",)).as_text()
    assert "feature_group_count = 4" in both.lower(lowering_platforms=("cuda",)).as_text()


@pytest.mark.parametrize("shape", [(1, 1, 1, 2), (2, 3, 4, 5)])
def test_layer_norm_and_its_gradients_equal_the_formula(shape):
    x, scale, bias = _normal(0, *shape) + 3, _normal(1, shape[-1]), _normal(2, shape[-1])

    def formula(x, scale, bias):
        normal = (x - x.mean(-1, keepdims=True)) / jnp.sqrt(x.var(-1, keepdims=True) + 1e-6)
        return normal * scale.reshape(1, 1, 1, -1) + bias.reshape(1, 1, 1, -1)

    def total(norm):
        return jax.value_and_grad(lambda *a: (norm(*a) * _normal(3, *shape)).sum(), (0, 1, 2))(x, scale, bias)

    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-4), total(layer_norm), total(formula))
    assert layer_norm(x.astype(jnp.bfloat16), scale, bias).dtype == jnp.bfloat16


def test_simple_gate_multiplies_halves():
    x = _normal(0, 2, 3, 4, 6)
    np.testing.assert_array_equal(simple_gate(x), x[..., :3] * x[..., 3:])


# --- holes ---


def test_partial_convolution_uses_known_pixels_only():
    layer, known = PartialConv(4), jnp.zeros((1, 9, 9, 1)).at[0, 1, 1].set(1)
    x = _normal(0, 1, 9, 9, 2) * known
    variables = layer.init(jax.random.key(0), x, known)
    variables["params"]["bias"] = jnp.ones(4)
    y, seen = layer.apply(variables, x, known)
    np.testing.assert_array_equal(seen[0, :, :, 0], np.pad(np.ones((3, 3)), ((0, 6), (0, 6))))
    np.testing.assert_array_equal(y * (1 - seen), 0 * y)
    # One known pixel of nine counts nine times.
    kernel = variables["params"]["conv"]["kernel"]
    np.testing.assert_allclose(y[0, 1, 1], jax.nn.relu(9 * x[0, 1, 1] @ kernel[1, 1] + 1), atol=1e-4)


def test_partial_convolution_without_holes_is_a_convolution():
    layer, x, known = PartialConv(4), _normal(0, 1, 9, 9, 2), jnp.ones((1, 9, 9, 1))
    variables = layer.init(jax.random.key(0), x, known)
    y, seen = layer.apply(variables, x, known)
    plain = conv.conv_bias_act(x, variables["params"]["conv"]["kernel"], relu=True)
    np.testing.assert_allclose(y[:, 1:-1, 1:-1], plain[:, 1:-1, 1:-1], atol=1e-4)
    np.testing.assert_array_equal(seen, known)


def test_gated_convolution_closes():
    layer, x = GatedConv(3), _normal(0, 1, 5, 5, 2)
    variables = layer.init(jax.random.key(0), x)
    bias = variables["params"]["conv"]["bias"]
    variables["params"]["conv"]["bias"] = bias.at[3:].set(-100)
    np.testing.assert_allclose(layer.apply(variables, x), 0, atol=1e-6)
