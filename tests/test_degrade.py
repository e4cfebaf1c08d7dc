"""Operators: the tests that no entry of OPERATORS skips, then each against an independent reference."""

import inspect
import io
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
import scipy.stats
from PIL import Image as PillowImage

from restorax import degrade
from restorax.degrade import OPERATORS, chain, parse, stage, uniform
from restorax.types import Observation


class Case(NamedTuple):
    """What the common tests need to know of an operator: a new one has to be entered in CASES."""

    strengths: dict  # the first is varied between images, between its value here and half of it
    channels: int = 1
    differentiable: bool = True


CASES = {
    "gaussian_noise": Case({"sigma": 0.1}),
    "correlated_noise": Case({"sigma": 0.1}),
    "uniform_noise": Case({"amplitude": 0.1}),
    "speckle_noise": Case({"sigma": 0.2}),
    "salt_and_pepper_noise": Case({"amount": 0.3}),
    "impulse_noise": Case({"amount": 0.3}),
    "stripe_noise": Case({"sigma": 0.1}),
    "dead_pixels": Case({"amount": 0.1}),
    "shot_noise": Case({"peak": 30.0}, differentiable=False),
    "camera_noise": Case({"shot": 0.02, "read": 0.02}),
    "emccd_noise": Case({"peak": 20.0}, differentiable=False),
    "apd_noise": Case({"peak": 20.0}, differentiable=False),
    "missing_pixels": Case({"missing": 0.4}),
    "missing_blocks": Case({"side": 0.4}),
    "missing_strokes": Case({"thickness": 1.0}),
    "missing_lines": Case({"thickness": 2.0}),
    "missing_border": Case({"margin": 0.3}),
    "missing_overlay": Case({"mask": jnp.ones((1, 1, 1))}),
    "bayer_mosaic": Case({}, channels=3),
    "kernel_blur": Case({"kernel": jnp.arange(9.0).reshape(3, 3) / 36}),
    "gaussian_blur": Case({"sigma": 1.2, "radius": 5}),
    "anisotropic_blur": Case({"sigma": 2.0, "ratio": 0.5, "angle": 30.0, "shape": 0.8, "radius": 5}),
    "motion_blur": Case({"length": 6.0, "angle": 20.0, "radius": 3}),
    "defocus_blur": Case({"blur_radius": 3.0, "radius": 3}),
    "sinc_filter": Case({"cutoff": 1.5, "radius": 6}),
    "shake_blur": Case({"length": 9.0, "radius": 6}),
    "jpeg": Case({"quality": 40.0}, channels=3, differentiable=False),
    "low_resolution": Case({"factor": 3}),
    "low_light": Case({"exposure": 0.2, "shot": 0.01, "read": 0.01}),
    "gamma_change": Case({"gamma": 0.7}),
    "haze": Case({"transmission": 0.6}),
    "fade": Case({"contrast": 0.5, "saturation": 0.4}, channels=3),
    "quantisation": Case({"levels": 6.0}, differentiable=False),
}
VARIED = [name for name, case in CASES.items() if isinstance(next(iter(case.strengths.values()), None), float)]


def _image(key, name="gaussian_noise", batch=(), size=(17, 12)):
    return jax.random.uniform(key, (*batch, *size, CASES[name].channels))


def _run(name, key, image, **changed):
    return stage(OPERATORS[name], **{**CASES[name].strengths, **changed})(key, image)


def _close(a, b, tolerance=1e-6):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=tolerance), a, b)


def test_every_operator_is_entered():
    assert set(CASES) == set(OPERATORS)


@pytest.mark.parametrize("name", OPERATORS)
def test_jit_equals_eager_and_same_key_same_output(name, key):
    image = _image(key, name)
    eager = _run(name, key, image)
    assert eager.image.shape == image.shape
    assert eager.image.dtype == image.dtype
    if eager.condition is not None:
        assert eager.condition.shape[:-1] == image.shape[:-1]
        assert set(np.unique(eager.condition)) <= {0, 1}
    jitted = jax.jit(lambda k, x: _run(name, k, x))
    _close(jitted(key, image), eager)
    _close(_run(name, key, image), eager, 0)
    if next(iter(inspect.signature(OPERATORS[name]).parameters)) == "key":
        assert np.abs(jitted(jax.random.key(1), image).image - eager.image).max() > 0


