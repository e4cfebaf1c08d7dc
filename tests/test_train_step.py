"""The training step, its recipes, losses and optimiser."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from restorax import data
from restorax.degrade import parse
from restorax.models import MODELS
from restorax.recipes import RECIPES
from restorax.train.losses import LOSSES, parse_loss
from restorax.train.step import init_state, make_draw, make_step, optimizer, patch_side
from tests.small_recipe import FIRST_STAGE, SMALL, with_steps
from tests.tiers import first


def _equal(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def test_a_recipe_takes_what_the_network_has_by_default():
    recipe = dataclasses.replace(SMALL, architecture="ffdnet", config={})
    assert int(jax.eval_shape(lambda key: init_state(recipe, key), jax.random.key(0)).step.size) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", first(RECIPES, "arcnn-gray-jpeg"))
def test_recipes_step_is_finite_and_repeatable(name):
    recipe = RECIPES[name].adjusted(steps=100).with_stages(patch=16, batch=2, warmup=0)
    # Fewer operations compile sooner.
    fields = MODELS[recipe.architecture]().__dataclass_fields__
    small = {"widths": (8, 16), "width": 8, "blocks": 1, "depth": 3, "scan_levels": (1,), "sizes": (5, 3, 3)}
    config = recipe.config | {key: value for key, value in small.items() if key in fields}
    recipe = dataclasses.replace(recipe, config=config)
    side = patch_side(recipe.stages[0])
    patches = jax.random.randint(jax.random.key(3), (2, side, side, recipe.config["channels"]), 0, 256)
    patches = patches.astype(jnp.uint8)
    step = jax.jit(make_step(recipe, recipe.stages[0]))
    state = init_state(recipe, jax.random.key(0))
    out, metrics = step(state, patches, jax.random.key(1))
    assert int(out.step) == 1
    assert np.isfinite(metrics["loss"])
    assert float(metrics["gradient_norm"]) > 0
    _equal(step(state, patches, jax.random.key(1))[0], out)
    other = step(state, patches, jax.random.key(2))[1]
    assert float(other["loss"]) != float(metrics["loss"])


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_vanish_only_for_equal_images(loss, key):
    image = jax.random.uniform(key, (1, 16, 16, 1))
    assert float(LOSSES[loss](image, image)) < 2e-3
    values = [float(LOSSES[loss](image, image + shift)) for shift in (0, 0.01, 0.1)]
    assert values == sorted(set(values))


def test_losses_are_what_their_papers_say():
    rng = np.random.default_rng(0)
    x, y = rng.random((2, 3, 16, 20, 2), np.float32)
    losses = {name: float(loss(jnp.asarray(x), jnp.asarray(y))) for name, loss in LOSSES.items()}
    spectrum = np.fft.fft2(x - y, axes=(1, 2)) / np.sqrt(16 * 20)
    expected = {
        "l1": np.abs(x - y).mean(),
        "mse": ((x - y) ** 2).mean(),
        "log_mse": np.mean([np.log1p(255**2 * ((a - b) ** 2).mean()) for a, b in zip(x, y, strict=True)]),
        "charbonnier": np.sqrt((x - y) ** 2 + 1e-3**2).mean(),
        "ssim": 1 - np.mean([_ssim(a, b) for a, b in zip(x, y, strict=True)]),
        "fft_l1": np.abs(np.stack([spectrum.real, spectrum.imag])).mean(),
    }
    assert losses == pytest.approx(expected, rel=1e-4)
    both = parse_loss("charbonnier + 0.05 * fft_l1")(jnp.asarray(x), jnp.asarray(y))
    assert float(both) == pytest.approx(losses["charbonnier"] + 0.05 * losses["fft_l1"], rel=1e-5)


def _ssim(a, b):
    from skimage.metrics import structural_similarity

    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    full = structural_similarity(a, b, data_range=1, channel_axis=2, full=True, **options)[1]
    return full[5:-5, 5:-5].mean()


@pytest.mark.parametrize("text", ["l3", "l1 + ", "2 l1", "l1 - mse", "x * l1", "1.2.3 * l1"])
def test_unknown_losses_are_refused(text):
    with pytest.raises(ValueError, match="is not understood"):
        parse_loss(text)


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_of_losses_are_finite_where_images_are_equal(loss, key):
    image = jax.random.uniform(key, (1, 16, 16, 1))
    assert np.isfinite(jax.grad(LOSSES[loss])(image, image)).all()


# --- the step ---


@pytest.mark.parametrize("poisoned", ["loss", "gradient"])
def test_a_step_that_is_not_finite_changes_nothing_but_the_count(poisoned, key, monkeypatch):
    """The gradient of ``sqrt(mse)`` is not finite where the loss is zero."""
    bad = {"loss": lambda x, y: jnp.mean(x - y) / 0, "gradient": lambda x, y: jnp.sqrt(jnp.sum((x - y) * 0))}
    monkeypatch.setitem(LOSSES, "bad", bad[poisoned])
    patches = jax.random.randint(key, (4, 32, 32, 1), 0, 256).astype(jnp.uint8)
    good, broken = (jax.jit(make_step(SMALL, dataclasses.replace(FIRST_STAGE, loss=loss))) for loss in ("l1", "bad"))
    before, metrics = good(init_state(SMALL, key), patches, key)
    assert int(metrics["skipped"]) == 0
    after, metrics = broken(before, patches, key)
    assert int(metrics["skipped"]) == 1
    assert np.isfinite(metrics["loss"]) == (poisoned == "gradient")
    assert int(after.step) == int(before.step) + 1
    _equal(after.replace(step=before.step), before)
    again, metrics = good(after, patches, key)
    assert int(metrics["skipped"]) == 0
    assert any(
        (a != b).any() for a, b in zip(jax.tree.leaves(again.params), jax.tree.leaves(after.params), strict=True)
    )


@pytest.mark.slow
def test_kernels_decay(key):
    optimise = optimizer(dataclasses.replace(with_steps(12, learning_rate=1.0, warmup=0), weight_decay=0.5))
    params = init_state(SMALL, key).params
    zeros = jax.tree.map(jnp.zeros_like, params)
    updates, _ = optimise.update(zeros, optimise.init(params), params)
    np.testing.assert_allclose(updates["conv0"]["kernel"], -0.5 * params["conv0"]["kernel"], rtol=1e-6)


def test_gradients_are_clipped(key):
    params = init_state(SMALL, key).params
    large = jax.tree.map(jnp.ones_like, params)
    small = jax.tree.map(lambda g: 0.1 * g / optax.tree.norm(large), large)
    updates = []
    for clip, gradients in ((0.1, large), (1e9, small)):
        optimise = optimizer(dataclasses.replace(with_steps(12, warmup=0), clip=clip))
        updates.append(optimise.update(gradients, optimise.init(params), params)[0])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-9), *updates)
    assert float(optax.tree.norm(updates[0])) > 0


def test_the_randomness_of_a_patch_depends_on_its_row_alone(key):
    draw = make_draw(FIRST_STAGE)
    keys, patches = jax.random.split(key, 4), jnp.full((4, 32, 32, 1), 100, jnp.uint8)
    whole = draw(keys, patches)[0].image
    np.testing.assert_array_equal(draw(keys[2:], patches[2:])[0].image, whole[2:])
    assert float(jnp.abs(whole[0] - whole[1]).max()) > 0


def test_a_batch_that_does_not_split_is_refused():
    with pytest.raises(ValueError, match="`batch` must be divisible by `accumulate` 3, got 4"):
        SMALL.with_stages(accumulate=3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch": 0}, "`batch` must be an integer >= 1, got 0"),
        ({"accumulate": 0}, "`accumulate` must be an integer >= 1, got 0"),
        ({"patch": -1}, "`patch` must be an integer >= 1, got -1"),
        ({"steps": 0}, "`steps` must be an integer >= 1, got 0"),
        ({"learning_rate": float("nan")}, "`learning_rate` must be positive and finite, got nan"),
    ],
)
def test_a_stage_that_trains_nothing_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        SMALL.with_stages(**changes)


def test_a_recipe_without_stages_or_in_an_unknown_type_is_refused():
    with pytest.raises(ValueError, match="`stages` must have at least one stage"):
        dataclasses.replace(SMALL, stages=())
    with pytest.raises(ValueError, match="`dtype` must be 'float32' or 'bfloat16', got 'float16'"):
        dataclasses.replace(SMALL, dtype="float16")


@pytest.mark.slow
def test_patches_are_drawn_larger_by_the_border_of_blur():
    plain = dataclasses.replace(FIRST_STAGE, patch=24, degradation="gaussian_noise(sigma=0.1)")
    blurred = dataclasses.replace(plain, degradation="gaussian_blur(sigma=1.6) + gaussian_noise(sigma=0.1)")
    assert (patch_side(plain), patch_side(blurred)) == (24, 40)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 48, 44, 1), np.uint8)
    pictures = data.DeviceImages(pixels, np.array([[48, 44], [40, 44]], np.int32))
    patches, keys = pixels[:, :40, :40], jax.random.split(jax.random.key(0), 2)
    for source in (jax.tree.map(jnp.asarray, pictures), patches):
        observed, clean = make_draw(blurred)(keys, source)
        assert observed.image.shape == clean.shape == (2, 24, 24, 1)
    np.testing.assert_array_equal(clean, patches[:, 8:-8, 8:-8] / np.float32(255))
    patches = patches[:, :24, :24]
    observed, clean = make_draw(plain)(keys, patches)
    _, degrade_keys = jax.vmap(jax.random.split, out_axes=1)(keys)
    expected = jax.vmap(parse(plain.degradation))(degrade_keys, patches / np.float32(255))
    np.testing.assert_array_equal(observed.image, expected.image)
