"""Sharpening and chroma reduction against SciPy's Gaussian filter."""

import numpy as np
import scipy.ndimage

from restorax import degrade


def _image():
    return np.random.default_rng(0).random((21, 26, 3), np.float32)


def _blurred(image, sigma):
    return scipy.ndimage.gaussian_filter(image.astype(float), (sigma, sigma, 0), mode="mirror", radius=4)


def test_unsharp_mask_adds_the_details():
    image = _image()
    out = degrade.unsharp_mask(image, amount=0.7, sigma=1.1, radius=4)
    np.testing.assert_allclose(out, image + 0.7 * (image - _blurred(image, 1.1)), atol=1e-5)


def test_chroma_blur_keeps_luma_and_blurs_the_differences_to_it():
    image, weights = _image(), np.array([0.299, 0.587, 0.114])
    out = np.asarray(degrade.chroma_blur(image, sigma=1.3, radius=4))
    luma = (image @ weights)[..., None]
    np.testing.assert_allclose(out @ weights, luma[..., 0], atol=1e-5)
    np.testing.assert_allclose(out, luma + _blurred(image - luma, 1.3), atol=1e-5)