@pytest.mark.parametrize("name", OPERATORS)
def test_vmap_equals_loop(name, key):
    images, keys = _image(key, name, (3,)), jax.random.split(key, 3)
    run = jax.jit(lambda k, x: _run(name, k, x))
    mapped = jax.vmap(run)(keys, images)
    for i in range(3):
        _close(jax.tree.map(lambda x, i=i: x[i], mapped), run(keys[i], images[i]))


@pytest.mark.parametrize("name", VARIED)
def test_traced_strength_per_image_equals_each_alone(name, key):
    strength, value = next(iter(CASES[name].strengths.items()))
    images = jnp.broadcast_to(_image(key, name), (2, 17, 12, CASES[name].channels))
    run = jax.jit(lambda s: _run(name, key, images, **{strength: s}).image)
    both = run(jnp.array([value, value / 2]))
    _close(both[0], run(jnp.array([value, value]))[0], 1e-5)
    _close(both[1], run(jnp.array([value / 2, value / 2]))[1], 1e-5)
    _close(run(jnp.array([value, value])), run(jnp.array(value)), 1e-5)
    assert np.abs(both[1] - run(jnp.array(value))[1]).max() > 0


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.parametrize("size", [(1, 1), (23, 5)])
def test_any_size_and_empty_batch(name, size, key):
    run = jax.jit(lambda x: _run(name, key, x).image)
    assert np.isfinite(run(_image(key, name, (2,), size))).all()
    assert jax.eval_shape(run, _image(key, name, (0,), size)).shape[:3] == (0, *size)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.differentiable])
def test_gradient_is_finite(name, key):
    strengths = {k: v for k, v in CASES[name].strengths.items() if isinstance(v, float)}

    def total(image, strengths):
        return _run(name, key, image, **strengths).image.sum()

    image = _image(key, name).at[:2].set(0)
    gradients = jax.jit(jax.grad(total, (0, 1)))(image, strengths)
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(gradients))
    assert np.abs(gradients[0]).sum() > 0


@pytest.mark.parametrize("name", OPERATORS)
def test_same_output_on_one_and_eight_devices(name, key):
    images = _image(key, name, (8,))
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    run = jax.jit(lambda x: _run(name, key, x).image)
    _close(run(jax.device_put(images, sharding)), run(images))


@pytest.mark.parametrize("name", OPERATORS)
@pytest.mark.usefixtures("unchecked")
def test_bad_input_is_refused_in_a_sentence(name, key):
    channels = CASES[name].channels
    with pytest.raises(TypeError, match="floating point"):
        _run(name, key, jnp.zeros((8, 8, channels), jnp.uint8))
    with pytest.raises(ValueError, match="shape"):
        _run(name, key, jnp.zeros((8, 8)))
    with pytest.raises(ValueError, match="at least 1"):
        _run(name, key, jnp.zeros((0, 8, channels)))
    if name in VARIED:
        with pytest.raises(ValueError, match="does not fit the batch"):
            _run(name, key, jnp.zeros((2, 8, 8, channels)), **{next(iter(CASES[name].strengths)): jnp.ones(3)})
    with pytest.raises(TypeError, match="no strength 'wrong'"):
        _run(name, key, jnp.zeros((8, 8, channels)), wrong=1)


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


def test_gaussian_noise_takes_a_map(key):
    level = jnp.linspace(0, 0.5, 300).reshape(1, 300, 1)
    noisy = degrade.gaussian_noise(key, jnp.zeros((2, 400, 300, 1)), sigma=level[None])
    np.testing.assert_allclose(noisy.std((0, 1, 3)), level[0, :, 0], atol=0.05)
    assert np.abs(noisy[:, :, 0]).max() == 0


# --- other noise: moments against theory ---


def _moments(name, key, level, **strengths):
    """Mean and variance of an operator's output on a flat image, with their standard errors."""
    out = np.asarray(OPERATORS[name](key, jnp.full((500, 500, 1), level), **strengths), np.float64)
    n, variance = out.size, out.var()
    fourth = ((out - out.mean()) ** 4).mean()
    return (out.mean(), (variance / n) ** 0.5), (variance, ((fourth - variance**2) / n) ** 0.5)


