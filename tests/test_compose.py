"""Combinations of degradations: order, keys, conditions and equality; for their text see test_grammar.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from restorax import degrade
from restorax.degrade import Chain, LogUniform, Maybe, OneOf, Op, Shuffle, Uniform, parse


def _close(a, b, tolerance=1e-6):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=tolerance), a, b)


def _image(key):
    return jax.random.uniform(key, (17, 12, 1))


def test_chain_applies_parts_in_order_with_separate_keys(key):
    image = _image(key)
    first = Op(degrade.gaussian_noise, sigma=0.1)
    second = Op(degrade.missing_pixels, missing=0.5)
    out = Chain(first, second)(key, image)
    key1, key2 = jax.random.split(key, 2)
    expected = second(key2, first(key1, image).image)
    _close(out, expected, 0)


def test_chain_concatenates_conditions(key):
    holes = Op(degrade.missing_pixels, missing=0.5)
    assert Chain(holes, holes)(key, _image(key)).condition.shape == (17, 12, 2)
    assert Chain()(key, _image(key)).condition is None


def test_sampled_strengths_differ_between_images(key):
    flat = jnp.zeros((200, 16, 16, 1))
    noisy = Op(degrade.gaussian_noise, sigma=Uniform(0.1, 0.3))(key, flat).image
    sigmas = noisy.std((1, 2, 3))
    assert 0.08 < float(sigmas.min()) < 0.13
    assert 0.27 < float(sigmas.max()) < 0.33
    with pytest.raises(ValueError, match="must satisfy low <= high, got 2, 1"):
        Uniform(2, 1)


def test_log_uniform_is_uniform_in_the_logarithm(key):
    drawn = jnp.log10(LogUniform(1, 100)(key, (4000,)))
    assert abs(float(drawn.mean()) - 1) < 0.04
    assert abs(float(drawn.std()) - 2 / 12**0.5) < 0.03
    with pytest.raises(ValueError, match="must be above 0, got 0, 1"):
        LogUniform(0, 1)


@pytest.mark.parametrize("sampler", ["uniform", "log_uniform"])
def test_sampler_bounds_out_of_range_raise_before_sampling(sampler, key):
    with pytest.raises(ValueError, match=r"^`sigma` must be in \[0, 1\], got 55"):
        jax.jit(parse(f"gaussian_noise(sigma={sampler}(0.1, 55))"))(key, _image(key))
    with pytest.raises(ValueError, match=r"^`peak` must be above 0, got -1"):
        jax.jit(jax.vmap(parse("shot_noise(peak=uniform(-1, 9))")))(jax.random.split(key, 2), jnp.ones((2, 8, 8, 1)))
    whole = jax.jit(parse("jpeg(quality=log_uniform(100, 100))"))  # the logarithm and back would be above 100
    assert whole(key, _image(key)).image.shape == (17, 12, 1)
    drawn = LogUniform(90, 100)(key, (1000,))
    assert 90 <= float(drawn.min()) < float(drawn.max()) <= 100


@pytest.mark.usefixtures("unchecked")
def test_burst_must_precede_random_choices_and_conditions(key):
    images, frames = jnp.ones((3, 8, 8, 1)), Op(degrade.burst, frames=3)
    for wrong in (Maybe(frames), OneOf(frames, Op(_shift, by=1.0)), Shuffle(frames)):
        with pytest.raises(ValueError, match="must have degradations that keep the shape"):
            jax.eval_shape(wrong, key, images)
    holes = Op(degrade.missing_pixels, missing=0.5)
    with pytest.raises(ValueError, match="must come before those that return a condition"):
        jax.eval_shape(Chain(holes, frames), key, images)
    observed = jax.eval_shape(Chain(frames, Maybe(Op(_shift, by=1.0)), holes), key, images)
    assert observed.condition.shape == observed.image.shape == (3, 3, 8, 8, 1)


def _shift(image, *, by):
    return image + by


def _scale(image, *, by):
    return image * by


def test_one_of_and_maybe_choose_independently_per_image(key):
    images = jnp.ones((3000, 1, 1, 1))
    either = jax.jit(OneOf(*(Op(_shift, by=float(by)) for by in (1, 2, 3))))(key, images)
    assert either.condition is None
    shares = [float((either.image == value).mean()) for value in (2, 3, 4)]
    np.testing.assert_allclose(shares, 1 / 3, atol=0.04)
    weighted = jax.jit(OneOf(Op(_shift, by=1.0), Op(_shift, by=2.0), weights=(3, 1)))(key, images).image
    assert abs(float((weighted == 2).mean()) - 0.75) < 0.03
    with pytest.raises(ValueError, match="`weights` must be one number per degradation"):
        OneOf(Op(_shift, by=1.0), weights=(1, 2))
    perhaps = jax.jit(Maybe(Op(_shift, by=1.0), 0.2))(key, images).image
    assert abs(float((perhaps == 2).mean()) - 0.2) < 0.03
    holes = Op(degrade.missing_pixels, missing=0.5)
    either = jax.jit(OneOf(holes, Op(degrade.missing_blocks, side=0.5)))(key, jnp.ones((4, 8, 8, 1)))
    np.testing.assert_array_equal(either.image, either.condition)
    for wrong in (OneOf(holes, Op(_shift, by=1.0)), Maybe(holes), Shuffle(holes)):
        with pytest.raises(ValueError, match="condition"):
            jax.eval_shape(wrong, key, jnp.ones((8, 8, 1)))
    with pytest.raises(ValueError, match="at least one"):
        OneOf()
    with pytest.raises(ValueError, match=r"`probability` must be in \[0, 1\], got 1.5"):
        Maybe(holes, 1.5)


def test_shuffle_takes_every_order(key):
    mixed = jax.jit(Shuffle(Op(_shift, by=1.0), Op(_scale, by=2.0), Op(_shift, by=10.0)))
    seen = {float(mixed(k, jnp.ones((1, 1, 1))).image[0, 0, 0]) for k in jax.random.split(key, 60)}
    assert seen == {(1 + 1) * 2 + 10, (1 + 11) * 2, (1 + 10) * 2 + 1, 2 + 11}


@pytest.mark.usefixtures("unchecked")
def test_nested_chains_are_flattened_and_a_chain_of_one_passes_its_key(key):
    one, two = Op(degrade.gaussian_noise, sigma=0.1), Op(_shift, by=1.0)
    assert Chain(Chain(one, two), one) == Chain(one, Chain(two, one)) == Chain(one, two, one)
    assert Chain(one) == one
    assert hash(Chain(one)) == hash(one)
    _close(Chain(one)(key, _image(key)), one(key, _image(key)), 0)
    with pytest.raises(TypeError, match="is not a degradation; write Op"):
        Chain(one, _shift)


def test_degradations_are_equal_by_value():
    kernel = np.ones((3, 3), np.float32) / 9
    blur = Op(degrade.kernel_blur, kernel=kernel)
    assert blur == Op(degrade.kernel_blur, kernel=kernel.copy())
    assert hash(blur) == hash(Op(degrade.kernel_blur, kernel=kernel.copy()))
    kernel[0] = 0
    assert blur != Op(degrade.kernel_blur, kernel=kernel)  # a copy was taken
    assert str(blur) == "kernel_blur(kernel=<array [3, 3]>)"
    assert Op(degrade.jpeg, quality=Uniform(5, 95)) == Op(degrade.jpeg, quality=Uniform(5, 95))
    different = [
        Op(degrade.gaussian_noise, sigma=0.1),
        Op(degrade.gaussian_noise, sigma=Uniform(0, 0.1)),
        Op(degrade.gaussian_noise, sigma=LogUniform(0.01, 0.1)),
        Op(degrade.gaussian_noise, sigma=0.1, with_level=True),
        Op(degrade.gaussian_noise, with_level=True, sigma=0.1),  # keys of samplers depend on the order
        Op(degrade.speckle_noise, sigma=0.1),
        Op(degrade.low_resolution, factor=2),
        Op(_scale, by=2),
        Op(_scale, by=2.0),  # a count must be an integer
        Op(_scale, by=True),
    ]
    noise = different[0]
    different += [Maybe(noise), Maybe(noise, 0.4), OneOf(noise), OneOf(noise, weights=(1,)), Shuffle(noise)]
    different += [Chain(noise, noise), OneOf(noise, noise), Shuffle(noise, noise)]
    assert len(set(different)) == len(different)
    with pytest.raises(AttributeError):
        noise.operator = degrade.jpeg


def test_operators_property_and_replace():
    both = parse("one_of(gaussian_noise(sigma=0.1), maybe(shuffle(jpeg(quality=30)))) + gaussian_noise(sigma=0.2)")
    assert [op.name for op in both.operators] == ["gaussian_noise", "jpeg", "gaussian_noise"]
    assert both.operators[1].strengths == {"quality": 30}
    assert both.operators[1].operator is degrade.jpeg
    changed = both.replace(sigma=0.3, quality=Uniform(5, 10))
    kinds = "one_of(gaussian_noise(sigma=0.3), maybe(shuffle(jpeg(quality=uniform(5, 10)))))"
    assert str(changed) == f"{kinds} + gaussian_noise(sigma=0.3)"
    text = "one_of(jpeg(quality={0}), jpeg(quality={0}), weights=(3, 1)) + maybe(jpeg(quality={0}), probability=0.1)"
    assert str(parse(text.format(5)).replace(quality=9)) == text.format(9)
    with_condition = parse("gaussian_noise(sigma=0.1, with_level=True)")
    assert with_condition.replace(with_level=None) == parse("gaussian_noise(sigma=0.1)")
    with pytest.raises(ValueError, match="sets no strength 'peak'; it sets sigma, quality"):
        both.replace(peak=3)
    with pytest.raises(ValueError, match="`sigma` must be in"):
        both.replace(sigma=3)
