"""Assumptions of the measurements: equal sizes of variants, context of tiles, classical baselines."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from benchmarks import camera, harm, quality, video
from benchmarks.ablation import PARAMETERS, VARIANTS, matched, recipe_of
from benchmarks.classical import anscombe, methods, observe, true_kernel
from benchmarks.halo import Loss, halo_needed, losses, restore_with_halo
from benchmarks.odd_images import odd_images
from benchmarks.quality import compare
from restorax import data, restore, zoo
from restorax.evaluation import evaluate
from restorax.files import image as image_files
from restorax.models import DnCNN, ScanUNet
from restorax.train.step import build_model


def _size(recipe):
    model = build_model(recipe)
    shapes = jax.eval_shape(model.init, jax.random.key(0), *model.input_shapes(16, 16))
    return sum(leaf.size for leaf in jax.tree.leaves(shapes))


@pytest.mark.parametrize(
    "name",
    [name if name in ("bottleneck",) else pytest.param(name, marks=pytest.mark.slow) for name in VARIANTS],
)
def test_variants_have_equal_size(name):
    recipe = recipe_of(matched(VARIANTS[name], PARAMETERS), "missing_pixels(missing=0.8)", 1, steps=1)
    assert recipe.config["condition"] == "mask"
    assert _size(recipe) == pytest.approx(PARAMETERS, rel=0.03)
    if name == "bottleneck":
        assert recipe.config["widths"] == ScanUNet().widths


def test_degradations_without_a_condition_need_blind_networks():
    recipe = recipe_of(VARIANTS["plain"], "gaussian_noise(sigma=0.1)", 3, steps=1)
    assert recipe.config == {"channels": 3}


@pytest.fixture(scope="module")
def small():
    """A restorer with a receptive field of three pixels to each side."""
    model = DnCNN(depth=3, width=4)
    params = model.init(jax.random.key(0), jnp.zeros((8, 8, 1)))["params"]
    card = zoo.Card.read(zoo.find("resunet_s-gray-noise"))
    return zoo.Restorer(params, model, dataclasses.replace(card, name="small"))


@pytest.mark.parametrize("size", [(48, 80), (50, 71), (20, 17)])
def test_a_halo_as_wide_as_the_receptive_field_changes_nothing(small, size):
    image = np.random.default_rng(0).random((*size, 1), np.float32)
    whole, sufficient, none = (
        np.asarray(restore(small, image)),
        *(restore_with_halo(small, image, None, core=16, halo=halo) for halo in (16, 0)),
    )
    np.testing.assert_allclose(sufficient, whole, atol=1e-6)
    if min(size) > 32:
        assert np.abs(none - whole).max() > 1e-3


def test_losses_fall_with_the_halo(small):
    images = {name: image[:64, :64] for name, image in list(data.sample_images(1).items())[:2]}
    rows = losses(small, images, "gaussian_noise(sigma=0.1)", core=16, halos=(0, 16))
    assert rows[1].worst < 1e-4 < rows[0].worst
    with pytest.raises(ValueError, match="multiples of 16"):
        losses(small, images, "gaussian_noise(sigma=0.1)", core=20)
    # A window as large as the image would equal it for any network.
    assert [row.halo for row in losses(small, images, "gaussian_noise(sigma=0.1)", core=16, halos=(0, 16, 32))] == [
        0,
        16,
    ]
    with pytest.raises(ValueError, match="too small for tiles of 64"):
        losses(small, images, "gaussian_noise(sigma=0.1)", core=64)


def test_halo_needed_is_the_smallest_from_which_all_suffice():
    rows = [Loss(halo, 0.0, worst) for halo, worst in ((0, 0.04), (16, 0.3), (32, 0.04), (64, 0.01))]
    assert halo_needed(rows) == 32
    assert halo_needed(rows, limit=0.005) is None


@pytest.mark.parametrize(
    ("degradation", "expected"),
    [
        ("gaussian_noise(sigma=25/255)", {"TV", "non-local means"}),
        ("apd_noise(peak=20)", {"median", "Anscombe, TV", "Anscombe, non-local means"}),
        ("salt_and_pepper_noise(amount=0.3)", {"median", "adaptive median", "TV", "non-local means"}),
        ("missing_pixels(missing=0.5)", {"biharmonic", "sparse DCT", "Navier-Stokes", "Telea"}),
        ("gaussian_blur(sigma=1.6) + gaussian_noise(sigma=2.55/255)", {"Wiener", "Richardson-Lucy", "TV, ADMM"}),
        ("haze(transmission=0.5)", set()),
    ],
)
def test_classical_methods_restore_what_they_are_for(degradation, expected, photograph):
    found = methods(degradation)
    assert expected <= set(found)
    pictures = {"a": np.round(photograph[96:144, 160:208] * 255) / 255}
    psnr = lambda restore: evaluate(restore, pictures, degradation, dataset="one").psnr  # noqa: E731
    untouched = psnr(lambda image, _: image)
    for name in expected:
        assert any(psnr(observe(one)) > untouched + 1 for one in found[name][::3]), name


def test_the_anscombe_transform_is_inverted_without_bias():
    keep = anscombe(lambda stable, _: stable.mean() + 0 * stable, np.full((4, 4, 1), 0.5), None, 20, 2.0, 0.1)
    counts = np.random.default_rng(0).poisson(0.5 * 20, (200, 200, 1)) / 20
    smooth = anscombe(lambda stable, _: np.full_like(stable, stable.mean()), counts, None, 20, 1.0, 0.0)
    assert float(smooth.mean()) == pytest.approx(0.5, abs=2e-3)
    assert keep.shape == (4, 4, 1)


def test_the_true_kernel_is_the_impulse_response():
    kernel = true_kernel("motion_blur(length=9, radius=8) + gaussian_noise(sigma=0.1)")
    assert kernel.sum() == pytest.approx(1, abs=1e-5)
    assert (kernel[31] > 1e-4).sum() == pytest.approx(9, abs=1)


def test_a_missing_baseline_is_named(tmp_path, monkeypatch, capsys, photograph):
    image_files.write(tmp_path / "a.png", image_files.Picture(photograph[:48, :48]))
    find = quality.importlib.util.find_spec
    monkeypatch.setattr(quality.importlib.util, "find_spec", lambda name: None if name == "bm3d" else find(name))
    quality.main(tmp_path, ["row_lstm-gray-missing"], ["missing_blocks(side=0.1)"], quick=True)
    assert "BM3D is left out of the baselines" in capsys.readouterr().out
    assert "BM3D" not in methods("gaussian_noise(sigma=25/255)")


def test_entries_are_compared_with_the_best_classical_setting(photograph):
    restorer = zoo.load("resunet_s-gray-impulse")
    pictures = {"a": photograph[96:144, 160:208]}
    other = zoo.load("resunet_s-gray-noise")
    rows = compare([restorer, other], pictures, "salt_and_pepper_noise(amount=0.3)", dataset="one")
    assert [row["method"] for row in rows][:2] == [restorer.card.name, other.card.name]
    psnr = {row["method"]: float(row["psnr"]) for row in rows}
    assert psnr["none"] < psnr["median"] < psnr["resunet_s-gray-impulse"]


def test_noise_statistics_of_white_and_of_filtered_noise():
    white = np.random.default_rng(0).normal(0, 10 / 255, (400, 400, 3))
    sigma, *correlation = camera.noise_statistics(white)[:4]
    assert sigma == pytest.approx(10 * np.hypot(0.299, np.hypot(0.587, 0.114)), rel=0.02)
    np.testing.assert_allclose(correlation, 0, atol=0.02)
    filtered = (white[:, 1:] + white[:, :-1]) / 2
    np.testing.assert_allclose(camera.noise_statistics(filtered)[1:4], [0.5, 0, 0], atol=0.02)


def test_pairs_are_found_by_name(tmp_path):
    for index in range(4):
        for kind, value in (("real", 100 + index), ("mean", 50)):
            Image.fromarray(np.full((8, 8, 3), value, np.uint8)).save(tmp_path / f"{index}_{kind}.png")
    pairs = camera.find_pairs(tmp_path, 2)
    assert [round(float(255 * noisy.mean())) for noisy, _ in pairs] == [100, 102]
    assert all(clean.max() == np.float32(50 / 255) for _, clean in pairs)
    with pytest.raises(SystemExit, match="has no files"):
        camera.find_pairs(tmp_path / "none", 2)


def test_odd_images_are_twenty_of_8_bits_and_always_the_same():
    first, second = odd_images(), odd_images()
    assert len(first) == 20
    for name, image in first.items():
        assert image.shape == (256, 256, 3)
        np.testing.assert_array_equal(image, second[name])
        np.testing.assert_array_equal(np.round(image * 255) / np.float32(255), image)
    assert all(image.shape == (256, 256, 1) for image in odd_images(1).values())


def test_harm_is_the_capped_psnr_of_8_bit_output():
    clean = odd_images(1)["gradient"]
    assert harm.quality(clean + 0.4 / 255, clean) == harm.CAP
    assert harm.quality(clean + 1 / 255, clean) == pytest.approx(20 * np.log10(255), abs=0.01)


def test_video_suite_measures_frames_and_flicker():
    """Flow follows a moved image, and restoring nothing leaves the noise in both measures."""
    texture = np.asarray(data.sample_images(3)["astronaut"][:96, :96], np.float32)
    clip = np.stack([np.roll(texture, shift, 1) for shift in (0, 2, 4)])
    motion = video.flow_of(clip)
    inner = np.asarray(motion.flow)[1:, 32:64, 32:64]
    assert np.abs(np.median(inner, (0, 1, 2)) - [0, -2]).max() < 0.2
    kept, perfect = video.quality({"a": lambda x, _: x, "b": lambda x, _: clip}, "roll", clip, motion, 25)
    assert float(kept["psnr_2"]) == pytest.approx(20.17, abs=0.1)
    assert float(kept["warping_error"]) > 5 * float(perfect["warping_error"])
    assert "psnr_5" not in kept
