"""Photometric degradations against their formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.cluster.vq

from restorax import degrade


def test_intensities_equal_formulas(key):
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


def test_palette_equals_k_means_of_scipy(key):
    image = np.asarray(jax.random.uniform(key, (2, 19, 23, 3)), np.float64)
    reduced = degrade.palette(jnp.asarray(image, jnp.float32), colours=6, iterations=8)
    for i in range(2):
        pixels = image[i].reshape(-1, 3)
        order = np.argsort(pixels.sum(-1))
        begin = pixels[order[((np.arange(6) + 0.5) * len(pixels) / 6).astype(int)]]
        centres, _ = scipy.cluster.vq.kmeans2(pixels, begin, iter=8, minit="matrix")
        nearest, _ = scipy.cluster.vq.vq(pixels, centres)
        np.testing.assert_allclose(reduced[i].reshape(-1, 3), centres[nearest], atol=1e-5)
    with pytest.raises(ValueError, match="`colours` must be an integer >= 1, got 0"):
        degrade.palette(image.astype(np.float32), colours=0)


def test_vignetting_follows_the_cosine_fourth_law():
    image = np.ones((2, 31, 41, 3), np.float32)
    out = np.asarray(degrade.vignetting(image, strength=np.array([0.0, 0.36])))
    np.testing.assert_allclose(out[0], 1, atol=1e-6)
    y, x = np.mgrid[-15:16, -20:21]
    tangent = np.tan(np.arccos(0.64**0.25))  # of the angle at the corners, 25 pixels from the centre
    expected = np.cos(np.arctan(np.hypot(y, x) / 25 * tangent)) ** 4
    np.testing.assert_allclose(out[1], np.broadcast_to(expected[..., None], (31, 41, 3)), atol=1e-5)
