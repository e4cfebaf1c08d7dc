"""Tests of every network in MODELS."""

import math
import time
from functools import cache, partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from restorax.data import sample_images
from restorax.layers.holes import PartialConv
from restorax.layers.resample import pull_push
from restorax.models import MODELS
from restorax.models.count import flops, flops_per_megapixel
from restorax.models.receptive_field import measure_receptive_field
from restorax.types import Condition
from tests.tiers import first

LARGE = {"fbcnn", "mimo_unet", "mimo_unet_plus", "nafnet", "nafnet_gopro", "resunet_l", "srn"}

# Published numbers of parameters (gray); DnCNN with batch normalisation folded: 0.556 M and 0.668 M in its paper.
PUBLISHED = {
    "arcnn": 106_448 + 64 + 32 + 16 + 1,  # the paper counts weights; these are the biases
    "dncnn": 555_137,
    "dncnn_b": 665_921,
    "drunet": 32_638_656,  # 32.64 M
    "fbcnn": 71_921_796,  # 71.92 M
    "ffdnet": 485_316,  # 0.485 M
    "ffdnet_color": 852_108,  # 0.852 M
    "ircnn": 185_857,
    "mimo_unet": 6_807_171 - 5_190,  # 6.8 M; the convolutions of the two coarse outputs are left out
    "mimo_unet_plus": 16_107_651 - 5_190,  # 16.1 M
    "nafnet": 29_159_715,
    "nafnet_gopro": 17_111_907,
    "unet": 31_030_593,
}
# Sizes of one architecture share its code: tests of shrunk networks need one name for all of them.
ARCHITECTURES = list({(type(m := MODELS[name]()), getattr(m, "kind", "")): name for name in reversed(MODELS)}.values())
# Networks of frames take another input shape and are tested in test_burst_rnn.py and test_video_rnn.py.
ARCHITECTURES = [name for name in ARCHITECTURES if not MODELS[name]().takes_frames]
MASKABLE = [name for name in ARCHITECTURES if Condition.MASK in MODELS[name]().accepts]
UNMASKED = [name for name in ARCHITECTURES if not MODELS[name]().fills_holes]


def _small(name, **config):
    """Build the architecture at a size that a test can train."""
    fields = MODELS[name]().__dataclass_fields__
    smaller = {"widths": (8, 12), "blocks": 1, "scan_levels": (1,), "width": 16, "depth": 5}
    smaller |= {"sizes": (5, 1, 3), "dilations": (1, 3, 2, 1), "encoder": (1,), "middle": 1, "decoder": (1,)}
    smaller |= {"patch": 8, "code": 64, "embedding": 16, "channels": 1}
    smaller |= {"stages": 2, "scales": 2, "passes": 2}
    smaller |= {"row_lstm": {"patch": 8}, "renet": {"width": 32}, "srn": {"widths": (4, 8)}}.get(name, {})
    return MODELS[name](**{k: v for k, v in smaller.items() if k in fields} | config)


def _supported_condition(name):
    """Return a condition that the architecture supports: its own, or one other than a mask."""
    own, accepts = MODELS[name]().condition, MODELS[name]().accepts
    return own if own.channels else next(c for c in accepts if c.channels and c is not Condition.MASK)


def _condition(model, image):
    """Return a random binary condition map, or None if the network takes none."""
    shape = (*image.shape[:-1], model.condition.channels)
    return (jax.random.uniform(jax.random.key(3), shape) > 0.5).astype(image.dtype) if shape[-1] else None


_initial = {}  # by module: no shape of a parameter depends on the size of the image


def _init(model, image, condition=None):
    if model not in _initial:
        _initial[model] = jax.jit(model.init)(jax.random.key(0), image, condition)
    return _initial[model]


def _draw(model, image, condition=None):
    """Draw random parameters without compiling the initialisers."""
    random = np.random.default_rng(0)

    def draw(path, p):
        scale = math.prod(p.shape[:-1]) ** -0.5 if p.ndim > 1 else 0.1
        return jnp.asarray(random.normal(float("scale" in path[-1].key), scale, p.shape), jnp.float32)

    shapes = jax.eval_shape(model.init, jax.random.key(0), image, condition)
    return jax.tree_util.tree_map_with_path(draw, shapes)


