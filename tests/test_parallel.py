"""The same training on one device, on eight, sharded, through pmap, and on two hosts."""

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
from functools import lru_cache, partial

import jax
import numpy as np
import pytest

from restorax import data
from restorax.degrade import crop_border, parse
from restorax.files import image
from restorax.recipes import RECIPES
from restorax.train import parallel
from restorax.train.checkpoint import Checkpoints
from restorax.train.step import init_state, make_draw, patch_side, training_keys
from tests.tiers import first

STEPS, BATCH = 20, 8
TINY = (
    dataclasses.replace(
        RECIPES["scanunet_s-gray-missing"],
        config=RECIPES["scanunet_s-gray-missing"].config
        | {"widths": (8, 8), "blocks": 1, "scan_levels": (1,), "sparse": 2},
        dtype="float32",
    )
    .adjusted(steps=STEPS)
    .with_stages(batch=BATCH, patch=16)
)
SMALL = dataclasses.replace(
    TINY,
    architecture="dncnn",
    config={"channels": 1, "depth": 3, "width": 8},
).with_stages(degradation="gaussian_noise(sigma=uniform(0, 55/255))")
GUIDED = dataclasses.replace(
    TINY,
    architecture="wiener_unet",
    config={"channels": 1, "widths": (8, 8), "blocks": 1, "radius": 4, "estimator_width": 16},
).with_stages(degradation=RECIPES["wiener_unet-gray-blur"].degradation, auxiliary_loss=0.1)
NETWORKS = {"small": SMALL, "scanned": TINY, "guided": GUIDED}


@pytest.fixture(scope="module")
def patches():
    """Clean patches ``[steps, batch, 16, 16, 1]``.

    Seed 0 has a ReLU so near zero that the order of a sum decides on which side it falls: 3e-5 in two of the forms.
    """
    return np.random.default_rng(1).integers(0, 256, (STEPS, BATCH, 16, 16, 1), np.uint8)


def _fill(patches, stage):
    """Tile patches to the side that a stage reads; after blur it is larger than that of its patches."""
    more = patch_side(stage) - patches.shape[-2]
    return np.pad(patches, ((0, 0),) * (patches.ndim - 3) + ((0, more), (0, more), (0, 0)), mode="wrap")


def _train(recipe, mesh, patches):
    """Parameters and gradient norms of a training; on a mesh, or through pmap without one."""
    init = lambda: init_state(recipe, training_keys(recipe)[0])  # noqa: E731
    (stage,) = recipe.stages
    key, rows, norms = training_keys(recipe)[1], np.arange(stage.batch), []
    step = parallel.pmap_step(recipe, stage) if mesh is None else parallel.jit_step(recipe, stage, mesh)
    state = init() if mesh is None else parallel.make_state(init, mesh)
    for batch in _fill(patches, stage):
        before = state
        state, metrics = step(state, batch, key, rows)
        norms.append(float(metrics["gradient_norm"]))
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(before.params))  # donated
    return jax.tree.map(np.asarray, state.params), np.array(norms)


