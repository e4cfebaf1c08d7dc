"""Training checkpoints: nothing damaged is restored silently, nothing good is lost."""

import dataclasses
import random
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from restorax.recipes import RECIPES
from restorax.train import parallel
from restorax.train.checkpoint import Checkpoints
from restorax.train.step import init_state
from tests.tiers import first

TINY = dataclasses.replace(
    RECIPES["resunet_s-gray-noise"], config={"channels": 1, "widths": (8, 8), "blocks": 1}, dtype="float32"
).with_stages(patch=16)


@pytest.fixture(scope="module")
def state():
    return init_state(TINY, jax.random.key(0))


def _at(state, step):
    """A state that differs from step to step."""
    changed = jax.tree.map(lambda x: x + step, (state.params, state.ema))
    return state.replace(step=jnp.int32(step), params=changed[0], ema=changed[1])


def _equal(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.fixture(scope="module")
def saved(state, tmp_path_factory):
    """A training directory with the checkpoints 1, 2 and 3."""
    workdir = tmp_path_factory.mktemp("saved")
    with Checkpoints(workdir, keep=3) as checkpoints:
        for step in (1, 2, 3):
            checkpoints.save(_at(state, step))
    return workdir


@pytest.mark.slow
def test_newest_and_best_stay(state, tmp_path):
    with Checkpoints(tmp_path, keep=2) as checkpoints:
        for step, quality in enumerate((1.0, 3.0, 2.0, 2.5, None, 2.9)):
            checkpoints.save(_at(state, step), quality=quality)
        assert checkpoints.best() == 1
        assert checkpoints.steps() == [1, 4, 5]
        assert checkpoints.latest() == 5
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.best() == 1
        _equal(checkpoints.restore(state), _at(state, 5))
        _equal(checkpoints.restore_average(state.ema, 1), _at(state, 1).ema)


@pytest.mark.parametrize("trials", first([10, 60], 10))
def test_flipped_bits_and_truncations_are_refused_aloud(trials, state, saved, tmp_path):
    rng = random.Random(0)
    files = sorted(p.relative_to(saved) for p in (saved / "checkpoints" / "3").rglob("*") if p.is_file())
    assert len(files) > 5
    for trial in range(trials):
        workdir = shutil.copytree(saved, tmp_path / str(trial))
        path = workdir / files[trial % len(files)]
        content = bytearray(path.read_bytes())
        if trial % 3:
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        else:
            del content[rng.randrange(len(content)) :]
        path.write_bytes(bytes(content))
        said = []
        with Checkpoints(workdir, tell=said.append) as checkpoints:
            restored = checkpoints.restore(state)
        _equal(restored, _at(state, 2))
        (sentence,) = said
        assert "checkpoint 3 is damaged" in sentence
        assert (workdir / "checkpoints" / "damaged-3").is_dir()


def test_missing_and_additional_files_are_refused(state, saved, tmp_path):
    for name, change in (
        ("missing", lambda folder: (folder / "manifest.ocdbt").unlink()),
        ("additional", lambda folder: (folder / "more").write_text("x")),
    ):
        workdir = shutil.copytree(saved, tmp_path / name)
        change(workdir / "checkpoints" / "3")
        said = []
        with Checkpoints(workdir, tell=said.append) as checkpoints:
            assert int(checkpoints.restore(state).step) == 2
        assert "damaged" in said[0]


def test_a_checkpoint_that_is_damaged_again_gets_another_name(state, saved, tmp_path):
    workdir = shutil.copytree(saved, tmp_path / "w")
    shutil.copytree(workdir / "checkpoints" / "3", workdir / "checkpoints" / "damaged-3")
    (workdir / "checkpoints" / "3" / "_METADATA").write_text("{}")
    said = []
    with Checkpoints(workdir, tell=said.append) as checkpoints:
        assert int(checkpoints.restore(state).step) == 2
    assert said[0].endswith("set aside as damaged-3-2")
    assert (workdir / "checkpoints" / "damaged-3-2").is_dir()


def test_a_best_checkpoint_that_is_damaged_leaves_its_place_to_the_next(state, tmp_path):
    said, folder = [], tmp_path / "checkpoints"
    with Checkpoints(tmp_path, keep=4, tell=said.append) as checkpoints:
        for step, quality in enumerate((3.0, 2.0, 1.0)):
            checkpoints.save(_at(state, step), quality=quality)
        assert checkpoints.best() == 0
        (folder / "0" / "quality.json").write_text("")  # unrated from now on
        checkpoints.save(_at(state, 3), quality=0.0)
        assert checkpoints.best() == 1
        (folder / "1" / "_METADATA").write_text("{}")
        assert checkpoints.best() == 2
        assert checkpoints.steps() == [0, 2, 3]
    (sentence,) = said
    assert "checkpoint 1 is damaged" in sentence


def test_if_all_are_damaged_nothing_is_restored(state, saved, tmp_path):
    workdir = shutil.copytree(saved, tmp_path / "all")
    for path in (workdir / "checkpoints").glob("*/_METADATA"):
        path.write_text("{}")
    said = []
    with Checkpoints(workdir, tell=said.append) as checkpoints, pytest.raises(ValueError, match="1 is damaged"):
        checkpoints.restore(state)
    assert len(said) == 3


def test_a_checkpoint_without_manifest_does_not_count(state, saved, tmp_path):
    """A process was killed before it was complete, or while deleting it."""
    workdir = shutil.copytree(saved, tmp_path / "w")
    (workdir / "checkpoints" / "3" / "manifest.sha256").unlink()
    with Checkpoints(workdir) as checkpoints:
        assert checkpoints.latest() == 2
        checkpoints.save(_at(state, 3))
    with Checkpoints(workdir) as checkpoints:
        assert checkpoints.latest() == 3


def test_what_a_killed_save_leaves_is_swept(state, saved, tmp_path):
    workdir = shutil.copytree(saved, tmp_path / "w")
    for name in ("4.orbax-checkpoint-tmp", "5"):
        shutil.copytree(workdir / "checkpoints" / "2", workdir / "checkpoints" / name)
        (workdir / "checkpoints" / name / "manifest.sha256").unlink()
    (workdir / "checkpoints" / "notes").mkdir()
    with Checkpoints(workdir, keep=9) as checkpoints:
        assert int(checkpoints.restore(state).step) == 3
        checkpoints.save(_at(state, 6))
    names = {path.name for path in (workdir / "checkpoints").iterdir()}
    assert names == {"1", "2", "3", "6", "notes"}


@pytest.mark.slow
def test_another_structure_or_type_is_refused(state, saved):
    other = init_state(
        dataclasses.replace(TINY, config={"channels": 1, "widths": (8, 16), "blocks": 1}), jax.random.key(0)
    )
    deeper = init_state(
        dataclasses.replace(TINY, config={"channels": 1, "widths": (8, 8), "blocks": 2}), jax.random.key(0)
    )
    half = dataclasses.replace(state, ema=jax.tree.map(lambda x: x.astype(jnp.bfloat16), state.ema))
    with Checkpoints(saved) as checkpoints:
        for like, message in (
            (other, r"bias must be float32 \(16,\), got float32 \(8,\)"),
            (deeper, r"block1\S* must be float32 .*, got nothing"),
            (half, r"ema/\S* must be bfloat16 .*, got float32"),
        ):
            with pytest.raises(ValueError, match=message):
                checkpoints.restore(like)


@pytest.mark.parametrize(("before", "after"), [((1, 1), (8, 8)), ((8, 4), (2, 1)), ((8, 8), (1, 1))])
def test_restores_onto_another_mesh(before, after, tmp_path):
    meshes = [parallel.make_mesh(shards, jax.devices()[:count]) for count, shards in (before, after)]
    init = lambda: init_state(TINY, jax.random.key(1))  # noqa: E731
    state = parallel.make_state(init, meshes[0])
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(state)
        places = parallel.abstract_state(init, meshes[1])
        restored = checkpoints.restore(places)
        average = checkpoints.restore_average(places.ema, 0)
    _equal(restored, jax.tree.map(np.asarray, state))
    _equal(average, jax.tree.map(np.asarray, state.ema))
    assert jax.tree.map(lambda x: x.sharding, restored) == jax.tree.map(lambda x: x.sharding, places)