@cache
def _compiled(model):
    return jax.jit(model.apply)


def _apply(model, variables, *observed):
    return _compiled(model)(variables, *observed)


def _count(variables):
    return sum(p.size for p in jax.tree.leaves(variables))


@pytest.mark.parametrize("name", first(list(MODELS), *(set(MODELS) - LARGE)))
def test_parameters(name):
    model = MODELS[name]()
    image = jnp.zeros((1, 16, 16, model.channels))
    variables = jax.eval_shape(model.init, jax.random.key(0), image, _condition(model, image))
    assert set(variables) == {"params"}
    if name in PUBLISHED:
        assert _count(variables) == PUBLISHED[name]


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("shape", first([(1, 1, 1), (17, 5, 1), (2, 1, 8, 3, 1)], (17, 5, 1)))
def test_any_size_and_batch(name, shape):
    model, image = _small(name), jax.random.uniform(jax.random.key(1), shape)
    condition = _condition(model, image)
    out = _apply(model, _draw(model, image, condition), image, condition)
    assert out.shape == shape
    assert np.isfinite(out).all()


@pytest.mark.parametrize("name", first(UNMASKED, "dncnn", "prenet", "stageunet", "srn"))
def test_residual_differs_from_direct_by_the_input(name):
    image, condition = jax.random.uniform(jax.random.key(1), (8, 8, 3)), jnp.ones((8, 8, 1))
    # With several stages, the second one would see another estimate.
    once = {k: 1 for k in ("stages", "scales") if hasattr(MODELS[name](), k)}
    direct, residual = (
        _small(name, channels=3, condition=_supported_condition(name), residual=r, **once) for r in (False, True)
    )
    variables = _draw(direct, image, condition)
    difference = _apply(residual, variables, image, condition) - _apply(direct, variables, image, condition)
    np.testing.assert_allclose(difference, image, atol=1e-5)


@pytest.mark.parametrize("name", first(MASKABLE, "resunet_s", "unet_partial", "unet_gated", "prenet", "scanunet_s"))
def test_masked_networks_copy_known_pixels_and_ignore_values_in_holes(name, photograph):
    image = jnp.asarray(photograph[:32, :40])
    mask = (jax.random.uniform(jax.random.key(0), image.shape) > 0.5).astype(jnp.float32)
    model = _small(name, condition=Condition.MASK)
    variables = _draw(model, image, mask)
    out = _apply(model, variables, image * mask, mask)
    np.testing.assert_array_equal(out * mask, image * mask)
    np.testing.assert_allclose(_apply(model, variables, image * mask + 0.9 * (1 - mask), mask), out, atol=1e-6)


@pytest.mark.parametrize(
    "name", first(ARCHITECTURES, "arcnn", "dncnn", "ffdnet", "unet", "scanunet_s", "wiener_unet", "row_lstm")
)
def test_gradient_is_finite_and_reaches_every_parameter_and_bfloat16_is_close(name):
    # Squares of 4 pixels have corners, without which no blur is read.
    image = jax.random.uniform(jax.random.key(1), (2, 4, 4, 1)).repeat(4, 1).repeat(4, 2)
    model = _small(name)
    condition = _condition(model, image)
    variables = _draw(model, image, condition)

    @jax.jit
    @partial(jax.grad, has_aux=True)
    def loss(params):
        out = model.apply({"params": params}, image, condition)
        return (out**2).mean(), out

    gradients, exact = loss(variables["params"])
    out = _apply(model.clone(dtype=jnp.bfloat16), variables, image, condition)
    assert out.dtype == jnp.float32
    np.testing.assert_allclose(out, exact, atol=0.03 * float(jnp.abs(exact).max()))
    for path, gradient in jax.tree_util.tree_leaves_with_path(gradients):
        assert np.isfinite(gradient).all(), path
        assert np.abs(gradient).sum() > 0, path


