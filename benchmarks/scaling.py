"""Scaling of time and memory with pixels, tiles, batch, depth and devices: ``python -m benchmarks scaling``.

Simulated devices share the cores of one processor: their extra time is overhead, and their speed means nothing.
"""

import contextlib
import ctypes
import gc
import math
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import jax
import numpy as np

import restorax
from restorax.models.count import flops
from restorax.recipes import RECIPES
from restorax.train import parallel
from restorax.train.step import init_state, patch_side
from restorax.zoo import Restorer

from . import ceiling, networks
from .options import Publish, Quick, Seconds, option
from .record import record, table
from .timing import interleaved

PARTS = ("pixels", "tiles", "batch", "depth", "devices")
TILE = 512
SIMULATED = 8


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """Fit a power law by least squares in log-log space and return its exponent."""
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])


def _forward(restorer: Restorer, batch: int, side: int, seconds: float) -> dict[str, Any]:
    """Measure time and temporary memory of whole square images."""
    variables = {"params": restorer.params}
    images = [networks.observed(restorer.model, batch, side, side, seed) for seed in range(3)]
    apply = jax.jit(restorer.model.apply)
    timing = interleaved([lambda *x: apply(variables, *x)], images, rounds=20, seconds=seconds)[0]
    memory = _temporary(apply.lower(variables, *images[0]))
    work = flops(restorer.model.apply, variables, *images[0])
    return {**timing.columns(), "memory_MiB": memory, "gflop": work / 1e9}


def pixels(name: str, sides: Sequence[int], dtype: str, seconds: float) -> list[dict[str, Any]]:
    """Measure whole images of growing size."""
    restorer = networks.load(name, dtype)
    return _fitted("pixels", name, [(side**2, _forward(restorer, 1, side, seconds)) for side in sides])


def batch(name: str, sizes: Sequence[int], side: int, dtype: str, seconds: float) -> list[dict[str, Any]]:
    """Measure growing batches of small images."""
    restorer = networks.load(name, dtype)
    return _fitted("batch", name, [(size, _forward(restorer, size, side, seconds)) for size in sizes])


def depth(depths: Sequence[int], side: int, dtype: str, seconds: float) -> list[dict[str, Any]]:
    """Measure DnCNN with a growing number of layers."""
    forward = lambda layers: _forward(networks.load("dncnn", dtype, depth=layers), 1, side, seconds)  # noqa: E731
    return _fitted("depth", "dncnn", [(layers, forward(layers)) for layers in depths])


def tiles(name: str, sides: Sequence[int], tile: int, dtype: str, rounds: int = 2) -> list[dict[str, Any]]:
    """Measure tiled images: program memory for one tile, and measured peak including the image and blending buffers."""
    restorer, rows = networks.load(name, dtype), []
    for side in sides:
        observed = [np.asarray(x[0]) for x in networks.observed(restorer.model, 1, side, side)]
        run = lambda observed=observed: restorax.restore(restorer, *observed, tile=tile)  # noqa: E731
        timing = interleaved([run], [()], rounds=rounds)[0]
        part = [x[..., :tile, :tile, :] for x in observed]
        program = _temporary(jax.jit(restorer.model.apply).lower({"params": restorer.params}, *part))
        # Accelerators report only the peak since the start of the process.
        measured = peak_memory(run) if jax.default_backend() == "cpu" else ""
        memory = {"memory_MiB": program, "measured_MiB": measured}
        rows.append((side**2, {**timing.columns(), **memory, "image_MiB": observed[0].nbytes / 2**20}))
    return _fitted("tiles", name, rows)


def peak_memory(run: Callable[[], Any]) -> float:
    """Return the peak growth of resident memory, in MiB, while a function runs."""
    gc.collect()
    resident = lambda: int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")  # noqa: E731
    with contextlib.suppress(OSError, AttributeError):  # no glibc
        ctypes.CDLL("libc.so.6").malloc_trim(0)  # otherwise reuse of freed memory would go unnoticed
    before, peak, done = resident(), 0, threading.Event()

    def watch():
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        jax.block_until_ready(run())
    finally:
        done.set()
        watcher.join()
    return max(peak - before, 0) / 2**20