@pytest.mark.parametrize(
    ("name", "strengths", "variance"),
    [
        ("correlated_noise", {"sigma": 0.1}, lambda x: 0.01),
        ("uniform_noise", {"amplitude": 0.3}, lambda x: 0.3**2 / 3),
        ("speckle_noise", {"sigma": 0.2}, lambda x: (0.2 * x) ** 2),
        ("shot_noise", {"peak": 5.0}, lambda x: x / 5),
        ("camera_noise", {"shot": 0.02, "read": 0.05}, lambda x: 0.02 * x + 0.05**2),
        ("emccd_noise", {"peak": 5.0, "gain": 300.0, "read": 60.0}, lambda x: 2 * x / 5 + (60 / 300 / 5) ** 2),
        (
            "apd_noise",
            {"peak": 5.0, "gain": 100.0, "ionisation": 0.02, "read": 30.0},
            lambda x: (0.02 * 100 + 0.98 * (2 - 0.01)) * x / 5 + (30 / 100 / 5) ** 2,
        ),
    ],
)
@pytest.mark.parametrize("level", [0.02, 0.5, 1.0])
def test_mean_and_variance_are_those_of_theory(name, strengths, variance, level, key):
    (mean, mean_error), (measured, error) = _moments(name, key, level, **strengths)
    spread = 6 if name == "correlated_noise" else 4  # neighbours are alike: fewer independent samples
    assert abs(mean - level) < spread * mean_error + 1e-7
    assert abs(measured - variance(level)) < spread * error + 1e-7


@pytest.mark.parametrize(("name", "factor"), [("emccd_noise", 2.0), ("apd_noise", 0.02 * 100 + 0.98 * 1.99)])
def test_excess_noise_factor_of_the_avalanche(name, factor, key):
    peak = 40.0
    _, (variance, _) = _moments(name, key, 0.8, peak=peak, read=0.0)
    assert abs(variance * peak / 0.8 / factor - 1) < 0.02


@pytest.mark.parametrize("name", ["shot_noise", "emccd_noise", "apd_noise"])
def test_no_light_no_electrons(name, key):
    strengths = {"peak": 10.0} if name == "shot_noise" else {"peak": 10.0, "read": 0.0}
    np.testing.assert_array_equal(OPERATORS[name](key, jnp.zeros((50, 50, 1)), **strengths), 0)


def test_shot_noise_counts(key):
    counts = np.asarray(degrade.shot_noise(key, jnp.full((300, 300, 1), 0.6), peak=4.0)) * 4
    np.testing.assert_allclose(counts, np.round(counts), atol=1e-5)
    expected = scipy.stats.poisson.pmf(np.arange(8), 2.4)
    np.testing.assert_allclose(np.bincount(np.round(counts).astype(int).ravel())[:8] / counts.size, expected, atol=6e-3)


def test_correlated_noise_has_the_correlation_of_its_kernel(key):
    noise = degrade.correlated_noise(key, jnp.zeros((500, 500, 1)), sigma=1.0)[..., 0]
    one_step = np.array([1.0, 2, 1]) @ np.array([0.0, 1, 2]) / 6  # of the binomial with itself
    assert abs(float((noise[:, 1:] * noise[:, :-1]).mean()) - one_step) < 0.02
    with pytest.raises(ValueError, match="odd sides"):
        degrade.correlated_noise(key, jnp.zeros((8, 8, 1)), sigma=1.0, kernel=jnp.ones((2, 3)))


@pytest.mark.parametrize("per_pixel", [False, True])
def test_salt_and_pepper_and_impulses_hit_their_share(per_pixel, key):
    image = jnp.full((400, 400, 3), 0.4)
    both = degrade.salt_and_pepper_noise(key, image, amount=0.3, per_pixel=per_pixel)
    assert set(np.unique(both)) == {0.0, np.float32(0.4), 1.0}
    assert abs(float((both == 0).mean()) - 0.15) < 0.006
    assert abs(float((both == 1).mean()) - 0.15) < 0.006
    drawn = degrade.impulse_noise(key, image, amount=0.3, per_pixel=per_pixel)
    hit = np.asarray(drawn != 0.4)
    assert abs(hit.mean() - 0.3) < 0.006
    assert abs(float(drawn[hit].mean()) - 0.5) < 0.01
    for noisy in (both != 0.4, hit):
        together = (noisy.all(-1) == noisy.any(-1)).mean()
        assert (together == 1) if per_pixel else (together < 0.5)


@pytest.mark.parametrize("columns", [False, True])
def test_stripes_are_constant_along_themselves(columns, key):
    noise = degrade.stripe_noise(key, jnp.zeros((300, 400, 3)), sigma=0.1, columns=columns)
    across = 0 if columns else 1
    np.testing.assert_allclose(noise.std((across, 2)), 0, atol=1e-6)
    assert abs(float(noise.std()) - 0.1) < 0.02


