"""Networks: the tests that no entry of MODELS skips."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from restorax.models import MODELS
from restorax.models.count import flops_per_megapixel

# Published numbers of parameters (gray); DnCNN with batch normalisation folded: 0.556 M and 0.668 M in its paper.
PUBLISHED = {"dncnn": 555_137, "dncnn_b": 665_921}
# Sizes of one architecture share its code: one name stands for all of them where the test shrinks the network.
ARCHITECTURES = list({type(MODELS[name]()): name for name in reversed(MODELS)}.values())
# Networks of frames take another shape and have tests of their own.
ARCHITECTURES = [name for name in ARCHITECTURES if not hasattr(MODELS[name](), "step")]
MASKABLE = [name for name in ARCHITECTURES if hasattr(MODELS[name](), "masked")]


def _small(name, **config):
    """The architecture at a size that a test can train."""
    fields = MODELS[name]().__dataclass_fields__
    smaller = {"widths": (8, 12), "blocks": 1, "scan_levels": (1,), "width": 16, "depth": 5}
    smaller |= {"memory_levels": (1,), "stages": 2, "scales": 2, "passes": 2}
    smaller |= {"row_lstm": {"patch": 8}, "renet": {"width": 32}, "srn": {"widths": (4, 8)}}.get(name, {})
    return MODELS[name](**{k: v for k, v in smaller.items() if k in fields} | config)


_initial = {}  # by module: no shape of a parameter depends on the size of the image


def _init(model, image, condition=None):
    if model not in _initial:
        _initial[model] = jax.jit(model.init)(jax.random.key(0), image, condition)
    return _initial[model]


def _disturbed(params):
    """Zero-initialised projections hide what lies before them at the very first step."""
    draw = np.random.default_rng(0)
    return jax.tree.map(lambda p: p + 0.01 * draw.normal(size=p.shape).astype(np.float32), params)


def _count(variables):
    return sum(p.size for p in jax.tree.leaves(variables))


@pytest.mark.parametrize("name", MODELS)
def test_parameters(name):
    model = MODELS[name]()
    variables = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 16, 16, 1)))
    assert set(variables) == {"params"}
    if name in PUBLISHED:
        assert _count(variables) == PUBLISHED[name]


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("shape", [(1, 1, 1), (17, 5, 1), (2, 9, 16, 1), (2, 1, 8, 3, 1)])
def test_any_size_and_batch(name, shape):
    model, image = _small(name), jax.random.uniform(jax.random.key(1), shape)
    out = jax.jit(model.apply)(_init(model, image), image)
    assert out.shape == shape
    assert np.isfinite(out).all()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_residual_differs_from_direct_by_the_input(name):
    image, condition = jax.random.uniform(jax.random.key(1), (8, 8, 3)), jnp.ones((8, 8, 2))
    # Where stages follow each other, the second one sees another estimate.
    once = {k: 1 for k in ("stages", "scales") if hasattr(MODELS[name](), k)}
    direct, residual = (_small(name, channels=3, condition_channels=2, residual=r, **once) for r in (False, True))
    variables = _init(direct, image, condition)
    outputs = (jax.jit(model.apply)(variables, image, condition) for model in (residual, direct))
    difference = next(outputs) - next(outputs)
    np.testing.assert_allclose(difference, image, atol=1e-5)


@pytest.mark.parametrize("name", MASKABLE)
def test_masked_networks_copy_known_pixels_and_ignore_what_stands_in_holes(name, photograph):
    image = jnp.asarray(photograph[:32, :40])
    mask = (jax.random.uniform(jax.random.key(0), image.shape) > 0.5).astype(jnp.float32)
    model = _small(name, condition_channels=1, masked=True)
    variables = _init(model, image, mask)
    restore = jax.jit(model.apply)
    out = restore(variables, image * mask, mask)
    np.testing.assert_array_equal(out * mask, image * mask)
    np.testing.assert_allclose(restore(variables, image * mask + 0.9 * (1 - mask), mask), out, atol=1e-6)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_gradient_is_finite_and_reaches_every_parameter(name):
    image = jax.random.uniform(jax.random.key(1), (2, 16, 16, 1))
    model = _small(name)
    params = _disturbed(_init(model, image)["params"])
    gradients = jax.jit(jax.grad(lambda p: (model.apply({"params": p}, image) ** 2).mean()))(params)
    for path, gradient in jax.tree_util.tree_leaves_with_path(gradients):
        assert np.isfinite(gradient).all(), path
        assert np.abs(gradient).sum() > 0, path


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("residual", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_overfits_one_patch(name, residual, photograph):
    clean = jnp.asarray(photograph[None, 100:132, 150:182])
    noisy = clean + 0.1 * jax.random.normal(jax.random.key(0), clean.shape)
    model = _small(name, residual=residual)
    params = _init(model, noisy)["params"]
    adam = optax.adam(4e-3)

    def loss(p):
        return jnp.mean((model.apply({"params": p}, noisy) - clean) ** 2)

    @jax.jit
    def train(params):
        def step(carry, _):
            params, state = carry
            value, gradients = jax.value_and_grad(loss)(params)
            updates, state = adam.update(gradients, state)
            return (optax.apply_updates(params, updates), state), value

        return jax.lax.scan(step, (params, adam.init(params)), length=250)[1]

    values = train(params)
    assert float(values[-1]) < 0.01 * 0.35  # the noise has a mean square of 0.01


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_bfloat16_is_close_to_float32(name):
    image = jax.random.uniform(jax.random.key(1), (1, 24, 24, 1))
    model = _small(name)
    params = _disturbed(_init(model, image))
    half = model.clone(dtype=jnp.bfloat16)
    out, exact = (jax.jit(network.apply)(params, image) for network in (half, model))
    assert out.dtype == jnp.float32
    np.testing.assert_allclose(out, exact, atol=0.03 * float(jnp.abs(exact).max()))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_receptive_field_is_what_the_gradient_says(name):
    model = _small(name)
    height, side = 32, 256
    image = jnp.full((height, side, 1), 0.5)
    params = _init(model, image)
    # Positive kernels: nothing cancels and no ReLU is shut; with unit sums nothing overflows.
    params = jax.tree.map(lambda p: np.abs(p) + 0.01 if p.ndim == 4 else p, params)
    params = jax.tree.map(lambda p: p / p.sum((0, 1, 2), keepdims=True) if p.ndim == 4 else p, params)
    centres = range(side // 2, side // 2 + 8) if model.receptive_field else [side // 2]
    widths = set()
    gradient = jax.jit(jax.grad(lambda x, params, c: model.apply(params, x)[height // 2, c, 0]))
    for centre in centres:
        seen = np.abs(gradient(image, params, centre)[..., 0]).sum(0) > 0
        widths.add(int(np.flatnonzero(seen).max() - np.flatnonzero(seen).min() + 1))
    assert max(widths) == (model.receptive_field or side)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_bad_input_is_refused_in_a_sentence(name):
    model = _small(name, condition_channels=1)
    image, condition = jnp.zeros((8, 8, 1)), jnp.zeros((8, 8, 1))
    variables = _init(model, image, condition)
    with pytest.raises(ValueError, match="built for 1"):
        model.apply(variables, jnp.zeros((8, 8, 3)), condition)
    with pytest.raises(ValueError, match="needs a condition"):
        model.apply(variables, image)
    with pytest.raises(ValueError, match="condition has shape"):
        model.apply(variables, image, jnp.zeros((8, 8, 2)))
    with pytest.raises(TypeError, match="floating point"):
        model.apply(variables, jnp.zeros((8, 8, 1), jnp.uint8), condition)


def test_flops_of_dncnn_are_its_multiply_adds_twice():
    multiply_adds = 9 * (64 + 15 * 64 * 64 + 64)
    assert flops_per_megapixel(MODELS["dncnn"]()) == 2 * multiply_adds * 2**20


def test_flops_do_not_depend_on_the_backend_of_convolutions(monkeypatch):
    from restorax.layers import conv

    expected = flops_per_megapixel(MODELS["dncnn"]())
    opaque = lambda x, kernel, bias, **_: jnp.zeros((*x.shape[:-1], kernel.shape[-1]), x.dtype)  # noqa: E731
    monkeypatch.setattr(conv, "conv_bias_act", opaque)
    assert flops_per_megapixel(MODELS["dncnn"]()) == expected
    assert conv.conv_bias_act is opaque
