"""Diagnosis: exact statistics, findings, choices, restoration without a model, and the command line."""

import dataclasses
import io
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import restorax
from restorax import diagnosis
from restorax.cli import app
from restorax.data import sample_images
from restorax.diagnosis import candidates, codec, damages, network, pictures, pixels
from restorax.diagnosis.automatic import inconsistency

RNG = np.random.default_rng(0)
PHOTO = sample_images(3)["astronaut"][147:278, 125:258]
CLEAN = PHOTO[3:, 5:]


@pytest.fixture(scope="module")
def compressed():
    content = io.BytesIO()
    Image.fromarray(_levels(PHOTO)).save(content, "JPEG", quality=25)
    image = np.asarray(Image.open(content), np.float32)[3:, 5:] / 255
    return image, restorax.diagnose(image)


def _levels(image):
    return np.round(255 * np.clip(np.asarray(image), 0, 1)).astype(np.uint8)


def test_quality_and_grid_of_jpeg_are_read_from_the_pixels(compressed):
    found = compressed[1]
    assert found.damages == ("jpeg",)
    assert (found.jpeg.quality, found.jpeg.grid, found.jpeg.source) == (25, (5, 3), "comb")
    assert found.describe() == "JPEG quality 25, grid 5,3"
    assert found.degradation() == "jpeg(quality=25, down=3, right=5)"


def test_a_clean_image_is_left_alone():
    image = jnp.asarray(CLEAN)
    outcome = diagnosis.restore_automatically(image)
    assert outcome.choice.entries == ()
    np.testing.assert_array_equal(outcome.image, image)


def test_noise_level_is_near_the_truth():
    noise = 20 / 255 * RNG.standard_normal(CLEAN.shape)
    found = restorax.diagnose(np.clip(CLEAN + noise, 0, 1).astype(np.float32))
    assert "noise" in found.damages
    assert found.noise.level == pytest.approx(20 / 255, rel=0.25)
    assert found.noise.correlated < 0.5


@pytest.mark.parametrize("quality", [30, pytest.param(88, marks=pytest.mark.slow)])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
def test_tables_of_a_file_are_read(tmp_path, quality, subsampling):
    path = tmp_path / "a.jpg"
    Image.fromarray(_levels(CLEAN)).save(path, quality=quality, subsampling=subsampling)
    assert codec.read_tables(path) == (quality, subsampling, True)
    Image.fromarray(_levels(CLEAN)).save(tmp_path / "a.png")
    assert codec.read_tables(tmp_path / "a.png") is None


def test_tables_of_qualities_are_those_of_libjpeg():
    tables = codec.scaled_tables(np.asarray(codec.TABLES["annex_k"][0]))
    for quality in (1, 37, 50, 93, 100):
        content = io.BytesIO()
        Image.new("L", (8, 8)).save(content, "JPEG", quality=quality)
        stored = np.asarray(Image.open(content).quantization[0]).reshape(8, 8)
        np.testing.assert_array_equal(tables[quality - 1], stored)


def test_missing_pixels_and_regions_are_found_with_their_mask():
    levels = _levels(sample_images(3)["coffee"][:200, :200])
    scattered = RNG.random((200, 200)) < 0.3
    regions = np.zeros((200, 200), bool)
    regions[50:75, 40:60] = regions[120:140, 100:150] = True
    for hole, shape in ((scattered, "pixels"), (regions, "regions")):
        found = pixels.find_missing(np.where(hole[..., None], np.uint8(0), levels))
        assert found.shape == shape
        assert (found.mask == ~hole).mean() > 0.995
        assert found.share == pytest.approx(hole.mean(), abs=0.01)


