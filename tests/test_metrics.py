import jax
import jax.numpy as jnp
import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from restorax import metrics

METRICS = (metrics.psnr, metrics.ssim)


def _pairs(key, channels):
    clean = jax.random.uniform(key, (3, 40, 33, channels))
    sigma = jnp.array([0.01, 0.1, 0.3]).reshape(3, 1, 1, 1)
    return jnp.clip(clean + sigma * jax.random.normal(key, clean.shape), 0, 1), clean


@pytest.mark.parametrize("channels", [1, 3])
def test_equal_to_scikit_image(channels, key):
    images, references = _pairs(key, channels)
    for i, (x, y) in enumerate(zip(np.asarray(images), np.asarray(references), strict=True)):
        expected = structural_similarity(
            x, y, data_range=1, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        assert abs(float(metrics.ssim(images, references)[i]) - expected) < 1e-4
        expected = peak_signal_noise_ratio(y, x, data_range=1)
        assert abs(float(metrics.psnr(images, references)[i]) - expected) < 1e-4


def test_ssim_of_a_photograph(photograph):
    noisy = np.clip(photograph + 0.1 * np.random.default_rng(0).normal(size=photograph.shape), 0, 1).astype(np.float32)
    expected = structural_similarity(
        noisy[..., 0], photograph[..., 0], data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert abs(float(metrics.ssim(noisy, photograph)) - expected) < 1e-4


@pytest.mark.parametrize("metric", METRICS)
def test_one_value_per_image_under_jit_and_vmap(metric, key):
    images, references = _pairs(key, 1)
    values = metric(images, references)
    assert values.shape == (3,)
    np.testing.assert_allclose(jax.jit(metric)(images, references), values, rtol=1e-4)
    np.testing.assert_allclose(jax.vmap(metric)(images, references), values, rtol=1e-4)


def test_equal_images():
    image = jnp.ones((16, 16, 1))
    assert float(metrics.psnr(image, image)) == np.inf
    assert float(metrics.ssim(image, image)) == 1


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("metric", METRICS)
def test_bad_input_is_refused_in_a_sentence(metric):
    with pytest.raises(ValueError, match="must have one shape"):
        metric(jnp.ones((16, 16, 1)), jnp.ones((16, 17, 1)))
    with pytest.raises(TypeError, match="floating point"):
        metric(jnp.ones((16, 16, 1), jnp.uint8), jnp.ones((16, 16, 1)))
    with pytest.raises(ValueError, match="at least 11 x 11"):
        metrics.ssim(jnp.ones((10, 16, 1)), jnp.ones((10, 16, 1)))
