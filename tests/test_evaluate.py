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
