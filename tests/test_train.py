"""The training loop: resuming, stopping, publishing."""

import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import restorax
from restorax import data, provenance, zoo
from restorax.files import image
from restorax.recipe import Stage, write_recipe
from restorax.train import loop, parallel, plan
from restorax.train.checkpoint import Checkpoints
from restorax.train.logger import Validation
from restorax.train.options import Options
from restorax.train.report import write_report
from restorax.train.step import init_state, make_step
from tests.small_recipe import SMALL, with_steps


def train(name, recipe, *, folder, validation, **options):
    return loop.train(name, recipe, Options(data=folder, **options), validation)


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


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": "l2"}, "loss 'l2' is not understood"),
        ({"degradation": "gaussian_noise(sigma=25)"}, r"`sigma` must be in \[0, 1\], got 25"),
        ({"evaluation": ()}, "`evaluation` must have at least one degradation"),
        ({"evaluation": ("gaussian_nose(sigma=0.1)",)}, "unknown operator 'gaussian_nose'"),
        ({"architecture": "dncn"}, "no architecture named 'dncn'; did you mean dncnn"),
        ({"start": "nothing-like-it"}, "no model named"),
    ],
)
def test_mistakes_in_a_recipe_are_refused_before_anything_is_written(changes, message, pictures, validation, tmp_path):
    later = {key: value for key, value in changes.items() if key in Stage.__dataclass_fields__}
    recipe = with_steps(1, 1, later=later)
    recipe = dataclasses.replace(recipe, **{key: value for key, value in changes.items() if key not in later})
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        train("a", recipe, folder=pictures, workdir=tmp_path / "a", validation=validation)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("shape", [None, (10, 48, 1), (48, 48, 3), (48, 48)])
def test_unfit_validation_images_are_refused_at_once(shape, pictures, tmp_path):
    unfit = {} if shape is None else {"one": np.zeros(shape, np.float32)}
    with pytest.raises(ValueError, match=r"validation.* must have (at least one image|shape)"):
        train("a", SMALL, folder=pictures, workdir=tmp_path / "a", validation=unfit)
    assert not (tmp_path / "a").exists()


@pytest.mark.slow
def test_a_validation_that_fails_loses_no_steps(pictures, validation, tmp_path, monkeypatch):
    arguments = {"folder": pictures, "workdir": tmp_path, "validation": validation, "validate_every": 2}
    recipe = with_steps(3)
    with monkeypatch.context() as patch:
        patch.setattr(plan.Plan, "validate", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            train("a", recipe, **arguments)
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.latest() == 2
    assert restorax.load(train("a", recipe, **arguments)).card.steps == 3


def test_training_lowers_the_loss_and_publishes_a_loadable_entry(pictures, validation, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = with_steps(60, warmup=5)
    arguments = {"folder": pictures, "workdir": ".", "validation": validation}
    card = {"hardware": "with care", "data_licence": "CC0", "weights_licence": "MIT"}
    entry = train("tiny", recipe, log_every=10, **card, **arguments)
    assert str(entry) == str(tmp_path / "tiny")  # not a name that could be one of the zoo
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert losses[-1] < losses[0]
    assert lines[-1]["step"] == 60
    assert "gaussian_noise(sigma=25/255)" in lines[-1]["validation_psnr"]
    assert (tmp_path / "curves.png").stat().st_size > 5000
    report = (tmp_path / "report.md").read_text()
    assert "| **60**, published |" in report
    assert "| steps | 60, of which 0 skipped (not finite) |" in report
    for picture in re.findall(r"\]\((\S+)\)", report):
        assert (tmp_path / picture).exists()
    restorer = restorax.load(entry)
    assert (restorer.card.data_licence, restorer.card.weights_licence) == ("CC0", "MIT")
    assert restorax.load(tmp_path).card == restorer.card  # a training directory is a model too
    assert restorer.card.steps == 60
    assert restorer.card.data == f"{len(list(pictures.iterdir()))} images of the folder {pictures.name}"
    assert restorer.card.seconds >= 0
    assert restorer.card.hardware.endswith(", with care")
    assert image.read(entry / "preview.png").pixels.shape == (192, 576, 1)
    # The published parameters are the average, rounded to half precision.
    with Checkpoints(tmp_path) as checkpoints:
        state = checkpoints.restore(init_state(recipe, jax.random.key(9)))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6), restorer.params, state.ema)


