"""Primitives of JAX in ONNX, each against JAX itself."""

import jax
import jax.numpy as jnp
import numpy as np
import onnxruntime
import pytest
from jax import export, lax

from restorax.onnx_graph import OPSET, to_onnx

random = np.random.default_rng(0)
IMAGE = random.random((2, 4, 6, 3), np.float32)
VECTOR = np.float32([-2.5, -1, -1e-4, 0, 1e-6, 0.3, 1, 4])
KERNEL = random.random((3, 3, 3, 4), np.float32)
COUNTS = np.int32([5, -7, 3, 0])
FLAGS = np.array([True, False, True, False])


def _run(function, arrays):
    """Return what onnxruntime computes, as a list."""
    specs = [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in arrays]
    names, count = [f"x{i}" for i in range(len(arrays))], len(jax.tree.leaves(jax.eval_shape(function, *specs)))
    outputs = [f"y{i}" for i in range(count)]
    model = to_onnx(function, specs, input_names=names, output_names=outputs)
    assert model.opset_import[0].version == OPSET
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return model, session.run(outputs, dict(zip(names, arrays, strict=True)))


def _check(function, *arrays, rtol=2e-6, atol=1e-6):
    model, results = _run(function, arrays)
    for result, expected in zip(results, jax.tree.leaves(jax.jit(function)(*arrays)), strict=True):
        assert (result.shape, result.dtype) == (expected.shape, expected.dtype)
        np.testing.assert_allclose(result, expected, rtol=rtol, atol=atol)
    return [node.op_type for node in model.graph.node]


