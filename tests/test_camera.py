"""The camera: exact round trips, the published distributions, noise in raw data, and independent draws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from restorax import degrade
from restorax.degrade import Camera, parse, process, sample_camera, unprocess

PLAIN = {"mosaic": 0, "sharpen": 0, "chroma": 0, "smooth": 0}


def _colours(count=8):
    """Random colours, dark ones, highlights, black, white, primaries and a gray ramp."""
    random = np.random.default_rng(0).random((count, 24, 24, 3))
    random[:, :4] *= 0.02
    random[:, 4:10] = 0.9 + 0.1 * random[:, 4:10]
    random[:, 10:14] = np.round(random[:, 10:14])
    random[:, 14:16] = np.linspace(0, 1, 48).reshape(2, 24, 1)
    return random.astype(np.float32)


@pytest.mark.parametrize("tone", [True, False])
@pytest.mark.parametrize("curve", ["gamma", "srgb"])
def test_round_trip_is_exact_highlights_included(curve, tone, key):
    image, camera = _colours(), sample_camera(key, (8,))

    @jax.jit
    def both(image, camera):
        raw = unprocess(image, camera, curve=curve, tone=tone)
        return raw, process(raw, camera, curve=curve, tone=tone)

    raw, again = both(image, camera)
    np.testing.assert_allclose(again, image, atol=1e-3)
    assert raw.min() > -0.05
    assert raw.max() < 1 + 1e-3
    # Scalar parameters serve every image.
    one = jax.tree.map(lambda x: x[0], camera)
    np.testing.assert_allclose(process(unprocess(image, one), one), image, atol=1e-3)


def test_unprocess_equals_the_published_pipeline():
    """Brooks et al., section 3, in float64 NumPy."""
    camera = sample_camera(jax.random.key(3))
    matrix, red, blue, exposure = (np.asarray(x, np.float64) for x in camera)
    image = _colours()[0].astype(np.float64)
    linear = np.maximum(0.5 - np.sin(np.arcsin(1 - 2 * image) / 3), 1e-8) ** 2.2
    linear = linear @ matrix.T
    gains = np.array([1 / red, 1, 1 / blue]) * exposure
    mask = np.maximum(linear.mean(-1, keepdims=True) - 0.9, 0) / 0.1
    expected = linear * np.maximum(mask**2 + (1 - mask**2) * gains, gains)
    np.testing.assert_allclose(unprocess(image.astype(np.float32), camera), expected, atol=3e-5)
    plain = unprocess(jnp.full((1, 1, 3), 0.5), Camera(np.eye(3), 2.0, 1.6, 0.8), curve="srgb", tone=False)
    np.testing.assert_allclose(plain[0, 0], 0.21404114 * np.array([0.4, 0.8, 0.5]), atol=1e-6)


def test_cameras_have_the_published_ranges_and_keep_gray(key):
    matrix, red, blue, exposure = sample_camera(key, (4000,))
    np.testing.assert_allclose(matrix.sum(-1), 1, atol=1e-5)
    for values, low, high in ((red, 1.5, 2.4), (blue, 1.5, 2.1)):
        assert low <= values.min() < low + 0.01
        assert high - 0.01 < values.max() <= high
    assert exposure.mean() == pytest.approx(0.8, abs=0.01)
    assert exposure.std() == pytest.approx(0.1, abs=0.01)
    gray = unprocess(jnp.full((4000, 1, 1, 3), 0.5), Camera(matrix, 1.0, 1.0, 1.0))
    np.testing.assert_allclose(gray, np.broadcast_to(gray[..., :1], gray.shape), atol=1e-5)


@pytest.mark.slow
def test_noise_in_raw_data_has_the_published_moments(key):
    """Unprocess a photograph without a mosaic by its own camera: variance shot * x + read^2 in every channel."""
    image, shot = jnp.full((1, 400, 400, 3), 0.7), 0.004
    camera = sample_camera(jax.random.split(key, 4)[0], (1,))
    for read in (None, 0.015):
        photo = degrade.camera_photo(key, image, shot=shot, read=read, **PLAIN)
        raw = np.asarray(unprocess(photo, camera))[0].reshape(-1, 3)
        clean = np.asarray(unprocess(image, camera))[0, 0, 0]
        np.testing.assert_allclose(raw.mean(0), clean, rtol=0.01)
        rest = raw.var(0) - shot * clean
        if read is None:
            # Four deviations around log(read^2) = 2.18 log(shot) + 1.20.
            assert np.abs(np.log(rest.mean()) - 2.18 * np.log(shot) - 1.2) < 4 * 0.26
        else:
            np.testing.assert_allclose(rest, read**2, rtol=0.08)
        assert np.abs(np.corrcoef(raw.T) - np.eye(3)).max() < 0.02


@pytest.mark.slow
def test_mosaic_makes_noise_correlated_and_its_phase_varies(key):
    image = jnp.full((16, 64, 64, 3), 0.5)
    correlation = []
    for mosaic in (0.0, 1.0):
        photo = degrade.camera_photo(key, image, shot=0.01, mosaic=mosaic, bilinear=1.0, smooth=0.0, chroma=0.0)
        noise = np.asarray(photo - photo.mean((1, 2), keepdims=True))[..., 0]
        correlation.append((noise[:, :, 1:] * noise[:, :, :-1]).mean() / (noise**2).mean())
    assert abs(correlation[0]) < 0.02
    assert correlation[1] > 0.2
    # Measured pixels keep their variance, and the means of neighbours have less: the noisiest phase is that of red.
    phases = {int(np.argmax([noise[i, y::2, x::2].var() for y in (0, 1) for x in (0, 1)])) for i in range(16)}
    assert phases == {0, 1, 2, 3}


@pytest.mark.slow
def test_a_clean_photograph_is_the_image_and_draws_differ_between_images(key):
    image = jnp.asarray(_colours(4))
    np.testing.assert_allclose(degrade.camera_photo(key, image, shot=0.0, **PLAIN), image, atol=1e-3)
    gray = image[..., :1]
    np.testing.assert_allclose(degrade.camera_photo(key, gray, shot=0.0, **PLAIN), gray, atol=1e-3)
    same = jnp.broadcast_to(image[:1], image.shape)
    degradation = parse(
        "camera_photo(shot=log_uniform(1e-4, 2e-2)) + maybe(jpeg(quality=uniform(60, 98)), probability=0.7)"
    )
    photos = np.asarray(jax.jit(degradation)(key, same).image)
    assert photos.min() >= 0
    assert photos.max() <= 1
    assert all(np.abs(photos[i] - photos[j]).mean() > 1e-3 for i in range(4) for j in range(i))
    levels = np.std(
        jax.jit(parse("camera_photo(shot=log_uniform(1e-4, 2e-2))"))(key, jnp.full((32, 32, 32, 1), 0.5)).image,
        (1, 2, 3),
    )
    assert levels.max() > 5 * levels.min()


@pytest.mark.slow
def test_white_and_black_stay(key):
    for value in (0.0, 1.0):
        photo = degrade.camera_photo(key, jnp.full((8, 16, 16, 3), value), shot=1e-4)
        assert np.abs(photo.mean() - value) < 0.01


def test_invalid_input_raises(key):
    camera = sample_camera(key)
    with pytest.raises(ValueError, match="`image` must have 3 channels, got 1"):
        unprocess(jnp.ones((4, 4, 1)), camera)
    with pytest.raises(ValueError, match="`curve` must be one of 'gamma', 'srgb', got 'rec709'"):
        process(jnp.ones((4, 4, 3)), camera, curve="rec709")