def devices(name: str, counts: Sequence[int], seconds: float, dtype: str, **sizes: int) -> list[dict[str, Any]]:
    """Measure the same batch on a growing number of devices of this process."""
    recipe = RECIPES[name].adjusted(dtype=dtype).with_stages(**sizes)
    stage = recipe.stages[0]
    side = patch_side(stage)
    shape = (stage.batch, side, side, recipe.config["channels"])
    patches = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    runs = []
    for count in counts:
        mesh = parallel.make_mesh(devices=jax.devices()[:count])
        state = parallel.make_state(partial(init_state, recipe, jax.random.key(0)), mesh)
        step = jax.jit(parallel.jit_step(recipe, stage, mesh))  # without donation, because the same state is reused
        inputs = [parallel.assemble(x, stage.batch, mesh) for x in (patches, np.arange(stage.batch))]
        runs.append((step, (state, inputs[0], jax.random.key(1), inputs[1])))
    timings = interleaved([partial(step, *arguments) for step, arguments in runs], [()], rounds=20, seconds=seconds)
    rows = [
        {
            "part": "devices",
            "name": name,
            "size": count,
            **t.columns(),
            "memory_MiB": _temporary(step.lower(*arguments)),
        }
        for count, t, (step, arguments) in zip(counts, timings, runs, strict=True)
    ]
    return [row | {"overhead": row["median_ms"] / rows[0]["median_ms"] - 1} for row in rows]


def _temporary(lowered: Any) -> float:
    """Return the temporary memory of a program in MiB, by the compiler's analysis."""
    return lowered.compile().memory_analysis().temp_size_in_bytes / 2**20


def _fitted(part: str, name: str, measured: Sequence[tuple[float, dict[str, Any]]]) -> list[dict[str, Any]]:
    """Add the exponent over all sizes, and the local exponent between successive sizes."""
    sizes, costs = zip(*measured, strict=True)

    def fit(key, of):
        return exponent(sizes[of], [max(cost[key], 1e-9) for cost in costs[of]])

    every = slice(None)
    whole = {"exponent": fit("median_ms", every), "memory_exponent": fit("memory_MiB", every)} if sizes[1:] else {}
    return [
        {"part": part, "name": name, "size": size, **cost}
        | {"local_exponent": fit("median_ms", slice(i - 1, i + 1)) if i else "", **whole}
        for i, (size, cost) in enumerate(measured)
    ]


def main(
    part: Annotated[list[str] | None, option(f"{', '.join(PARTS)}; repeatable [all].")] = None,
    name: Annotated[str, option("Entry or architecture.")] = "resunet_s-gray-noise",
    dtype: Annotated[str, option("Type of the activations: float32 or bfloat16.")] = "float32",
    largest: Annotated[int, option("Largest side of an image.")] = 4096,
    seconds: Seconds = 5.0,
    quick: Quick = False,
    publish: Publish = False,
) -> None:
    """Measure the parts, print and record the results."""
    if unknown := set(part or ()) - set(PARTS):
        raise ValueError(f"`part` must be among {', '.join(PARTS)}, got {', '.join(sorted(unknown))}")
    seconds = 0.1 if quick else seconds
    if part == ["devices"] and os.environ.get("JAX_PLATFORMS", "cpu") == "cpu":
        jax.config.update("jax_num_cpu_devices", 2 if quick else SIMULATED)
    top = ceiling.start(quick=quick, publish=publish) if set(part or PARTS) & {"pixels", "batch", "depth"} else None
    sides = [32, 64] if quick else [s for s in (64, 128, 256, 512, 1024) if s <= largest]
    tiled = [160, 224] if quick else [s for s in (1024, 2048, 4096) if s <= largest]
    powers = [2**i for i in range(int(math.log2(jax.device_count())) + 1)]
    small = {"batch": 2, "patch": 16} if quick else {"batch": 8}
    measures = {
        "pixels": lambda: pixels(name, sides, dtype, seconds),
        "tiles": lambda: tiles(name, tiled, 144 if quick else TILE, dtype),
        "batch": lambda: batch(name, (1, 2) if quick else (1, 2, 4, 8, 16), 32 if quick else 128, dtype, seconds),
        "depth": lambda: depth((3, 5) if quick else (5, 9, 17, 33), 32 if quick else 256, dtype, seconds),
        "devices": lambda: devices(name, powers, seconds, dtype, **small),
    }
    for one in part or PARTS:
        if one == "devices" and len(part or PARTS) > 1:  # in a separate process with simulated devices
            options = ["--quick"] * quick + ["--publish"] * publish
            options += ["--seconds", str(seconds), "--name", name, "--dtype", dtype]
            subprocess.run([sys.executable, "-m", "benchmarks.scaling", "--part", "devices", *options], check=True)
            continue
        rows = measures[one]()
        for row in rows:
            if "gflop" in row:
                row["share"] = top.share(1e9 * row["gflop"], 1e-3 * row["median_ms"], dtype)
        print(f"\n{one}\n{table(rows)}", flush=True)
        if not quick:
            record("scaling", [row | {"dtype": dtype} for row in rows], publish=publish)


if __name__ == "__main__":
    import typer

    typer.run(main)