def test_elementwise():
    def functions(x, n, f):
        real = [
            *(op(x) for op in (jnp.abs, jnp.exp, jnp.tanh, jnp.sign, jnp.floor, jnp.ceil, jnp.sin, jnp.cos)),
            *(op(x) for op in (lax.erf, lax.erfc, lax.logistic, lax.asinh, jnp.expm1, lax.is_finite, jnp.square)),
            *(op(jnp.abs(x) + 0.1) for op in (jnp.log, jnp.sqrt, lax.rsqrt)),
            jnp.log1p(jnp.abs(x)),
            -x + x * 2 - x / 3,
            jnp.maximum(x, 0.2),
            jnp.maximum(x, 0),
            jnp.minimum(x, x[::-1]),
            lax.integer_pow(x, 3),
            jnp.abs(x) ** 0.7,
            jnp.clip(x, -1, 0.5),
            jnp.where(x > 0, x, 2),
            lax.rem(x, jnp.float32(0.7)),
            x.astype(jnp.int32).astype(jnp.float16),
            lax.stop_gradient(lax.optimization_barrier(x)),
        ]
        whole = [n // 2, n % 3, lax.rem(n, jnp.int32(3)), n < 2, n <= 3, n >= 3, n == 3, n != 3, n.astype(bool)]
        return real, whole, [f & (n > 0), f | (n > 0), f ^ (n > 0), ~f]

    _check(functions, VECTOR, COUNTS, FLAGS)


def test_small_numbers_keep_their_digits():
    def function(x):
        return jnp.expm1(x), jnp.log1p(x)

    _check(function, np.float32([1e-7, -1e-6, 3e-4, 0.9, 1.1, 20]), atol=0)


def test_shapes():
    def functions(x):
        n, height, width, channels = x.shape
        return [
            x.reshape(n, height * width, channels),
            x.reshape(n, 2, 2, 3, 2, channels).transpose(0, 1, 3, 2, 4, 5).reshape(n, 2, 3, 12),
            x.transpose(0, 3, 1, 2).reshape(n, -1),
            x.reshape(1, 1, *x.shape).squeeze((0, 1)),
            jnp.broadcast_to(x[:, :1, None], (n, 2, 5, width, channels)).sum(2),
            x[:, 1:3, ::2, :2],
            x[:, ::-1, :, ::-1],
            jnp.pad(x, ((0, 0), (1, 2), (0, 3), (0, 0)), constant_values=2),
            lax.pad(x, 0.0, ((0, 0, 0), (-1, 1, 0), (0, 0, 0), (0, 0, 0))),
            jnp.pad(x, ((0, 0), (2, 2), (1, 0), (0, 0)), mode="reflect"),
            jnp.concatenate([x, x[..., :1]], -1),
            jnp.stack([x, -x], 2),
            *jnp.split(x, 3, axis=-1),
            x + jnp.arange(width, dtype=jnp.float32)[None, None, :, None],
            jnp.zeros_like(x, shape=(3, 2)),
        ]

    _check(functions, IMAGE)


def test_gathers():
    def functions(x, i):
        return [
            jnp.take(x, jnp.array([2, 0]), axis=1),
            jnp.take(x, jnp.array([0, 9]), axis=1),  # beyond the end: NaN
            jnp.take(x, i[:2] + 8, axis=2, mode="clip"),
            jnp.take(x, jnp.array([[1, 2], [0, 0]]), axis=3),
            lax.dynamic_slice(x, (0, i[0], i[1], 0), (2, 2, 3, 3)),
            lax.dynamic_slice_in_dim(x, 1, 2, axis=2),
            x[:, 2],
        ]

    _check(functions, IMAGE, COUNTS)


def test_reductions():
    def functions(x, f):
        return [
            x.sum((1, 2)),
            x.mean(-1, keepdims=True),
            x.max(1),
            x.min((1, 3)),
            f.any(),
            f.all(),
            jnp.cumsum(x, axis=1),
            lax.cumsum(x, axis=2, reverse=True),
            jnp.sort(x, axis=2),
            x.argmax(1),
            x.argmin(3),
            lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID"),
            lax.reduce_window(x, 0.0, lax.add, (1, 3, 3, 1), (1, 1, 1, 1), "SAME"),
        ]

    _check(functions, IMAGE, FLAGS)


def test_convolutions():
    def functions(x):
        options = {"dimension_numbers": ("NHWC", "HWIO", "NHWC")}
        return [
            lax.conv_general_dilated(x, KERNEL, (1, 1), "SAME", **options),
            lax.conv_general_dilated(x, KERNEL, (2, 2), "VALID", **options),
            lax.conv_general_dilated(x, KERNEL, (1, 1), [(2, 2), (1, 0)], rhs_dilation=(2, 1), **options),
            lax.conv_general_dilated(x, KERNEL[:, :, :1, :3], (1, 1), "SAME", feature_group_count=3, **options),
        ]

    _check(functions, IMAGE, rtol=1e-5)


def test_products():
    def functions(x):
        return [
            x @ KERNEL[0, 0],
            x.reshape(-1, 3) @ KERNEL[0, 0],
            jnp.einsum("nhwc,nhvc->nhwv", x, x),
            jnp.einsum("nhwc,hwcd->nd", x, random.random((4, 6, 3, 2), np.float32)),
            lax.dot_general(x, KERNEL[0], (((3,), (1,)), ((), ()))),
        ]

    _check(functions, IMAGE, rtol=1e-5)


@pytest.mark.parametrize("reverse", [False, True])
def test_loops(reverse):
    def function(x):
        def step(carry, row):
            carry = 0.5 * carry + row
            return carry, (carry * 2, row.sum(-1))

        def count(i, y):
            return y + i

        return lax.scan(step, x[0], x, reverse=reverse), lax.fori_loop(0, 3, count, x[0])

    _check(function, IMAGE)


@pytest.mark.parametrize("length", [3, 9])  # unrolled and not
def test_a_convolution_in_a_loop_is_not_transposed(length):
    def function(x):
        def step(carry, _):
            kernel = KERNEL[..., :3] * 0.05
            return lax.conv_general_dilated(
                carry, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
            ), None

        return lax.scan(step, x, length=length)[0]

    assert _check(function, IMAGE, rtol=1e-5).count("Transpose") == 2


def test_convolutions_in_a_row_are_transposed_once():
    def function(x):
        for _ in range(3):
            y = lax.conv_general_dilated(x, KERNEL[..., :3], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
            x = jax.nn.relu(y + jnp.ones((1, 1, 1, 3))) * 0.1
        return x

    assert _check(function, IMAGE, rtol=1e-5).count("Transpose") == 2


def test_branches_of_platforms_and_calls():
    @jax.custom_jvp
    def twice(x):
        return 2 * x

    twice.defjvp(lambda primals, tangents: (twice(*primals), 2 * tangents[0]))

    def function(x):
        default = lax.platform_dependent(x, cuda=lambda x: x - 1, default=lambda x: x + 1)
        return default, jax.checkpoint(twice)(x), lax.cond(True, jnp.sin, jnp.cos, x)

    _check(function, VECTOR)


@pytest.mark.parametrize("size", [(8, 6), (9, 7)])
def test_fourier(size):
    def functions(x):
        spectrum = jnp.fft.rfft2(x)
        return [
            spectrum.real,
            jnp.fft.fft2(x).imag,
            jnp.fft.irfft2(spectrum * jnp.conj(spectrum)[::-1] / (1 + spectrum.real**2), size),
            jnp.fft.irfft2(1 / (2 + spectrum), size),
            jnp.fft.ifft(x[0]).real,
            jnp.fft.irfft2((x**2)[:, :, : size[1] // 2 + 1], size),
        ]

    _check(functions, random.random((2, *size), np.float32), rtol=1e-4, atol=1e-5)


def test_sizes_that_are_open():
    def function(x):
        _, height, width, _ = x.shape
        rows, to = jnp.arange((height + 3) // 4 * 4), 2 * height * width - width % 3
        x = jnp.take(x, jnp.minimum(rows, height - 1), axis=1, mode="clip")
        x = jnp.pad(x, ((0, 0), (0, 0), (0, 2 * width), (0, 0)))
        block = x.reshape(1, x.shape[1] // 4, 4, 3 * width, 2).max(2)
        return jnp.broadcast_to(block[:, :, :1], block.shape) + to, x[:, :height, -width:] * (width - 1)

    spec = jax.ShapeDtypeStruct(export.symbolic_shape("1, height, width, 2"), jnp.float32)
    model = to_onnx(function, [spec], input_names=["x"], output_names=["a", "b"])
    session = onnxruntime.InferenceSession(model.SerializeToString())
    for shape in ((1, 5, 7, 2), (1, 8, 3, 2)):
        x = random.random(shape, np.float32)
        for result, expected in zip(session.run(None, {"x": x}), jax.jit(function)(x), strict=True):
            np.testing.assert_allclose(result, expected, rtol=1e-6)


def test_what_has_no_rule_is_named():
    with pytest.raises(NotImplementedError, match="cumprod has no form in ONNX here"):
        _run(jnp.cumprod, [VECTOR])
    with pytest.raises(NotImplementedError, match="while has no form in ONNX here"):
        _run(lambda x: lax.while_loop(lambda y: y.sum() < 9, lambda y: y + 1, x), [VECTOR])
    with pytest.raises(NotImplementedError, match="sort has no form in ONNX here for sorting of several arrays"):
        _run(lambda x: jnp.argsort(x), [VECTOR])
    with pytest.raises(NotImplementedError, match="bfloat16"):
        _run(lambda x: x.astype(jnp.bfloat16) + 1, [VECTOR])


def test_constants_are_halved_only_without_loss():
    exact, inexact = np.arange(300, dtype=np.float32) / 256, np.full(300, 0.1, np.float32)
    model, results = _run(lambda x: x + exact + inexact * np.arange(300), [exact])
    assert sorted(constant.data_type for constant in model.graph.initializer) == [1, 10]
    np.testing.assert_allclose(results[0], 2 * exact + inexact * np.arange(300), rtol=1e-6)
