"""Metrics against scikit-image, SciPy and their definitions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from restorax import metrics

METRICS = (metrics.psnr, metrics.ssim, metrics.ms_ssim, metrics.psnr_b)


def _pairs(key, channels, height=40, width=33):
    clean = jax.random.uniform(key, (3, height, width, channels))
    sigma = jnp.array([0.01, 0.1, 0.3]).reshape(3, 1, 1, 1)
    return jnp.clip(clean + sigma * jax.random.normal(key, clean.shape), 0, 1), clean


@pytest.mark.parametrize("channels", [1, 3])
def test_psnr_and_ssim_equal_scikit_image(channels, key):
    images, references = _pairs(key, channels)
    for i, (x, y) in enumerate(zip(np.asarray(images), np.asarray(references), strict=True)):
        expected = structural_similarity(
            x, y, data_range=1, channel_axis=2, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
        )
        assert abs(float(metrics.ssim(images, references)[i]) - expected) < 1e-4
        expected = peak_signal_noise_ratio(y, x, data_range=1)
        assert abs(float(metrics.psnr(images, references)[i]) - expected) < 1e-4


def test_ssim_of_a_photograph_equals_scikit_image(photograph):
    noisy = np.clip(photograph + 0.1 * np.random.default_rng(0).normal(size=photograph.shape), 0, 1).astype(np.float32)
    expected = structural_similarity(
        noisy[..., 0], photograph[..., 0], data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    assert abs(float(metrics.ssim(noisy, photograph)) - expected) < 1e-4


def _ms_ssim(x, y):
    """Compute MS-SSIM of one channel with the correlation of SciPy."""
    from scipy.signal import correlate2d

    taps = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    window = np.outer(taps, taps) / taps.sum() ** 2
    mean = lambda z: correlate2d(z, window, mode="valid")  # noqa: E731
    out = 1.0
    for scale, weight in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
        mx, my = mean(x), mean(y)
        part = (2 * (mean(x * y) - mx * my) + 9e-4) / (mean(x * x) - mx**2 + mean(y * y) - my**2 + 9e-4)
        if scale == 4:
            part *= (2 * mx * my + 1e-4) / (mx**2 + my**2 + 1e-4)
        out *= part.mean() ** weight
        x, y = (z[: len(z) // 2 * 2, : z.shape[1] // 2 * 2] for z in (x, y))
        x, y = ((z[::2, ::2] + z[1::2, ::2] + z[::2, 1::2] + z[1::2, 1::2]) / 4 for z in (x, y))
    return out


def test_ms_ssim_equals_its_definition(photograph, key):
    clean = photograph[:183, :190]
    for sigma in (0.02, 0.2):
        noisy = clean + np.float32(sigma) * np.asarray(jax.random.normal(key, clean.shape))
        expected = _ms_ssim(*(z[..., 0].astype(np.float64) for z in (noisy, clean)))
        assert abs(float(metrics.ms_ssim(noisy, clean)) - expected) < 1e-4
        twice = [jnp.concatenate([z, clean], -1) for z in (noisy, clean)]
        assert abs(float(metrics.ms_ssim(*twice)) - (expected + 1) / 2) < 1e-4


def test_psnr_b_equals_its_definition(photograph):
    from restorax.degrade import jpeg

    clean = photograph[:100, :75]
    decoded = np.asarray(jax.jit(jpeg)(clean, quality=10))
    steps = {True: [], False: []}  # across the grid, elsewhere
    for row in range(100):
        for column in range(75):
            for down, right in ((1, 0), (0, 1)):
                if row + down < 100 and column + right < 75:
                    across = (row + down) % 8 == 0 if down else (column + right) % 8 == 0
                    steps[across].append((decoded[row + down, column + right, 0] - decoded[row, column, 0]) ** 2)
    excess = np.mean(steps[True]) - np.mean(steps[False])
    assert excess > 0
    expected = -10 * np.log10(((decoded - clean) ** 2).mean() + excess * 3 / np.log2(75))
    assert abs(float(metrics.psnr_b(decoded, clean)) - expected) < 1e-3
    # A natural image has no blocking.
    assert float(metrics.psnr_b(clean, decoded)) == pytest.approx(float(metrics.psnr(clean, decoded)), abs=1e-4)


@pytest.mark.parametrize("metric", METRICS)
def test_one_value_per_image_under_jit_and_vmap(metric, key):
    images, references = _pairs(key, 1, *((176, 177) if metric is metrics.ms_ssim else ()))
    values = metric(images, references)
    assert values.shape == (3,)
    np.testing.assert_allclose(jax.jit(metric)(images, references), values, rtol=1e-4)
    np.testing.assert_allclose(jax.vmap(metric)(images, references), values, rtol=1e-4)


def test_metrics_of_equal_images():
    image = jnp.ones((16, 16, 1))
    assert float(metrics.psnr(image, image)) == np.inf
    assert float(metrics.psnr_b(image, image)) == np.inf
    assert float(metrics.ssim(image, image)) == 1


@pytest.mark.slow
def test_gradient_of_ms_ssim_is_finite_at_negative_similarity(key):
    image = jax.random.uniform(key, (176, 176, 1))
    run = jax.jit(jax.value_and_grad(metrics.ms_ssim))
    value, gradient = run(1 - image, image)
    assert value == 0
    assert np.isfinite(gradient).all()
    assert float(run(jnp.ones_like(image), jnp.ones_like(image))[0]) == 1  # of equal images


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("metric", METRICS)
def test_invalid_images_raise_a_clear_error(metric):
    with pytest.raises(ValueError, match="must have the same shape"):
        metric(jnp.ones((16, 16, 1)), jnp.ones((16, 17, 1)))
    with pytest.raises(TypeError, match="floating point"):
        metric(jnp.ones((16, 16, 1), jnp.uint8), jnp.ones((16, 16, 1)))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(("metric", "side"), [(metrics.ssim, 11), (metrics.ms_ssim, 176), (metrics.psnr_b, 16)])
def test_too_small_images_raise(metric, side):
    image = jnp.ones((side - 1, side, 1))
    with pytest.raises(ValueError, match=f"The images of {metric.__name__} must be at least {side} x {side}, got"):
        metric(image, image)
