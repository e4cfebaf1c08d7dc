"""Training speed of the recipes, and the parts of a step: ``python -m benchmarks training``.

Times the step of every recipe on one and on all devices, by jit and pmap, on patches from the host. Degradation,
forward and gradient are timed separately; backward is gradient minus forward, and update is the step minus degradation
and gradient. DnCNN, U-Net and NAFNet are compared with PyTorch in a step with Adam: noise, network, L1, backward,
update.
"""

import time
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from restorax import data
from restorax.memory import keep_freed_memory
from restorax.models.count import flops
from restorax.recipe import Recipe, Stage
from restorax.recipes import RECIPES
from restorax.train import parallel
from restorax.train.losses import parse_loss
from restorax.train.step import build_model, init_state, make_draw, make_step, patch_side

from . import ceiling, networks
from .options import Publish, Quick, Seconds, option
from .record import record, table
from .timing import Timing, interleaved

SIGMA = 25 / 255
SHOWN = ("what", "dtype", "devices", "batch", "median_ms", "p10_ms", "p90_ms", "images_per_s", "share", "difference")


def measure_steps(recipe: Recipe, top: ceiling.Ceiling, seconds: float) -> list[dict[str, Any]]:
    """Time the whole step: jit on one device and, where there are several, on all; pmap on all."""
    stage = recipe.stages[0]
    devices, init = jax.devices(), partial(init_state, recipe, jax.random.key(0))
    forms = {}
    for some in (devices[:1], devices) if len(devices) > 1 else (devices,):
        mesh = parallel.make_mesh(devices=some)
        forms["jit", len(some)] = _stateful(parallel.jit_step(recipe, stage, mesh), parallel.make_state(init, mesh))
    forms["pmap", len(devices)] = _stateful(parallel.pmap_step(recipe, stage), jax.jit(init)())
    arguments = [(_patches(recipe, seed), jax.random.key(1), np.arange(stage.batch)) for seed in range(3)]
    timings = interleaved(list(forms.values()), arguments, rounds=20, seconds=seconds)
    work = flops(make_step(recipe, stage), jax.eval_shape(init), *arguments[0])
    return [
        _row(f"step, {how}", recipe, timing, devices=count, share=top.share(work, timing.median, recipe.dtype))
        for (how, count), timing in zip(forms, timings, strict=True)
    ]


def measure_parts(recipe: Recipe, seconds: float) -> list[dict[str, Any]]:
    """Time the parts of a step on one device, and measure its temporary memory."""
    stage = recipe.stages[0]
    model, distance, draw = build_model(recipe), parse_loss(stage.loss), make_draw(stage)

    def loss(params, observation, clean):
        return distance(model.apply({"params": params}, observation.image, observation.condition), clean)

    state, key = jax.jit(partial(init_state, recipe))(jax.random.key(0)), jax.random.key(1)
    keys = jax.random.split(key, stage.batch)
    degrade, step = jax.jit(draw), jax.jit(make_step(recipe, stage))
    forward, gradient = jax.jit(loss), jax.jit(jax.value_and_grad(loss))
    patches = [jnp.asarray(_patches(recipe, seed)) for seed in range(3)]
    functions = (
        lambda p, *_: degrade(keys, p),
        lambda _, *drawn: forward(state.params, *drawn),
        lambda _, *drawn: gradient(state.params, *drawn),
        lambda p, *_: step(state, p, key),
    )
    timings = interleaved(functions, [(p, *degrade(keys, p)) for p in patches], rounds=20, seconds=seconds)
    drawn, forwards, both, whole = (timing.median for timing in timings)
    memory = step.lower(state, patches[0], key).compile().memory_analysis().temp_size_in_bytes / 2**20
    rows = [
        _row(what, recipe, t, memory_MiB=memory) for what, t in zip(("degradation", "forward"), timings, strict=False)
    ]
    differences = {"backward": both - forwards, "update": whole - both - drawn, "input": input_seconds(recipe)}
    spread = max(timing.p90 - timing.p10 for timing in timings[1:])
    rows += [
        _row(what, recipe, seconds, memory_MiB=memory)
        for what, seconds in differences.items()
        if seconds is not None
        and (seconds > (0 if what == "input" else spread))  # otherwise indistinguishable from noise
    ]
    return rows


class Photographs(data.Patches):
    """Patches of the sample images of scikit-image."""

    title = "photographs"

    def __init__(self, **options: int):
        super().__init__(**options)
        self.pictures = [np.uint8(255 * p) for p in data.sample_images(self.channels).values()]


def input_seconds(recipe: Recipe, batches: int = 40) -> float | None:
    """Return the seconds in which one host thread prepares a batch, or ``None`` if packages are missing."""
    try:
        (stage, *_), channels = recipe.stages, recipe.config["channels"]
        feed = data.batches(Photographs(size=patch_side(stage), channels=channels, seed=0), batch=stage.batch, start=0)
        next(feed)
    except (ImportError, ValueError):
        return None
    start = time.perf_counter()
    for _ in range(batches):
        next(feed)
    return (time.perf_counter() - start) / batches