def test_dead_pixels_are_dead_or_hot_in_all_channels(key):
    out = degrade.dead_pixels(key, jnp.full((400, 400, 3), 0.5), amount=0.1, hot=0.2)
    np.testing.assert_array_equal(out.std(-1), 0)
    assert abs(float((out == 0).mean()) - 0.08) < 0.005
    assert abs(float((out == 1).mean()) - 0.02) < 0.003


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


# --- missing regions ---


def test_blocks_are_squares_of_their_side(key):
    holes, mask = degrade.missing_blocks(key, jnp.ones((20, 60, 90, 3)), side=0.25)
    np.testing.assert_array_equal((mask == 0).sum((1, 2, 3)), 15 * 15)
    rows, columns = np.nonzero(np.asarray(mask[0, :, :, 0] == 0))
    assert np.ptp(rows) == np.ptp(columns) == 14
    np.testing.assert_array_equal(holes, np.broadcast_to(mask, holes.shape))
    assert (degrade.missing_blocks(key, jnp.ones((9, 9, 1)), side=1.0).condition == 0).all()
    assert int((degrade.missing_blocks(key, jnp.ones((60, 60, 1)), side=0.1, blocks=4).condition == 0).sum()) > 36


def test_strokes_cover_a_part_that_grows_with_their_thickness(key):
    masks = jax.vmap(lambda k: degrade.missing_strokes(k, jnp.ones((128, 128, 1))).condition)(jax.random.split(key, 64))
    share = 1 - masks.mean((1, 2, 3))
    assert 0.15 < float(share.mean()) < 0.5
    assert float(share.min()) > 0.01
    thin = degrade.missing_strokes(key, jnp.ones((128, 128, 1)), thickness=0.3).condition
    assert thin.mean() > degrade.missing_strokes(key, jnp.ones((128, 128, 1))).condition.mean()
    with pytest.raises(ValueError, match="at least 1 stroke"):
        degrade.missing_strokes(key, jnp.ones((8, 8, 1)), strokes=0)


def test_lines_have_their_thickness(key):
    mask = degrade.missing_lines(key, jnp.ones((200, 200, 1)), lines=1, thickness=4.0).condition
    gone = np.asarray(mask[..., 0] == 0)
    length = max(np.ptp(np.nonzero(gone)[0]), np.ptp(np.nonzero(gone)[1]))
    assert length == 199
    assert 3.5 * 200 < gone.sum() < 4 * 200 * 2**0.5 * 1.1


def test_border_overlay_and_mosaic():
    image = jnp.asarray(np.random.default_rng(0).random((10, 20, 3), np.float32))
    mask = degrade.missing_border(image, margin=0.2).condition
    assert mask[2:-2, 2:-2].min() == 1
    assert int(mask.sum()) == 6 * 16
    given = jnp.zeros((10, 20, 1)).at[3].set(1.0)
    np.testing.assert_array_equal(degrade.missing_overlay(image, mask=given).image, image * given)
    mosaic, known = degrade.bayer_mosaic(image, pattern="GRBG")
    for place, channel in (((0, 0), 1), ((0, 1), 0), ((1, 0), 2), ((1, 1), 1)):
        assert known[place].tolist() == [float(channel == c) for c in range(3)]
        assert mosaic[place].sum() == image[place][channel]
    with pytest.raises(ValueError, match="pattern 'XYZ' is unknown"):
        degrade.bayer_mosaic(image, pattern="XYZ")
    with pytest.raises(ValueError, match="needs 3"):
        degrade.bayer_mosaic(image[..., :1])


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


@pytest.mark.parametrize("subsampling", ["4:2:0", "4:4:4"])
@pytest.mark.parametrize("quality", [5, 30, 75, 95])
@pytest.mark.parametrize("size", [(200, 304), (61, 45), (17, 5), (1, 4)])
def test_jpeg_of_colour_equals_pillow(subsampling, quality, size):
    from restorax.data import sample_images

    image = sample_images(3)["chelsea"][: size[0], : size[1]]
    file = io.BytesIO()
    pixels = np.round(image * 255).astype(np.uint8)
    sampling = {"4:4:4": 0, "4:2:0": 2}[subsampling]
    PillowImage.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=sampling)
    decoded = degrade.jpeg(image, quality=quality, subsampling=subsampling)
    np.testing.assert_array_equal(np.round(decoded * 255), np.asarray(PillowImage.open(file)))