def _errors_while_training(model, clean, *, learning_rate, steps, **compiler_options):
    """Yield the mean squared error of the filled or noisy input, then before every step."""
    observed = clean + 0.1 * jax.random.normal(jax.random.key(0), clean.shape)
    condition = _condition(model, clean)
    start = observed
    if model.fills_holes:
        observed = clean * condition
        start = pull_push(observed, condition)
    params = _init(model, observed, condition)["params"]
    adam = optax.adam(optax.cosine_decay_schedule(learning_rate, steps))

    # Not lax.scan: in a loop's body, XLA's convolutions on CPU are many times slower.
    @partial(jax.jit, compiler_options=compiler_options)
    def step(params, state):
        def loss(p):
            return jnp.mean((model.apply({"params": p}, observed, condition) - clean) ** 2)

        value, gradients = jax.value_and_grad(loss)(params)
        updates, state = adam.update(gradients, state)
        return optax.apply_updates(params, updates), state, value

    state = adam.init(params)
    yield float(jnp.mean((start - clean) ** 2))
    for _ in range(steps):
        params, state, value = step(params, state)
        yield float(value)


@pytest.mark.slow
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_overfits_one_patch(name, photograph):
    clean = jnp.asarray(photograph[None, 80:96, 170:186])
    errors = _errors_while_training(_small(name), clean, learning_rate=5e-3, steps=500)
    start = next(errors)
    assert any(error < 0.4 * start for error in errors)


@pytest.mark.slow
@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("residual", [True, False])
def test_overfits_four_patches_to_40_db_within_a_minute(name, residual):
    clean = jnp.stack([jnp.asarray(picture[96:112, 128:144]) for picture in list(sample_images(1).values())[:4]])
    sizes = {"widths": (48, 96), "dilations": (1, 2, 3, 2, 1), "patch": 16, "code": 256, "embedding": 32}
    sizes |= {"width": 32 if name == "mimo_unet" else 64}
    sizes |= {"arcnn": {"widths": (64, 32, 16), "sizes": (9, 7, 1, 5)}, "srn": {"widths": (16, 32)}}.get(name, {})
    learning_rate, steps = {"dncnn": (1e-3, 1500), "row_lstm": (1e-2, 10_000)}.get(name, (2e-3, 1500))
    fields = MODELS[name]().__dataclass_fields__
    model = _small(name, residual=residual, **{k: v for k, v in sizes.items() if k in fields})
    quickly = {"xla_backend_optimization_level": 3, "xla_llvm_disable_expensive_passes": False}
    start = time.perf_counter()
    errors = _errors_while_training(model, clean, learning_rate=learning_rate, steps=steps, **quickly)
    assert any(error < 1e-4 for error in errors)
    assert time.perf_counter() - start < 60


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_restores_a_photograph_at_its_published_size(name, photograph):
    model = MODELS[name]()
    image = jnp.asarray(np.tile(photograph, (1, 2, model.channels))[:321, :481])
    frames = jnp.stack([image] * 2) if model.takes_frames else image
    condition = _condition(model, image)
    out = _apply(model, _draw(model, frames, condition), frames, condition)
    assert out.shape[-3:] == image.shape
    assert np.isfinite(out).all()


@pytest.mark.parametrize(
    ("name", "fields", "expected"),
    [
        ("arcnn", {"sizes": (9, 7, 1, 5), "widths": (4, 4, 4)}, 19),
        ("conv_autoencoder", {"patch": 16}, 24),  # two patches that overlap by half
        ("dncnn", {"depth": 6}, 13),
        ("ffdnet", {"depth": 5}, 4 * 5 + 2),
        ("ircnn", {"dilations": (1, 3, 2, 1)}, 15),
        ("prenet", {"blocks": 1, "stages": 3}, 1 + 2 * 3 * 5),
        ("resunet_s", {"widths": (4, 8), "blocks": 1}, 44),
        ("row_lstm", {"patch": 8}, 12),
        ("stageunet", {"widths": (4, 8), "blocks": 1, "stages": 2}, 100),
        ("unet", {"widths": (8, 12, 16)}, 44),
        *((name, {}, None) for name in ("burst_rnn", "fbcnn", "nafnet", "renet", "scanunet_s", "spatial_rnn")),
        ("resunet_s", {"condition": Condition.MASK}, None),
    ],
)
@pytest.mark.slow
def test_receptive_field(name, fields, expected):
    assert measure_receptive_field(_small(name, **fields), 128) == expected