def measure_peers(
    name: str, dtype: str, batch: int, patch: int, top: ceiling.Ceiling, *, compiled: bool, seconds: float
) -> list[dict[str, Any]]:
    """Time the step with Adam in JAX and PyTorch; ``difference`` compares their first losses without noise."""
    model = networks.load(name, dtype).model
    clean = [networks.observed(model, batch, patch, patch, seed)[0] for seed in range(3)]
    params, peers, tensors, difference = networks.load(name, dtype).params, {}, clean, ""
    try:
        from . import peer
    except ImportError:
        pass
    else:
        params, twin = peer.matched(model, params)
        tensors = [peer.tensor(x) for x in clean]
        with peer.torch.no_grad():
            theirs = float((twin(tensors[0]) - tensors[0]).abs().mean())
        ours = float(jnp.abs(networks.load(name).model.apply({"params": params}, clean[0]) - clean[0]).mean())
        difference = f"{abs(ours - theirs):.1e}"
        peers = peer.trainers(twin, dtype, sigma=SIGMA, compiled=compiled)
        peers = {form: f for form, f in peers.items() if peer.works(form, f, tensors[0])}
    step, work = _adam_step(model, params, clean[0])
    functions = [lambda ours, _: step(ours), *(lambda _, theirs, f=f: f(theirs) for f in peers.values())]
    timings = interleaved(functions, list(zip(clean, tensors, strict=True)), rounds=20, seconds=seconds)
    stage = Stage(steps=1, degradation="", batch=batch, patch=patch)
    recipe = Recipe(architecture=name, stages=(stage,), evaluation=(), dtype=dtype)
    return [
        _row(f"Adam, {form}", recipe, timing, share=top.share(work, timing.median, dtype), difference=difference)
        for form, timing in zip(["JAX", *peers], timings, strict=True)
    ]


def _adam_step(model: Any, params: Any, clean: jax.Array) -> tuple[Callable, float]:
    """Return a step that keeps its own state, and its floating-point operations."""
    adam = optax.adam(1e-6)

    def loss(params, noisy, clean):
        return jnp.abs(model.apply({"params": params}, noisy) - clean).mean()

    def step(state, clean):
        params, moments, key = state
        key, noise_key = jax.random.split(key)
        noisy = clean + SIGMA * jax.random.normal(noise_key, clean.shape)
        value, gradients = jax.value_and_grad(loss)(params, noisy, clean)
        updates, moments = adam.update(gradients, moments)
        return (optax.apply_updates(params, updates), moments, key), value

    state = (jax.tree.map(jnp.array, params), adam.init(params), jax.random.key(0))
    return _stateful(jax.jit(step, donate_argnums=0), state), flops(step, state, clean)


def _stateful(step: Callable, state: Any) -> Callable:
    """Wrap a step to continue from its last state, which is donated."""
    held = [state]

    def run(*arguments):
        held[0], result = step(held[0], *arguments)
        return held[0], result

    return run


def _patches(recipe: Recipe, seed: int) -> np.ndarray:
    stage = recipe.stages[0]
    side = patch_side(stage)
    shape = (stage.batch, side, side, recipe.config["channels"])
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def _row(what: str, recipe: Recipe, took: Timing | float, *, devices=1, share="", memory_MiB="", difference=""):
    """Return a CSV row; a difference of medians has no percentiles."""
    median = took if isinstance(took, float) else took.median
    times = took.columns() if isinstance(took, Timing) else {"median_ms": 1e3 * took, "p10_ms": "", "p90_ms": ""}
    batch, patch = recipe.stages[0].batch, recipe.stages[0].patch
    identity = {"what": what, "dtype": recipe.dtype, "devices": devices, "batch": batch, "patch": patch}
    speed = {"steps_per_s": 1 / median, "images_per_s": batch / median}
    rest = {"share": share, "memory_MiB": memory_MiB, "difference": difference}
    return identity | times | {"compile_s": times.get("compile_s", "")} | speed | rest


def main(
    name: Annotated[list[str] | None, option("Recipe or architecture, repeatable [all].")] = None,
    dtype: Annotated[list[str] | None, option("Type of the activations, repeatable [float32, bfloat16].")] = None,
    batch: Annotated[int, option("Patches per step [those of the recipe].")] = 0,
    patch: Annotated[int, option("Side of a patch [that of the recipe].")] = 0,
    parts: Annotated[bool, option("Time degradation, forward, backward and update separately.")] = True,
    compiled: Annotated[bool, option("Compare with torch.compile.")] = True,
    seconds: Seconds = 8.0,
    quick: Quick = False,
    publish: Publish = False,
) -> None:
    """Time recipes and architectures, print and record the results."""
    keep_freed_memory()
    top = ceiling.start(quick=quick, publish=publish)
    batch, patch, seconds = (jax.device_count(), 16, 0.1) if quick else (batch, patch, seconds)
    for one in name or (networks.QUICK if quick else (*RECIPES, *networks.ARCHITECTURES)):
        rows = []
        if one in RECIPES:
            sizes = {key: value for key, value in {"batch": batch, "patch": patch}.items() if value}
            recipe = RECIPES[one].adjusted(dtype=dtype[0] if dtype else None).with_stages(**sizes)
            rows += measure_steps(recipe, top, seconds)
            rows += measure_parts(recipe, seconds) if parts else []
        else:
            for d in dtype or ("float32", "bfloat16"):
                rows += measure_peers(one, d, batch or 8, patch or 96, top, compiled=compiled, seconds=seconds)
        print(f"\n{one}\n{table(rows, SHOWN)}", flush=True)
        if not quick:
            record("training", [{"name": one, **row} for row in rows], publish=publish)


if __name__ == "__main__":
    import typer

    typer.run(main)
