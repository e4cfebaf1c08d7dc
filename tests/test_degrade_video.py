"""Bursts and videos synthesised from one image."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from restorax import degrade, metrics
from restorax.degrade.video import _crop_subpixel

crop_subpixel = jax.jit(_crop_subpixel, static_argnums=(3, 4))
burst = jax.jit(degrade.burst, static_argnames="frames")
moving_window = jax.jit(degrade.moving_window, static_argnames=("frames", "height", "width"))


def test_integer_shifts_copy_pixels(key):
    image = jax.random.uniform(key, (12, 15, 2))
    moved = crop_subpixel(image, jnp.array([2.0, 0.0]), jnp.array([3.0, 0.0]), 12, 15)
    np.testing.assert_array_equal(moved[0, :10, :12], image[2:, 3:])
    mirrored = np.pad(image, ((0, 2), (0, 3), (0, 0)), mode="reflect")
    np.testing.assert_array_equal(moved[0], mirrored[2:, 3:])
    np.testing.assert_array_equal(moved[1], image)


def test_subpixel_shifts_equal_scipy_on_a_smooth_image(photograph):
    smooth = scipy.ndimage.gaussian_filter(photograph[:80, :80, 0].astype(float), 3, mode="mirror")
    moved = crop_subpixel(smooth[..., None].astype(np.float32), jnp.array([1.3]), jnp.array([-0.6]), 80, 80)[0, ..., 0]
    expected = scipy.ndimage.shift(smooth, (-1.3, 0.6), order=5, mode="mirror")
    np.testing.assert_allclose(moved, expected, atol=2e-4)


def test_burst_ends_with_the_unshifted_image_and_has_independent_noise(key):
    image = jax.random.uniform(key, (2, 16, 16, 1))
    frames = burst(key, image, frames=5, shift=jnp.array([0.0, 3.0]))
    np.testing.assert_array_equal(frames[:, -1], image)
    np.testing.assert_allclose(frames[0], jnp.broadcast_to(image[0], (5, 16, 16, 1)), atol=1e-6)
    assert float(jnp.abs(frames[1, :-1] - image[1:2]).mean((1, 2, 3)).min()) > 0.01
    noisy = jax.jit(degrade.parse("burst(frames=3, shift=0) + gaussian_noise(sigma=0.1)"))(key, image).image
    noise = (noisy - image[:, None]).reshape(2, 3, -1)
    assert np.abs(np.corrcoef(noise[0]) - np.eye(3)).max() < 0.25
    with pytest.raises(ValueError, match="`frames` must be an integer >= 1, got 0"):
        degrade.burst(key, image, frames=0)


def test_moving_window_has_its_speed(key):
    ramp = jnp.broadcast_to(jnp.arange(200.0).reshape(200, 1, 1), (200, 200, 1))
    plane = jnp.concatenate([ramp, ramp.transpose(1, 0, 2)], -1) / 200
    video = moving_window(key, plane, frames=4, height=20, width=30, speed=1.5)
    corner = np.asarray(video[:, 5, 5]) * 200
    np.testing.assert_allclose(np.linalg.norm(np.diff(corner, axis=0), axis=1), 1.5, atol=1e-2)
    still = moving_window(key, plane, frames=3, height=200, width=200)
    np.testing.assert_allclose(still, jnp.broadcast_to(plane, still.shape), atol=1e-6)
    with pytest.raises(ValueError, match="The window must be between 1 x 1 and 200 x 200, got 201 x 20"):
        degrade.moving_window(key, plane, frames=3, height=201, width=20)


SCENE = (
    "moving_scene(frames=3, speed=2, rotation=1, zoom=0.02, perspective=0.2, shake=0.7, rolling=0.8, objects=2, "
    "object_speed=3, margin=8)"
)


@pytest.fixture(scope="module")
def scene():
    """A smooth image, the video made of it, and its known motion."""
    rows, columns = np.meshgrid(np.arange(80.0), np.arange(80.0), indexing="ij")
    image = np.stack([np.sin(columns / 9) + np.cos(rows / 7), np.sin((rows + columns) / 8)], -1).astype(np.float32)
    made, key = degrade.parse(f"{SCENE} + gaussian_noise(sigma=uniform(0.05, 0.5))"), jax.random.key(3)
    (noisy, _), clean = jax.jit(made.observe)(key, image)
    return image, noisy, clean, jax.jit(made.known_motion)(key, image)


@pytest.mark.slow
def test_known_motion_leads_to_what_a_pixel_showed_before(scene):
    """Also where a rolling shutter exposes rows at other times, and where objects move over the scene."""
    _, _, clean, motion = scene
    place = np.stack(np.meshgrid(np.arange(64.0), np.arange(64.0), indexing="ij"))
    for t in (1, 2):
        before = place + np.moveaxis(motion.flow[t], -1, 0)
        warped = np.stack([scipy.ndimage.map_coordinates(clean[t - 1, ..., c], before, order=1) for c in (0, 1)], -1)
        visible = np.asarray(motion.visible[t, ..., 0], bool)
        error = np.abs(warped - clean[t]).max(-1)
        assert 0.7 < visible.mean() < 1
        assert np.median(error[visible]) < 0.01 < np.median(np.abs(clean[t - 1] - clean[t]))
        assert np.quantile(error[visible], 0.95) < 0.1
        assert error[~visible].mean() > 5 * error[visible].mean()
    assert not np.any(motion.flow[0])
    assert not np.any(motion.visible[0])


def test_warping_error_is_small_along_the_known_motion_alone(scene):
    _, noisy, clean, motion = scene
    measure = jax.jit(metrics.warping_error)
    along, across, flicker = (measure(v, f, motion.visible) for v, f in _pairs(noisy, clean, motion.flow))
    assert along < 0.3 * across
    sigma = float((noisy - clean).std())
    assert sigma**2 < flicker - along < 2.1 * sigma**2  # interpolation averages the noise of one of two frames
    with pytest.raises(ValueError, match="at least two frames"):
        metrics.warping_error(clean[:1], motion.flow[:1], motion.visible[:1])


def _pairs(noisy, clean, flow):
    return (clean, flow), (clean, jnp.zeros_like(flow)), (noisy, flow)


def test_what_degrades_a_scene_leaves_its_ground_truth(scene):
    """Noise is independent from frame to frame, and its level is one of the whole video."""
    image, noisy, clean, motion = scene
    assert noisy.shape == clean.shape == (3, 64, 64, 2)
    assert motion.flow.shape == (3, 64, 64, 2)
    noise = (noisy - clean).reshape(3, -1)
    np.testing.assert_allclose(noise.std(1), noise.std(), rtol=0.05)
    assert np.abs(np.corrcoef(noise) - np.eye(3)).max() < 0.05
    assert not np.allclose(clean[1], image[8:-8, 8:-8], atol=0.1)


def test_a_camera_that_stands_still_shows_the_image(key):
    image = jax.random.uniform(key, (2, 9, 8, 1))
    still = jax.jit(degrade.parse("moving_scene(frames=2, speed=0)"))(key, image).image
    np.testing.assert_allclose(still, jnp.broadcast_to(image[:, None], still.shape), atol=1e-6)


@pytest.mark.usefixtures("unchecked")
def test_a_scene_comes_first_and_is_larger_than_its_margin(key):
    image = jnp.ones((16, 16, 1))
    with pytest.raises(ValueError, match="moving_scene must come first"):
        jax.eval_shape(degrade.parse("gaussian_noise(sigma=0.1) + moving_scene()"), key, image)
    with pytest.raises(ValueError, match=r"larger than 2 \* `margin` = 16"):
        degrade.moving_scene(key, image, margin=8)
    with pytest.raises(ValueError, match="has no known motion; begin with moving_scene"):
        degrade.parse("burst() + gaussian_noise(sigma=0.1)").known_motion(key, image)
