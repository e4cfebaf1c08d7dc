"""A real training, killed twenty times and asked to stop five times, ends as if nothing had happened."""

import dataclasses
import json
import os
import random
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

import restorax
from restorax import data
from restorax.files import image
from restorax.recipes import RECIPES
from restorax.train.checkpoint import Checkpoints
from restorax.train.step import init_state

NAME, STEPS, SAVE_EVERY = "resunet_s-gray-noise", 4000, 20
CONFIG = {"architecture": "dncnn", "config": {"channels": 1, "depth": 3, "width": 8}}
PATCHES = {"patch": 16, "batch": 4}
# The command line, with a network that is compiled in a moment.
PROGRAM = f"""
import sys
from dataclasses import replace
from restorax import cli, recipes
recipes.RECIPES["{NAME}"] = replace(recipes.RECIPES["{NAME}"], **{CONFIG}).with_stages(**{PATCHES})
cli.main()
"""


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    for name, pixels in data.sample_images(1).items():
        image.write(folder / f"{name}.png", image.Picture(pixels[:64, :64]))
    return folder


def _start(folder, workdir):
    options = ["--data", folder, "--validate", folder, "--workdir", workdir, "--steps", STEPS]
    options += ["--save-every", SAVE_EVERY, "--validate-every", 500]
    env = {**os.environ, "XLA_FLAGS": "", "JAX_COMPILATION_CACHE_DIR": str(workdir.parent / "compiled")}
    env["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    command = [sys.executable, "-c", PROGRAM, "train", NAME, *map(str, options)]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _log(workdir):
    path = workdir / "log.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]


def _newest(workdir):
    """The newest complete checkpoint."""
    return max((int(p.parent.name) for p in workdir.glob("checkpoints/*/manifest.sha256")), default=0)


def _state(workdir):
    recipe = dataclasses.replace(RECIPES[NAME], **CONFIG).adjusted(steps=STEPS).with_stages(**PATCHES)
    with Checkpoints(workdir) as checkpoints:
        return checkpoints.restore(init_state(recipe, jax.random.key(0)))


@pytest.mark.slow
def test_twenty_kills_and_five_requests_to_stop_change_nothing(folder, tmp_path):
    whole, pieces = tmp_path / "whole", tmp_path / "pieces"
    out = _start(folder, whole).communicate(timeout=600)[0]
    assert "trained:" in out, out
    rng, moments, saved = random.Random(0), [], 0
    for number in range(25):
        running = _start(folder, pieces)
        first = _newest(pieces)
        assert first >= saved  # nothing that was saved is lost
        asked = number % 5 == 4
        if number % 4 or asked:  # in the middle of the training, else maybe while the program starts
            while _newest(pieces) == first:
                assert running.poll() is None, running.communicate()[0]
                time.sleep(0.001)
            time.sleep(rng.uniform(0, 1))
        else:
            time.sleep(rng.uniform(0, 8))
        running.send_signal(signal.SIGTERM if asked else signal.SIGKILL)
        out = running.communicate(timeout=120)[0]
        assert running.returncode == (75 if asked else -signal.SIGKILL), out
        assert not asked or "the same command resumes" in out
        assert "damaged" not in out
        saved = _newest(pieces)
        moments.append(saved)
    print("newest checkpoint after each interruption:", moments)
    assert STEPS > moments[-1] > moments[0]
    out = _start(folder, pieces).communicate(timeout=600)[0]
    assert "trained:" in out, out

    jax.tree.map(np.testing.assert_array_equal, _state(whole), _state(pieces))
    a, b = (restorax.load(workdir) for workdir in (whole, pieces))
    jax.tree.map(np.testing.assert_array_equal, a.params, b.params)
    assert a.card.sha256 == b.card.sha256
    curves = [
        [(line["step"], line.get("loss"), line.get("validation_psnr")) for line in _log(w)] for w in (whole, pieces)
    ]
    assert curves[0] == curves[1]
    assert not [path for path in pieces.rglob(".writing-*")]
