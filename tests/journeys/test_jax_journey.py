"""A JAX researcher's journey: a restorer as a function, as a pytree, in solvers and in NNX."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import restorax


@pytest.fixture(scope="module")
def restorer():
    return restorax.load("resunet_s-color-noise")


@pytest.fixture(scope="module")
def non_blind():
    return restorax.load("ffdnet-gray-noise")


@pytest.fixture(scope="module")
def image():
    return jax.random.uniform(jax.random.key(0), (16, 16, 3))


@pytest.fixture(scope="module")
def expected(restorer, image):
    return restorer(image)


def test_a_restorer_is_a_function_for_every_transformation(restorer, image, expected):
    step = lambda x, _: (restorer(x), None)  # noqa: E731
    outputs = (
        jax.jit(restorer)(image),
        jax.vmap(restorer)(image[None])[0],
        jax.checkpoint(restorer)(image),
        lax.scan(step, image, length=1)[0],
        jax.jit(lambda r, x: r(x))(restorer, image),
    )
    for output in outputs:
        np.testing.assert_allclose(output, expected, atol=1e-5)
    assert jax.eval_shape(restorer, image).shape == image.shape


def test_a_restorer_is_compared_by_identity_and_stays_a_pytree(restorer):
    twin = jax.tree.map(lambda p: p, restorer)
    assert restorer == restorer
    assert restorer != twin
    assert len({restorer, restorer, twin}) == 2
    assert twin.card is restorer.card
    assert jax.tree.structure(twin) == jax.tree.structure(restorer)


def test_its_description_is_one_line_and_its_card_is_html(restorer, non_blind):
    assert repr(restorer) == "Restorer('resunet_s-color-noise', 2,354,076 parameters, channels=3, dtype=float32)"
    assert "condition='noise_level'" in repr(non_blind)
    page = restorer._repr_html_()
    assert page.count("<tr><td>") == len(restorer.card.results)
    assert "data:image/png;base64," in page
    assert restorer.card.limits.split(",")[0] in page
    other = restorer.replace(card=dataclasses.replace(restorer.card, sha256="0"))
    assert "data:image" not in other._repr_html_()


def test_forward_mode_and_second_order_through_an_entry(non_blind):
    image, noise = jax.random.uniform(jax.random.key(1), (2, 8, 8, 1))
    f = lambda x: non_blind(x, 0.1)  # noqa: E731
    value, tangent = jax.jit(lambda: jax.jvp(f, (image,), (noise,)))()
    linear = jax.linearize(f, image)
    np.testing.assert_allclose(linear[1](noise), tangent, atol=1e-5)
    pulled = jax.vjp(f, image)[1](noise)[0]
    np.testing.assert_allclose(jnp.vdot(tangent, noise), jnp.vdot(pulled, noise), rtol=1e-3)
    energy = lambda x: jnp.sum((f(x) - value) ** 2)  # noqa: E731
    product = jax.jit(lambda: jax.jvp(jax.grad(energy), (image,), (noise,))[1])()
    np.testing.assert_allclose(jnp.vdot(product, noise), 2 * jnp.vdot(tangent, tangent), rtol=1e-2)


def test_conditions_broadcast(non_blind):
    images = jax.random.uniform(jax.random.key(2), (2, 12, 10, 1))
    full = jnp.broadcast_to(jnp.array([0.1, 0.3]).reshape(2, 1, 1, 1), images.shape)
    expected = non_blind(images, full)
    np.testing.assert_array_equal(non_blind(images, jnp.array([0.1, 0.3])), expected)
    np.testing.assert_array_equal(restorax.restore(non_blind, images, jnp.array([0.1, 0.3])), jnp.clip(expected, 0, 1))
    np.testing.assert_array_equal(non_blind(images[0], 0.1), non_blind(images[0], jnp.full((12, 10), 0.1)))
    np.testing.assert_allclose(jax.vmap(non_blind)(images, jnp.array([0.1, 0.3])), expected, atol=1e-5)


def test_a_boolean_mask_of_known_pixels():
    filler = restorax.load("unet-color-missing")
    images = jax.random.uniform(jax.random.key(3), (2, 8, 8, 3))
    known = jax.random.uniform(jax.random.key(4), (8, 8)) > 0.5
    full = jnp.broadcast_to(known[..., None].astype(jnp.float32), (2, 8, 8, 1))
    np.testing.assert_array_equal(restorax.restore(filler, images, known), restorax.restore(filler, images, full))
    with pytest.raises(ValueError, match=r"must have the shape of a map, \(8, 8\) or \(8, 8, 1\); got \(\)"):
        filler(images, 1.0)


@pytest.mark.slow
def test_its_cost_needs_no_size(restorer):
    assert restorax.summary(restorer) == restorax.summary(restorer.model, 256, 256)
    assert restorax.summary(restorer).parameters == restorer.card.parameters


def test_an_nnx_module_from_an_entry(restorer, image, expected):
    from flax import nnx

    module = nnx.bridge.ToNNX(restorer.model, rngs=nnx.Rngs(0)).lazy_init(image)
    nnx.update(module, nnx.State(jax.tree.map(nnx.Param, dict(restorer.params))))
    np.testing.assert_allclose(module(image), expected, atol=1e-5)
