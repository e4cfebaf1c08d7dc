"""Restorers leave alone what they do not understand: flat images, lines, gray images in colour entries."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import restorax
from restorax import metrics
from restorax.inference import describe_fit
from restorax.layers.features import contradicting_share, feature_share
from restorax.zoo import gray_twin
from tests.tiers import first

BLUR = ("wiener_unet-gray-blur", "scanunet_s-gray-blur", "scanunet_s-gray-blur-direct")


def _sky_with_a_wire(height=160, width=192):
    """A smooth gradient with one thin dark line across it."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    distance = np.abs(rows - 0.3 * height - 0.35 * columns)
    sky = 0.55 + 0.3 * rows / height
    return (sky - 0.4 * np.clip(1.2 - distance, 0, 1))[..., None]


@pytest.fixture(scope="module")
def blurred(photograph):
    blur = restorax.degrade.parse("motion_blur(length=15, angle=30) + gaussian_noise(sigma=2.55/255)")
    return np.asarray(blur(jax.random.key(0), jnp.asarray(photograph[:160, 64:256])).image)


@pytest.mark.parametrize("name", first(BLUR, "scanunet_s-gray-blur"))
def test_a_blur_that_cannot_be_read_is_not_inverted(name, blurred):
    restorer, wire = restorax.load(name), _sky_with_a_wire()
    np.testing.assert_array_equal(restorax.restore(restorer, wire), wire)
    assert describe_fit(restorer, wire) == f"no blur that can be read; {name} changes it only by 0%"
    assert describe_fit(restorer, blurred) == ""
    assert float(jnp.abs(restorax.restore(restorer, blurred) - blurred).max()) > 0.05


def test_confidence_is_complete_on_photographs_and_absent_on_noise_and_lines(photograph, blurred):
    noise = 0.5 + 0.1 * jax.random.normal(jax.random.key(0), (160, 192))
    images = jnp.stack([jnp.asarray(photograph[:160, 64:256, 0]), blurred[..., 0], _sky_with_a_wire()[..., 0], noise])
    shares = feature_share(images)
    assert (shares[:2] > 0.15).all()
    assert (shares[2:] < 0.02).all()


@pytest.mark.slow
def test_tiles_of_an_image_share_one_kernel(blurred):
    """A tile that shows sky alone reads no kernel of its own."""
    restorer = restorax.load("wiener_unet-gray-blur")
    image = np.concatenate([blurred, _sky_with_a_wire()], 0)
    whole, tiled = (np.asarray(restorax.restore(restorer, image, tile=tile)) for tile in (None, 144))
    assert float(metrics.psnr(tiled[:96], whole[:96])) > 35
    assert np.abs(tiled[200:] - whole[200:]).max() < 0.05


@pytest.mark.slow
def test_a_gray_image_in_a_colour_entry_is_restored_by_its_twin(photograph):
    clean = jnp.asarray(photograph[:96, 64:160])
    noisy = clean + 25 / 255 * jax.random.normal(jax.random.key(0), clean.shape)
    restorer = restorax.load("resunet_s-color-noise")
    expected = restorax.restore(gray_twin(restorer), noisy)
    for image in (noisy, jnp.repeat(noisy, 3, -1)):
        restored = restorax.restore(restorer, image)
        assert restored.shape == image.shape
        np.testing.assert_allclose(restored, jnp.broadcast_to(expected, image.shape), atol=1e-6)
    averaged = restorax.restore(restorer, noisy[:32, :32], ensemble=True)
    np.testing.assert_allclose(
        averaged, restorax.restore(gray_twin(restorer), noisy[:32, :32], ensemble=True), atol=1e-6
    )
    assert describe_fit(restorer, noisy) == "gray; restored by resunet_s-gray-noise"
    assert gray_twin(gray_twin(restorer)) is None


def test_without_a_twin_a_gray_image_is_remarked(photograph):
    restorer = restorax.load("resunet_s-color-any")
    with pytest.warns(UserWarning, match="gray and resunet_s-color-any was trained on colour images"):
        assert restorax.restore(restorer, photograph[:32, :32]).shape == (32, 32, 1)
    assert restorax.restore(restorer, jnp.full((16, 16, 3), 0.5)).shape == (16, 16, 3)


def _squares():
    return jnp.asarray(np.kron(np.indices((20, 24)).sum(0) % 2, np.ones((8, 8)))[..., None], jnp.float32)


@pytest.mark.slow
def test_edges_sharper_than_a_kernel_permits_contradict_it(photograph):
    blurs = ("gaussian_blur(sigma=1.6)", "motion_blur(length=15, angle=30)")
    sharp = _squares()[None, ..., 0]
    for text in blurs:
        (operator,) = restorax.degrade.parse(text).operators
        impulse = jnp.zeros((17, 17, 1)).at[8, 8].set(1)
        kernel = operator(jax.random.key(0), impulse).image[None, ..., 0]
        blurred = operator(jax.random.key(0), jnp.asarray(photograph[:160, :192])).image[None, ..., 0]
        noisy = blurred + 5 / 255 * jax.random.normal(jax.random.key(1), blurred.shape)
        assert float(contradicting_share(noisy, kernel)[0]) == 0
        assert float(contradicting_share(sharp, kernel)[0]) > 0.02
        assert float(contradicting_share(operator(jax.random.key(0), sharp[..., None]).image[..., 0], kernel)[0]) == 0


@pytest.mark.parametrize("name", BLUR)
def test_clean_drawings_are_not_deblurred(name):
    np.testing.assert_array_equal(restorax.restore(restorax.load(name), _squares()), _squares())
