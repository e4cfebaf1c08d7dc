"""Benchmark suites: timing, recorded rows, power-law fits, and comparison with PyTorch."""

import csv
import dataclasses
import subprocess
import sys
import time
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import __main__ as suites
from benchmarks import (
    ceiling,
    explain,
    networks,
    pods,
    record,
    robustness,
    scaling,
    throughput,
    timing,
    training,
)
from restorax import data, zoo
from restorax.degrade import parse
from restorax.models import BurstRNN
from restorax.recipe import Recipe, Stage

_NOISE = "gaussian_noise(sigma=25/255)"
TOP = ceiling.Ceiling(1e12, 2e12, 1e11)


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.setattr(record, "PUBLISHED", tmp_path)
    monkeypatch.setattr(record, "LOCAL", tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def small():
    return networks.load("dncnn", depth=3, width=4)


def test_the_list_names_every_suite_and_runs_one(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["benchmarks"])
    suites.main()
    lines = capsys.readouterr().out.splitlines()
    listed = [line for line in lines if line.startswith("  ") and line[2] != " "]
    assert [line.split()[0] for line in listed] == list(suites.SUITES)
    assert all(len(line.split()) > 3 for line in listed)
    assert max(map(len, lines)) <= 80
    monkeypatch.setattr(sys, "argv", ["benchmarks", "nothing"])
    with pytest.raises(SystemExit, match="'nothing' is not a suite"):
        suites.main()


def test_gpu_suites_need_only_essential_packages():
    absent = ["typer", "grain", "tensorflow_datasets", "skimage", "cv2", "matplotlib", "torch"]
    suites = "ceiling, scaling, throughput, training"
    program = f"import sys; sys.modules.update(dict.fromkeys({absent}))\nfrom benchmarks import {suites}"
    subprocess.run([sys.executable, "-c", program], check=True)


class Unfinished:
    """Result of an asynchronous call."""

    def block_until_ready(self):
        time.sleep(0.02)
        return self


def test_timing_blocks_until_results_are_ready(monkeypatch):
    taken = timing.interleaved([Unfinished, lambda: {"nested": [Unfinished()]}, lambda: 1], [()], rounds=3)
    assert min(taken[0].p10, taken[1].p10) >= 0.02
    assert taken[2].median < 0.01

    cuda = types.SimpleNamespace(synchronize=lambda: time.sleep(0.02))
    monkeypatch.setitem(sys.modules, "torch", types.SimpleNamespace(cuda=cuda))
    tensor = types.SimpleNamespace(is_cuda=True)
    assert timing.interleaved([lambda: (tensor,)], [()], rounds=3)[0].p10 >= 0.02


def test_timing_respects_the_time_budget_and_separates_compilation():
    calls = []
    timing.interleaved([lambda: calls.append(1) or time.sleep(0.01)], [()], rounds=50, seconds=0.05)
    assert 2 + 3 <= len(calls) <= 2 + 5
    columns = timing.Timing(first=3.0, median=1.0, p10=0.5, p90=2.0).columns()
    assert columns == {"median_ms": 1000, "p10_ms": 500, "p90_ms": 2000, "compile_s": 2}


def test_times_that_are_not_positive_reach_no_table(results, monkeypatch):
    ticks = iter((5.0, 4.0, 4.0, 4.0, 4.0, 4.5, *(float(i) for i in range(5, 100))))
    monkeypatch.setattr(timing.time, "perf_counter", lambda: next(ticks))
    (taken,) = timing.interleaved([lambda: 1], [()], rounds=3)
    assert (taken.first, taken.median, taken.columns()["compile_s"]) == (0.5, 1.0, "")  # one backwards, one stopped
    monkeypatch.setattr(timing.time, "perf_counter", lambda: 7.0)
    with pytest.raises(RuntimeError, match="a time must be positive, got 0"):
        timing.interleaved([lambda: 1], [()])
    monkeypatch.undo()
    for column, value in (("median_ms", -3.0), ("compile_s", 0.0)):
        with pytest.raises(ValueError, match=f"`{column}` must be positive, got"):
            record.record("some", [{column: value}])


@pytest.mark.parametrize("path", sorted(record.PUBLISHED.glob("*.csv")), ids=lambda path: path.stem)
def test_published_times_are_positive_and_lines_end_alike(path):
    assert b"\r" not in path.read_bytes()
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            record._check_times(row)


def test_rows_record_their_origin_and_files_accept_new_columns(results, tmp_path):
    record.record("some", [{"a": 1.23456}])
    record.record("some", [{"a": 2, "b": 3}])
    old, new = record.read("some")
    assert {"date", "device", "driver", "jax", "xla", "torch", "commit"} <= old.keys()
    assert old["jax"] == jax.__version__
    assert b"\r" not in (results / "some.csv").read_bytes()
    assert (old["a"], old["b"], new["a"], new["b"]) == ("1.235", "", "2", "3")
    (tmp_path / "imported").mkdir()
    (tmp_path / "imported" / "some.csv").write_text("a,c\n7,8\n")
    record.main([str(tmp_path / "imported")])
    assert [row["a"] for row in record.read("some")] == ["1.235", "2", "7"]
    assert record.read("some")[-1]["c"] == "8"
    assert record.read("none") == []
    assert record.table([{"x": 20141.3, "y": 1}, {"x": 0.00012345}]).splitlines()[2:] == [
        "| 20140     | 1   |",
        "| 0.0001234 |     |",
    ]


def test_ceilings_are_the_maxima_of_their_rows():
    top, rows = ceiling.measure(quick=True, seconds=0.1)
    assert top.copy == 1e9 * max(row["giga_per_s"] for row in rows if row["what"] == "copy")
    assert top.bfloat16 == 1e9 * max(row["giga_per_s"] for row in rows if row["dtype"] == "bfloat16")
    for row in rows:
        work = 2 * 256**3 if row["what"] == "matrix product" else 8 * 1024**2
        assert row["giga_per_s"] == pytest.approx(work / row["median_ms"] / 1e6)
    assert top.share(5e11, 1.0, "float32") == pytest.approx(5e11 / top.float32)


def test_throughput_compares_with_pytorch_of_equal_output(small):
    pytest.importorskip("torch")
    rows = throughput.measure(small, "float32", 16, 2, TOP, compiled=False, seconds=0.05)
    assert [row["form"] for row in rows] == ["JAX", "PyTorch"]
    assert float(rows[1]["difference"]) < 1e-5
    work = 2 * 9 * 4 * (1 + 4 + 1) * 16 * 16 / 1e9
    for row in rows:
        assert row["gflop_per_image"] == pytest.approx(work)
        assert row["images_per_s"] == pytest.approx(2e3 / row["median_ms"])
        assert row["share"] == pytest.approx(2 * work / row["median_ms"])
    tiled = throughput.measure_tiled(small, "float32", (150, 200), 144, TOP, rounds=1)
    assert tiled["gflop_per_image"] == pytest.approx(work * 150 * 200 / 256)


def test_identical_networks_are_measured_once():
    names = ["resunet_s-gray-jpeg", "resunet_s-color-noise", "resunet_s-gray-noise", "dncnn"]
    assert networks.groups(names) == [[names[0], names[2]], [names[1]], [names[3]]]
    assert throughput.batches(512, 8 * 256**2, (1, 2, 8)) == [1, 2]
    assert throughput.batches(2048, 8 * 256**2, (1, 2, 8)) == [1]


@pytest.fixture(scope="module")
def recipe():
    config = {"channels": 1, "depth": 2, "width": 4}
    stage = Stage(steps=1, degradation="gaussian_noise(sigma=0.1)", batch=jax.device_count(), patch=8)
    return Recipe(architecture="dncnn", stages=(stage,), evaluation=(), config=config)


@pytest.mark.slow
def test_training_steps_run_on_one_device_and_on_all(recipe):
    rows = training.measure_steps(recipe, TOP, seconds=0.05)
    assert [(r["what"], r["devices"]) for r in rows] == [("step, jit", 1), ("step, jit", 8), ("step, pmap", 8)]
    assert all(r["images_per_s"] == pytest.approx(8 * r["steps_per_s"]) for r in rows)
    assert all(0 < r["share"] < 1 for r in rows)


@pytest.mark.slow
def test_the_parts_of_a_step_add_up(recipe, monkeypatch):
    fake = [timing.Timing(9, s, s, s) for s in (0.1, 0.2, 0.5, 1.0)]
    monkeypatch.setattr(
        training, "interleaved", lambda functions, arguments, **_: [f(*arguments[0]) for f in functions] and fake
    )
    monkeypatch.setattr(training, "input_seconds", lambda recipe: 0.3)
    rows = {row["what"]: row["median_ms"] for row in training.measure_parts(recipe, 1.0)}
    assert rows == pytest.approx({"degradation": 100, "forward": 200, "backward": 300, "update": 400, "input": 300})


def test_training_compares_with_pytorch_of_equal_loss():
    pytest.importorskip("torch")
    rows = training.measure_peers("dncnn", "float32", 1, 8, TOP, compiled=False, seconds=0.05)
    assert [row["what"] for row in rows] == ["Adam, JAX", "Adam, PyTorch"]
    assert float(rows[0]["difference"]) < 1e-5


def test_training_records_its_rows(results, monkeypatch):
    monkeypatch.setattr(ceiling, "start", lambda **_: TOP)
    monkeypatch.setattr(training, "measure_peers", lambda name, *_, **__: [{"what": f"Adam, {name}", "median_ms": 2.0}])
    training.main(name=["dncnn"], dtype=["bfloat16"])
    assert [(row["name"], row["what"]) for row in record.read("training")] == [("dncnn", "Adam, dncnn")]
    training.main(name=["dncnn"], quick=True)
    assert len(record.read("training")) == 1


def test_exponents_of_power_laws_are_fitted():
    sizes = [64**2, 128**2, 256**2]
    assert scaling.exponent(sizes, [3e-9 * n**1.07 for n in sizes]) == pytest.approx(1.07)
    costs = [{"median_ms": float(n**2), "memory_MiB": 5.0} for n in (1, 2, 4)]
    rows = scaling._fitted("pixels", "x", list(zip((1, 2, 4), costs, strict=True)))
    assert [row["local_exponent"] for row in rows] == ["", pytest.approx(2), pytest.approx(2)]
    assert rows[0]["exponent"] == pytest.approx(2)
    assert rows[0]["memory_exponent"] == pytest.approx(0, abs=1e-9)


def test_peak_memory_measures_the_growth_while_a_function_runs():
    def allocate():
        block = np.ones(2**26, np.uint8)
        time.sleep(0.05)
        return block.sum()

    assert 60 < scaling.peak_memory(allocate) < 160
    assert scaling.peak_memory(lambda: time.sleep(0.02)) < 40


def test_weak_scaling_matches_a_manual_calculation():
    chip = pods.Chip(flops=1e12, memory=1e11, link=1e10, axes=2)
    assert pods.weak_scaling(chip, flops=2e12, touched=1e9, exchanged=1e8, chips=1) == (2.0, 0.0)
    computing, communicating = pods.weak_scaling(chip, flops=1e9, touched=1e9, exchanged=1e8, chips=4)
    assert computing == 0.01  # bounded by memory
    assert communicating == pytest.approx(2 * 3 / 4 * 1e8 / 1e10 + 4 * pods.HOP)
    rows = pods.pods(pods.COMPILED, (1, 16, 256))
    assert {row["chip"] for row in rows} <= pods.CHIPS.keys()
    for row in rows:
        share = row["computing_ms"] / (row["computing_ms"] + row["communication_ms"])
        assert row["efficiency"] == pytest.approx(share)
    assert [row["efficiency"] for row in rows[:3]] == sorted((row["efficiency"] for row in rows[:3]), reverse=True)


def test_robustness_counts_gains_and_knows_what_was_trained(small, tmp_path):
    assert robustness.trained("gaussian_noise(sigma=uniform(0, 55/255))", "gaussian_noise(sigma=75/255)")
    assert not robustness.trained("jpeg(quality=uniform(5, 95))", "jpeg(quality=10) + gaussian_noise(sigma=0.1)")
    pictures = {"a": np.random.default_rng(0).random((24, 24, 1), np.float32)}
    rows = robustness.gains(small, pictures, ["gaussian_noise(sigma=0.1)", "missing_pixels(missing=0.5)"], dataset="x")
    for row in rows:
        assert float(row["gain"]) == pytest.approx(float(row["psnr"]) - float(row["input_psnr"]), abs=0.011)
    assert robustness.complete_rows(rows) == rows
    assert robustness.complete_rows([*rows, rows[0] | {"entry": "other"}]) == [rows[0], rows[0] | {"entry": "other"}]
    robustness.heat_map(rows, tmp_path / "map.png")
    assert (tmp_path / "map.png").stat().st_size > 5000


def test_robustness_names_the_package_that_an_entry_needs(monkeypatch):
    level = networks.load("ffdnet", depth=2, width=4)
    monkeypatch.setattr(robustness.importlib.util, "find_spec", lambda package: None)
    assert "requires PyWavelets: pip install" in robustness.unsuitable(level)
    assert robustness.unsuitable(zoo.load("resunet_s-gray-noise")) == ""
    monkeypatch.undo()
    assert "frames" in robustness.unsuitable(zoo.load("burst_rnn-gray-noise"))


def test_robustness_covers_what_photographs_undergo():
    chains = [[op.name for op in parse(text).operators] for text in robustness.DEGRADATIONS]
    assert chains.count(["gaussian_noise", "jpeg"]) == 2
    assert ["correlated_noise", "jpeg"] in chains


@pytest.fixture
def conditions(monkeypatch):
    """Conditions that restorers are called with, none of which runs."""
    seen = []
    monkeypatch.setattr(robustness.restorax, "restore", lambda restorer, image, condition: seen.append(condition))
    return seen


def test_robustness_tells_a_restorer_that_all_pixels_are_known(conditions):
    masked = zoo.load("scanunet_s-gray-missing")
    robustness._restore(masked, jnp.zeros((24, 24, 1)))
    np.testing.assert_array_equal(conditions[0], jnp.ones((24, 24, 1)))


def test_robustness_estimates_the_noise_that_a_restorer_is_told(conditions):
    pytest.importorskip("pywt")
    noisy = 0.5 + 0.1 * jax.random.normal(jax.random.key(0), (64, 64, 1))
    robustness._restore(networks.load("ffdnet", depth=2, width=4), noisy, jnp.ones((64, 64, 1)))
    np.testing.assert_allclose(conditions[0], jnp.full((64, 64, 1), 0.1), rtol=0.1)


@pytest.mark.slow
def test_explain_looks_no_further_than_the_network_and_estimates_its_quality(tmp_path):
    denoiser = zoo.load("dncnn-gray-noise25")
    row = explain.measure(denoiser, {"a": data.sample_images(1)["camera"][128:192, 128:192]}, _NOISE)
    assert 0 < int(row["reach_50"]) <= int(row["reach_90"]) <= int(row["reach_99"]) <= 17
    assert float(row["error_rank"]) > 0.3
    assert float(row["sure"]) == pytest.approx(float(row["psnr"]), abs=1.0)
    assert float(row["sure_off"]) == pytest.approx(abs(float(row["sure"]) - float(row["psnr"])), abs=0.011)
    explain.draw(["arcnn-gray-jpeg"], tmp_path / "picture.jpg", side=48)
    assert (tmp_path / "picture.jpg").stat().st_size > 5000


def test_architectures_are_loaded_like_entries(small):
    assert small.card.name == "dncnn"
    assert (small.model.depth, small.model.width, small.card.channels) == (3, 4, 1)
    assert dataclasses.asdict(networks.load("resunet_s-gray-noise").card)["steps"] > 0
    assert networks.load("dncnn", "bfloat16", depth=2, width=2).model.dtype == jnp.bfloat16
    assert networks.observed(BurstRNN(), 2, 8, 6)[0].shape == (2, 5, 8, 6, 1)
    with pytest.raises(ValueError, match="no architecture named"):
        networks.load("nothing")
