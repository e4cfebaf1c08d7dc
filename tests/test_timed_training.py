"""A training within a time limit: its plan, what it keeps, and a rehearsal of the script for GPUs."""

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

import restorax
from benchmarks import timed_training
from benchmarks.timed_training import MARGIN, NAME, Cost, cost_of, deliver, main, make_recipe
from restorax import data
from restorax.files import image
from restorax.recipes import RECIPES
from restorax.train.step import build_model

BIN = Path(sys.executable).parent
ROOT = Path(__file__).parent.parent


def test_steps_follow_from_a_trial():
    lines = [{"step": 100, "images_per_second": 8.0}, {"step": 200, "images_per_second": 80.0}, {"step": 200}]
    cost = cost_of(lines, batch=8, seconds=70.0)
    assert cost == Cost(step=0.1, overhead=50.0)
    assert cost.steps_in(150) == int(MARGIN * 1000)
    with pytest.raises(ValueError, match="no time left to train: 50 s, of which 50 s are overhead"):
        cost.steps_in(50)


def test_the_recipe_is_the_last_stage_of_the_small_network():
    base = RECIPES["resunet_s-color-photo"]
    fresh, tuned = (make_recipe(start, steps=9, batch=64, patch=128) for start in ("", "folder"))
    assert build_model(fresh).widths == (64, 128, 256)
    assert (fresh.degradation, fresh.dtype, fresh.steps) == (base.degradation, "bfloat16", 9)
    assert fresh.stages[0].learning_rate == base.stages[0].learning_rate > tuned.stages[0].learning_rate


@pytest.fixture
def trainings(monkeypatch):
    """Replace the training by one that writes its files at once; validation PSNR comes from the list ``psnr``."""
    calls = []

    def train(name, recipe, options, validation):
        calls.append(recipe)
        quality = psnr.pop(0)
        folder = Path(options.workdir)
        (folder / name).mkdir(parents=True)
        (folder / name / "card.json").write_text(str(quality))
        (folder / "checkpoints").mkdir()
        (folder / "report.md").touch()
        start = [{"step": 0, "start_psnr": {"noise": 30.0}}] if recipe.start else []
        rate = {"step": recipe.steps, "images_per_second": 64e6}
        lines = [*start, rate, {"step": recipe.steps, "validation_psnr": {"noise": quality}}]
        (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        return folder / name

    psnr = []
    monkeypatch.setattr(timed_training, "train", train)
    return calls, psnr


def test_a_second_run_continues_and_only_a_better_entry_replaces_the_first(trainings, tmp_path):
    calls, psnr = trainings
    for number, quality in enumerate((30.0, 29.0, 31.0), 1):
        psnr += [0.0, quality]
        main(tmp_path, "images", seconds=100.0)
        trial, final = calls[-2:]
        assert trial.start == final.start == ("" if number == 1 else str(tmp_path / NAME))
        assert MARGIN * 80e6 < final.steps < MARGIN * 100e6
        assert (tmp_path / NAME / "card.json").read_text() == ("31.0" if number == 3 else "30.0")
        with tarfile.open(tmp_path / f"training-{number}.tar.gz") as archive:
            assert sorted(archive.getnames()) == ["training", "training/log.jsonl", "training/report.md"]
    with pytest.raises(ValueError, match=r"exists; omit --start to fine-tune it, or give another folder"):
        main(tmp_path, "images", start="resunet_s-color-photo")
    assert len(os.listdir(tmp_path)) == 4


def test_a_stopped_training_keeps_what_was_validated(trainings, tmp_path, monkeypatch):
    _, psnr = trainings
    psnr += [0.0, 30.0]
    finish = timed_training.train
    monkeypatch.setattr(timed_training, "train", lambda *a: finish(*a) if len(psnr) == 2 else finish(*a) and None)
    with pytest.raises(SystemExit, match="75"):
        main(tmp_path, "images", seconds=100.0)
    assert sorted(os.listdir(tmp_path)) == [NAME, "training-1.tar.gz"]


def test_a_training_that_failed_at_once_leaves_an_archive(tmp_path):
    assert not deliver(tmp_path / "workdir", tmp_path)
    assert (tmp_path / "training-1.tar.gz").exists()


@pytest.mark.slow
def test_rehearsal_of_the_script_for_gpus(tmp_path):
    out, pictures = tmp_path / "out", tmp_path / "pictures"
    pictures.mkdir()
    for name, pixels in list(data.sample_images(3).items())[:2]:
        image.write(pictures / f"{name}.png", image.Picture(pixels[:96, :96]))
    env = {**os.environ, "REHEARSAL": "1", "LIMIT": "1800", "PATH": f"{BIN}:{os.environ['PATH']}"}
    env["XLA_FLAGS"] = "--xla_backend_optimization_level=0"
    command = ["bash", "benchmarks/gpu.sh", out, "--data", pictures, "--validate", pictures, "--data-licence", "CC0"]
    done = subprocess.run(command, cwd=ROOT, env=env, check=True, text=True, stdout=subprocess.PIPE, timeout=1800)
    assert "overhead: 20 steps" in done.stdout
    assert "training finished" in done.stdout
    assert "| JAX, tiles of 144 |" in done.stdout  # throughput
    assert "| Adam, JAX" in done.stdout  # training
    assert "failed or ran out of time" not in done.stdout
    entry = restorax.load(out / NAME)
    assert (entry.card.architecture, entry.card.steps, entry.card.data_licence) == ("resunet_m", 20, "CC0")
    assert np.isfinite(restorax.restore(entry, np.full((16, 16, 3), 0.5, np.float32))).all()
    with tarfile.open(out / "training-1.tar.gz") as archive:
        names = set(archive.getnames())
    assert {f"training/{name}" for name in ("log.jsonl", "recipe.json", "report.md")} < names
    assert not any("checkpoints" in name for name in names)
    files = [path for path in out.rglob("*") if path.is_file()]
    assert len(files) <= 5
    assert max(path.stat().st_size for path in files) < 16 * 2**20
