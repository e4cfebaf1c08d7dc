"""Training of the diagnosis network: labels that state what was drawn, and a loadable network."""

import json

import numpy as np
import pytest

from restorax.data import sample_images
from restorax.diagnosis import network, samples, training
from restorax.files import image


def test_labels_state_the_strength_that_was_drawn(monkeypatch):
    monkeypatch.setattr(samples, "_stages", lambda _: ["impulses"])
    clean = np.full((4, 32, 32, 1), 128 / 255, np.float32)
    degraded, labels = samples.draw(np.random.default_rng(1), clean)
    changed = (np.abs(np.asarray(degraded)[..., 0] - 128 / 255) > 1e-3).mean((1, 2))
    np.testing.assert_allclose(changed, np.exp(labels.strengths[:, 1]), atol=0.06)
    np.testing.assert_array_equal(labels.flags[:, [0, 2, 4]], np.tile([0, 1, 0], (4, 1)))
    assert np.isnan(labels.angle).all()


@pytest.mark.slow
def test_training_makes_samples_once_and_writes_a_network(tmp_path, monkeypatch):
    folder, out, work = tmp_path / "images", tmp_path / "out", tmp_path / "work"
    folder.mkdir()
    for name, pixels in sample_images(3).items():
        image.write(folder / f"{name}.png", image.Picture(pixels[:300, :300]))
    sizes = ("--shards", "2", "--batches", "2", "--steps", "30")
    monkeypatch.setattr("sys.argv", ["training", str(folder), str(out), "--work", str(work), *sizes])
    training.main()
    made = {path: path.stat().st_mtime_ns for path in work.iterdir()}
    assert len(made) == 2
    first = network.load_network(out)
    training.main()
    assert made == {path: path.stat().st_mtime_ns for path in work.iterdir()}
    card = json.loads((out / network.CARD).read_text())
    assert (card["data"], card["samples"], card["held_out"]["samples"]) == ("images", 16, 16)
    assert first.keys() == network.load_network(out).keys()
