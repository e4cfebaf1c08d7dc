import jax
import jax.numpy as jnp
import numpy as np
import pytest

import restorax
from restorax import degrade, inference, metrics
from restorax.files import image
from restorax.files.frames import Frames, read_frames, write_frames
from restorax.inference import restore
from restorax.models import RestorationNetwork
from restorax.pictures import restore_file
from restorax.types import Condition

BLIND = "resunet_s-gray-noise"
MASKED = "scanunet_s-gray-missing"


@pytest.fixture(scope="module")
def blind():
    return restorax.load(BLIND)


@pytest.fixture(scope="module")
def masked():
    return restorax.load(MASKED)


def _noisy(clean, sigma=0.1):
    return clean + sigma * jax.random.normal(jax.random.key(0), clean.shape)


def test_restores_and_clips(blind, photograph):
    noisy = _noisy(photograph)
    restored = restore(blind, noisy)
    assert restored.shape == photograph.shape
    assert float(restored.min()) >= 0
    assert float(restored.max()) <= 1
    assert float(metrics.psnr(restored, photograph)) > float(metrics.psnr(noisy, photograph)) + 6
    np.testing.assert_array_equal(restored, restore(blind, np.asarray(noisy)))


@pytest.mark.parametrize("size", [(1, 1), (17, 5), (2, 130)])
def test_any_size(blind, size):
    assert restore(blind, jnp.full((*size, 1), 0.5)).shape == (*size, 1)


def test_gray_restorer_works_on_each_channel(blind, photograph):
    colour = _noisy(np.repeat(photograph[:40, :50], 3, axis=2))
    restored = restore(blind, colour)
    for c in range(3):
        np.testing.assert_allclose(restored[..., c], restore(blind, colour[..., c : c + 1])[..., 0], atol=1e-5)


@pytest.mark.parametrize("tile", [129, 192, 300])
def test_tiles_leave_no_seams(blind, photograph, tile):
    noisy = _noisy(photograph)
    whole, tiled = restore(blind, noisy), restore(blind, noisy, tile=tile)
    assert abs(float(metrics.psnr(whole, photograph) - metrics.psnr(tiled, photograph))) < 0.05
    assert float(jnp.abs(whole - tiled).max()) < 0.1


@pytest.mark.slow
def test_tiles_of_a_recurrent_restorer_leave_no_seams(masked, photograph):
    photograph = photograph[:208, :320]
    mask = (jax.random.uniform(jax.random.key(0), photograph.shape) > 0.5).astype(jnp.float32)
    seen = []
    whole = restore(masked, photograph * mask, mask)
    tiled = restore(masked, photograph * mask, mask, tile=200, progress=seen.append)
    assert abs(float(metrics.psnr(whole, photograph) - metrics.psnr(tiled, photograph))) < 0.05
    assert seen == sorted(seen)
    assert seen[-1] == 1


def test_large_images_are_tiled_by_themselves(blind, monkeypatch):
    monkeypatch.setattr(inference, "_ALWAYS_WHOLE", 100)
    monkeypatch.setattr(inference, "_free_memory", lambda: 1.0)
    seen = []
    restore(blind, jnp.zeros((300, 400, 1)), progress=seen.append)
    assert len(seen) > 1


@pytest.mark.parametrize("tile", [None, 129])
def test_bursts_lose_their_axis_of_frames(tile, tmp_path):
    from tests.test_video import _save

    burst = np.random.default_rng(0).random((2, 2, 160, 16, 3), np.float32)
    restorer = _save(tmp_path)  # gray: each channel by itself
    restored = restore(restorer, burst, tile=tile)
    expected = jnp.stack([restore(restorer, burst[..., c : c + 1])[..., 0] for c in range(3)], axis=-1)
    assert restored.shape == (2, 160, 16, 3)
    if tile is None:
        assert restore(restorer, burst[0, ..., :1], ensemble=True).shape == (160, 16, 1)
    np.testing.assert_allclose(restored, expected, atol=1e-2 if tile else 1e-5)


def test_bursts_are_tiled_by_themselves_too(monkeypatch, tmp_path):
    from tests.test_video import _save

    monkeypatch.setattr(inference, "_ALWAYS_WHOLE", 100)
    monkeypatch.setattr(inference, "_free_memory", lambda: 1.0)
    seen = []
    restored = restore(_save(tmp_path), jnp.zeros((2, 300, 20, 1)), progress=seen.append)
    assert restored.shape == (300, 20, 1)
    assert len(seen) > 1


