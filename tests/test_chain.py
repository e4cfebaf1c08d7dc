"""Composition and the language of degradations."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from restorax import degrade
from restorax.degrade import chain, parse, stage, uniform
from restorax.types import Observation


def _close(a, b, tolerance=1e-6):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=tolerance), a, b)


def _image(key):
    return jax.random.uniform(key, (17, 12, 1))


def test_chain_applies_in_order_with_own_keys(key):
    image = _image(key)
    first = stage(degrade.gaussian_noise, sigma=0.1)
    second = stage(degrade.missing_pixels, missing=0.5)
    out = chain(first, second)(key, image)
    key1, key2 = jax.random.split(key, 2)
    expected = second(key2, first(key1, image).image)
    _close(out, expected, 0)


def test_chain_concatenates_conditions(key):
    holes = stage(degrade.missing_pixels, missing=0.5)
    assert chain(holes, holes)(key, _image(key)).condition.shape == (17, 12, 2)
    assert chain()(key, _image(key)).condition is None


def test_random_strengths_differ_between_images(key):
    flat = jnp.zeros((200, 16, 16, 1))
    noisy = stage(degrade.gaussian_noise, sigma=uniform(0.1, 0.3))(key, flat).image
    sigmas = noisy.std((1, 2, 3))
    assert 0.08 < float(sigmas.min()) < 0.13
    assert 0.27 < float(sigmas.max()) < 0.33
    with pytest.raises(ValueError, match="must not exceed"):
        uniform(2, 1)


def test_log_uniform_is_uniform_in_the_logarithm(key):
    drawn = jnp.log10(degrade.log_uniform(1, 100)(key, (4000,)))
    assert abs(float(drawn.mean()) - 1) < 0.04
    assert abs(float(drawn.std()) - 2 / 12**0.5) < 0.03
    with pytest.raises(ValueError, match="positive and in order"):
        degrade.log_uniform(0, 1)


@pytest.mark.parametrize("sampler", ["uniform", "log_uniform"])
def test_draws_outside_the_range_are_refused_where_they_are_traced(sampler, key):
    with pytest.raises(ValueError, match=r"^sigma is 55; values from 0 to 1"):
        jax.jit(parse(f"gaussian_noise(sigma={sampler}(0.1, 55))"))(key, _image(key))
    with pytest.raises(ValueError, match=r"^peak is -1; values above 0"):
        jax.jit(jax.vmap(parse("shot_noise(peak=uniform(-1, 9))")))(jax.random.split(key, 2), jnp.ones((2, 8, 8, 1)))
    whole = jax.jit(parse("jpeg(quality=log_uniform(100, 100))"))  # the logarithm and back would be above 100
    assert whole(key, _image(key)).image.shape == (17, 12, 1)
    drawn = degrade.log_uniform(90, 100)(key, (1000,))
    assert 90 <= float(drawn.min()) < float(drawn.max()) <= 100


@pytest.mark.usefixtures("unchecked")
def test_frames_are_made_before_what_chooses_between_images(key):
    images, frames = jnp.ones((3, 8, 8, 1)), stage(degrade.burst, frames=3)
    for wrong in (degrade.maybe(frames), degrade.one_of(frames, stage(_shift, by=1.0)), degrade.shuffle(frames)):
        with pytest.raises(ValueError, match="make frames of an image; apply them before"):
            wrong(key, images)
    holes = stage(degrade.missing_pixels, missing=0.5)
    with pytest.raises(ValueError, match="must stand before those that bring a condition"):
        chain(holes, frames)(key, images)
    observed = chain(frames, degrade.maybe(stage(_shift, by=1.0)), holes)(key, images)
    assert observed.condition.shape == observed.image.shape == (3, 3, 8, 8, 1)


def _shift(image, *, by):
    return image + by


def _scale(image, *, by):
    return image * by


def test_one_of_and_maybe_choose_per_image(key):
    images = jnp.ones((3000, 1, 1, 1))
    either = jax.jit(degrade.one_of(*(stage(_shift, by=float(by)) for by in (1, 2, 3))))(key, images)
    assert either.condition is None
    shares = [float((either.image == value).mean()) for value in (2, 3, 4)]
    np.testing.assert_allclose(shares, 1 / 3, atol=0.04)
    weighted = degrade.one_of(stage(_shift, by=1.0), stage(_shift, by=2.0), weights=(3, 1))(key, images).image
    assert abs(float((weighted == 2).mean()) - 0.75) < 0.03
    with pytest.raises(ValueError, match="not as many chances"):
        degrade.one_of(stage(_shift, by=1.0), weights=(1, 2))
    perhaps = jax.jit(degrade.maybe(stage(_shift, by=1.0), 0.2))(key, images).image
    assert abs(float((perhaps == 2).mean()) - 0.2) < 0.03
    holes = stage(degrade.missing_pixels, missing=0.5)
    either = degrade.one_of(holes, stage(degrade.missing_blocks, side=0.5))(key, jnp.ones((4, 8, 8, 1)))
    np.testing.assert_array_equal(either.image, either.condition)
    for wrong in (degrade.one_of(holes, stage(_shift, by=1.0)), degrade.maybe(holes), degrade.shuffle(holes)):
        with pytest.raises(ValueError, match="condition"):
            wrong(key, jnp.ones((8, 8, 1)))
    with pytest.raises(ValueError, match="at least one"):
        degrade.one_of()
    with pytest.raises(ValueError, match="outside"):
        degrade.maybe(holes, 1.5)


def test_shuffle_takes_every_order(key):
    mixed = jax.jit(degrade.shuffle(stage(_shift, by=1.0), stage(_scale, by=2.0), stage(_shift, by=10.0)))
    seen = {float(mixed(k, jnp.ones((1, 1, 1))).image[0, 0, 0]) for k in jax.random.split(key, 60)}
    assert seen == {(1 + 1) * 2 + 10, (1 + 11) * 2, (1 + 10) * 2 + 1, 2 + 11}


def test_parse_understands_combinations(key):
    kinds = "motion_blur(length=uniform(1, 7), radius=3), defocus_blur(blur_radius=2.0)"
    blurred = f"one_of({kinds}, weights=(0.7, 0.3))"
    with pytest.raises(ValueError, match="is not an operator"):
        parse(f"{blurred} + maybe(jpeg(quality=30), 0.5)")
    both = parse(f"{blurred} + maybe(jpeg(quality=30), probability=0.5)")
    observed = jax.jit(both)(key, jnp.ones((2, 16, 16, 1)))
    np.testing.assert_allclose(observed.image, 1, atol=0.02)
    with pytest.raises(ValueError, match="unexpected keyword"):
        parse("maybe(jpeg(quality=30), chance=0.5)")


def test_parse_equals_the_functions(key):
    text = "gaussian_noise(sigma=25/255) + missing_pixels(missing=uniform(0.2, 1 - 0.5))"
    built = chain(
        stage(degrade.gaussian_noise, sigma=25 / 255), stage(degrade.missing_pixels, missing=uniform(0.2, 0.5))
    )
    _close(parse(text)(key, _image(key)), built(key, _image(key)), 0)
    assert isinstance(parse("gaussian_blur(sigma=1.0, border='circular')")(key, _image(key)), Observation)


@pytest.mark.parametrize("name", degrade.DEGRADATIONS)
def test_presets_are_understood(name):
    assert callable(parse(name))


def test_severities_grow(key, photograph):
    flat = jnp.asarray(photograph[:64, :64])
    for name in ("gaussian_noise", "shot_noise", "impulse_noise", "jpeg"):
        errors = [
            float(((parse(f"imagenet_c-{name}-{severity}")(key, flat).image - flat) ** 2).mean())
            for severity in range(1, 6)
        ]
        assert errors == sorted(errors)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gaussian_noise(sigma=", "not understood"),
        ("blurr(sigma=1)", "unknown operator 'blurr'"),
        ("gaussian_noise(25/255)", "by name"),
        ("gaussian_noise()", "needs the strength 'sigma'"),
        ("gaussian_noise(sgima=1)", "no strength 'sgima'"),
        ("gaussian_noise(sigma=__import__('os').getpid())", "is not a strength"),
        ("gaussian_noise(sigma=open)", "is not a strength"),
        ("42", "is not an operator"),
    ],
)
def test_parse_refuses_in_a_sentence(text, message):
    with pytest.raises(ValueError, match=message):
        parse(text)