def test_receptive_field_is_that_of_the_xla_convolutions(monkeypatch):
    from restorax.layers import conv

    opaque = lambda x, kernel, bias, **_: jnp.zeros((*x.shape[:-1], kernel.shape[-1]), x.dtype)  # noqa: E731
    monkeypatch.setattr(conv, "conv_bias_act", opaque)
    assert measure_receptive_field(_small("mimo_unet", width=4), 128) == 85


def test_features_of_partial_convolutions_are_zero_where_nothing_is_known():
    model, mask = _small("unet_partial"), jnp.zeros((32, 32, 1)).at[:4].set(1)
    variables = _draw(model, mask, mask)  # with biases

    @jax.jit
    def largest(variables):
        found = {}

        def look(run, arguments, keywords, context):
            if isinstance(context.module, PartialConv):
                x, known = arguments
                found[context.module.name] = jnp.abs(jnp.where(known > 0, 0, x)).max()
            return run(*arguments, **keywords)

        with nn.intercept_methods(look):
            model.apply(variables, 0.5 * mask, mask)
        return found

    found = largest(variables)
    assert len(found) == 6
    assert set(map(float, found.values())) == {0.0}


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("name", first(ARCHITECTURES, "dncnn", "ffdnet", "unet"))
def test_invalid_input_is_refused(name):
    model = _small(name, condition=_supported_condition(name))
    image, condition = jnp.zeros((8, 8, 1)), jnp.zeros((8, 8, 1))
    variables = _draw(model, image, condition)
    with pytest.raises(ValueError, match="must have 1 channels"):
        model.apply(variables, jnp.zeros((8, 8, 3)), condition)
    if name != "fbcnn":  # it estimates the quality without one
        with pytest.raises(ValueError, match="requires a condition"):
            model.apply(variables, image)
    with pytest.raises(ValueError, match="at least 1"):
        model.apply(variables, image[:0], condition[:0])
    with pytest.raises(ValueError, match="`condition` must have the shape of a map"):
        model.apply(variables, image, jnp.zeros((8, 8, 2)))
    with pytest.raises(TypeError, match="floating point"):
        model.apply(variables, jnp.zeros((8, 8, 1), jnp.uint8), condition)


def test_flops_of_dncnn_are_its_multiply_adds_twice():
    multiply_adds = 9 * (64 + 15 * 64 * 64 + 64)
    assert flops_per_megapixel(MODELS["dncnn"]()) == 2 * multiply_adds * 2**20


def test_flops_of_a_gradient_are_three_times_those_of_the_result():
    model, image = MODELS["dncnn"](), jax.ShapeDtypeStruct((1, 32, 32, 1), jnp.float32)
    params = jax.eval_shape(model.init, jax.random.key(0), image)
    loss = lambda params, image: model.apply(params, image).sum()  # noqa: E731
    forward, both = flops(loss, params, image), flops(jax.grad(loss), params, image)
    # The image needs no gradient, and the gradient of a sum not the last layer's result.
    assert both == 3 * forward - 2 * (2 * 9 * 64 * 32**2)


def test_flops_do_not_depend_on_the_backend_of_convolutions(monkeypatch):
    from restorax.layers import conv

    expected = flops_per_megapixel(MODELS["dncnn"]())
    opaque = lambda x, kernel, bias, **_: jnp.zeros((*x.shape[:-1], kernel.shape[-1]), x.dtype)  # noqa: E731
    monkeypatch.setattr(conv, "conv_bias_act", opaque)
    assert flops_per_megapixel(MODELS["dncnn"]()) == expected
    assert conv.conv_bias_act is opaque
