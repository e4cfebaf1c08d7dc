"""Evaluation protocol of the results on model cards."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio

import restorax
from restorax import degrade, metrics, zoo
from restorax.data import sample_images

CROPS = {name: image[:64, :80] for name, image in sample_images(1).items() if name in ("camera", "astronaut")}


def identity(image, condition):
    return image


def test_results_are_means_over_images_with_own_keys_and_rounding():
    result = restorax.evaluate(identity, CROPS, "gaussian_noise(sigma=0.1)", dataset="crops", seed=3)
    noise = degrade.parse("gaussian_noise(sigma=0.1)")
    before, after = [], []
    for i, name in enumerate(("astronaut", "camera")):
        key = jax.random.fold_in(jax.random.key(3), i)
        noisy = np.asarray(noise(key, CROPS[name]).image)
        before.append(peak_signal_noise_ratio(CROPS[name], noisy, data_range=1))
        after.append(peak_signal_noise_ratio(CROPS[name], np.round(noisy.clip(0, 1) * 255) / 255, data_range=1))
    assert (result.images, result.dataset, result.psnr_b) == (2, "crops", None)
    assert result.input_psnr == pytest.approx(np.mean(before), abs=1e-3)
    assert result.psnr == pytest.approx(np.mean(after), abs=1e-3)
    with pytest.raises(ValueError, match="must have at least one image, got 0"):
        restorax.evaluate(identity, {}, "gaussian_noise(sigma=0.1)", dataset="none")


def test_psnr_b_is_measured_after_jpeg_only(tmp_path):
    result = restorax.evaluate(identity, CROPS, "jpeg(quality=10)", dataset="crops")
    expected = [float(metrics.psnr_b(jax.jit(degrade.jpeg)(x, quality=10), x)) for x in CROPS.values()]
    assert result.psnr_b == pytest.approx(np.mean(expected), abs=1e-3)
    assert result.psnr_b < result.psnr - 1
    same = restorax.evaluate(identity, CROPS, "jpeg-q10", dataset="crops")
    assert same.psnr_b == result.psnr_b
    other = dataclasses.replace(result, psnr_b=None)
    card = dataclasses.replace(zoo.Card.read(zoo.ZOO / "arcnn-gray-jpeg"), results=[result], ood_results=[other])
    card.write(tmp_path)
    assert zoo.Card.read(tmp_path) == card
    assert "psnr_b" not in json.loads((tmp_path / "card.json").read_text())["ood_results"][0]


def test_the_border_of_blur_is_cropped_as_in_a_photograph():
    text = "gaussian_blur(sigma=1.6, border='replicate') + gaussian_noise(sigma=0.01)"
    seen = []
    result = restorax.evaluate(lambda *observed: seen.append(observed) or observed[0], CROPS, text, dataset="crops")
    assert {image.shape for image, _ in seen} == {(48, 64, 1)}
    assert "8 pixels cropped on every side after blur" in result.protocol
    other = restorax.evaluate(identity, CROPS, text.replace("replicate", "circular"), dataset="crops")
    assert other.input_psnr == pytest.approx(result.input_psnr, abs=1e-3)  # the continuation does not matter
    with pytest.raises(ValueError, match="must be larger than 16 x 16, got 16 x 80"):
        restorax.evaluate(identity, {"a": CROPS["camera"][:16]}, text, dataset="small")


def test_clean_images_have_a_finite_psnr(tmp_path):
    result = restorax.evaluate(lambda image, _: image + 0.1, CROPS, "identity()", dataset="crops")
    assert (result.input_psnr, result.is_clean) == (100.0, True)
    assert result.psnr < 25
    assert result.protocol.endswith("no border, seed 0")
    untouched = restorax.evaluate(identity, CROPS, "identity()", dataset="crops")
    assert (untouched.psnr, untouched.ssim) == (100.0, 1.0)
    card = dataclasses.replace(zoo.Card.read(zoo.ZOO / "arcnn-gray-jpeg"), ood_results=[result])
    card.write(tmp_path)
    assert zoo.Card.read(tmp_path) == card


def test_results_on_pairs_count_the_images_that_become_worse(tmp_path):
    clean, rng = CROPS["camera"], np.random.default_rng(0)
    noisy = [np.float32(clean + sigma * rng.standard_normal(clean.shape)) for sigma in (0.1, 0.02)]
    smooth = lambda image, condition: (image + 7 * image.mean()) / 8  # noqa: E731
    result = restorax.evaluate_pairs(smooth, [(one, clean) for one in noisy], dataset="two", degradation="noise")
    before = [peak_signal_noise_ratio(clean, one, data_range=1) for one in noisy]
    restored = [np.round(np.clip((one + 7 * one.mean()) / 8, 0, 1) * 255) / 255 for one in noisy]
    after = [peak_signal_noise_ratio(clean, one, data_range=1) for one in restored]
    assert (result.dataset, result.degradation, result.images) == ("two", "noise", 2)
    assert result.worse == 2
    assert result.psnr == pytest.approx(np.mean(after), abs=1e-3)
    assert result.input_psnr == pytest.approx(np.mean(before), abs=1e-3)
    assert result.worst_gain == pytest.approx(after[1] - before[1], abs=1e-3)
    assert restorax.evaluate_pairs(lambda image, _: image * 0 + clean, [(noisy[0], clean)], dataset="one").worse == 0
    card = dataclasses.replace(zoo.Card.read(zoo.ZOO / "arcnn-gray-jpeg"), pair_results=[result])
    card.write(tmp_path)
    assert zoo.Card.read(tmp_path) == card
    with pytest.raises(ValueError, match="at least one pair, got 0"):
        restorax.evaluate_pairs(identity, [], dataset="none")
