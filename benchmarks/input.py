"""Input pipeline compared with the training step: ``python -m benchmarks input --data DIR``.

Sources are a folder, the TFDS dataset prepared from it, and images in device memory, where the pipeline is the cropping
inside the step. The pipeline should be at least twice as fast as the step. Decoded images are cached, so the rates of
the first epoch (as for datasets larger than the cache) and of later epochs are reported separately.
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
from restorax.train.step import init_state, patch_side

from .options import PUBLISH
from .record import record
from .timing import interleaved


def pipeline(source: data.Patches, batch: int, batches: int) -> tuple[float, float]:
    """Return patches per second in the first and in later epochs."""
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
    parser.add_argument("recipes", nargs="*", default=["resunet_s-gray-noise"], help="names [resunet_s-gray-noise]")
    parser.add_argument("--data", required=True, help="folder of images")
    parser.add_argument("--batches", type=int, default=100, help="number of timed batches [100]")
    parser.add_argument("--rounds", type=int, default=10, help="number of timed steps")
    parser.add_argument("--batch", type=int, help="patches per batch [that of the recipe]")
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), help="type of the activations [that of the recipe]")
    parser.add_argument("--quick", action="store_true", help="smoke test: few small batches, nothing recorded")
    parser.add_argument("--publish", action="store_true", help=PUBLISH)
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
            opened = partial(
                data.open_patches, size=patch_side(stage), channels=recipe.config["channels"], data_dir=folder
            )
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
        record("input", rows, publish=options.publish)


def _device_rates(recipe, source, rounds):
    """Return patches per second of the step on loaded patches, and of cropping in device memory."""
    mesh, stage = parallel.make_mesh(1, parallel.devices_for(recipe)), recipe.stages[0]
    step = jax.jit(parallel.jit_step(recipe, stage, mesh))  # without donation, because the same state is reused
    state = parallel.make_state(partial(init_state, recipe, jax.random.key(0)), mesh)
    rows = parallel.assemble(np.arange(stage.batch), stage.batch, mesh)
    batch = next(data.batches(source, batch=stage.batch, start=0))
    patches = parallel.assemble(batch, stage.batch, mesh)
    images = parallel.replicate(data.DeviceImages.of(source), mesh)
    crop = jax.jit(lambda keys: jax.vmap(partial(images.crop, size=patch_side(stage)))(keys))
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
