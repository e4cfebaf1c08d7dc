"""JPEG and its variants against Pillow."""

import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image as PillowImage

from restorax import degrade
from restorax.degrade.codec import TABLES

# One program per size, instead of one per operation and size.
jpeg, straight_through = (
    jax.jit(operator, static_argnames=("subsampling", "table"))
    for operator in (degrade.jpeg, degrade.jpeg_straight_through)
)
double_jpeg, chroma_subsampling = jax.jit(degrade.double_jpeg), jax.jit(degrade.chroma_subsampling)


@pytest.mark.parametrize("quality", [1, 10, 30, 50, 75, 95, 100])
@pytest.mark.parametrize("size", [(384, 384), (61, 45)])
def test_jpeg_equals_pillow(quality, size, photograph):
    image = photograph[: size[0], : size[1]]
    file = io.BytesIO()
    PillowImage.fromarray(np.round(image[..., 0] * 255).astype(np.uint8)).save(file, "JPEG", quality=quality)
    expected = np.asarray(PillowImage.open(file)).astype(int)
    np.testing.assert_array_equal(np.round(jpeg(image, quality=quality) * 255)[..., 0], expected)


@pytest.mark.parametrize("subsampling", ["4:2:0", "4:2:2", "4:4:4"])
@pytest.mark.parametrize("quality", [5, 30, 75, 95])
@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("chelsea", (61, 45)),
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in [("chelsea", (200, 304)), ("coffee", (384, 384)), ("chelsea", (17, 5)), ("chelsea", (1, 4))]
        ),
    ],
)
def test_colour_jpeg_equals_pillow(subsampling, quality, name, size):
    from restorax.data import sample_images

    image = sample_images(3)[name][: size[0], : size[1]]
    file = io.BytesIO()
    pixels = np.round(image * 255).astype(np.uint8)
    sampling = {"4:4:4": 0, "4:2:2": 1, "4:2:0": 2}[subsampling]
    PillowImage.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=sampling)
    decoded = jpeg(image, quality=quality, subsampling=subsampling)
    np.testing.assert_array_equal(np.round(decoded * 255), np.asarray(PillowImage.open(file)))


