"""Training on one device: the step, resuming, stopping, publishing."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import restorax
from restorax import data, image, zoo
from restorax.recipes import RECIPES, Recipe
from restorax.train.checkpoint import Checkpoints
from restorax.train.loop import train
from restorax.train.losses import LOSSES
from restorax.train.step import init_state, make_step

TINY = Recipe(
    architecture="scanunet_s",
    config={
        "channels": 1,
        "residual": True,
        "condition_channels": 1,
        "masked": True,
        "widths": (8, 8, 8),
        "blocks": 1,
    },
    degradation="missing_pixels(missing=uniform(0.3, 0.9))",
    evaluation=("missing_pixels(missing=0.5)",),
    cycles=(12,),
    batch=4,
    patch=32,
    limits="a test",
    paper="none",
)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    for name, pixels in data.sample_images(3).items():
        image.write(folder / f"{name}.png", image.Picture(pixels[:120, :100]))
    return folder


@pytest.fixture(scope="module")
def validation():
    return {"camera": data.sample_images(1)["camera"][:48, :48]}


def _equal(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_step_lowers_the_loss_is_finite_and_repeatable(name):
    recipe = dataclasses.replace(RECIPES[name], patch=16, batch=2, warmup=0, cycles=(100,))
    patches = jax.random.randint(jax.random.key(3), (2, 16, 16, recipe.config["channels"]), 0, 256).astype(jnp.uint8)
    step = jax.jit(make_step(recipe))
    state = init_state(recipe, jax.random.key(0))
    out, metrics = step(state, patches, jax.random.key(1))
    assert int(out.step) == 1
    assert np.isfinite(metrics["loss"])
    assert float(metrics["gradient_norm"]) > 0
    _equal(step(state, patches, jax.random.key(1))[0], out)
    other = step(state, patches, jax.random.key(2))[1]
    assert float(other["loss"]) != float(metrics["loss"])


@pytest.mark.parametrize("loss", LOSSES)
def test_losses_vanish_only_for_equal_images(loss, key):
    image = jax.random.uniform(key, (1, 16, 16, 1))
    assert float(LOSSES[loss](image, image)) < 2e-3
    values = [float(LOSSES[loss](image, image + shift)) for shift in (0, 0.01, 0.1)]
    assert values == sorted(set(values))


def test_training_lowers_the_loss_and_publishes_a_loadable_entry(pictures, validation, tmp_path):
    recipe = dataclasses.replace(TINY, cycles=(60,), warmup=5)
    entry = train("tiny", recipe, folder=pictures, workdir=tmp_path, validation=validation, log_every=10)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert losses[-1] < losses[0]
    assert lines[-1]["step"] == 60
    assert "missing_pixels(missing=0.5)" in lines[-1]["validation_psnr"]
    assert (tmp_path / "loss.png").stat().st_size > 5000
    restorer = restorax.load(entry)
    assert restorax.load(tmp_path).card == restorer.card  # a training directory is a model too
    assert restorer.card.steps == 60
    assert restorer.card.data == f"{len(list(pictures.iterdir()))} pictures of the folder {pictures.name}"
    assert restorer.card.seconds >= 0
    assert image.read(entry / "preview.png").pixels.shape == (256, 768, 1)
    # The published parameters are the average, rounded to half precision.
    with Checkpoints(tmp_path) as checkpoints:
        state = checkpoints.restore(init_state(recipe, jax.random.key(9)))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6), restorer.params, state.ema)


def test_resuming_is_bit_identical(pictures, validation, tmp_path):
    arguments = {"folder": pictures, "validation": validation, "log_every": 1, "validate_every": 5}
    train("whole", TINY, workdir=tmp_path / "whole", **arguments)
    # The same training, stopped after 7 steps by the signal that Ctrl-C sends.
    original = data.batches

    def interrupted(source, *, batch, start, rows):
        for i, patches in enumerate(original(source, batch=batch, start=start, rows=rows)):
            if i == 7:
                os.kill(os.getpid(), signal.SIGINT)
            yield patches

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "batches", interrupted)
        assert train("halves", TINY, workdir=tmp_path / "halves", **arguments) is None
    assert restorax.load(tmp_path / "halves").card.steps == 5
    assert train("halves", TINY, workdir=tmp_path / "halves", **arguments) is not None

    states = []
    for name in ("whole", "halves"):
        with Checkpoints(tmp_path / name) as checkpoints:
            states.append(checkpoints.restore(init_state(TINY, jax.random.key(9))))
    _equal(*states)
    losses = [
        [json.loads(x).get("loss") for x in (tmp_path / name / "log.jsonl").read_text().splitlines()]
        for name in ("whole", "halves")
    ]
    assert losses[0] == losses[1]


def test_checkpoint_keeps_what_was_saved_though_the_next_step_reuses_its_memory(tmp_path, key):
    recipe = dataclasses.replace(TINY, cycles=(100,))
    step = jax.jit(make_step(recipe), donate_argnums=0)
    state = init_state(recipe, key)
    patches = jnp.full((4, 32, 32, 1), 100, jnp.uint8)
    with Checkpoints(tmp_path) as checkpoints:
        state, _ = step(state, patches, key)
        saved = jax.tree.map(np.array, state)
        checkpoints.save(state)
        for _ in range(20):
            state, _ = step(state, patches, key)
    with Checkpoints(tmp_path) as checkpoints:
        _equal(checkpoints.restore(state), saved)


def test_another_recipe_does_not_continue(pictures, validation, tmp_path):
    short = dataclasses.replace(TINY, cycles=(2,))
    train("a", short, folder=pictures, workdir=tmp_path, validation=validation)
    with pytest.raises(ValueError, match=r"cycles was \[2\] and is \[3\]"):
        train("a", dataclasses.replace(TINY, cycles=(3,)), folder=pictures, workdir=tmp_path, validation=validation)


def test_checkpoints_say_when_there_are_none(tmp_path, key):
    with Checkpoints(tmp_path) as checkpoints, pytest.raises(FileNotFoundError, match="no checkpoint"):
        checkpoints.restore(init_state(TINY, key))


@pytest.mark.slow
def test_ctrl_c_of_a_real_training_leaves_a_checkpoint_that_resumes(pictures, tmp_path):
    command = [sys.executable, "-m", "restorax.cli", "train", "scanunet_s-gray-missing", "--data", str(pictures)]
    command += ["--workdir", str(tmp_path), "--steps", "250", "--batch", "1"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    log = tmp_path / "log.jsonl"
    while running.poll() is None and not (log.exists() and log.read_text()):
        time.sleep(0.2)
    running.send_signal(signal.SIGINT)
    out, _ = running.communicate(timeout=120)
    assert running.returncode == 0
    assert "the same command resumes" in out
    assert max(json.loads(line)["step"] for line in log.read_text().splitlines()) < 250
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    assert "trained:" in done.stdout
    assert zoo.verify(tmp_path / "scanunet_s-gray-missing").steps == 250