def test_ensemble_does_not_depend_on_how_the_image_is_turned(blind, photograph):
    noisy, clean = _noisy(photograph[:64, :96]), photograph[:64, :96]
    averaged = restore(blind, noisy, ensemble=True)
    turned = jnp.rot90(restore(blind, jnp.rot90(noisy)[:, ::-1], ensemble=True)[:, ::-1], -1)
    np.testing.assert_allclose(turned, averaged, atol=1e-5)
    assert float(metrics.psnr(averaged, clean)) > float(metrics.psnr(restore(blind, noisy), clean))


class _Gridded(RestorationNetwork):
    """A network that knows which pixels border on a block of 16, whatever they show."""

    condition: Condition = Condition.NOISE_LEVEL

    def __call__(self, image, condition=None):
        rows, columns = (jnp.arange(side) % 16 % 15 == 0 for side in image.shape[-3:-1])
        edges = (rows[:, None] | columns[None])[..., None]
        return image + condition - jnp.broadcast_to(0.25 * edges, image.shape).astype(image.dtype)


@pytest.fixture
def gridded(blind):
    return blind.replace(params={}, model=_Gridded())


def _with_condition(*shape):
    image, condition = jax.random.uniform(jax.random.key(0), (2, *shape))
    return 0.3 + 0.3 * image, 0.3 * condition


def test_turning_leaves_the_grid_of_the_blocks_where_it_was(gridded):
    observed = _with_condition(21, 37, 1)
    np.testing.assert_allclose(restore(gridded, *observed, ensemble=True), restore(gridded, *observed), atol=1e-6)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
@pytest.mark.parametrize("tile", [None, 129])
def test_the_type_stays(gridded, dtype, tile):
    observed = (x.astype(dtype) for x in _with_condition(150, 16, 1))
    assert restore(gridded, *observed, tile=tile).dtype == dtype


def test_inside_of_jit_and_vmap(gridded):
    image, condition = _with_condition(2, 150, 16, 1)
    expected = restore(gridded, image, condition)
    np.testing.assert_allclose(jax.jit(restore)(gridded, image, condition), expected, atol=1e-6)
    within = jax.vmap(lambda one, known: restore(gridded, one, known, ensemble=True))
    np.testing.assert_allclose(within(image, condition), expected, atol=1e-6)
    with pytest.raises(ValueError, match="omit `tile`"):
        jax.jit(lambda image: restore(gridded, image, condition, tile=129))(image)


@pytest.mark.parametrize("operator", [degrade.shot_noise, degrade.emccd_noise, degrade.apd_noise])
@pytest.mark.parametrize("peak", [0.05, 1.0])
def test_single_photons_are_not_taken_for_8_bit_values(gridded, operator, peak, key):
    image = operator(key, jnp.ones((32, 32, 1)), peak=peak)
    assert float(image.max()) > 2
    assert restore(gridded, image, jnp.zeros_like(image)).shape == image.shape


@pytest.mark.usefixtures("unchecked")
def test_conditions_are_checked(gridded):
    image = jnp.full((8, 8, 1), 0.5)
    for ensemble in (False, True):
        for condition, message in (
            (jnp.full((8, 8, 1), 255.0), r"`condition` must be in \[0, 1\], got 255"),
            (jnp.full((8, 8, 1), jnp.nan), r"`condition` must be in \[0, 1\], got nan"),
            (jnp.zeros(8), r"`condition` must have the shape of a map, .* or one number per image; got \(8,\)"),
            (jnp.zeros((9, 8, 1)), r"shape of a map, \(8, 8\) or \(8, 8, 1\), .*; got \(9, 8, 1\)"),
        ):
            with pytest.raises(ValueError, match=message):
                restore(gridded, image, condition, ensemble=ensemble)
        with pytest.raises(TypeError, match="`condition` must be floating point or boolean"):
            restore(gridded, image, np.ones((8, 8, 1), np.uint8), ensemble=ensemble)


