"""Losses without clean images: their minimiser is the clean image, and their gradient that of the supervised loss."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from restorax.train.self_supervised import LOSSES, parse_self_supervised
from restorax.train.self_supervised.base import is_unclipped
from restorax.train.self_supervised.noise2self import hide_grid
from restorax.train.step import init_state, make_step
from tests.small_recipe import with_steps
from tests.tiers import first

SIGMA = 0.1
TEXTS = {
    "noise2noise": "noise2noise",
    "neighbor2neighbor": "neighbor2neighbor",
    "noise2void": "noise2void(amount=0.2)",
    "rows": "noise2void(amount=0.2, rows=True)",
    "noise2self": "noise2self(grid=2)",
    "sure": f"sure(sigma={SIGMA})",
    "recorrupted": f"recorrupted(sigma={SIGMA}, alpha=1)",
}
SIDE, BATCH = 64, 16


def _images(noise):
    """An image of two values in blocks, and two noisy shots of it."""
    clean = np.kron(np.indices((4, 4)).sum(0) % 2, np.ones((16, 16)))[None, :, :, None] * 0.4 + 0.3
    clean = jnp.broadcast_to(jnp.float32(clean), (BATCH, SIDE, SIDE, 1))
    keys = jax.random.split(jax.random.key(5))
    if noise == "rows":
        shots = [clean + SIGMA * jax.random.normal(key, (BATCH, SIDE, 1, 1)) for key in keys]
    elif noise == "poisson":
        shots = [jax.random.poisson(key, 50 * clean) / 50 for key in keys]
    else:
        shots = [clean + SIGMA * jax.random.normal(key, clean.shape) for key in keys]
    return clean, *shots


def _least(loss, keys, noisy, second, clean):
    """The two values of a constant output by region that minimise a loss, by one Newton step: it is quadratic."""
    bright = clean > 0.5
    of = lambda values: loss(lambda y: jnp.where(_like(bright, y), values[1], values[0]), keys, noisy, second)  # noqa: E731
    start = jnp.array([0.5, 0.5])
    return start - jnp.linalg.solve(jax.hessian(of)(start), jax.grad(of)(start))


def _like(mask, image):
    """The regions at the size of an image, which may be that of every second pixel, or turned."""
    return mask[:, :: mask.shape[1] // image.shape[1], :: mask.shape[2] // image.shape[2]]


@pytest.mark.parametrize("name", first(TEXTS, "neighbor2neighbor", "noise2self", "recorrupted"))
def test_the_minimiser_is_the_clean_image(name):
    clean, noisy, second = _images("rows" if name == "rows" else "gaussian")
    loss, keys = parse_self_supervised(TEXTS[name]), jax.random.split(jax.random.key(0), BATCH)
    values = jax.jit(lambda n, s: _least(loss, keys, n, s, clean))(noisy, second)
    np.testing.assert_allclose(values, [0.3, 0.7], atol=0.015 if name == "rows" else 0.005)


@pytest.mark.parametrize("name", first(["neighbor2neighbor", "noise2void", "noise2self"], "noise2self"))
def test_noise_that_depends_on_the_image_has_the_same_minimiser(name):
    clean, noisy, second = _images("poisson")
    keys = jax.random.split(jax.random.key(0), BATCH)
    values = jax.jit(lambda n: _least(LOSSES[name], keys, n, second, clean))(noisy)
    np.testing.assert_allclose(values, [0.3, 0.7], atol=0.006)


def _network(weights):
    """A filter and an offset, and something that is not linear."""
    return lambda y: weights[0] * y + weights[1] * jnp.roll(y, 1, axis=2) + weights[2] * jnp.tanh(4 * y) + weights[3]


@pytest.mark.parametrize("name", first(TEXTS, "noise2noise", "noise2void", "sure"))
def test_the_gradient_is_that_of_the_supervised_loss(name):
    shape = (512, SIDE, 4, 1) if name == "rows" else (BATCH, SIDE, SIDE, 1)
    one, other = (
        jax.random.normal(key, (*shape[:2], 1 if name == "rows" else SIDE, 1))
        for key in (jax.random.key(1), jax.random.key(2))
    )
    clean = jnp.full(shape, 0.5)
    noisy, second = clean + SIGMA * one, clean + SIGMA * other
    loss, keys = parse_self_supervised(TEXTS[name]), jax.random.split(jax.random.key(0), len(noisy))
    target = second if name == "noise2noise" else noisy
    supervised = {
        "sure": lambda w: jnp.mean((_network(w)(noisy) - clean) ** 2),
        "recorrupted": lambda w: jnp.mean((_network(w)(noisy + SIGMA * other) - clean) ** 2),
    }.get(name, lambda w: loss(_network(w), keys, noisy, clean))
    gradients = jax.jit(
        lambda w: [jax.grad(f)(w) for f in (lambda w: loss(_network(w), keys, noisy, target), supervised)]
    )
    found, expected = gradients(jnp.array([0.5, 0.3, 0.1, 0.05]))
    assert float(jnp.linalg.norm(found - expected)) < 0.04 * float(jnp.linalg.norm(expected))


@pytest.mark.slow
def test_what_is_hidden_does_not_reach_the_network():
    """Changing the hidden pixels alone changes no input of the network."""
    noisy = jax.random.normal(jax.random.key(0), (2, 16, 16, 1))
    phases = jnp.array([[0, 1], [3, 2]])
    seen, hidden = hide_grid(noisy, phases, 4)
    again, _ = hide_grid(jnp.where(hidden[..., None], 9.0, noisy), phases, 4)
    np.testing.assert_array_equal(seen, again)
    assert int(hidden.sum()) == 2 * 16
    keys = jax.random.split(jax.random.key(1), 2)
    for text, axes in (("amount=0.2", ()), ("amount=0.2, rows=True", (2,)), ("amount=0.2, columns=True", (1,))):
        inputs = jax.jit(_input_of(parse_self_supervised(f"noise2void({text})")))(keys, noisy)
        changed = np.asarray(inputs != noisy)[..., 0]
        assert 0.1 < changed.mean() < 0.35
        if axes:
            assert set(np.unique(changed.mean(axes))) == {0.0, 1.0}


def _input_of(loss):
    """What a loss gives to the network."""

    def run(keys, noisy):
        inputs = []
        loss(lambda y: inputs.append(y) or y, keys, noisy, noisy)
        return inputs[0]

    return run


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sure", r"loss 'sure' requires sigma, e.g. sure\(sigma=25/255\)"),
        ("noise2self(side=2)", "unknown setting 'side'; noise2self takes grid"),
        ("noise2noise(a=2)", "unknown setting 'a'; noise2noise takes none"),
        ("noise2self(grid=x)", "'x' must be an integer"),
    ],
)
def test_settings_that_are_not_understood_are_refused(text, message):
    with pytest.raises(ValueError, match=message):
        parse_self_supervised(text)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": "noise2void"}, "loss 'noise2void' does not fit source 'clean'; noisy images alone take"),
        ({"loss": "l1", "source": "noisy"}, "loss 'l1' does not fit source 'noisy'"),
        ({"loss": "noise2noise", "source": "noisy"}, "loss 'noise2noise' does not fit source 'noisy'"),
        ({"loss": "noise2self", "source": "pairs"}, "loss 'noise2self' does not fit source 'pairs'"),
    ],
)
def test_losses_that_do_not_fit_the_images_are_refused(changes, message):
    recipe = with_steps(2, **{"degradation": "identity()", **changes})
    with pytest.raises(ValueError, match=message):
        make_step(recipe, recipe.stages[0])


def test_networks_and_types_that_do_not_fit_are_refused():
    recipe = with_steps(2, degradation="identity()", source="noisy", loss="sure(sigma=0.1)")
    with pytest.raises(ValueError, match="requires `dtype` 'float32', got 'bfloat16'"):
        make_step(dataclasses.replace(recipe, dtype="bfloat16"), recipe.stages[0])
    recipe = dataclasses.replace(recipe, architecture="ffdnet", config={"channels": 1})
    with pytest.raises(ValueError, match=r"ffdnet takes a condition .* which source 'noisy' does not have"):
        make_step(recipe, recipe.stages[0])


@pytest.mark.slow
def test_a_step_on_noisy_images_is_finite_and_depends_on_rows_alone(key):
    recipe = with_steps(2, degradation="identity()", source="noisy", loss="neighbor2neighbor", patch=16, batch=4)
    state, step = init_state(recipe, key), jax.jit(make_step(recipe, recipe.stages[0]))
    patches = jax.random.uniform(key, (4, 16, 16, 1), maxval=65535).astype(jnp.uint16)
    out, metrics = step(state, patches, key)
    assert float(metrics["loss"]) > 0
    turned = step(state, patches[::-1], key, jnp.arange(4)[::-1])[0]
    for a, b in zip(jax.tree.leaves(out.params), jax.tree.leaves(turned.params), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.slow
def test_areas_where_noise_is_clipped_do_not_count(key):
    means = np.repeat([0.02, 0.5, 0.98], 16)[None, None, :, None]
    clean = jnp.broadcast_to(jnp.float32(means), (1, 48, 48, 1))
    noisy = jnp.clip(clean + SIGMA * jax.random.normal(key, clean.shape), 0, 1)
    counts = is_unclipped(noisy, sigma=SIGMA, shot=0.0, gain=0.0)[0, :, :, 0]
    assert [float(counts[:, at : at + 8].mean()) for at in (4, 20, 36)] == [0, 1, 0]
    photons = is_unclipped(clean, sigma=0.0, shot=0.1, gain=0.0)[0, :, :, 0]  # none below black
    assert [float(photons[:, at : at + 8].mean()) for at in (4, 20, 36)] == [1, 0, 0]
    loss = parse_self_supervised(f"recorrupted(sigma={SIGMA}, unclipped=True)")
    kept = loss(lambda y: jnp.where(_like(clean > 0.9, y), 9.0, y), key[None], noisy, noisy)
    assert float(kept) < 1
