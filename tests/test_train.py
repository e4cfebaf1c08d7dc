"""Training: the step, its losses, resuming, stopping, publishing."""

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
import optax
import pytest

import restorax
from restorax import data, image, provenance, zoo
from restorax.models import MODELS
from restorax.recipe import Recipe, Stage, stages, write_recipe
from restorax.recipes import RECIPES
from restorax.train import loop, parallel, plan
from restorax.train.checkpoint import Checkpoints
from restorax.train.losses import LOSSES, parse_loss
from restorax.train.options import Options
from restorax.train.report import write_report
from restorax.train.step import init_state, make_draw, make_step, optimizer

# Compiled in a moment: nothing here depends on the network.
SMALL = Recipe(
    architecture="dncnn",
    config={"channels": 1, "depth": 2, "width": 8},
    stages=(Stage(steps=12, degradation="gaussian_noise(sigma=uniform(0, 55/255))", batch=4, patch=32),),
    evaluation=("gaussian_noise(sigma=25/255)",),
    limits="a test",
    paper="none",
)
FIRST_STAGE = SMALL.stages[0]


def with_steps(*steps, later=None, **fields):
    """The small recipe with stages of so many steps."""
    fields = {f.name: getattr(FIRST_STAGE, f.name) for f in dataclasses.fields(Stage) if f.name != "steps"} | fields
    return dataclasses.replace(SMALL, stages=stages(*steps, later=later, **fields))


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


def test_a_recipe_takes_what_the_network_has_by_default():
    for name in ("ffdnet", "nafnet_s"):
        state = init_state(dataclasses.replace(SMALL, architecture=name, config={}), jax.random.key(0))
        assert int(state.step) == 0


@pytest.mark.parametrize(
    "name", [name if name == "dncnn-gray-noise25" else pytest.param(name, marks=pytest.mark.slow) for name in RECIPES]
)
def test_recipes_step_is_finite_and_repeatable(name):
    recipe = RECIPES[name].adjusted(steps=100).with_stages(patch=16, batch=2, warmup=0)
    # Fewer operations compile sooner.
    fields = MODELS[recipe.architecture]().__dataclass_fields__
    small = {"widths": (8, 16), "width": 8, "blocks": 1, "depth": 3, "scan_levels": (1,), "sizes": (5, 3, 3)}
    config = recipe.config | {key: value for key, value in small.items() if key in fields}
    recipe = dataclasses.replace(recipe, config=config)
    patches = jax.random.randint(jax.random.key(3), (2, 16, 16, recipe.config["channels"]), 0, 256).astype(jnp.uint8)
    step = jax.jit(make_step(recipe, recipe.stages[0]))
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


def test_losses_are_what_their_papers_say():
    rng = np.random.default_rng(0)
    x, y = rng.random((2, 3, 16, 20, 2), np.float32)
    losses = {name: float(loss(jnp.asarray(x), jnp.asarray(y))) for name, loss in LOSSES.items()}
    spectrum = np.fft.fft2(x - y, axes=(1, 2)) / np.sqrt(16 * 20)
    expected = {
        "l1": np.abs(x - y).mean(),
        "mse": ((x - y) ** 2).mean(),
        "log_mse": np.mean([np.log1p(255**2 * ((a - b) ** 2).mean()) for a, b in zip(x, y, strict=True)]),
        "charbonnier": np.sqrt((x - y) ** 2 + 1e-3**2).mean(),
        "ssim": 1 - np.mean([_ssim(a, b) for a, b in zip(x, y, strict=True)]),
        "fft_l1": np.abs(np.stack([spectrum.real, spectrum.imag])).mean(),
    }
    assert losses == pytest.approx(expected, rel=1e-4)
    both = parse_loss("charbonnier + 0.05 * fft_l1")(jnp.asarray(x), jnp.asarray(y))
    assert float(both) == pytest.approx(losses["charbonnier"] + 0.05 * losses["fft_l1"], rel=1e-5)


def _ssim(a, b):
    from skimage.metrics import structural_similarity

    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    full = structural_similarity(a, b, data_range=1, channel_axis=2, full=True, **options)[1]
    return full[5:-5, 5:-5].mean()


@pytest.mark.parametrize("text", ["l3", "l1 + ", "2 l1", "l1 - mse", "x * l1", "1.2.3 * l1"])
def test_unknown_losses_are_refused(text):
    with pytest.raises(ValueError, match="is not understood"):
        parse_loss(text)


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_of_losses_are_finite_where_images_are_equal(loss, key):
    image = jax.random.uniform(key, (1, 16, 16, 1))
    assert np.isfinite(jax.grad(LOSSES[loss])(image, image)).all()


