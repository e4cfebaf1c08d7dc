"""Effective receptive fields, attribution, disagreement and SURE against their definitions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
import skimage.data

import restorax
from restorax import degrade, explanation

SIGMA = 25 / 255


@pytest.fixture(scope="module")
def camera():
    return jnp.asarray(skimage.data.camera()[96:224, 160:288, None] / 255, jnp.float32)


@pytest.fixture(scope="module")
def noisy(camera):
    return degrade.gaussian_noise(jax.random.key(0), camera, sigma=SIGMA)


@pytest.fixture(scope="module")
def denoiser():
    return restorax.load("resunet_s-gray-noise")


def test_effective_receptive_field_is_the_jacobian(camera):
    restorer = restorax.load("arcnn-gray-jpeg")
    image = camera[:12, :14]
    jacobian = jax.jit(jax.jacobian(lambda x: restorer(x)[..., 0]))(image)  # [12, 14, 12, 14, 1]
    for at in ((0, 0), (5, 9), (11, 13)):
        expected = np.abs(jacobian[at][..., 0])
        np.testing.assert_allclose(explanation.effective_receptive_field(restorer, image, at=at), expected, atol=1e-6)


def test_effective_receptive_field_has_the_extent_on_the_card(camera):
    restorer = restorax.load("arcnn-gray-jpeg")
    radius = (restorer.card.receptive_field - 1) // 2
    found = explanation.effective_receptive_field(restorer, camera, at=(60, 64))
    assert explanation.reach(found, at=(60, 64), share=1.0) == radius
    assert explanation.reach(found, at=(60, 64), share=0.5) < radius / 2


@pytest.mark.slow
def test_effective_receptive_field_of_a_burst_has_a_map_per_frame(camera, key):
    restorer = restorax.load("burst_rnn-gray-noise")
    frames = degrade.parse("burst(frames=3, shift=1)")(key, camera[:32, :32]).image
    found = explanation.effective_receptive_field(restorer, frames, at=(16, 16))
    assert found.shape == (3, 32, 32)
    assert bool((found.sum((1, 2)) > 0).all())


def test_reach_is_the_half_side_of_a_square():
    influence = np.zeros((9, 11))
    influence[4, 5], influence[4, 8], influence[0, 5] = 6, 3, 1
    assert [explanation.reach(influence, at=(4, 5), share=share) for share in (0.5, 0.6, 0.9, 1.0)] == [0, 0, 3, 4]


@pytest.mark.slow
def test_attribution_adds_up_to_the_detail_gained(camera):
    restorer = restorax.load("arcnn-gray-jpeg")
    image = degrade.jpeg(camera[:64, :64], quality=20)
    found = explanation.attribution(restorer, image, window=(20, 25, 16, 20), sigma=2.0)

    jitted = jax.jit(lambda x: restorer(x))

    def detail(image):
        inside = np.asarray(jitted(image))[20:36, 25:45, 0]
        return np.hypot(np.diff(inside, axis=1)[:-1], np.diff(inside, axis=0)[:, :-1]).sum()

    gained = detail(image) - detail(degrade.gaussian_blur(image, sigma=2.0))
    assert gained > 1
    assert float(found.sum()) == pytest.approx(gained, rel=0.01)
    radius = (restorer.card.receptive_field - 1) // 2
    assert float(jnp.abs(found[36 + radius :]).max()) < 1e-7 < float(jnp.abs(found[20:36, 25:45]).mean())


def test_diffusion_index_is_one_minus_gini(key):
    assert float(explanation.diffusion_index(jnp.zeros((10, 10)).at[3, 4].set(-2.0))) == pytest.approx(1.0)
    assert float(explanation.diffusion_index(jnp.zeros((4, 4)))) == 100
    x = np.abs(np.asarray(jax.random.normal(key, (2, 7, 5))))
    for one, found in zip(x.reshape(2, -1), explanation.diffusion_index(x), strict=True):
        gini = np.abs(one[:, None] - one).mean() / (2 * one.mean())
        assert float(found) == pytest.approx(100 * (1 - gini), rel=1e-5)


@pytest.mark.slow
def test_disagreement_ranks_errors(denoiser, noisy, camera):
    found = explanation.disagreement(denoiser, noisy)
    assert found.shape == noisy.shape
    error = jnp.abs(restorax.restore(denoiser, noisy, ensemble=True) - camera)
    smooth = lambda x: np.asarray(degrade.gaussian_blur(x, sigma=4.0)).ravel()  # noqa: E731
    assert scipy.stats.spearmanr(smooth(found), smooth(error)).statistic > 0.5


def test_disagreement_is_the_deviation_over_eight_orientations(camera):
    restorer = restorax.load("arcnn-gray-jpeg")
    image = np.asarray(camera[:24, :33])
    padded = np.pad(image, ((0, 8), (0, 15), (0, 0)), mode="reflect")  # to whole blocks of JPEG
    turns = [(lambda x, i=i: np.rot90(x, i), lambda x, i=i: np.rot90(x, -i)) for i in range(4)] + [
        (lambda x, i=i: np.rot90(x[:, ::-1], i), lambda x, i=i: np.rot90(x, -i)[:, ::-1]) for i in range(4)
    ]
    restored = [back(np.asarray(restorax.restore(restorer, turn(padded).copy())))[:24, :33] for turn, back in turns]
    np.testing.assert_allclose(explanation.disagreement(restorer, image), np.std(restored, axis=0), atol=1e-6)
    mean = restorax.restore(restorer, image, ensemble=True)
    np.testing.assert_allclose(mean, np.mean(restored, axis=0), atol=1e-6)


@pytest.mark.slow
def test_one_image_or_many_by_vmap(camera):
    restorer = restorax.load("arcnn-gray-jpeg")
    images = jnp.stack([camera[:16, :16], camera[16:32, :16]])
    functions = {
        "influence": lambda x: explanation.effective_receptive_field(restorer, x, at=(8, 8)),
        "attribution": lambda x: explanation.attribution(restorer, x, window=(4, 4, 8, 8), steps=2),
        "disagreement": lambda x: explanation.disagreement(restorer, x),
    }
    for name, function in functions.items():
        one_by_one = jnp.stack([function(x) for x in images])
        np.testing.assert_allclose(jax.vmap(function)(images), one_by_one, atol=1e-5, err_msg=name)
        if name == "disagreement":
            np.testing.assert_allclose(function(images), one_by_one, atol=1e-5)
            continue
        for batch in (images, images[:1]):
            with pytest.raises(
                ValueError, match=rf"a single image is required, got a batch of shape \({len(batch)},\)"
            ):
                function(batch)


@pytest.mark.parametrize("sigma", [15 / 255, SIGMA])
def test_sure_estimates_the_error_of_a_network_without_ground_truth(denoiser, camera, sigma):
    def once(key):
        keys = jax.random.split(key)
        noisy = degrade.gaussian_noise(keys[0], camera, sigma=sigma)
        return jnp.mean((denoiser(noisy) - camera) ** 2), explanation.sure(keys[1], denoiser, noisy, sigma=sigma)

    truth, found = jax.lax.map(once, jax.random.split(jax.random.key(1), 8))
    assert float(found.mean()) == pytest.approx(float(truth.mean()), rel=0.1)
    assert float(found.std()) < 0.2 * float(truth.mean())


@pytest.mark.slow
def test_sure_is_unbiased_for_a_linear_filter(camera):
    blur = lambda x, _: degrade.gaussian_blur(x, sigma=1.0)  # noqa: E731
    keys = jax.random.split(jax.random.key(0), 2)
    noisy = camera[None] + SIGMA * jax.random.normal(keys[0], (64, *camera.shape))
    truth = jnp.mean((blur(noisy, None) - camera[None]) ** 2)
    found = explanation.sure(keys[1], blur, noisy, sigma=SIGMA)
    assert found.shape == (64,)
    assert abs(float(found.mean() - truth)) < 4 * float(found.std()) / 8
    assert float(found.std()) < 0.1 * float(truth)


def test_windows_outside_the_image_are_refused(denoiser, camera):
    with pytest.raises(ValueError, match=r"inside the image of 128 x 128 pixels .* got 1 x 1 pixels at \(128, 3\)"):
        explanation.effective_receptive_field(denoiser, camera, at=(128, 3))
    for window in ((-1, 0, 8, 8), (0, 121, 8, 8), (4, 4, 1, 8)):
        with pytest.raises(ValueError, match="must lie inside the image"):
            explanation.attribution(denoiser, camera, window=window)
