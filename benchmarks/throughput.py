"""Inference speed of the entries, compared with PyTorch twins: ``python -m benchmarks throughput``.

Measures latency of one image, throughput of batches, and 12 megapixels in tiles, in float32 and bfloat16. PyTorch runs
channels last, eager and compiled, with the same weights (bfloat16 by autocast); onnxruntime runs the exported network
on CPU, one image in float32. Identical networks are timed once.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import jax
import numpy as np

import restorax
from restorax.memory import keep_freed_memory
from restorax.models.count import flops
from restorax.zoo import Restorer

from . import ceiling, networks
from .options import Names, Publish, Quick, Seconds, option
from .record import record, table
from .timing import interleaved

SIDES = (256, 512)
LARGE = (3000, 4000)
TILE = 512
SHOWN = [
    "form",
    "dtype",
    "size",
    "batch",
    "median_ms",
    "p10_ms",
    "p90_ms",
    "mpix_per_s",
    "share",
    "memory_MiB",
    "difference",
]


def measure(
    restorer: Restorer,
    dtype: str,
    side: int,
    batch: int,
    top: ceiling.Ceiling,
    *,
    peers: bool = True,
    compiled: bool,
    seconds: float,
) -> list[dict[str, Any]]:
    """Return a row for JAX and, if asked for and possible, for each PyTorch implementation; square images."""
    model, params = restorer.model, restorer.params
    images = [networks.observed(model, batch, side, side, seed) for seed in range(3)]
    forms, tensors = {}, [()] * len(images)
    if peers and (matched := twin(restorer)):
        from . import peer

        params, network = matched
        tensors = [tuple(map(peer.tensor, observed)) for observed in images]
        forms = peer.restorers(network, dtype, compiled=compiled)
        forms = {form: f for form, f in forms.items() if peer.works(form, f, *tensors[0])}
    apply = jax.jit(model.apply)
    functions = [lambda ours, _: apply({"params": params}, *ours)]
    functions += [lambda _, theirs, f=f: f(*theirs) for f in forms.values()]
    exported = _exported(restorer.replace(params=params)) if peers and (dtype, batch) == ("float32", 1) else None
    if exported:
        functions.append(lambda ours, _: exported(*ours))
    timings = interleaved(functions, list(zip(images, tensors, strict=True)), rounds=30, seconds=seconds)

    memory = apply.lower({"params": params}, *images[0]).compile().memory_analysis().temp_size_in_bytes / 2**20
    out = np.asarray(apply({"params": params}, *images[0]), np.float32)
    differences = [np.abs(peer.array(f(*tensors[0])) - out).max() for f in forms.values()]
    if exported:
        forms["onnxruntime"] = exported
        differences.append(np.abs(exported(*images[0]) - np.clip(out, 0, 1)).max())
    work = flops(model.apply, {"params": params}, *images[0])
    return [
        _row(form, dtype, (side, side), batch, timing, work, top, memory_MiB=mib, difference=difference)
        for form, timing, mib, difference in zip(
            ["JAX", *forms],
            timings,
            [memory, *[""] * len(forms)],
            ["", *(f"{d:.1e}" for d in differences)],
            strict=True,
        )
    ]


def measure_tiled(
    restorer: Restorer, dtype: str, size: tuple[int, int], tile: int, top: ceiling.Ceiling, *, rounds: int = 2
) -> dict[str, Any]:
    """Return a row for a large image in host memory, restored tile by tile."""
    model = restorer.model
    image, *condition = (np.asarray(x[0]) for x in networks.observed(model, 1, *size))
    shapes = [jax.ShapeDtypeStruct((1, *x.shape), x.dtype) for x in (image, *condition)]
    timing = interleaved([lambda: restorax.restore(restorer, image, *condition, tile=tile)], [()], rounds=rounds)[0]
    tiles = [jax.ShapeDtypeStruct((*x.shape[:-3], tile, tile, x.shape[-1]), x.dtype) for x in (image, *condition)]
    memory = jax.jit(model.apply).lower({"params": restorer.params}, *tiles).compile().memory_analysis()
    work = flops(model.apply, {"params": restorer.params}, *shapes)
    mib = memory.temp_size_in_bytes / 2**20
    return _row(f"JAX, tiles of {tile}", dtype, size, 1, timing, work, top, memory_MiB=mib, difference="")


def twin(restorer: Restorer) -> tuple | None:
    """Return parameters and the PyTorch twin that shares them, or ``None`` without PyTorch or a twin."""
    try:
        from . import peer

        return peer.matched(restorer.model, restorer.params)
    except (ImportError, ValueError):
        return None


def _exported(restorer: Restorer) -> Callable | None:
    """Return the exported network of any size as onnxruntime runs it, or ``None`` where there is none."""
    if jax.default_backend() != "cpu" or restorer.model.has_context:
        return None
    try:
        from . import onnx

        return onnx.runner(restorax.export_onnx(restorer))
    except (ImportError, ValueError):
        return None


def _row(form, dtype, size, batch, timing, work, top, **rest) -> dict[str, Any]:
    height, width = size
    identity = {"form": form, "dtype": dtype, "size": f"{height}x{width}", "batch": batch}
    speed = {"images_per_s": batch / timing.median, "mpix_per_s": batch * height * width / timing.median / 1e6}
    return {
        **identity,
        **timing.columns(),
        **speed,
        "gflop_per_image": work / batch / 1e9,
        "gflop_per_s": work / timing.median / 1e9,
        "share": top.share(work, timing.median, dtype),
        **rest,
    }


def batches(side: int, pixels: int, ladder: Sequence[int]) -> list[int]:
    """Return the batch sizes with at most ``pixels`` pixels of square images; one image is always included."""
    return [batch for batch in ladder if batch == 1 or batch * side**2 <= pixels]


def main(
    name: Names = None,
    dtype: Annotated[list[str] | None, option("Type of the activations, repeatable [float32, bfloat16].")] = None,
    side: Annotated[list[int] | None, option("Side of the images, repeatable [256, 512].")] = None,
    batch: Annotated[
        list[int] | None, option("Images per batch, repeatable [1, 2, 8; on GPU and TPU 1, 8, 64].")
    ] = None,
    tiled: Annotated[bool, option("Time 12 megapixels in tiles.")] = True,
    compiled: Annotated[bool, option("Compare with torch.compile.")] = True,
    seconds: Seconds = 5.0,
    quick: Quick = False,
    publish: Publish = False,
) -> None:
    """Time entries and architectures, print and record the results."""
    keep_freed_memory()
    on_cpu = jax.default_backend() == "cpu"
    ladder = batch or ((1, 2, 8) if on_cpu else (1, 8, 64))
    pixels = (2 if quick else 8 if on_cpu else 64) * 256**2
    top = ceiling.start(quick=quick, publish=publish)
    for entries in networks.groups(name or (networks.QUICK if quick else ())):
        for one in dtype or ("float32", "bfloat16"):
            restorer, rows = networks.load(entries[0], one), []
            for s in [48] if quick else side or SIDES:
                for b in batches(s, pixels, ladder[:2] if quick else ladder):
                    rows += measure(restorer, one, s, b, top, compiled=compiled, seconds=0.1 if quick else seconds)
            if tiled:
                rows.append(measure_tiled(restorer, one, (200, 300) if quick else LARGE, 144 if quick else TILE, top))
            print(f"\n{', '.join(entries)}\n{table(rows, SHOWN)}", flush=True)
            if not quick:
                record("throughput", [{"entry": " ".join(entries), **row} for row in rows], publish=publish)


if __name__ == "__main__":
    import typer

    typer.run(main)
