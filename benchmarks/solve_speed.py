"""Time and memory of `restorax.solve` beside deepinv's splitting in PyTorch: ``python -m benchmarks solve_speed``.

Gray photographs with motion blur and noise. Beyond the border the scene goes on, which takes conjugate gradients, or it
wraps around, which has a closed form. Both libraries run the same iterations, schedule and denoiser, with the same
parameters, and as many steps of conjugate gradients. Memory is measured in a process of its own, and for images above
1.5 megapixels the time of a single call too, with compilation.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from multiprocessing import get_context
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import restorax
from restorax import zoo
from restorax.data import sample_images
from restorax.degrade import Chain, Op, gaussian_noise, motion_blur
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
OURS, EAGER = "restorax", "deepinv, PyTorch"
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


class Problem(NamedTuple):
    """A blur of gray images with noise, and the denoiser that undoes it.

    Attributes:
        blur: the operator.
        rim: pixels by which the scene exceeds the observation.
        observed: images of the same square size.
        clean: their ground truth.
        denoiser: non-blind entry.
    """

    blur: Op
    rim: int
    observed: list[np.ndarray]
    clean: list[np.ndarray]
    denoiser: zoo.Restorer

    @classmethod
    def of(cls, denoiser: str, border: str, side: int, count: int) -> "Problem":
        """Return the problem on the first sample photographs."""
        blur = Op(motion_blur, length=15, angle=30, border=BORDERS[border])
        rim = 0 if BORDERS[border] == "circular" else blur.border
        noisy, inner = Chain(blur, Op(gaussian_noise, sigma=NOISE)), slice(rim, side + rim)
        scenes = [enlarged(one, side + 2 * rim) for one in list(sample_images(1).values())[:count]]
        degraded = [noisy(jax.random.key(i), scene).image for i, scene in enumerate(scenes)]
        observed, clean = ([np.asarray(one[inner, inner]) for one in some] for some in (degraded, scenes))
        return cls(blur, rim, observed, clean, zoo.load(denoiser))

    def solve(self, observed: np.ndarray) -> np.ndarray:
        """Solve by restorax."""
        return np.asarray(restorax.solve(self.blur, observed, self.denoiser, noise=NOISE, iterations=ITERATIONS))

    def peers(self, *, compiled: bool) -> dict[str, Solver]:
        """Return solvers of deepinv by name."""
        from . import deepinv_peer, peer

        _, twin = peer.matched(self.denoiser.model, self.denoiser.params)
        schedule = default_schedule(jnp.asarray(NOISE), ITERATIONS, METHODS["hqs"].balance, FIRST_LEVEL, LAST_LEVEL)
        side = self.observed[0].shape[0] + 2 * self.rim
        physics = deepinv_peer.physics(kernel_of(self.blur), (side, side), DATA_STEPS, circular=not self.rim)
        networks = peer.forms(lambda network, *x: network(*x), twin, compiled=compiled)
        solvers = {form: deepinv_peer.hqs(network, schedule, self.rim) for form, network in networks.items()}
        found = {
            form: lambda y, solver=solver: peer.array(solver(peer.tensor(y[None]), physics))[0]
            for form, solver in solvers.items()
        }
        return {f"deepinv, {form}": f for form, f in found.items() if peer.works(form, f, self.observed[0])}

    def psnr(self, solver: Solver) -> str:
        """Return the mean PSNR in dB."""
        return f"{np.mean([quality(solver(y), c) for y, c in zip(self.observed, self.clean, strict=True)]):.2f}"


def single_call(settings: tuple[str, str, int, int], method: str, *, warm: bool) -> dict[str, Any]:
    """Return time, memory and PSNR of one call, for a process of its own.

    In a shared process, memory that other methods have freed would be reused unnoticed.

    Args:
        settings: arguments of :meth:`Problem.of`.
        method: name.
        warm: call it once before.
    """
    problem, restored = Problem.of(*settings), []
    solver = problem.solve if method == OURS else problem.peers(compiled=False)[method]
    if warm:
        solver(problem.observed[0])
    start = time.perf_counter()
    memory = peak_memory(lambda: restored.append(solver(problem.observed[0])))
    costs = {"median_ms": 1e3 * (time.perf_counter() - start), "compile_s": "", "memory_MiB": memory}
    return costs | {"psnr": f"{quality(restored[0], problem.clean[0]):.2f}"}


def measure(
    denoiser: str, border: str, side: int, count: int, methods: Sequence[str], *, compiled: bool, seconds: float
) -> list[dict[str, Any]]:
    """Return a row for each method, and for deepinv with torch.compile."""
    large = side**2 > SINGLE_CALL
    settings = denoiser, border, side, 1 if large else count
    costs: dict[str, dict[str, Any]] = {}
    for method in methods:
        with ProcessPoolExecutor(1, get_context("spawn")) as process:
            costs[method] = process.submit(single_call, settings, method, warm=not large).result()
    if not large:
        problem = Problem.of(*settings)
        solvers = {OURS: problem.solve} if OURS in methods else {}
        solvers |= problem.peers(compiled=compiled) if EAGER in methods else {}
        inputs = [(y,) for y in problem.observed]
        timings = interleaved(list(solvers.values()), inputs, rounds=20, seconds=seconds)
        for (method, solver), timing in zip(solvers.items(), timings, strict=True):
            columns = timing.columns() | ({"compile_s": ""} if method == EAGER else {})
            costs[method] = {"memory_MiB": "", **costs.get(method, {}), **columns, "psnr": problem.psnr(solver)}
    shared = {"border": border, "size": f"{side}x{side}", "images": settings[-1], "denoiser": denoiser}
    return [shared | {"method": method} | columns for method, columns in costs.items()]


def main(
    side: Annotated[list[int] | None, option("Side of the images, repeatable [256, 512, 2048].")] = None,
    border: Annotated[list[str] | None, option(f"{' or '.join(BORDERS)}, repeatable [both].")] = None,
    denoiser: Annotated[str, option("Non-blind gray entry.")] = "ffdnet-gray-noise",
    method: Annotated[list[str] | None, option("restorax or deepinv, repeatable [both].")] = None,
    compiled: Annotated[bool, option("Compare with torch.compile.")] = True,
    seconds: Seconds = 60.0,
    quick: Quick = False,
    publish: Publish = False,
) -> None:
    """Time both libraries; print and record."""
    methods = [{"restorax": OURS, "deepinv": EAGER}[name] for name in method or ("restorax", "deepinv")]
    if EAGER in methods and not find_spec("deepinv"):
        print("deepinv is left out, because the package is missing: pip install '.[bench]'")
        methods.remove(EAGER)
    for length in [48] if quick else side or SIDES:
        for where in border or BORDERS:
            options = {"compiled": compiled and not quick, "seconds": 1 if quick else seconds}
            rows = measure(denoiser, where, length, 1 if quick else 2, methods, **options)
            print(table(rows, SHOWN), flush=True)
            if not quick:
                record("solve_speed", rows, publish=publish)


if __name__ == "__main__":
    import typer

    typer.run(main)
