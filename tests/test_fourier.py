"""Blur in the Fourier domain, against NumPy, SciPy and scikit-image."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage
from skimage import restoration

from restorax import degrade
from restorax.degrade import kernels
from restorax.layers import fourier


def _photograph(photograph, side=96):
    return jnp.asarray(photograph[:side, : side + 8])


@pytest.mark.parametrize(("height", "width", "starts"), [(8, 8, [0]), (9, 8, [0, 1]), (16, 8, [0, 4, 8])])
def test_windows_are_evenly_spaced(height, width, starts):
    image = jnp.arange(2.0 * height * width).reshape(2, height, width)
    found = fourier.extract_windows(image, 8)
    expected = np.stack([np.asarray(image[:, s : s + 8]) for s in starts], 1)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(fourier.extract_windows(image.swapaxes(1, 2), 8), expected.swapaxes(2, 3))


def test_windows_of_a_small_image_are_reflected():
    image = jnp.arange(6.0).reshape(1, 2, 3)
    np.testing.assert_array_equal(
        fourier.extract_windows(image, 4)[0, 0], np.pad(image[0], ((0, 2), (0, 1)), mode="reflect")
    )


def test_cepstrum_equals_its_definition():
    square = np.random.default_rng(0).random((2, 16, 16))
    taper = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(16) + 0.5) / 16)
    tapered = (square - square.mean((1, 2), keepdims=True)) * taper[:, None] * taper
    quefrencies = np.fft.ifft2(np.log(np.abs(np.fft.fft2(tapered)) ** 2 / 256 + 1e-7)).real * 16
    expected = [[[quefrencies[n, y, x] for x in range(-5, 6)] for y in range(-5, 6)] for n in range(2)]
    np.testing.assert_allclose(fourier.cepstrum(jnp.asarray(square, jnp.float32), 5), expected, atol=1e-3)


def test_cepstrum_shows_an_echo():
    noise = np.random.default_rng(0).normal(size=(64, 64))
    echoed = noise + 0.8 * np.roll(noise, (3, 7), (0, 1))
    found = fourier.cepstrum(jnp.asarray(echoed, jnp.float32), 10).at[10, 10].set(0)
    peaks = {tuple(place) for place in np.argwhere(np.abs(found) > 0.9 * np.abs(found).max())}
    assert peaks == {(10 + 3, 10 + 7), (10 - 3, 10 - 7)}


def test_periodic_extension_continues_without_a_seam(photograph):
    image = _photograph(photograph)[None]
    tiled = np.tile(fourier.extend_periodic(image, 16)[0, :, :, 0], (2, 2))
    np.testing.assert_array_equal(tiled[:96, :104], image[0, :, :, 0])
    for axis in (0, 1):
        steps = np.abs(np.diff(tiled, axis=axis)).max(1 - axis)
        assert steps.max() == steps[: image.shape[axis + 1] - 1].max()  # no step is larger than the image's own


def _bent(radius):
    """A motion to the right, then down: its mirror image is another one."""
    kernel = np.zeros((2 * radius + 1, 2 * radius + 1), np.float32)
    kernel[radius, radius:] = kernel[radius:, -1] = 1 / (2 * radius + 1)
    return jnp.asarray(kernel)


@pytest.mark.parametrize("size", [(24, 30), (25, 31)])
@pytest.mark.parametrize("kernel", [kernels.motion_kernel(length=7.0, angle=30.0, radius=4), _bent(3)])
def test_transfer_is_what_filtering_does(size, kernel):
    image = np.random.default_rng(0).random(size)
    found = np.fft.irfft2(np.fft.rfft2(image) * fourier.transfer_function(kernel[None], size)[0], size)
    np.testing.assert_allclose(found, ndimage.convolve(image, np.asarray(kernel), mode="wrap"), atol=1e-5)


@pytest.mark.parametrize("kernel", [kernels.defocus_kernel(blur_radius=2.0, radius=2), _bent(2)])
def test_wiener_equals_scikit_image(photograph, kernel):
    image, noise_to_signal = _photograph(photograph)[None], jnp.array([0.001, 0.05])
    found = fourier.wiener(image, kernel[None], noise_to_signal)
    extended = np.asarray(fourier.extend_periodic(image, fourier.required_margin(kernel)))[0, :, :, 0].astype(
        np.float64
    )
    # Complex, so that it is taken for a transfer function.
    rough = np.sqrt(np.asarray(fourier.gradient_power(extended.shape))[0]).astype(complex)
    for i, balance in enumerate(noise_to_signal):
        expected = restoration.wiener(extended, np.asarray(kernel), float(balance), rough, clip=False)
        np.testing.assert_allclose(found[0, :, :, i], expected[:96, :104], atol=2e-3)


@pytest.mark.slow
def test_wiener_undoes_a_blur_of_every_image_and_channel(photograph):
    clean = jnp.stack([_photograph(photograph)[..., 0], _photograph(photograph)[::-1, :, 0]], -1)
    clean = jnp.stack([clean, 1 - clean])
    kernel = jnp.stack([kernels.gaussian_kernel(sigma=s, radius=4) for s in (0.8, 1.2)])
    blurred = degrade.kernel_blur(clean, kernel=kernel)
    restored = fourier.wiener(blurred, kernel, jnp.array([1e-5]))
    inside = (slice(None), slice(16, -16), slice(16, -16))
    error = lambda x: float(jnp.abs(x - clean)[inside].mean())  # noqa: E731
    assert error(restored) < error(blurred) / 3
