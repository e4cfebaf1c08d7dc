"""Bursts and videos synthesised from one image."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from restorax import degrade
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
