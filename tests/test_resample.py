"""Resampling against Pillow."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image as PillowImage

from restorax import degrade

_FILTERS = [("area", "BOX"), ("bilinear", "BILINEAR"), ("bicubic", "BICUBIC"), ("lanczos", "LANCZOS")]


@pytest.mark.parametrize(("method", "pillow"), _FILTERS)
@pytest.mark.parametrize("size", [(96, 64), (32, 16), (128, 256)])  # without ties of the box filter
def test_resize_equals_pillow_inside_and_mirrors_borders(method, pillow, size, photograph):
    image = photograph[:96, :128]
    resized = degrade.resize(image, height=size[0], width=size[1], method=method)
    plane = PillowImage.fromarray(image[..., 0])
    expected = np.asarray(plane.resize(size[::-1], getattr(PillowImage.Resampling, pillow)))
    margins = [int(np.ceil(4 * max(new / old, 1))) for new, old in zip(size, (96, 128), strict=True)]
    inner = tuple(slice(margin, -margin) for margin in margins)
    np.testing.assert_allclose(resized[..., 0][inner], expected[inner], atol=1e-5)
    # The centre of an explicitly mirrored image has the expected border values.
    wide = np.pad(image, ((96, 96), (128, 128), (0, 0)), mode="symmetric")
    whole = degrade.resize(wide, height=3 * size[0], width=3 * size[1], method=method)
    np.testing.assert_allclose(resized, whole[size[0] : -size[0], size[1] : -size[1]], atol=1e-5)


def test_resize_and_low_resolution_reject_invalid_arguments():
    image = jnp.ones((8, 8, 1))
    with pytest.raises(ValueError, match=r"`method` must be one of 'area', .*, got 'nearest'"):
        degrade.resize(image, height=4, width=4, method="nearest")
    with pytest.raises(ValueError, match="`height` must be an integer >= 1, got 0"):
        degrade.resize(image, height=0, width=4)
    with pytest.raises(ValueError, match="`factor` must be an integer >= 1, got 0"):
        degrade.low_resolution(image, factor=0)
    np.testing.assert_allclose(degrade.low_resolution(image, factor=3), image, atol=1e-6)


@pytest.mark.parametrize("method", ["area", "bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("small", [1, 2, 7, 20, 33])
def test_rescale_equals_two_resizes(method, small, key):
    image = jax.random.uniform(key, (2, 33, 33, 1))
    reduced = degrade.resize(image, height=small, width=small, method=method)
    expected = degrade.resize(reduced, height=33, width=33, method="bicubic")
    traced = jax.jit(lambda f: degrade.rescale(image, factor=f, method=method))(jnp.array([small / 33, 1.0]))
    np.testing.assert_allclose(traced[0], expected[0], atol=2e-5)
    np.testing.assert_allclose(traced[1], image[1], atol=1e-5)


def test_rescale_rejects_an_unknown_method():
    with pytest.raises(ValueError, match=r"`back` must be one of 'area', .*, got 'nearest'"):
        degrade.rescale(jnp.ones((8, 8, 1)), factor=0.5, back="nearest")