@pytest.mark.parametrize("quality", [20, 75])
@pytest.mark.parametrize("table", ["annex_k", "mozjpeg", "ms_ssim", "flat"])
def test_tables_equal_pillow_with_the_scaled_tables(table, quality, photograph):
    image = np.concatenate([photograph[:64, :80], photograph[64:128, :80], photograph[:64, 80:160]], -1)
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    tables = [np.clip((base.astype(int) * scale + 50) // 100, 1, 255).ravel().tolist() for base in TABLES[table]]
    file = io.BytesIO()
    pixels = np.round(image * 255).astype(np.uint8)
    PillowImage.fromarray(pixels).save(file, "JPEG", qtables=tables, subsampling=1)
    decoded = jpeg(image, quality=quality, subsampling="4:2:2", table=table)
    np.testing.assert_array_equal(np.round(decoded * 255), np.asarray(PillowImage.open(file)))


def test_grid_shift_equals_compress_then_crop(photograph):
    scene = jnp.asarray(photograph[:67, :59])
    cropped = jpeg(scene, quality=15)[3:, 5:]
    # Away from the border, which the operator replicates.
    shifted = jpeg(scene[3:, 5:], quality=15, down=3, right=5)
    np.testing.assert_array_equal(shifted[8:56, 8:48], cropped[8:56, 8:48])
    both = jpeg(jnp.stack([scene, scene]), quality=15, down=jnp.array([0, 3]), right=jnp.array([0, 5]))
    np.testing.assert_array_equal(both[0], jpeg(scene, quality=15))
    np.testing.assert_array_equal(both[1], jpeg(scene, quality=15, down=3, right=5))


def test_jpeg_rejects_invalid_channels_and_subsampling():
    with pytest.raises(ValueError, match="The image of jpeg must have 1 or 3 channels, got 2"):
        degrade.jpeg(jnp.zeros((8, 8, 2)), quality=50)
    with pytest.raises(ValueError, match="`subsampling` must be one of '4:2:0', '4:2:2', '4:4:4', got '4:1:1'"):
        degrade.jpeg(jnp.zeros((8, 8, 3)), quality=50, subsampling="4:1:1")


@pytest.mark.parametrize(("channels", "subsampling"), [(1, "4:2:0"), (3, "4:2:0"), (3, "4:2:2"), (3, "4:4:4")])
def test_straight_through_has_values_of_jpeg_and_gradient_of_finite_differences(channels, subsampling, photograph, key):
    image = (
        jnp.asarray(np.repeat(photograph[100:140, 150:181], channels, -1)) * jnp.linspace(1, 0.8, channels)[None, None]
    )

    @jax.jit
    def run(quality, gain):
        degraded = lambda q, g: degrade.jpeg_straight_through(g * image, quality=q, subsampling=subsampling)  # noqa: E731
        out, slopes = jax.vjp(degraded, quality, gain)
        return out, slopes(2 * (out - gain * image))[0], slopes(2 * out)[1]

    exact = jpeg(image, quality=20, subsampling=subsampling)
    out, slope_of_error, _ = run(20.0, 1.0)
    np.testing.assert_allclose(out, exact, atol=1e-6)
    assert float(slope_of_error) < 0  # better quality, smaller error
    power = lambda gain: (run(20.0, gain)[0] ** 2).sum()  # noqa: E731
    measured = (power(0.95) - power(0.85)) / 0.1
    np.testing.assert_allclose(run(20.0, 0.9)[2], measured, rtol=0.1)


def test_straight_through_gradient_of_unclipped_gray_is_the_identity(key):
    image = jax.random.uniform(key, (16, 24, 1), minval=0.4, maxval=0.6)
    weights = jax.random.normal(key, image.shape)
    slope = jax.jit(jax.grad(lambda x: (weights * straight_through(x, quality=60)).sum()))(image)
    np.testing.assert_allclose(slope, weights, atol=1e-3)  # the transform has 13 bits


def test_double_jpeg_equals_compress_crop_compress(photograph):
    scene = jnp.asarray(photograph[:67, :59])
    once = jpeg(scene, quality=15)
    twice = jpeg(once[3:, 5:], quality=70)
    # Away from the border, which the operator replicates.
    image = scene[3:, 5:]
    out = double_jpeg(image, first=15, second=70, down=3, right=5)
    np.testing.assert_array_equal(out[8:56, 8:48], twice[8:56, 8:48])
    aligned = jpeg(jpeg(image, quality=15), quality=70)
    np.testing.assert_array_equal(double_jpeg(image, first=15, second=70, down=0, right=0), aligned)


def test_chroma_subsampling_keeps_luma_and_is_linear(key):
    image = jax.random.uniform(key, (21, 18, 3))
    weights = np.array([0.299, 0.587, 0.114])
    out = chroma_subsampling(image)
    np.testing.assert_allclose(np.asarray(out) @ weights, np.asarray(image) @ weights, atol=1e-5)
    other = jax.random.uniform(jax.random.key(1), image.shape)
    both = chroma_subsampling(2 * image - other)
    np.testing.assert_allclose(both, 2 * out - chroma_subsampling(other), atol=1e-5)
    adjoint = jax.vjp(chroma_subsampling, image)[1](other)[0]
    assert abs(float((out * other).sum() - (image * adjoint).sum())) < 1e-2


def test_chroma_subsampling_equals_jpeg_at_quality_100():
    from restorax.data import sample_images

    image = jnp.asarray(sample_images(3)["chelsea"][:64, :80])
    fine = jpeg(image, quality=100, subsampling="4:2:0")
    np.testing.assert_allclose(jnp.clip(chroma_subsampling(image), 0, 1), fine, atol=4 / 255)