@pytest.mark.usefixtures("unchecked")
def test_bad_input_is_refused_in_a_sentence(blind, masked):
    with pytest.raises(ValueError, match="NaN or infinity"):
        restore(blind, jnp.full((8, 8, 1), jnp.nan))
    with pytest.raises(TypeError, match="floating point"):
        restore(blind, np.zeros((8, 8, 1), np.uint8))
    with pytest.raises(ValueError, match="must have 1 or 3 channels, got 4; pass it without its alpha channel"):
        restore(blind, jnp.full((8, 8, 4), 0.5))
    with pytest.raises(ValueError, match="requires a condition"):
        restore(masked, jnp.zeros((8, 8, 1)))
    with pytest.raises(ValueError, match="`tile` must be at least 129"):
        restore(blind, jnp.zeros((8, 8, 1)), tile=16)
    with pytest.raises(ValueError, match=r"`tile` must be an integer >= 1, got 150.5"):
        restore(blind, jnp.zeros((8, 8, 1)), tile=150.5)
    with pytest.raises(ValueError, match="divide 8-bit values by 255"):
        restore(blind, jnp.full((8, 8, 1), 100.0).at[0, 0].set(0))
    for side in (150, 300):
        with pytest.raises(ValueError, match=rf"shape of a map, .*; got \({side}, {side}, 1\)"):
            restore(masked, jnp.zeros((160, 160, 1)), jnp.ones((side, side, 1)), tile=144)


def test_files_keep_alpha_depth_and_gray(blind, tmp_path):
    pixels = np.random.default_rng(0).random((20, 30, 3), np.float32)
    alpha = np.random.default_rng(1).random((20, 30, 1), np.float32)
    image.write(tmp_path / "rgba.png", image.Picture(pixels, alpha, 16))
    image.write(tmp_path / "gray.png", image.Picture(pixels[..., :1]))
    restore_file(blind, tmp_path / "rgba.png", tmp_path / "out.png")
    out = image.read(tmp_path / "out.png")
    assert out.bits == 16
    assert out.pixels.shape == (20, 30, 3)
    np.testing.assert_allclose(out.alpha, alpha, atol=1e-5)
    restore_file(blind, tmp_path / "gray.png", tmp_path / "out2.png")
    assert image.read(tmp_path / "out2.png").pixels.shape == (20, 30, 1)
    pages = [image.Picture(pixels[..., c : c + 1]) for c in range(2)]
    write_frames(tmp_path / "pages.tif", Frames(pages))
    restore_file(blind, tmp_path / "pages.tif", tmp_path / "out.tif")
    first, second = read_frames(tmp_path / "out.tif").pictures
    np.testing.assert_array_equal(first.pixels, image.read(tmp_path / "out2.png").pixels)
    assert np.abs(second.pixels - first.pixels).max() > 0.1


def test_files_with_a_mask(masked, blind, tmp_path, photograph):
    mask = (np.random.default_rng(0).random((64, 64, 1)) > 0.5).astype(np.float32)
    clean = photograph[:64, :64]
    image.write(tmp_path / "holes.png", image.Picture(clean * mask, mask))
    image.write(tmp_path / "mask.png", image.Picture(mask))
    image.write(tmp_path / "small.png", image.Picture(mask[:32]))
    restore_file(masked, tmp_path / "holes.png", tmp_path / "out.png", mask=tmp_path / "mask.png")
    picture = image.read(tmp_path / "out.png")
    np.testing.assert_array_equal(picture.alpha, 1)  # filled pixels are visible
    out = picture.pixels
    np.testing.assert_array_equal(out[mask > 0], clean[mask > 0])
    np.testing.assert_allclose(restore(masked, clean * mask, mask > 0), out, atol=0.51 / 255)
    assert float(metrics.psnr(out, clean)) > 25
    for mask_file, restorer, message in (
        (None, masked, "requires a mask"),
        (tmp_path / "mask.png", blind, "takes no mask"),
        (tmp_path / "small.png", masked, "must have the size of"),
    ):
        with pytest.raises(ValueError, match=message):
            restore_file(restorer, tmp_path / "holes.png", tmp_path / "no.png", mask=mask_file)
    assert not (tmp_path / "no.png").exists()


@pytest.mark.slow
def test_a_size_that_needs_padding_costs_nothing(blind, photograph):
    noisy = _noisy(photograph[:193, :129])
    odd, even = restore(blind, noisy)[:192, :128], restore(blind, noisy[:192, :128])
    clean = photograph[:192, :128]
    assert abs(float(metrics.psnr(odd, clean) - metrics.psnr(even, clean))) < 0.05