def test_missing_pixels_of_smooth_images_are_found_and_halftones_miss_none():
    smooth = np.broadcast_to(np.arange(200)[:, None, None] // 10 + 90, (200, 200, 3)).astype(np.uint8)
    for share in (0.06, 0.6):
        hole = RNG.random((200, 200)) < share
        found = pixels.find_missing(np.where(hole[..., None], np.uint8(0), smooth))
        assert found.shape == "pixels"
        np.testing.assert_array_equal(found.mask, ~hole)
    halftone = np.repeat(255 * (RNG.random((200, 200, 1)) < 0.6), 3, 2).astype(np.uint8)
    assert pixels.find_missing(halftone).mask is None


def test_other_images_miss_no_pixels():
    levels = _levels(CLEAN)
    draws = RNG.random(levels.shape)
    peppered = np.where(draws < 0.05, 0, np.where(draws > 0.95, 255, levels)).astype(np.uint8)
    noisy = _levels(CLEAN + 0.3 * RNG.standard_normal(CLEAN.shape))
    for image in (levels, peppered, noisy):
        assert pixels.find_missing(image).mask is None


def test_overexposed_areas_are_no_holes():
    levels = np.round(255 * sample_images(3)["chelsea"][:128, :128]).astype(np.uint8)
    for top, left in ((10, 20), (50, 80), (90, 40)):
        levels[top : top + 14, left : left + 14] = 255
    assert pixels.find_missing(levels).mask is not None
    levels[100:, 100:] = 250  # what is nearly white is beside what is white
    assert pixels.find_missing(levels).mask is None


def test_drawings_and_frames_miss_no_pixels():
    drawing = np.full((100, 120, 3), 255, np.uint8)
    drawing[20:30, 10:100] = 0
    framed = _levels(CLEAN).copy()
    framed[:20] = framed[-20:] = 0
    assert pixels.find_missing(drawing).mask is None
    assert pixels.find_missing(framed).mask is None
    assert pixels.drawn_share(drawing) > 0.9 > 0.2 > pixels.drawn_share(_levels(CLEAN))


def test_stripes_are_found():
    luma = 255 * CLEAN.mean(2)
    striped = luma + 5 * RNG.standard_normal((len(luma), 1)).astype(np.float32)
    for image, direction in ((striped, "rows"), (striped.T, "columns")):
        found = pixels.find_stripes(image)
        assert found.direction == direction
        assert found.level == pytest.approx(5 / 255, rel=0.3)
    assert pixels.find_stripes(luma).probability == 0


def test_the_network_is_small_and_its_card_states_it():
    params, card = network.load_network(), json.loads((network.FOLDER / network.CARD).read_text())
    assert sum(leaf.size for leaf in jax.tree.leaves(params)) == card["parameters"] <= 300_000
    assert (network.FOLDER / "params.safetensors").stat().st_size < 1.3e6
    assert card["data_licence"]
    assert "diagnosis" not in restorax.list_models()


def test_changed_parameters_are_refused(tmp_path):
    network.save_network({"a": jnp.zeros(3)}, {"name": "x"}, tmp_path)
    assert network.load_network(tmp_path)["a"].shape == (3,)
    network.load_network.cache_clear()
    (tmp_path / "params.safetensors").write_bytes(b"")
    with pytest.raises(ValueError, match="SHA-256 differs"):
        network.load_network(tmp_path)


def test_gains_name_published_entries():
    methods = {name for row in candidates.gains() for name in row.method.split(" -> ")}
    assert methods <= set(restorax.list_models())
    assert len(candidates.gains()) > 100


def test_choice_follows_the_gains(compressed):
    ranked = restorax.choose(compressed[1])
    assert ranked[0].entries == ("resunet_s-color-jpeg",)
    assert 0.5 < ranked[0].gain < 3
    assert "jpeg(quality=" in ranked[0].reason
    assert sum(not one.entries for one in ranked) == 1
    gains = [one.gain for one in ranked[:2]]
    assert gains == sorted(gains, reverse=True)


def test_what_was_never_measured_promises_less(compressed):
    noisy = dataclasses.replace(compressed[1], noise=diagnosis.Noise(1.0, 0.3, 0.1, 0.0, (0.3,) * 4))
    moved = dataclasses.replace(noisy, blur=diagnosis.Blur(1.0, "motion", 17.0, 0.1, {"motion": 1.0}))
    assert 0 < restorax.choose(moved)[0].gain < restorax.choose(noisy)[0].gain
    striped = dataclasses.replace(compressed[1], jpeg=diagnosis.Jpeg(0.0, 100.0, 1.0))
    striped = dataclasses.replace(striped, stripes=diagnosis.Stripes(0.9, 0.1, "rows"))
    assert restorax.choose(striped)[0][:2] == ((), 0.0)  # stripes were not measured for any entry


def test_damages_of_degradations_are_comparable():
    near, far = (damages.of_degradation(f"gaussian_noise(sigma={s}/255)") for s in (12, 48))
    here = damages.of_degradation("gaussian_noise(sigma=12/255)")
    assert damages.distance(here, near) == 0 < damages.distance(here, far) == pytest.approx(2)
    assert damages.distance(here, {}) > 1
    assert damages.of_degradation("haze(transmission=0.5)") is None


@pytest.mark.slow
def test_inconsistency_prefers_what_explains_the_image(compressed):
    found, image, clean = compressed[1], jnp.asarray(compressed[0]), jnp.asarray(CLEAN)
    assert inconsistency(clean, image, found) < 0.7 * inconsistency(jnp.roll(clean, 4, 0), image, found)


def test_restore_without_a_restorer_and_its_errors(unchecked):
    thin = jnp.full((3, 200, 3), 0.5)
    np.testing.assert_array_equal(restorax.restore(thin), thin)
    with pytest.raises(TypeError, match="`image` is missing"):
        restorax.restore(restorax.load("arcnn-gray-jpeg"))
    with pytest.raises(TypeError, match="requires a restorer"):
        restorax.restore(thin, condition=0.1)
    for wrong, message in (
        (jnp.full((64, 64, 3), jnp.nan), "must be finite"),
        (jnp.full((64, 64, 3), 99.0), "divide 8-bit values by 255"),
        (jnp.ones((64, 64, 4)), "must be one image"),
    ):
        with pytest.raises(ValueError, match=message):
            restorax.diagnose(wrong)


def test_files_are_restored_or_copied(tmp_path, compressed):
    Image.fromarray(_levels(compressed[0])).save(tmp_path / "a.png")
    outcome = pictures.restore_file_automatically(tmp_path / "a.png", tmp_path / "b.png", amount=0.5)
    line = pictures.summary("a.png", outcome)
    assert line == "a.png: JPEG quality 25, grid 5,3 -> resunet_s-color-jpeg"
    full = diagnosis.restore_automatically(compressed[0]).image
    half = np.asarray(Image.open(tmp_path / "b.png"), np.float32) / 255
    np.testing.assert_allclose(half, (full + compressed[0]) / 2, atol=0.51 / 255)
    Image.fromarray(_levels(CLEAN)).save(tmp_path / "c.png")
    result = CliRunner().invoke(app, ["restore", "--no-cache", str(tmp_path / "c.png"), str(tmp_path / "d.png")])
    assert "c.png: no damage found -> left alone" in result.output
    assert (tmp_path / "c.png").read_bytes() == (tmp_path / "d.png").read_bytes()


@pytest.mark.slow
def test_the_command_prints_a_table_json_and_evidence(tmp_path):
    Image.fromarray(_levels(CLEAN)).save(tmp_path / "a.jpg", quality=30)
    result = CliRunner().invoke(app, ["diagnose", str(tmp_path / "a.jpg")])
    assert result.exit_code == 0, result.output
    assert "quality 30" in result.output
    assert "1. resunet_s-color-jpeg" in result.output
    evidence = tmp_path / "evidence"
    result = CliRunner().invoke(app, ["diagnose", str(tmp_path), "--json", "--explain", str(evidence)])
    (found,) = json.loads(result.output)
    assert found["jpeg"]["quality"] == 30
    assert found["jpeg"]["source"] == "file"
    with Image.open(evidence / "a-evidence.png") as sheet:
        assert sheet.size == (640, 676)
