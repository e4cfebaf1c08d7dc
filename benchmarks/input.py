"""The input pipeline alone against the training step alone: ``python -m benchmarks.input --data DIR``.

For a folder, the TFDS dataset prepared from it, and pictures in device memory, where the pipeline is the part of the
step that crops. The pipeline has to be at least twice as fast as the step. Decoded pictures stay in memory while there
is room, so two rates are given: of the first epoch, as of sets that are too large, and of those that follow. Rows go to
``benchmarks/results/input.csv``.
"""

import argparse
import tempfile
import time
from functools import partial

import jax
import numpy as np

from restorax import data
from restorax.dataset_builder import prepare
from restorax.recipes import RECIPES
from restorax.train import parallel
from restorax.train.step import init_state

from .record import record
from .timing import interleaved


def pipeline(source: data.Patches, batch: int, batches: int) -> tuple[float, float]:
    """Patches per second in the first epoch, and in those that follow."""
    epoch = -(-source.count // batch)
    feed = data.batches(source, batch=batch, start=0)

    def rate(count: int) -> float:
        start = time.perf_counter()
        for _ in range(count):
            next(feed)
        return batch * count / (time.perf_counter() - start)

    return rate(epoch), rate(batches)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recipes", nargs="*", default=["resunet_s-gray-noise"])
    parser.add_argument("--data", required=True, help="folder of pictures")
    parser.add_argument("--batches", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=10, help="timed steps")
    parser.add_argument("--batch", type=int, help="instead of the recipe's")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), help="instead of the recipe's")
    parser.add_argument("--quick", action="store_true", help="few small batches, to see that it works; no rows")
    options = parser.parse_args()
    if options.quick:
        options.batches, options.rounds, options.batch = 3, 2, jax.device_count()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        prepare(options.data, "prepared", data_dir=folder)
        for name in options.recipes:
            recipe = RECIPES[name]
            recipe = recipe.adjusted(batch=options.batch, dtype=options.dtype)
            stage = recipe.stages[0]
            opened = partial(data.open_patches, size=stage.patch, channels=recipe.config["channels"], data_dir=folder)
            sources = {"folder": opened(options.data), "TFDS": opened("tfds:prepared")}
            rates = {}
            for kind, source in sources.items():
                rates[f"{kind}, first epoch"], rates[kind] = pipeline(source, stage.batch, options.batches)
            step, crop = _device_rates(recipe, sources["folder"], options.rounds)
            rates["device memory"] = crop
            for kind, rate in rates.items():
                row = {
                    "recipe": name,
                    "source": kind,
                    "pipeline_images_per_s": round(rate),
                    "step_images_per_s": round(step),
                }
                rows.append(row | {"ratio": round(rate / step, 1), "batch": stage.batch, "dtype": recipe.dtype})
                print(", ".join(f"{key} {value}" for key, value in rows[-1].items()), flush=True)
    if not options.quick:
        record("input", rows)


def _device_rates(recipe, source, rounds):
    """Patches per second of the step on patches that are there already, and of cropping in device memory."""
    mesh, stage = parallel.make_mesh(1, parallel.devices_for(recipe)), recipe.stages[0]
    step = jax.jit(parallel.jit_step(recipe, stage, mesh))  # no donation: the same state is timed again and again
    state = parallel.make_state(partial(init_state, recipe, jax.random.key(0)), mesh)
    rows = parallel.assemble(np.arange(stage.batch), stage.batch, mesh)
    batch = next(data.batches(source, batch=stage.batch, start=0))
    patches = parallel.assemble(batch, stage.batch, mesh)
    pictures = parallel.replicate(data.DevicePictures.of(source), mesh)
    crop = jax.jit(lambda keys: jax.vmap(partial(pictures.crop, size=stage.patch))(keys))
    keys = [jax.random.key(i) for i in range(4)]
    stepped, cropped = (
        interleaved([function], arguments, rounds=rounds)[0].median
        for function, arguments in (
            (step, [(state, patches, key, rows) for key in keys]),
            (crop, [(jax.random.split(key, stage.batch),) for key in keys]),
        )
    )
    return stage.batch / stepped, stage.batch / cropped


if __name__ == "__main__":
    main()
