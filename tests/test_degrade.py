"""Operators: the tests that no entry of OPERATORS skips, then each against an independent reference."""

import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
from PIL import Image as PillowImage

from restorax import degrade
from restorax.degrade import OPERATORS, chain, parse, stage, uniform
from restorax.types import Observation

# A typical and a per-image strength of every operator: a new operator has to be entered here.
STRENGTHS = {
    "gaussian_noise": ({"sigma": 0.1}, {"sigma": (0.05, 0.2)}, {}),
    "missing_pixels": ({"missing": 0.4}, {"missing": (0.3, 0.7)}, {}),
    "gaussian_blur": ({"sigma": 1.2}, {"sigma": (0.7, 2.0)}, {"radius": 8}),
    "jpeg": ({"quality": 40}, {"quality": (20, 80)}, {}),
}
DIFFERENTIABLE = ("gaussian_noise", "missing_pixels", "gaussian_blur")


def _image(key, batch=(), size=(17, 12)):
    return jax.random.uniform(key, (*batch, *size, 1))


def _run(name, key, image, **extra):
    one, _, static = STRENGTHS[name]
    return stage(OPERATORS[name], **{**one, **static, **extra})(key, image)


def _close(a, b, tolerance=1e-6):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=tolerance), a, b)


def test_every_operator_is_entered():
    assert set(STRENGTHS) == set(OPERATORS)


@pytest.mark.parametrize("name", OPERATORS)
def test_jit_equals_eager_and_same_key_same_output(name, key):
    image = _image(key)
    eager = _run(name, key, image)
    _close(jax.jit(lambda k, x: _run(name, k, x))(key, image), eager)
    _close(_run(name, key, image), eager, 0)
    assert eager.image.shape == image.shape


@pytest.mark.parametrize("name", OPERATORS)
def test_vmap_equals_loop(name, key):
    images, keys = _image(key, (3,)), jax.random.split(key, 3)
    mapped = jax.vmap(lambda k, x: _run(name, k, x))(keys, images)
    for i in range(3):
        _close(jax.tree.map(lambda x, i=i: x[i], mapped), _run(name, keys[i], images[i]))


@pytest.mark.parametrize("name", OPERATORS)
def test_traced_per_image_strength_equals_each_alone(name, key):
    _, per_image, static = STRENGTHS[name]
    ((strength, values),) = per_image.items()
    images = jnp.broadcast_to(_image(key), (2, 17, 12, 1))
    both = jax.jit(lambda s: stage(OPERATORS[name], **{strength: s}, **static)(key, images).image)(jnp.array(values))
    if name in ("gaussian_noise", "missing_pixels"):  # random ones draw differently per image: compare with one batch
        alone = [_run(name, key, images, **{strength: v}).image[i] for i, v in enumerate(values)]
    else:
        alone = [_run(name, key, images[i], **{strength: v}).image for i, v in enumerate(values)]
    _close(both, jnp.stack(alone), 1e-5)


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (8, 8), (23, 5)])
def test_any_size_and_empty_batch(name, size, key):
    assert np.isfinite(_run(name, key, _image(key, (2,), size)).image).all()
    assert _run(name, key, _image(key, (0,), size)).image.shape == (0, *size, 1)


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradient_is_finite(name, key):
    one, _, static = STRENGTHS[name]
    ((strength, value),) = one.items()

    def total(image, value):
        return stage(OPERATORS[name], **{strength: value}, **static)(key, image).image.sum()

    gradients = jax.grad(total, (0, 1))(_image(key), value)
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(gradients))
    assert np.abs(gradients[0]).sum() > 0


@pytest.mark.parametrize("name", OPERATORS)
def test_same_output_on_one_and_eight_devices(name, key):
    images = _image(key, (8,))
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    run = jax.jit(lambda x: _run(name, key, x).image)
    np.testing.assert_array_equal(run(jax.device_put(images, sharding)), run(images))


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.usefixtures("unchecked")
def test_bad_input_is_refused_in_a_sentence(name, key):
    with pytest.raises(TypeError, match="floating point"):
        _run(name, key, jnp.zeros((8, 8, 1), jnp.uint8))
    with pytest.raises(ValueError, match="shape"):
        _run(name, key, jnp.zeros((8, 8)))
    with pytest.raises(ValueError, match="at least 1"):
        _run(name, key, jnp.zeros((0, 8, 1)))
    strength = next(iter(STRENGTHS[name][0]))
    with pytest.raises(ValueError, match="does not fit the batch"):
        _run(name, key, jnp.zeros((2, 8, 8, 1)), **{strength: jnp.ones(3)})
    with pytest.raises(TypeError, match="no strength 'wrong'"):
        _run(name, key, jnp.zeros((8, 8, 1)), wrong=1)


# --- gaussian_noise ---


def test_gaussian_noise_moments(key):
    noise = degrade.gaussian_noise(key, jnp.full((400, 400, 1), 0.3), sigma=25 / 255) - 0.3
    n = noise.size
    sigma = 25 / 255
    assert abs(float(noise.mean())) < 4 * sigma / n**0.5
    assert abs(float(noise.std()) / sigma - 1) < 4 / (2 * n) ** 0.5
    assert abs(float((noise**4).mean()) / sigma**4 - 3) < 4 * (96 / n) ** 0.5
    shifted = (noise[1:] * noise[:-1]).mean()
    assert abs(float(shifted)) < 4 * sigma**2 / n**0.5