# --- the step ---


@pytest.mark.parametrize("poisoned", ["loss", "gradient"])
def test_a_step_that_is_not_finite_changes_nothing_but_the_count(poisoned, key, monkeypatch):
    """The gradient of ``sqrt(mse)`` is not finite where the loss is zero."""
    bad = {"loss": lambda x, y: jnp.mean(x - y) / 0, "gradient": lambda x, y: jnp.sqrt(jnp.sum((x - y) * 0))}
    monkeypatch.setitem(LOSSES, "bad", bad[poisoned])
    patches = jax.random.randint(key, (4, 32, 32, 1), 0, 256).astype(jnp.uint8)
    good, broken = (jax.jit(make_step(SMALL, dataclasses.replace(FIRST_STAGE, loss=loss))) for loss in ("l1", "bad"))
    before, metrics = good(init_state(SMALL, key), patches, key)
    assert int(metrics["skipped"]) == 0
    after, metrics = broken(before, patches, key)
    assert int(metrics["skipped"]) == 1
    assert np.isfinite(metrics["loss"]) == (poisoned == "gradient")
    assert int(after.step) == int(before.step) + 1
    _equal(after.replace(step=before.step), before)
    again, metrics = good(after, patches, key)
    assert int(metrics["skipped"]) == 0
    assert any(
        (a != b).any() for a, b in zip(jax.tree.leaves(again.params), jax.tree.leaves(after.params), strict=True)
    )


def test_kernels_decay(key):
    optimise = optimizer(dataclasses.replace(with_steps(12, learning_rate=1.0, warmup=0), weight_decay=0.5))
    params = init_state(SMALL, key).params
    zeros = jax.tree.map(jnp.zeros_like, params)
    updates, _ = optimise.update(zeros, optimise.init(params), params)
    np.testing.assert_allclose(updates["conv0"]["kernel"], -0.5 * params["conv0"]["kernel"], rtol=1e-6)


def test_gradients_are_clipped(key):
    params = init_state(SMALL, key).params
    large = jax.tree.map(jnp.ones_like, params)
    small = jax.tree.map(lambda g: 0.1 * g / optax.tree.norm(large), large)
    updates = []
    for clip, gradients in ((0.1, large), (1e9, small)):
        optimise = optimizer(dataclasses.replace(with_steps(12, warmup=0), clip=clip))
        updates.append(optimise.update(gradients, optimise.init(params), params)[0])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-9), *updates)
    assert float(optax.tree.norm(updates[0])) > 0


def test_the_randomness_of_a_patch_depends_on_its_row_alone(key):
    draw = make_draw(FIRST_STAGE)
    keys, patches = jax.random.split(key, 4), jnp.full((4, 32, 32, 1), 100, jnp.uint8)
    whole = draw(keys, patches)[0].image
    np.testing.assert_array_equal(draw(keys[2:], patches[2:])[0].image, whole[2:])
    assert float(jnp.abs(whole[0] - whole[1]).max()) > 0


def test_a_batch_that_does_not_split_is_refused():
    with pytest.raises(ValueError, match="`batch` must be divisible by `accumulate` 3, got 4"):
        SMALL.with_stages(accumulate=3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch": 0}, "`batch` must be an integer >= 1, got 0"),
        ({"accumulate": 0}, "`accumulate` must be an integer >= 1, got 0"),
        ({"patch": -1}, "`patch` must be an integer >= 1, got -1"),
        ({"steps": 0}, "`steps` must be an integer >= 1, got 0"),
        ({"learning_rate": float("nan")}, "`learning_rate` must be positive and finite, got nan"),
    ],
)
def test_a_stage_that_trains_nothing_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        SMALL.with_stages(**changes)


def test_a_recipe_without_stages_or_in_an_unknown_type_is_refused():
    with pytest.raises(ValueError, match="`stages` must have at least one stage"):
        dataclasses.replace(SMALL, stages=())
    with pytest.raises(ValueError, match="`dtype` must be 'float32' or 'bfloat16', got 'float16'"):
        dataclasses.replace(SMALL, dtype="float16")