def _largest_difference(a, b):
    return max(float(np.abs(x - y).max()) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


@pytest.fixture(scope="module")
def alone(patches):
    """What one device makes of a network, computed once."""
    return lru_cache(lambda network: _train(NETWORKS[network], parallel.make_mesh(1, jax.devices()[:1]), patches))


@pytest.mark.parametrize("form", first(["8 devices", "4 x 2 sharded", "pmap", "accumulated"], "4 x 2 sharded", "pmap"))
@pytest.mark.parametrize(
    "network", ["small", *(pytest.param(n, marks=pytest.mark.slow) for n in ("scanned", "guided"))]
)
def test_every_form_trains_as_one_device_does(network, form, patches, alone):
    mesh = {"8 devices": 1, "4 x 2 sharded": 2, "pmap": None, "accumulated": 1}[form]
    recipe = NETWORKS[network].with_stages(accumulate=2 if form == "accumulated" else 1)
    devices = jax.devices()[: 2 if form == "accumulated" else 8]
    params, norms = _train(recipe, None if mesh is None else parallel.make_mesh(mesh, devices), patches)
    expected, expected_norms = alone(network)
    assert _largest_difference(params, expected) < 1e-5
    np.testing.assert_allclose(norms, expected_norms, atol=1e-5)
    assert norms.min() > 1e-3


def test_parameters_and_optimiser_are_shared_where_asked():
    mesh = parallel.make_mesh(8)
    state = parallel.make_state(lambda: init_state(TINY, jax.random.key(0)), mesh)
    whole = sum(leaf.size for leaf in jax.tree.leaves(state))
    here = sum(leaf.addressable_data(0).size for leaf in jax.tree.leaves(state))
    assert here < 0.2 * whole


@pytest.mark.parametrize(
    "degradation",
    [
        "gaussian_noise(sigma=uniform(0, 55/255))",
        "missing_pixels(missing=uniform(0.3, 0.9))",
        "jpeg(quality=uniform(5, 95))",
        "gaussian_blur(sigma=uniform(0.4, 2), radius=4) + shot_noise(peak=uniform(5, 60))",
    ],
)
def test_degraded_patches_are_bit_identical_in_every_form(degradation, patches):
    stage = dataclasses.replace(TINY.stages[0], degradation=degradation)
    draw, keys, clean = make_draw(stage), jax.random.split(jax.random.key(0), BATCH), _fill(patches[0], stage)
    alone = jax.jit(draw)(keys, clean)[0].image
    batch = jax.sharding.NamedSharding(parallel.make_mesh(), parallel._BATCH)
    eight = jax.jit(draw, in_shardings=(batch, batch))(keys, clean)[0].image
    mapped = jax.pmap(draw)(keys.reshape(8, 1), clean[:, None])[0].image
    np.testing.assert_array_equal(eight, alone)
    np.testing.assert_array_equal(mapped.reshape(alone.shape), alone)
    assert alone.shape == patches[0].shape
    inside = crop_border(clean / np.float32(255), parse(degradation).border)
    assert float(np.abs(np.asarray(alone) - inside).mean()) > 1e-3


def test_crops_from_device_memory_are_bit_identical_on_every_mesh():
    pixels = np.random.default_rng(0).integers(0, 256, (3, 24, 30, 1), np.uint8)
    pictures = data.DeviceImages(pixels, np.array([[24, 30], [24, 20], [18, 30]], np.int32))
    draw, keys, mesh = make_draw(TINY.stages[0]), jax.random.split(jax.random.key(0), BATCH), parallel.make_mesh()
    alone = jax.jit(draw)(keys, pictures)
    batch = jax.sharding.NamedSharding(mesh, parallel._BATCH)
    eight = jax.jit(draw, in_shardings=(batch, parallel.replicated(mesh)))(keys, parallel.replicate(pictures, mesh))
    jax.tree.map(np.testing.assert_array_equal, eight, alone)
    assert eight[1].sharding.is_equivalent_to(batch, 4)  # nobody cropped the whole batch
    assert len({np.asarray(clean).tobytes() for clean in alone[1]}) == BATCH


def test_every_row_belongs_to_one_host_and_comes_back_in_place():
    mesh = parallel.make_mesh(2)
    assert parallel.local_rows(16, mesh) == list(range(16))
    local = np.arange(32).reshape(16, 2)
    np.testing.assert_array_equal(parallel.assemble(local, 16, mesh), local)


def test_batches_that_do_not_divide_are_refused():
    twelve, halves = TINY.with_stages(batch=12), TINY.with_stages(accumulate=2)
    with pytest.raises(ValueError, match="8 devices do not split into groups of 3"):
        parallel.make_mesh(3)
    with pytest.raises(ValueError, match="a batch of 12 does not divide among 8 devices"):
        parallel.jit_step(twelve, twelve.stages[0], parallel.make_mesh())
    with pytest.raises(ValueError, match="among 8 devices in 2 parts"):
        parallel.pmap_step(halves, halves.stages[0])
    with pytest.raises(ValueError, match="give all or none"):
        parallel.initialize("127.0.0.1:1234", 2)
    assert len(parallel.devices_for(twelve)) == 6
    assert len(parallel.devices_for(twelve, shards=4)) == 4


@pytest.mark.parametrize(
    ("arguments", "tasks", "tpus", "joined"),
    [
        ((), None, False, None),
        ((), "1", False, None),
        ((), "4", False, ()),
        ((), None, True, ()),
        (("host:1", 2, 1), None, False, ("host:1", 2, 1)),
    ],
)
def test_a_job_is_joined_where_there_is_one(arguments, tasks, tpus, joined, monkeypatch):
    calls = []
    monkeypatch.setattr(jax.distributed, "initialize", lambda *given: calls.append(given))
    monkeypatch.setattr(parallel, "has_tpus", lambda: tpus)
    monkeypatch.delenv("SLURM_STEP_NUM_TASKS", raising=False)
    if tasks:
        monkeypatch.setenv("SLURM_STEP_NUM_TASKS", tasks)
    parallel.initialize(*arguments)
    assert calls == ([] if joined is None else [joined])


# --- two processes ---

# The command line, with a network that is compiled in seconds and a line for every step; then sums of degraded patches.
PROGRAM = """
import ast, hashlib, sys
from dataclasses import replace
from functools import partial
import jax, numpy as np
from restorax import cli, recipes
from restorax.train import parallel, step

name, kind, changes = ast.literal_eval(sys.argv[1])
config = {**recipes.RECIPES[name].config, **changes}
recipe = replace(recipes.RECIPES[name], config=config, dtype="float32").with_stages(patch=16, batch=8)
recipes.RECIPES[name] = recipe
sys.argv = ["restorax", "train", name, "--log-every", "1", *sys.argv[2:]]
try:
    cli.main()
except SystemExit as end:
    if end.code:
        raise
mesh = parallel.make_mesh()
batch = jax.sharding.NamedSharding(mesh, parallel._BATCH)
channels = 2 if kind == "pairs" else 1
patches = np.random.default_rng(0).integers(0, 256, (8, 16, 16, channels), np.uint8)
keys = jax.random.wrap_key_data(np.arange(16, dtype=np.uint32).reshape(8, 2))
draw = step.make_draw(recipe.for_kinds([kind]).stages[-1])
draw = jax.jit(partial(draw, keys), in_shardings=batch, out_shardings=batch)
for shard in draw(parallel.assemble(patches[parallel.local_rows(8, mesh)], 8, mesh))[0].image.addressable_shards:
    print("degraded", shard.index[0].start, hashlib.sha256(np.asarray(shard.data).tobytes()).hexdigest())
"""

COMMANDS = {
    "clean": ("scanunet_s-gray-missing", "clean", {"widths": (8, 8), "blocks": 1, "scan_levels": (1,)}),
    "pairs": ("dncnn-gray-noise25", "pairs", {"depth": 3, "width": 8}),
}
RESULTS = {"clean": TINY, "pairs": SMALL}


def _start(kind, workdir, folder, processes, *more):
    """The same command on every host, but for the number of the process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    devices = 8 // processes
    flags = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    env = {**os.environ, "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices} {flags}"}
    images = f"pairs:{folder}" if kind == "pairs" else folder / "target"
    options = ["--data", images, "--validate", images, "--workdir", workdir]
    command = [sys.executable, "-c", PROGRAM, repr(COMMANDS[kind]), *options, *more]
    job = ["--coordinator", address, "--num-processes", processes]
    hosts = [
        [*command, *(job if processes > 1 else ()), *(("--process-id", i) if processes > 1 else ())]
        for i in range(processes)
    ]
    pipe = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return [subprocess.Popen(list(map(str, host)), env=env, **pipe) for host in hosts]


def _end(running, code=0):
    outputs = [process.communicate(timeout=300)[0] for process in running]
    assert [process.returncode for process in running] == [code] * len(running), outputs
    return outputs


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Photographs, also darkened ones to pair them with."""
    folder = tmp_path_factory.mktemp("folder")
    for kind, gamma in (("input", 1.5), ("target", 1)):
        (folder / kind).mkdir()
        for name, pixels in data.sample_images(1).items():
            image.write(folder / kind / f"{name}.png", image.Picture(pixels[:40, :48] ** gamma))
    return folder


def _log(workdir):
    path = workdir / "log.jsonl"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def _state(kind, workdir, steps=20):
    recipe = RESULTS[kind].adjusted(steps=steps)
    mesh = parallel.make_mesh(1, jax.devices()[:1])
    with Checkpoints(workdir) as checkpoints:
        return checkpoints.restore(parallel.abstract_state(partial(init_state, recipe, jax.random.key(0)), mesh))


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "shards"), [("clean", 1), ("clean", 4), ("pairs", 1)])
def test_two_processes_train_as_one_does(folder, tmp_path, kind, shards):
    """Eight devices in one process or in two: parameters, gradient norms, degraded patches."""
    options = ("--steps", 20, "--shards", shards)
    alone = _end(_start(kind, tmp_path / "one", folder, 1, *options))
    outputs = _end(_start(kind, tmp_path / "two", folder, 2, *options))
    assert ["trained:" in out for out in outputs] == [True, False]
    assert "step 20" not in outputs[1]
    assert "lines that begin with [Gloo]" in outputs[0]
    one, two = (_state(kind, tmp_path / name) for name in ("one", "two"))
    assert int(one.step) == int(two.step) == 20
    assert _largest_difference(one.params, two.params) < 1e-5
    norms = [[line["gradient_norm"] for line in _log(tmp_path / n) if "loss" in line] for n in ("one", "two")]
    assert len(norms[0]) == 20
    np.testing.assert_allclose(*norms, atol=1e-5)
    sums = [
        sorted(line for out in outs for line in out.splitlines() if line.startswith("degraded "))
        for outs in (alone, outputs)
    ]
    assert len(sums[0]) == 8
    assert sums[0] == sums[1]
    assert {path.name for path in (tmp_path / "two").iterdir()} == {path.name for path in (tmp_path / "one").iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize("kind", COMMANDS)
def test_sigterm_to_one_of_two_processes_stops_both_and_one_process_continues(folder, tmp_path, kind):
    common = ("--steps", 40, "--validate-every", 40)
    _end(_start(kind, tmp_path / "whole", folder, 1, *common))
    running = _start(kind, tmp_path / "halves", folder, 2, *common)
    while len(_log(tmp_path / "halves")) < 3:
        assert all(process.poll() is None for process in running), [p.communicate()[0] for p in running]
        time.sleep(0.01)
    running[1].send_signal(signal.SIGTERM)
    outputs = _end(running, code=75)
    assert "the same command resumes" in outputs[0]
    assert 0 < int(_state(kind, tmp_path / "halves", 40).step) < 40
    _end(_start(kind, tmp_path / "halves", folder, 1, *common))
    whole, halves = (_state(kind, tmp_path / name, 40) for name in ("whole", "halves"))
    assert int(halves.step) == 40
    assert _largest_difference(whole.params, halves.params) < 1e-5