def test_gaussian_noise_is_not_clipped(key):
    noisy = degrade.gaussian_noise(key, jnp.ones((50, 50, 1)), sigma=0.2)
    assert float(noisy.max()) > 1.2


# --- missing_pixels ---


@pytest.mark.parametrize("missing", [0.0, 0.3, 0.5, 0.801, 1.0])
def test_missing_share_is_exact(missing, key):
    image = jnp.ones((3, 31, 20, 3))
    holes, mask = degrade.missing_pixels(key, image, missing=missing)
    np.testing.assert_array_equal((mask == 0).sum((1, 2, 3)), round(missing * 31 * 20))
    np.testing.assert_array_equal(holes, image * mask)


def test_missing_share_is_exact_when_draws_collide(key, monkeypatch):
    monkeypatch.setattr(jax.random, "bits", lambda key, shape, dtype: jnp.zeros(shape, dtype))
    mask = degrade.missing_pixels(key, jnp.ones((10, 10, 1)), missing=0.37).condition
    assert int((mask == 0).sum()) == 37


def test_missing_pixels_are_spread_evenly(key):
    masks = jax.vmap(lambda k: degrade.missing_pixels(k, jnp.ones((8, 8, 1)), missing=0.25).condition)(
        jax.random.split(key, 4000)
    )
    share = 1 - masks.mean(0)
    assert float(jnp.abs(share - 0.25).max()) < 5 * (0.25 * 0.75 / 4000) ** 0.5


# --- gaussian_blur ---

_BORDERS = [("reflect", "mirror"), ("replicate", "nearest"), ("circular", "wrap")]


@pytest.mark.parametrize(
    ("border", "scipy_mode"), [("reflect", "mirror"), ("replicate", "nearest"), ("circular", "wrap")]
)
@pytest.mark.parametrize("sigma", [0.5, 1.6, 3.0])
def test_gaussian_blur_equals_scipy(border, scipy_mode, sigma, photograph):
    image = photograph[:60, :50]
    radius = int(np.ceil(4 * sigma))
    expected = scipy.ndimage.gaussian_filter(image[..., 0].astype(np.float64), sigma, mode=scipy_mode, radius=radius)
    np.testing.assert_allclose(degrade.gaussian_blur(image, sigma=sigma, border=border)[..., 0], expected, atol=2e-6)


def test_gaussian_blur_finds_its_radius_under_jit_when_sigma_is_known(key):
    image = _image(key)
    expected = degrade.gaussian_blur(image, sigma=1.3)
    np.testing.assert_allclose(jax.jit(lambda x: degrade.gaussian_blur(x, sigma=1.3))(image), expected, atol=1e-6)


def test_gaussian_blur_without_width_is_the_identity(key):
    image = _image(key)
    np.testing.assert_array_equal(degrade.gaussian_blur(image, sigma=0.0), image)


def test_gaussian_blur_is_its_own_adjoint_on_a_circle(key):
    a, b = _image(key), _image(jax.random.key(1))
    blur = lambda x: degrade.gaussian_blur(x, sigma=1.3, border="circular")  # noqa: E731
    assert abs(float((blur(a) * b).sum() - (a * blur(b)).sum())) < 1e-4


@pytest.mark.parametrize("border", ["reflect", "replicate"])
def test_gaussian_blur_gradient_is_the_adjoint(border, key):
    a, b = _image(key), _image(jax.random.key(1))
    blur = lambda x: degrade.gaussian_blur(x, sigma=1.3, border=border)  # noqa: E731
    columns = jax.vmap(lambda e: blur(e.reshape(a.shape)).ravel())(jnp.eye(a.size))  # the operator as a matrix
    adjoint = jax.vjp(blur, a)[1](b)[0]
    np.testing.assert_allclose(adjoint.ravel(), columns @ b.ravel(), atol=1e-5)


def test_gaussian_blur_says_what_it_needs(key):
    with pytest.raises(ValueError, match="border 'zero' is unknown"):
        degrade.gaussian_blur(_image(key), sigma=1.0, border="zero")
    with pytest.raises(ValueError, match="give radius"):
        jax.jit(lambda s: degrade.gaussian_blur(_image(key), sigma=s))(1.0)


# --- jpeg ---


@pytest.mark.parametrize("quality", [1, 10, 30, 50, 75, 95, 100])
@pytest.mark.parametrize("size", [(384, 384), (61, 45)])
def test_jpeg_equals_pillow(quality, size, photograph):
    image = photograph[: size[0], : size[1]]
    file = io.BytesIO()
    PillowImage.fromarray(np.round(image[..., 0] * 255).astype(np.uint8)).save(file, "JPEG", quality=quality)
    expected = np.asarray(PillowImage.open(file)).astype(int)
    np.testing.assert_array_equal(np.round(degrade.jpeg(image, quality=quality) * 255)[..., 0], expected)


def test_jpeg_refuses_colour():
    with pytest.raises(ValueError, match="3 channels"):
        degrade.jpeg(jnp.zeros((8, 8, 3)), quality=50)


# --- composition ---


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


def test_parse_equals_the_functions(key):
    text = "gaussian_noise(sigma=25/255) + missing_pixels(missing=uniform(0.2, 1 - 0.5))"
    built = chain(
        stage(degrade.gaussian_noise, sigma=25 / 255), stage(degrade.missing_pixels, missing=uniform(0.2, 0.5))
    )
    _close(parse(text)(key, _image(key)), built(key, _image(key)), 0)
    assert isinstance(parse("gaussian_blur(sigma=1.0, border='circular')")(key, _image(key)), Observation)


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