def test_a_report_without_matplotlib_says_how_to_get_the_figure(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    facts = {"entry": "a", "lines": [{"step": 1, "loss": 0.1}], "best": 1, "facts": {}, "pictures": {}, "shown": ""}
    write_report(tmp_path, name="a", recipe=SMALL, **facts)
    assert "Install `restorax[plot]`" in (tmp_path / "report.md").read_text()
    assert not (tmp_path / "curves.png").exists()


def test_resuming_is_bit_identical(pictures, validation, tmp_path):
    arguments = {"folder": pictures, "validation": validation, "log_every": 1, "validate_every": 5}
    train("whole", SMALL, workdir=tmp_path / "whole", **arguments)
    # The same training, stopped after 7 steps by the signal that Ctrl-C sends.
    original = data.batches

    def interrupted(source, **options):
        for i, patches in enumerate(original(source, **options)):
            if i == 7:
                os.kill(os.getpid(), signal.SIGINT)
            yield patches

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "batches", interrupted)
        assert train("halves", SMALL, workdir=tmp_path / "halves", **arguments) is None
    assert restorax.load(tmp_path / "halves").card.steps == 5
    assert train("halves", SMALL, workdir=tmp_path / "halves", **arguments) is not None

    states = []
    for name in ("whole", "halves"):
        with Checkpoints(tmp_path / name) as checkpoints:
            states.append(checkpoints.restore(init_state(SMALL, jax.random.key(9))))
    _equal(*states)
    losses = [
        [json.loads(x).get("loss") for x in (tmp_path / name / "log.jsonl").read_text().splitlines()]
        for name in ("whole", "halves")
    ]
    assert losses[0] == losses[1]


@pytest.mark.slow
def test_the_published_parameters_are_those_of_the_best_step(pictures, validation, tmp_path, monkeypatch, capsys):
    """Validations say 20, 22, 21 dB: the second of three is published, and its checkpoint stays."""
    said = iter((20.0, 22.0, 21.0))
    psnr = lambda *_: Validation({"noise": next(said)}, {"noise": 15.0}, {})  # noqa: E731
    monkeypatch.setattr(plan.Plan, "validate", psnr)
    monkeypatch.setattr(plan, "write_report", lambda *_, **facts: facts["best"] == 4 or pytest.fail(str(facts)))
    recipe = with_steps(6)
    arguments = {"folder": pictures, "workdir": tmp_path, "validation": validation, "validate_every": 2}
    entry = train("a", recipe, keep=1, **arguments)
    with Checkpoints(tmp_path) as checkpoints:
        assert checkpoints.steps() == [4, 6]
        average = checkpoints.restore_average(init_state(recipe, jax.random.key(0)).ema, 4)
    assert restorax.load(entry).card.steps == 4
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6), restorax.load(entry).params, average
    )
    # The same command again keeps what has been measured since, also where the checkpoint is damaged by then.
    measured = zoo.Result("set", "noise", 1, 30.0, 0.9, 20.0, "none")
    card = dataclasses.replace(zoo.verify(entry), results=[measured], throughput={"CPU": 1.0}, halo=8)
    card.write(entry)
    train("a", recipe, keep=1, **arguments)
    assert zoo.verify(entry) == dataclasses.replace(card, seconds=zoo.verify(entry).seconds)
    (tmp_path / "checkpoints" / "4" / "_METADATA").write_text("{}")
    for _ in range(2):
        capsys.readouterr()
        train("a", recipe, keep=1, **arguments)
        assert zoo.verify(entry).steps == 4
        assert "is kept: step 4" in " ".join(capsys.readouterr().out.split())
    shutil.rmtree(entry)
    monkeypatch.setattr(plan, "write_report", lambda *_, **facts: None)
    assert zoo.verify(train("a", recipe, keep=1, **arguments)).steps == 6