# --- the loop ---


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": "l2"}, "loss 'l2' is not understood"),
        ({"degradation": "gaussian_noise(sigma=25)"}, r"`sigma` must be in \[0, 1\], got 25"),
        ({"evaluation": ()}, "has no evaluation"),
        ({"evaluation": ("gaussian_nose(sigma=0.1)",)}, "unknown operator 'gaussian_nose'"),
        ({"architecture": "dncn"}, "no architecture named 'dncn'; did you mean dncnn"),
        ({"start": "nothing-like-it"}, "no model named"),
    ],
)
def test_mistakes_in_a_recipe_are_said_before_anything_is_written(changes, message, pictures, validation, tmp_path):
    later = {key: value for key, value in changes.items() if key in Stage.__dataclass_fields__}
    recipe = with_steps(1, 1, later=later)
    recipe = dataclasses.replace(recipe, **{key: value for key, value in changes.items() if key not in later})
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        train("a", recipe, folder=pictures, workdir=tmp_path / "a", validation=validation)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("shape", [None, (10, 48, 1), (48, 48, 3), (48, 48)])
def test_pictures_that_cannot_be_validated_on_are_said_at_once(shape, pictures, tmp_path):
    unfit = {} if shape is None else {"one": np.zeros(shape, np.float32)}
    with pytest.raises(ValueError, match=r"validation image.*(is needed|is accepted)"):
        train("a", SMALL, folder=pictures, workdir=tmp_path / "a", validation=unfit)
    assert not (tmp_path / "a").exists()


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
    entry = train("tiny", recipe, log_every=10, hardware="with care", **arguments)
    assert str(entry) == str(tmp_path / "tiny")  # not a name that could be one of the zoo
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert losses[-1] < losses[0]
    assert lines[-1]["step"] == 60
    assert "gaussian_noise(sigma=25/255)" in lines[-1]["validation_psnr"]
    assert (tmp_path / "loss.png").stat().st_size > 5000
    report = (tmp_path / "report.md").read_text()
    assert "| **60**, published |" in report
    assert "| steps | 60, of which 0 skipped (not finite) |" in report
    for picture in re.findall(r"\]\((\S+)\)", report):
        assert (tmp_path / picture).exists()
    restorer = restorax.load(entry)
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
    facts = {"lines": [{"step": 1, "loss": 0.1}], "best": 1, "facts": {}, "pictures": {}}
    write_report(tmp_path, name="a", recipe=SMALL, **facts)
    assert "install `restorax[plot]`" in (tmp_path / "report.md").read_text()
    assert not (tmp_path / "loss.png").exists()


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


def test_the_published_parameters_are_those_of_the_best_step(pictures, validation, tmp_path, monkeypatch, capsys):
    """Validations say 20, 22, 21 dB: the second of three is published, and its checkpoint stays."""
    said = iter((20.0, 22.0, 21.0))
    monkeypatch.setattr(plan.Plan, "validate", lambda *_: ({"noise": next(said)}, {}))
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
        assert "stays: it is of step 4" in " ".join(capsys.readouterr().out.split())
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


def test_what_continues_a_training_and_what_does_not(pictures, validation, tmp_path):
    arguments = {"folder": pictures, "workdir": tmp_path, "validation": validation}
    short = with_steps(2)
    (tmp_path / "recipe.json").write_text(write_recipe(SMALL))  # of a training that never began
    train("a", short, resume="never", **arguments)
    with pytest.raises(ValueError, match="steps of stage 1 was 2 and is 3"):
        train("a", with_steps(3), **arguments)
    with pytest.raises(ValueError, match="batch of stage 1 was 4 and is 2"):
        train("a", with_steps(2, 2, batch=2), **arguments)
    with pytest.raises(ValueError, match="holds checkpoints of a training"):
        train("a", short, resume="never", **arguments)
    with pytest.raises(ValueError, match=r"validated on 1 image\(s\), camera first, not on 1 image\(s\), other"):
        train("a", short, **arguments | {"validation": {"other": validation["camera"]}})
    # A recipe written before a field existed had its default.
    before = json.loads((tmp_path / "recipe.json").read_text())
    del before["stages"][0]["accumulate"], before["clip"], before["validation"]
    (tmp_path / "recipe.json").write_text(json.dumps(before))
    assert train("a", short, **arguments) is not None


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
    assert provenance.commit() == "unknown"


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
    assert running.returncode == 0
    assert "the same command resumes" in out
    assert max(json.loads(line)["step"] for line in log.read_text().splitlines()) < 250
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    assert "trained:" in done.stdout
    assert zoo.verify(tmp_path / "scanunet_s-gray-missing").steps == 250
