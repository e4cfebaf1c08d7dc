"""Robustness of every recurrent architecture: empty images, half precision, several devices."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from restorax.models import MODELS
from restorax.types import Condition
from tests.tiers import first

SMALL = {
    "row_lstm": {"patch": 4, "width": 6},
    "renet": {"width": 6, "layers": 1},
    "spatial_rnn": {"width": 6, "passes": 2},
    "scanunet_s": {"widths": (6, 8), "blocks": 1, "scan_levels": (1,)},
    "prenet": {"width": 6, "blocks": 1, "stages": 2},
    "stageunet": {"widths": (6, 8), "blocks": 1, "stages": 2},
    "srn": {"widths": (4, 6), "blocks": 1, "scales": 2},
    "burst_rnn": {"width": 6, "blocks": 1},
}
RECURRENT = list(SMALL)


def _shape(name, *shape):
    """Networks of frames get two of them."""
    return (2, *shape) if name == "burst_rnn" else shape


def _setup(name, image, known=None, **config):
    """A network with parameters that nothing has to be compiled for."""
    model, draw = MODELS[name](**SMALL[name], **config), np.random.default_rng(0)
    shapes = jax.eval_shape(model.init, jax.random.key(0), image, known)["params"]
    return model, jax.tree.map(lambda p: jnp.asarray(draw.normal(scale=0.1, size=p.shape), jnp.float32), shapes)


def _check_empty_images(name, side):
    mask = jnp.zeros(_shape(name, *side, 1))
    model, params = _setup(name, mask, mask, condition=Condition.MASK)

    @jax.jit
    def run(params, image, mask):
        loss = lambda *a: (((out := model.apply({"params": a[0]}, a[1], mask)) ** 2).mean(), out)  # noqa: E731
        return jax.grad(loss, (0, 1), has_aux=True)(params, image)

    for value in (0.0, 0.5, 1.0):  # constant images, nothing known or everything
        for known in (0.0, 1.0):
            results = run(params, jnp.full_like(mask, value), jnp.full_like(mask, known))
            assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(results)), (value, known)


@pytest.mark.parametrize("name", first(RECURRENT, "row_lstm", "scanunet_s"))
def test_images_with_nothing_in_them_give_finite_output_and_gradient(name):
    _check_empty_images(name, (2, 5))


@pytest.mark.slow
@pytest.mark.parametrize("name", RECURRENT)
def test_images_of_one_pixel_give_finite_output_and_gradient(name):
    _check_empty_images(name, (1, 1))


def _gradients_on_one_and_eight_devices(name):
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    images = jax.random.uniform(jax.random.key(2), (8, *_shape(name, 4, 4, 1)))
    model, params = _setup(name, images)

    def loss(params, images):
        return (model.apply({"params": params}, images) ** 2).mean()

    def parallel(params, images):
        return jax.grad(lambda params: jax.lax.pmean(loss(params, images), "data"))(params)

    specs = {"in_specs": (jax.P(), jax.P("data")), "out_specs": jax.P()}
    return jax.grad(loss), jax.shard_map(parallel, mesh=mesh, check_vma=True, **specs), params, images


@pytest.mark.parametrize("name", RECURRENT)
def test_is_accepted_inside_shard_map(name):
    _, parallel, *arguments = _gradients_on_one_and_eight_devices(name)
    assert jax.tree.structure(jax.eval_shape(parallel, *arguments)) == jax.tree.structure(arguments[0])


@pytest.mark.slow
@pytest.mark.parametrize("name", RECURRENT)
def test_eight_devices_equal_one_inside_shard_map(name):
    one, eight, *arguments = _gradients_on_one_and_eight_devices(name)
    gradients = (jax.jit(run)(*arguments) for run in (one, eight))
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-5), *gradients)


@pytest.mark.slow
@pytest.mark.parametrize("name", RECURRENT)
def test_no_nan_after_2000_steps_in_bfloat16(name):
    shape = (2, *_shape(name, 8, 8, 1))
    model = MODELS[name](**SMALL[name], dtype=jnp.bfloat16)
    params = jax.jit(model.init)(jax.random.key(0), jnp.zeros(shape))["params"]
    adam = optax.adam(1e-3)

    def loss(params, key):
        clean, noise = (jax.random.uniform(k, shape) for k in jax.random.split(key))
        clean = jnp.round(clean)
        restored = model.apply({"params": params}, clean + noise - 0.5)
        return jnp.abs(restored - (clean[:, -1] if name == "burst_rnn" else clean)).mean()

    @jax.jit
    def train(params):
        def step(carry, key):
            params, state = carry
            value, gradients = jax.value_and_grad(loss)(params, key)
            updates, state = adam.update(gradients, state)
            return (optax.apply_updates(params, updates), state), value

        keys = jax.random.split(jax.random.key(3), 2000)
        return jax.lax.scan(step, (params, adam.init(params)), keys)

    (params, _), values = train(params)
    assert np.isfinite(values).all()
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(params))
    assert values[-100:].mean() < values[:100].mean()
