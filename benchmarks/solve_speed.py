"""Time and memory of `restorax.solve` beside deepinv's splitting in PyTorch: ``python -m benchmarks solve_speed``.

Gray photographs with motion blur and noise. Beyond the border the scene goes on, which takes conjugate gradients, or it
wraps around, which has a closed form. Both libraries run the same iterations, schedule and denoiser, with the same
parameters, and as many steps of conjugate gradients. Images above 1.5 megapixels are measured in a single call.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np

import restorax
from restorax import zoo
from restorax.data import sample_images
from restorax.degrade import Chain, Op, gaussian_noise, motion_blur
from restorax.solvers import default_denoiser
from restorax.solvers.iteration import default_schedule
from restorax.solvers.programs import DATA_STEPS, FIRST_LEVEL, LAST_LEVEL, METHODS

from .options import Publish, Quick, Seconds, option
from .record import record, table
from .scaling import peak_memory
from .solve import quality
from .timing import interleaved

Solver = Callable[[np.ndarray], np.ndarray]

NOISE = 2.55 / 255
ITERATIONS = 8
SIDES = (256, 512, 2048)
BORDERS = {"the scene goes on": "reflect", "circular": "circular"}
EAGER = "deepinv, PyTorch"
SINGLE_CALL = 3 * 2**19  # pixels
SHOWN = ("border", "size", "method", "psnr", "median_ms", "compile_s", "memory_MiB")


def enlarged(image: np.ndarray, side: int) -> jax.Array:
    """Return a square crop, or an extension by reflection."""
    pads = [(0, max(0, side - length)) for length in image.shape[:2]]
    return jnp.asarray(np.pad(image, (*pads, (0, 0)), mode="reflect")[:side, :side])


def kernel_of(op: Op) -> np.ndarray:
    """Return the kernel of a blur, as wide as its rim."""
    side = 2 * op.border + 1
    impulse = jnp.zeros((2 * side + 1, 2 * side + 1, 1)).at[side, side].set(1)
    near = slice(side - op.border, side + op.border + 1)
    return np.asarray(op(jax.random.key(0), impulse).image[near, near, 0])


def peers(denoiser: zoo.Restorer, blur: Op, rim: int, side: int, *, compiled: bool) -> dict[str, Solver]:
    """Return solvers of deepinv by name; none, with a message, where it is missing."""
    try:
        from . import deepinv_peer, peer
    except ImportError as error:
        print(f"deepinv is left out, because the package {error.name} is missing; docs/benchmarks.md installs it")
        return {}
    _, twin = peer.matched(denoiser.model, denoiser.params)
    schedule = default_schedule(jnp.asarray(NOISE), ITERATIONS, METHODS["hqs"].balance, FIRST_LEVEL, LAST_LEVEL)
    outer = (side + 2 * rim, side + 2 * rim)
    physics = deepinv_peer.physics(kernel_of(blur), outer, DATA_STEPS, circular=not rim)
    networks = peer.forms(lambda network, *x: network(*x), twin, compiled=compiled)
    solvers = {form: deepinv_peer.hqs(network, schedule, rim) for form, network in networks.items()}
    found = {
        f"deepinv, {form}": lambda y, solver=solver: peer.array(solver(peer.tensor(y[None]), physics))[0]
        for form, solver in solvers.items()
    }
    example = np.zeros((side, side, 1), np.float32)
    return {name: f for name, f in found.items() if not compiled or peer.works(name.split(", ")[1], f, example)}


def measure(
    denoiser: zoo.Restorer, border: str, side: int, images: Sequence[np.ndarray], *, compiled: bool, seconds: float
) -> list[dict[str, Any]]:
    """Return a row for restorax and, where it is installed, for deepinv with and without torch.compile."""
    large = side**2 > SINGLE_CALL
    blur = Op(motion_blur, length=15, angle=30, border=BORDERS[border])
    rim = 0 if BORDERS[border] == "circular" else blur.border
    degradation, inner = Chain(blur, Op(gaussian_noise, sigma=NOISE)), slice(rim, side + rim)
    scenes = [enlarged(one, side + 2 * rim) for one in images[: 1 if large else None]]
    degraded = [degradation(jax.random.key(i), scene).image for i, scene in enumerate(scenes)]
    observed, clean = ([np.asarray(one[inner, inner]) for one in some] for some in (degraded, scenes))

    methods: dict[str, Solver] = {
        "restorax": lambda y: np.asarray(restorax.solve(degradation, y, denoiser, iterations=ITERATIONS))
    }
    methods |= peers(denoiser, blur, rim, side, compiled=compiled and not large)
    timings = {} if large else _timings(methods, observed, seconds)
    rows = []
    for name, solver in methods.items():
        if large and name == "restorax":
            solver(observed[0])  # compiles
        restored, costs = _single_call(solver, observed[0])
        psnr = np.mean([quality(one, c) for one, c in zip([restored, *map(solver, observed[1:])], clean, strict=True)])
        settings = {"border": border, "size": f"{side}x{side}", "images": len(observed), "denoiser": denoiser.card.name}
        rows.append(settings | {"method": name, "psnr": f"{psnr:.2f}", **costs, **timings.get(name, {})})
    return rows


def _timings(methods: Mapping[str, Solver], observed: Sequence[np.ndarray], seconds: float) -> dict[str, dict[str, Any]]:
    timings = interleaved(list(methods.values()), [(y,) for y in observed], rounds=20, seconds=seconds)
    columns = {name: timing.columns() for name, timing in zip(methods, timings, strict=True)}
    if EAGER in columns:
        columns[EAGER]["compile_s"] = ""  # it compiles nothing
    return columns


def _single_call(solver: Solver, observed: np.ndarray) -> tuple[np.ndarray, dict[str, float]]:
    """Return the restored image, and the time and memory that it took."""
    restored, start = [], time.perf_counter()
    memory = peak_memory(lambda: restored.append(solver(observed)))
    return restored[0], {"median_ms": 1e3 * (time.perf_counter() - start), "memory_MiB": memory}


def main(
    side: Annotated[list[int] | None, option("Side of the images, repeatable [256, 512, 2048].")] = None,
    border: Annotated[list[str] | None, option(f"{' or '.join(BORDERS)}, repeatable [both].")] = None,
    denoiser: Annotated[str, option("Gray entry that is told the noise level.")] = "ffdnet-gray-noise",
    compiled: Annotated[bool, option("Compare with torch.compile.")] = True,
    seconds: Seconds = 60.0,
    quick: Quick = False,
    publish: Publish = False,
) -> None:
    """Time both libraries; print and record."""
    images = list(sample_images(1).values())[: 1 if quick else 3]
    for length in [48] if quick else side or SIDES:
        for where in border or BORDERS:
            rows = measure(
                zoo.load(denoiser), where, length, images, compiled=compiled and not quick, seconds=seconds
            )
            print(table(rows, SHOWN), flush=True)
            if not quick:
                record("solve_speed", rows, publish=publish)


if __name__ == "__main__":
    import typer

    typer.run(main)
