"""Compile every recipe for TPU pods ahead of time, without TPUs: ``python -m benchmarks tpu_compile``.

Requires the extra ``tpu-aot``: the package libtpu contains the compiler. Reports memory and traffic per chip, as on a
real pod; nothing is run.
"""

import argparse
import csv
import dataclasses
import math
import os
import re
import time
from collections import Counter
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")  # do not query a metadata server
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp
from jax.experimental import topologies
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from restorax.files.atomic import written_beside
from restorax.models.count import flops
from restorax.recipe import Recipe
from restorax.recipes import RECIPES
from restorax.train import parallel
from restorax.train.step import build_model, init_state, make_restore, make_step, patch_side

from .options import PUBLISH
from .record import LOCAL, PUBLISHED, origin

TOPOLOGIES = ("v5e:16x16", "v5p:4x4x4", "v6e:8x8")
_IMAGES = P(("data", "model"))  # one per chip
_COLLECTIVE = re.compile(r"= (.*?) (all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute)(?:-start)?\(")
_ARRAY = re.compile(r"\b([a-z]+\d+)\[([\d,]*)\]")


def pod(topology: str, shards: int = 1) -> Mesh:
    """Return the mesh of a pod from its topology, without hardware."""
    return parallel.make_mesh(shards, topologies.get_topology_desc(platform="tpu", topology_name=topology).devices)


def compile_training(recipe: Recipe, mesh: Mesh, per_chip: int) -> dict[str, Any]:
    """Compile the training step with ``per_chip`` patches on every chip; returns the columns of a row."""
    stage = dataclasses.replace(recipe.stages[0], batch=per_chip * mesh.size)
    state = parallel.abstract_state(partial(init_state, recipe, jax.random.key(0)), mesh)
    side = patch_side(stage)
    shape = (stage.batch, side, side, recipe.config["channels"])
    patches = jax.ShapeDtypeStruct(shape, jnp.uint8)
    rows, key = jax.ShapeDtypeStruct(shape[:1], jnp.int32), jax.eval_shape(lambda: jax.random.key(0))
    columns = _compile(parallel.jit_step(recipe, stage, mesh), state, patches, key, rows)
    alone, share = make_step(recipe, dataclasses.replace(stage, batch=per_chip)), (per_chip, *shape[1:])
    work = flops(alone, state, jax.ShapeDtypeStruct(share, jnp.uint8), key)
    size = f"{per_chip} x {stage.patch} x {stage.patch}"
    return {"program": "training step", "per chip": size} | columns | {"GFLOP": round(work / 1e9, 2)}


def compile_inference(recipe: Recipe, mesh: Mesh, side: int) -> dict[str, Any]:
    """Compile restoring one square image on every chip; returns the columns of a row."""
    model = build_model(recipe)
    state = parallel.abstract_state(partial(init_state, recipe, jax.random.key(0)), mesh)
    place = NamedSharding(mesh, _IMAGES)
    image = jax.ShapeDtypeStruct((mesh.size, side, side, model.channels), jnp.float32, sharding=place)
    condition = None
    if model.condition.channels:
        condition = jax.ShapeDtypeStruct((*image.shape[:3], model.condition.channels), jnp.float32, sharding=place)
    restore = make_restore(recipe)
    # One program per chip: plain jit gathers a sharded batch for every Fourier transform (openxla/xla#24).
    mapped = jax.shard_map(restore, mesh=mesh, in_specs=(P(), _IMAGES, _IMAGES), out_specs=_IMAGES, check_vma=False)
    columns = _compile(jax.jit(mapped), state.ema, image, condition)
    work = flops(restore, state.ema, image, condition) / mesh.size
    return {"program": "inference", "per chip": f"1 x {side} x {side}"} | columns | {"GFLOP": round(work / 1e9, 2)}


def _compile(function: Any, *arguments: Any) -> dict[str, Any]:
    start = time.perf_counter()
    compiled = function.lower(*arguments).compile()
    seconds = time.perf_counter() - start
    memory, cost = compiled.memory_analysis(), compiled.cost_analysis()
    held = memory.argument_size_in_bytes + memory.output_size_in_bytes - memory.alias_size_in_bytes
    counts, traffic = collectives(compiled.as_text())
    estimate = cost.get("optimal_seconds", 0)
    return {
        "compile s": round(seconds, 1),
        "held MiB": round(held / 2**20, 1),
        "scratch MiB": round(memory.temp_size_in_bytes / 2**20, 1),
        "collectives": " ".join(f"{count} {kind}" for kind, count in sorted(counts.items())) or "none",
        "collective MiB": round(sum(traffic.values()) / 2**20, 2),
        "GB touched": round(cost.get("bytes accessed", 0) / 1e9, 3),
        "estimate ms": round(1e3 * estimate, 3) if estimate > 0 else "",
    }


def collectives(program: str) -> tuple[Counter, Counter]:
    """Count the collective operations of a compiled program and the bytes of their results, by kind."""
    counts, traffic = Counter(), Counter()
    for result, kind in _COLLECTIVE.findall(program):
        counts[kind] += 1
        for name, dimensions in _ARRAY.findall(result):
            size = math.prod(int(d) for d in dimensions.split(",") if d)
            traffic[kind] += size * int(re.sub(r"\D", "", name)) // 8
    return counts, traffic


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipes", nargs="*", default=sorted(RECIPES), help="names [all]")
    parser.add_argument("--topology", action="append", help=f"default {' '.join(TOPOLOGIES)}")
    parser.add_argument("--per-chip", type=int, default=16, help="patches per chip")
    parser.add_argument("--side", type=int, default=512, help="side of the image per chip")
    parser.add_argument("--shards", type=int, default=1, help="chips per copy of the parameters")
    parser.add_argument("--quick", action="store_true", help="smoke test: one recipe for four chips, nothing recorded")
    parser.add_argument("--publish", action="store_true", help=PUBLISH)
    options = parser.parse_args()
    if options.quick:
        options.recipes, options.topology = options.recipes[:1], ["v5e:2x2"]
    versions = {package: version(package) for package in ("jax", "libtpu")}
    versions |= {key: origin()[key] for key in ("date", "commit")}
    for topology in options.topology or TOPOLOGIES:
        mesh = pod(topology, options.shards)
        for name in options.recipes:
            identity = {"recipe": name, "topology": topology, "chips": mesh.size, "shards": options.shards}
            for columns in (
                compile_training(RECIPES[name], mesh, options.per_chip),
                compile_inference(RECIPES[name], mesh, options.side),
            ):
                row = {key: str(value) for key, value in (identity | columns | versions).items()}
                print(", ".join(f"{key} {value}" for key, value in row.items()), flush=True)
                if not options.quick:
                    _keep((PUBLISHED if options.publish else LOCAL) / "tpu_compile.csv", row)


def _keep(path: Path, row: dict[str, str]) -> None:
    """Write a row, replacing the previous one of the same program."""
    same = ("recipe", "topology", "shards", "program")
    rows = [row]
    if path.exists():
        with path.open(newline="") as file:
            rows += [other for other in csv.DictReader(file) if any(other[key] != row[key] for key in same)]
    path.parent.mkdir(parents=True, exist_ok=True)
    with written_beside(path) as beside, beside.open("w", newline="") as file:
        writer = csv.DictWriter(file, row, lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(rows, key=lambda r: [r[key] for key in same]))


if __name__ == "__main__":
    main()
