"""Noise and sensor models: moments, fractions, correlations and distributions against theory and SciPy."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from restorax import degrade
from restorax.degrade import OPERATORS
from restorax.degrade.distributions import gamma, poisson_quantile


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


def test_gaussian_noise_accepts_a_noise_level_map(key):
    level = jnp.linspace(0, 0.5, 300).reshape(1, 300, 1)
    noisy = degrade.gaussian_noise(key, jnp.zeros((2, 400, 300, 1)), sigma=level[None])
    np.testing.assert_allclose(noisy.std((0, 1, 3)), level[0, :, 0], atol=0.05)
    assert np.abs(noisy[:, :, 0]).max() == 0


@functools.cache
def _compiled(name):
    return jax.jit(OPERATORS[name])


def _moments(name, key, level, **strengths):
    """Return mean and variance of the output on a constant image, with their standard errors."""
    out = np.asarray(_compiled(name)(key, jnp.full((500, 500, 1), level), **strengths), np.float64)
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
def test_mean_and_variance_equal_theory(name, strengths, variance, level, key):
    (mean, mean_error), (measured, error) = _moments(name, key, level, **strengths)
    tolerance = 6 if name == "correlated_noise" else 4  # correlation reduces the number of independent samples
    assert abs(mean - level) < tolerance * mean_error + 1e-7
    assert abs(measured - variance(level)) < tolerance * error + 1e-7


@pytest.mark.parametrize(("name", "factor"), [("emccd_noise", 2.0), ("apd_noise", 0.02 * 100 + 0.98 * 1.99)])
def test_excess_noise_factor_equals_theory(name, factor, key):
    peak = 40.0
    _, (variance, _) = _moments(name, key, 0.8, peak=peak, read=0.0)
    assert abs(variance * peak / 0.8 / factor - 1) < 0.02


@pytest.mark.parametrize("name", ["shot_noise", "emccd_noise", "apd_noise"])
def test_black_image_has_no_photon_noise(name, key):
    strengths = {"peak": 10.0} if name == "shot_noise" else {"peak": 10.0, "read": 0.0}
    np.testing.assert_array_equal(_compiled(name)(key, jnp.zeros((50, 50, 1)), **strengths), 0)


def test_shot_noise_is_poisson_distributed(key):
    counts = np.asarray(_compiled("shot_noise")(key, jnp.full((500, 500, 1), 0.6), peak=4.0)) * 4
    np.testing.assert_allclose(counts, np.round(counts), atol=1e-5)
    expected = scipy.stats.poisson.pmf(np.arange(8), 2.4)
    np.testing.assert_allclose(np.bincount(np.round(counts).astype(int).ravel())[:8] / counts.size, expected, atol=6e-3)


def test_correlated_noise_has_the_autocorrelation_of_its_kernel(key):
    noise = degrade.correlated_noise(key, jnp.zeros((500, 500, 1)), sigma=1.0)[..., 0]
    one_step = np.array([1.0, 2, 1]) @ np.array([0.0, 1, 2]) / 6  # of the binomial with itself
    assert abs(float((noise[:, 1:] * noise[:, :-1]).mean()) - one_step) < 0.02
    with pytest.raises(ValueError, match="odd sides"):
        degrade.correlated_noise(key, jnp.zeros((8, 8, 1)), sigma=1.0, kernel=jnp.ones((2, 3)))


@pytest.mark.parametrize("per_pixel", [False, True])
def test_impulse_noise_replaces_the_given_fraction(per_pixel, key):
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
def test_stripes_are_constant_along_rows_or_columns(columns, key):
    noise = degrade.stripe_noise(key, jnp.zeros((300, 400, 3)), sigma=0.1, columns=columns)
    across = 0 if columns else 1
    np.testing.assert_allclose(noise.std((across, 2)), 0, atol=1e-6)
    assert abs(float(noise.std()) - 0.1) < 0.02


def test_dead_and_hot_pixels_have_their_fractions_in_all_channels(key):
    out = degrade.dead_pixels(key, jnp.full((400, 400, 3), 0.5), amount=0.1, hot=0.2)
    np.testing.assert_array_equal(out.std(-1), 0)
    assert abs(float((out == 0).mean()) - 0.08) < 0.005
    assert abs(float((out == 1).mean()) - 0.02) < 0.003


def test_with_level_returns_the_noise_level_as_condition(key):
    image = jnp.zeros((2, 5, 4, 3))
    observed = degrade.gaussian_noise(key, image, sigma=jnp.array([0.1, 0.2]), with_level=True)
    np.testing.assert_array_equal(observed.image, degrade.gaussian_noise(key, image, sigma=jnp.array([0.1, 0.2])))
    np.testing.assert_array_equal(observed.condition[..., 0], np.tile([[[0.1]], [[0.2]]], (5, 4)).astype(np.float32))
    level = jnp.linspace(0, 0.3, 60).reshape(1, 5, 4, 3)
    observed = degrade.gaussian_noise(key, image, sigma=level, with_level=True)
    np.testing.assert_array_equal(observed.condition, jnp.broadcast_to(level, image.shape))
    parsed = degrade.parse("gaussian_noise(sigma=uniform(0, 0.3), with_level=True)")(key, image)
    noise = parsed.image.std((1, 2, 3))
    np.testing.assert_allclose(noise, parsed.condition.mean((1, 2, 3)), rtol=0.4)


def test_per_pixel_noise_is_the_same_in_all_channels(key):
    noise = degrade.gaussian_noise(key, jnp.zeros((50, 50, 3)), sigma=0.1, per_pixel=True)
    np.testing.assert_allclose(noise.std(-1), 0, atol=1e-7)
    assert abs(float(noise.std()) - 0.1) < 0.01


@pytest.mark.parametrize("mean", [0.0, 0.01, 1.0, 9.99, 10.0, 12.0, 50.0, 5000.0])
def test_poisson_quantiles_equal_scipy(mean):
    level = (np.arange(2**16) + 0.5) / 2**16
    counts = np.asarray(jax.jit(poisson_quantile)(jnp.asarray(level, jnp.float32), jnp.full(level.shape, mean)))
    expected = scipy.stats.poisson.ppf(level, mean)
    assert np.abs(counts - expected).max() <= 1
    assert (counts != expected).mean() < 6e-4


@pytest.mark.parametrize("shape", [0.3, 1.0, 2.5, 10.0, 300.0])
def test_gamma_samples_pass_a_kolmogorov_smirnov_test(shape, key):
    drawn = np.asarray(jax.jit(gamma)(key, jnp.full(200_000, shape)))
    assert scipy.stats.kstest(drawn, "gamma", args=(shape,)).pvalue > 1e-3