def test_jpeg_says_what_it_takes():
    with pytest.raises(ValueError, match="2 channels"):
        degrade.jpeg(jnp.zeros((8, 8, 2)), quality=50)
    with pytest.raises(ValueError, match="subsampling '4:1:1' is unknown"):
        degrade.jpeg(jnp.zeros((8, 8, 3)), quality=50, subsampling="4:1:1")


# --- resampling and intensities ---

_FILTERS = [("area", "BOX"), ("bilinear", "BILINEAR"), ("bicubic", "BICUBIC"), ("lanczos", "LANCZOS")]


@pytest.mark.parametrize(("method", "pillow"), _FILTERS)
@pytest.mark.parametrize("size", [(96, 64), (32, 16), (128, 256)])  # no ties for the box, where choices differ
def test_resize_equals_pillow_inside_and_mirrors_at_the_border(method, pillow, size, photograph):
    image = photograph[:96, :128]
    resized = degrade.resize(image, height=size[0], width=size[1], method=method)
    plane = PillowImage.fromarray(image[..., 0])
    expected = np.asarray(plane.resize(size[::-1], getattr(PillowImage.Resampling, pillow)))
    margins = [int(np.ceil(4 * max(new / old, 1))) for new, old in zip(size, (96, 128), strict=True)]
    inner = tuple(slice(margin, -margin) for margin in margins)
    np.testing.assert_allclose(resized[..., 0][inner], expected[inner], atol=1e-5)
    # A mirrored image has nothing to mirror at its seams: its inside shows what the border must be.
    wide = np.pad(image, ((96, 96), (128, 128), (0, 0)), mode="symmetric")
    whole = degrade.resize(wide, height=3 * size[0], width=3 * size[1], method=method)
    np.testing.assert_allclose(resized, whole[size[0] : -size[0], size[1] : -size[1]], atol=1e-5)


def test_resize_and_low_resolution_say_what_they_take():
    image = jnp.ones((8, 8, 1))
    with pytest.raises(ValueError, match="method 'nearest' is unknown"):
        degrade.resize(image, height=4, width=4, method="nearest")
    with pytest.raises(ValueError, match="0 x 4"):
        degrade.resize(image, height=0, width=4)
    with pytest.raises(ValueError, match="factor of 0"):
        degrade.low_resolution(image, factor=0)
    np.testing.assert_allclose(degrade.low_resolution(image, factor=3), image, atol=1e-6)


def test_intensities_are_those_of_the_formulas(key):
    image = jax.random.uniform(key, (6, 5, 3))
    np.testing.assert_allclose(degrade.gamma_change(image, gamma=2.2), np.asarray(image) ** 2.2, atol=1e-6)
    np.testing.assert_allclose(degrade.haze(image, transmission=0.3, airlight=0.9), 0.3 * image + 0.63, atol=1e-6)
    np.testing.assert_allclose(degrade.fade(image, contrast=1.0), image, atol=1e-6)
    gray = degrade.fade(image, contrast=0.5, saturation=0.0)
    np.testing.assert_allclose(
        gray, 0.5 + 0.5 * (jnp.broadcast_to(image.mean(-1, keepdims=True), image.shape) - 0.5), atol=1e-6
    )
    assert set(np.unique(np.round(degrade.quantisation(image, levels=5) * 4))) <= {0, 1, 2, 3, 4}
    np.testing.assert_allclose(degrade.quantisation(image, levels=256), image, atol=0.51 / 255)


def test_low_light_amplifies_the_noise(key):
    flat = jnp.full((400, 400, 1), 0.5)
    noisy = degrade.low_light(key, flat, exposure=0.1, shot=0.01, read=0.02)
    assert abs(float(noisy.mean()) - 0.5) < 0.003
    assert abs(float(noisy.var()) / ((0.01 * 0.05 + 0.02**2) / 0.01) - 1) < 0.02


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


def test_log_uniform_is_uniform_in_the_logarithm(key):
    drawn = jnp.log10(degrade.log_uniform(1, 100)(key, (4000,)))
    assert abs(float(drawn.mean()) - 1) < 0.04
    assert abs(float(drawn.std()) - 2 / 12**0.5) < 0.03
    with pytest.raises(ValueError, match="positive and in order"):
        degrade.log_uniform(0, 1)


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
    blurred = "one_of(motion_blur(length=uniform(1, 7), radius=3), defocus_blur(blur_radius=2.0))"
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