def test_a_training_that_is_not_finite_ends_with_a_sentence(pictures, validation, tmp_path, monkeypatch):
    calls = iter(range(100))
    original = parallel.jit_step

    def jit_step(*arguments, **options):
        """Steps 3, 4 and all from 6 on are not finite."""
        step = original(*arguments, **options)

        def poisoned(state, *more):
            state, metrics = step(state, *more)
            bad = int(next(calls) + 1 in (3, 4) or int(state.step) >= 6)
            return state, {**metrics, "skipped": jnp.int32(bad)}

        return poisoned

    monkeypatch.setattr(parallel, "jit_step", jit_step)
    arguments = {"folder": pictures, "workdir": tmp_path, "validation": validation, "log_every": 1}
    with pytest.raises(FloatingPointError, match="not finite in 3 steps in a row, the last of them step 8"):
        train("a", SMALL, max_skipped=3, **arguments)
    counts = [json.loads(line)["skipped"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert counts == [0, 0, 1, 2, 2, 3, 4]


@pytest.mark.slow
def test_dataset_and_folder_train_alike_and_device_memory_trains_too(pictures, validation, tmp_path, monkeypatch):
    from restorax.dataset_builder import prepare

    prepare(pictures, "some", data_dir=tmp_path)
    recipe = with_steps(3)
    states, moved, sizes = [], [], set()
    replicate, crop = parallel.replicate, data.DeviceImages.crop
    monkeypatch.setattr(parallel, "replicate", lambda *given: moved.append(given) or replicate(*given))
    monkeypatch.setattr(
        data.DeviceImages, "crop", lambda self, key, *, size: sizes.add(size) or crop(self, key, size=size)
    )
    for name, options in (
        ("folder", {"folder": pictures}),
        ("dataset", {"folder": "tfds:some", "data_dir": tmp_path}),
        ("memory", {"folder": pictures, "in_memory": True}),
    ):
        if name == "memory":
            monkeypatch.setitem(sys.modules, "grain", None)  # it is not needed then
            recipe = with_steps(2, 1, later={"patch": 16})
        entry = train(name, recipe, workdir=tmp_path / name, validation=validation, log_every=1, **options)
        assert ("TFDS dataset some/1.0.0" in restorax.load(entry).card.data) == (name == "dataset")
        with Checkpoints(tmp_path / name) as checkpoints:
            states.append(checkpoints.restore(init_state(recipe, jax.random.key(0))))
    _equal(states[0], states[1])
    assert np.isfinite(jax.tree.leaves(states[2].params)[0]).all()
    assert len(moved) == 1  # one copy of the pictures, whatever the sizes of patches
    assert sizes == {32, 16}


@pytest.mark.slow
def test_a_bucket_gets_the_same_files(pictures, validation, tmp_path, monkeypatch):
    """A file system in memory stands for the bucket; checkpoints, which need a real one, stay on disk."""
    fsspec = pytest.importorskip("fsspec")
    from fsspec.implementations.memory import MemoryFileSystem

    for protocol in ("gs", "gcs"):
        fsspec.register_implementation(protocol, MemoryFileSystem, clobber=True)
    monkeypatch.setattr(loop, "Checkpoints", lambda _, **options: Checkpoints(tmp_path, **options))
    recipe = with_steps(2)
    for name, workdir in (("bucket", "gs://bucket/run"), ("bucket", "gs://bucket/run"), ("disk", tmp_path / "disk")):
        if name == "disk":
            monkeypatch.setattr(loop, "Checkpoints", Checkpoints)
        entry = train("a", recipe, folder=pictures, workdir=workdir, validation=validation, log_every=1)
        assert str(entry) == f"{workdir}/a"
        restorer = restorax.load(workdir)
        assert restorer.card == restorax.load(str(entry)).card
        dataclasses.replace(restorer.card, halo=(restorer.card.halo or 0) + 1).write(zoo.find(workdir))
    with Checkpoints("gs://bucket/other") as there, pytest.raises(FileNotFoundError, match=r"^gs://bucket/other/check"):
        there.restore(init_state(recipe, jax.random.key(0)))
    stored = {name.partition("bucket/run/")[2]: file.getvalue() for name, file in MemoryFileSystem.store.items()}
    disk = {str(p.relative_to(tmp_path / "disk")) for p in (tmp_path / "disk").rglob("*") if p.is_file()}
    assert set(stored) == {name for name in disk if not name.startswith("checkpoints")}
    assert [json.loads(line)["step"] for line in stored["log.jsonl"].splitlines()] == [1, 2, 2]
    assert zoo.verify("gs://bucket/run").halo == 2  # the second run kept what was measured after the first


def test_tensorboard_and_profile(pictures, validation, tmp_path):
    pytest.importorskip("tensorboardX")
    arguments = {"folder": pictures, "workdir": tmp_path, "validation": validation, "log_every": 4}
    train("a", SMALL, tensorboard=True, profile=True, validate_every=6, **arguments)
    (events,) = (tmp_path / "tensorboard").iterdir()
    content = events.read_bytes()
    for tag in ("loss", "gradient_norm", "images_per_second", "validation_psnr/gaussian_noise", "validation/camera"):
        assert tag.encode() in content
    assert list((tmp_path / "profile").rglob("*.xplane.pb"))


@pytest.mark.slow
def test_checkpoint_keeps_what_was_saved_though_the_next_step_reuses_its_memory(tmp_path, key):
    recipe = with_steps(100)
    step = jax.jit(make_step(recipe, recipe.stages[0]), donate_argnums=0)
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


@pytest.mark.slow
def test_what_continues_a_training_and_what_does_not(pictures, validation, tmp_path):
    arguments = {"folder": pictures, "workdir": tmp_path, "validation": validation}
    short = with_steps(2)
    (tmp_path / "recipe.json").write_text(write_recipe(SMALL))  # of a training that never began
    train("a", short, resume="never", **arguments)
    with pytest.raises(ValueError, match="steps of stage 1 was 2 and is 3"):
        train("a", with_steps(3), **arguments)
    with pytest.raises(ValueError, match="batch of stage 1 was 4 and is 2"):
        train("a", with_steps(2, 2, batch=2), **arguments)
    with pytest.raises(ValueError, match="contains checkpoints of a training"):
        train("a", short, resume="never", **arguments)
    with pytest.raises(ValueError, match=r"validated on 1 image\(s\), camera first, not on 1 image\(s\), other"):
        train("a", short, **arguments | {"validation": {"other": validation["camera"]}})
    # A recipe written before a field existed had its default.
    before = json.loads((tmp_path / "recipe.json").read_text())
    del before["stages"][0]["accumulate"], before["clip"], before["validation"]
    (tmp_path / "recipe.json").write_text(json.dumps(before))
    assert train("a", short, **arguments) is not None


@pytest.mark.slow
@pytest.mark.parametrize("shards", [pytest.param(1, marks=pytest.mark.slow), 8])
def test_a_training_starts_from_the_parameters_of_an_entry(shards, pictures, validation, tmp_path):
    arguments = {"folder": pictures, "validation": validation, "shards": shards}
    recipe = with_steps(2, batch=8)
    first = train("first", recipe, workdir=tmp_path / "first", **arguments)
    still = dataclasses.replace(recipe, start=str(first), seed=1, weight_decay=0.0).adjusted(learning_rate=1e-12)
    entry = restorax.load(train("second", still, workdir=tmp_path / "second", **arguments))
    _equal(entry.params, restorax.load(first).params)
    assert entry.card.training.start == "first"
    wider = dataclasses.replace(still, config={**SMALL.config, "width": 16})
    with pytest.raises(ValueError, match=r"parameter conv0/bias has .*; this architecture expects"):
        train("third", wider, workdir=tmp_path / "third", **arguments)
    first.rename(tmp_path / "moved")  # a training that has begun needs it no more
    more = dataclasses.replace(still, stages=(*still.stages, dataclasses.replace(still.stages[0], steps=1)))
    assert zoo.verify(train("second", more, workdir=tmp_path / "second", **arguments)).training.start == str(first)


@pytest.mark.slow
def test_later_stages_continue_with_other_patches(pictures, validation, tmp_path, monkeypatch):
    seen = []
    original = parallel.jit_step

    def jit_step(*arguments, **options):
        step = original(*arguments, **options)
        return lambda state, patches, *more: seen.append(patches.shape) or step(state, patches, *more)

    monkeypatch.setattr(parallel, "jit_step", jit_step)
    first = with_steps(3)
    both = with_steps(3, 2, later={"patch": 64, "batch": 2})
    arguments = {"folder": pictures, "validation": validation}
    train("whole", both, workdir=tmp_path / "whole", **arguments)
    assert seen == 3 * [(4, 32, 32, 1)] + 2 * [(2, 64, 64, 1)]
    train("parts", first, workdir=tmp_path / "parts", **arguments)
    train("parts", both, workdir=tmp_path / "parts", **arguments)
    assert seen[5:] == seen[:5]
    _equal(restorax.load(tmp_path / "parts").params, restorax.load(tmp_path / "whole").params)
    assert "| stage 2 | 2 steps of 2 patches of 64 x 64" in (tmp_path / "parts" / "report.md").read_text()
    more = with_steps(3, 2, 1, later={"patch": 64, "batch": 2})
    train("parts", more, workdir=tmp_path / "parts", **arguments)
    assert seen[10:] == [(2, 64, 64, 1)]
    with pytest.raises(ValueError, match="patch of stage 2 was 64 and is 48"):
        train("parts", with_steps(3, 2, later={"patch": 48, "batch": 2}), workdir=tmp_path / "parts", **arguments)


@pytest.mark.skipif(not shutil.which("git"), reason="needs git")
def test_the_commit_is_that_of_this_package_and_says_when_the_code_has_changed(tmp_path, monkeypatch):
    who = ("-c", "user.name=a", "-c", "user.email=a@b.c")
    git = lambda *arguments: subprocess.run(["git", "-C", tmp_path, *who, *arguments], check=True)  # noqa: E731
    for package in (tmp_path / "restorax", tmp_path / "venv" / "restorax"):
        (package / "train").mkdir(parents=True)
        (package / "train" / "publish.py").write_text("")
    git("init", "--quiet")
    git("add", "restorax")
    git("commit", "--quiet", "--message", "first")
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    assert re.fullmatch("[0-9a-f]{40}", provenance.commit())
    (tmp_path / "restorax" / "train" / "publish.py").write_text("changed")
    assert re.fullmatch(r"[0-9a-f]{40}\+", provenance.commit())
    monkeypatch.setattr(provenance, "ROOT", tmp_path / "venv")
    monkeypatch.delenv("RESTORAX_COMMIT", raising=False)
    assert provenance.commit() == "unknown"
    monkeypatch.setenv("RESTORAX_COMMIT", "1266bb7")
    assert provenance.commit() == "1266bb7"


def test_checkpoints_say_when_there_are_none(tmp_path, key):
    with Checkpoints(tmp_path) as checkpoints, pytest.raises(FileNotFoundError, match="no checkpoint"):
        checkpoints.restore(init_state(SMALL, key))


@pytest.mark.slow
def test_ctrl_c_of_a_real_training_leaves_a_checkpoint_that_resumes(pictures, tmp_path):
    command = [sys.executable, "-m", "restorax", "train", "scanunet_s-gray-missing", "--data", str(pictures)]
    command += ["--workdir", str(tmp_path), "--steps", "250", "--batch", "1"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    log = tmp_path / "log.jsonl"
    while running.poll() is None and not (log.exists() and log.read_text()):
        time.sleep(0.2)
    running.send_signal(signal.SIGINT)
    out, _ = running.communicate(timeout=120)
    assert running.returncode == 75
    assert "the same command resumes" in out
    assert max(json.loads(line)["step"] for line in log.read_text().splitlines()) < 250
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    assert "trained:" in done.stdout
    assert zoo.verify(tmp_path / "scanunet_s-gray-missing").steps == 250
