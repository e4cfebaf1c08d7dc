"""Whether a trained schedule of `solve` pays for a family of blurs: ``python -m benchmarks schedule``.

Gaussian, motion, defocus and shake kernels of random strength, noise from 1 to 10/255. Four numbers per iteration, by
which level and weight of the default schedule are multiplied, and the powers of the noise in both, are trained by
gradient through the unrolled iterations for the mean PSNR. Images beside the training images are solved by both
schedules; a blurred image is cropped as photographs are.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import restorax
from restorax import data
from restorax.degrade import kernels
from restorax.files import image as image_files
from restorax.solvers import METHODS, Schedule
from restorax.solvers.iteration import default_schedule
from restorax.solvers.programs import FIRST_LEVEL, LAST_LEVEL
from restorax.types import Array, PRNGKeyArray

from .crops import central
from .options import Publish, Quick, option
from .record import record, table
from .shakes import shake_kernels

DENOISER = "ffdnet-gray-noise"
NOISES = (2.55, 7.65)
COLUMNS = ("dataset", "images", "size", "iterations", "degradation", "default", "trained", "gain", "seconds")
_RADIUS = 8
_SIDE = 80  # of a training patch, with the rim
_PATCHES, _BATCH = 100, 4
_RATE = 0.06
_MIDDLE = 3 / 255  # noise at which the powers change nothing


def random_kernel(key: PRNGKeyArray) -> Array:
    """Draw a kernel of the family, ``[17, 17]``."""
    kind, strength, angle, path = jax.random.split(key, 4)
    share, degrees = jax.random.uniform(strength), jax.random.uniform(angle, maxval=180.0)
    length = 7 + 8 * share
    family = (
        kernels.gaussian_kernel(sigma=1.2 + 1.2 * share, radius=_RADIUS),
        kernels.motion_kernel(length=length, angle=degrees, radius=_RADIUS),
        kernels.defocus_kernel(blur_radius=1.5 + 2.5 * share, radius=_RADIUS),
        kernels.shake_kernel(path, length=length, radius=_RADIUS),
    )
    return jnp.stack(family)[jax.random.randint(kind, (), 0, len(family))]


def compared_kernels() -> dict[str, np.ndarray]:
    """Return the kernels of the comparison, ``[25, 25]``."""
    found = {
        "gaussian_blur(sigma=1.6)": kernels.gaussian_kernel(sigma=1.6, radius=_RADIUS),
        "uniform 9 x 9": np.full((9, 9), 1 / 81),
        "motion_blur(length=15)": kernels.motion_kernel(length=15.0, angle=0.0, radius=_RADIUS),
        "shake": shake_kernels(1)[0],
    }
    return {name: np.pad(np.asarray(one, np.float32), (25 - len(one)) // 2) for name, one in found.items()}


def blur_of(kernel: Array, side: int) -> Callable[[Array], Array]:
    """Return the blur of a square scene by FFT, followed by the crop of the rim, where it wraps around."""
    rim, room = kernel.shape[0] // 2, side - kernel.shape[0]
    centred = jnp.roll(jnp.pad(kernel, ((0, room), (0, room))), (-rim, -rim), (0, 1))
    transfer = jnp.fft.rfft2(centred)[..., None]

    def blur(scene: Array) -> Array:
        spectrum = transfer * jnp.fft.rfft2(scene, axes=(0, 1))
        return jnp.fft.irfft2(spectrum, (side, side), axes=(0, 1))[rim:-rim, rim:-rim]

    return blur


def schedule_of(numbers: Array, noise: Array) -> Schedule:
    """Multiply the default schedule by trained numbers.

    Args:
        numbers: logarithms of the factors of level and weight, and powers of the noise in both,
            ``[4, iterations]``.
        noise: standard deviation of the noise.
    """
    balance = METHODS["hqs"].balance
    levels, weights = default_schedule(noise, numbers.shape[1], balance, FIRST_LEVEL, LAST_LEVEL)
    relative = jnp.log(noise / _MIDDLE)
    level, weight = jnp.exp(numbers[:2] + relative * numbers[2:])
    return Schedule(levels * level, weights * weight)


def solved_psnr(numbers: Array, denoiser: Any, scene: Array, kernel: Array, noise: Array, key: PRNGKeyArray) -> Array:
    """Return the PSNR in dB of a scene that was blurred and solved, without its rim."""
    blur, rim = blur_of(kernel, scene.shape[0]), kernel.shape[0] // 2
    clean = scene[rim:-rim, rim:-rim]
    observed = blur(scene) + noise * jax.random.normal(key, clean.shape)
    options = {"noise": noise, "iterations": numbers.shape[1], "shape": scene.shape}
    restored = restorax.solve(blur, observed, denoiser, **options, schedule=schedule_of(numbers, noise))
    return -10 * jnp.log10(((restored[rim:-rim, rim:-rim] - clean) ** 2).mean())


def train(scenes: np.ndarray, denoiser: Any, iterations: int, steps: int, seed: int = 0) -> Array:
    """Train the numbers from zero, the default schedule."""

    def loss(numbers: Array, chosen: Array, key: PRNGKeyArray) -> Array:
        kernel_key, noise_key, share_key = jax.random.split(key, 3)
        shares = (jnp.arange(_BATCH) + jax.random.uniform(share_key, (_BATCH,))) / _BATCH  # every range of noise
        blurs = jax.vmap(random_kernel)(jax.random.split(kernel_key, _BATCH))
        one = lambda *case: solved_psnr(numbers, denoiser, *case)  # noqa: E731
        return -jax.vmap(one)(chosen, blurs, 10.0**shares / 255, jax.random.split(noise_key, _BATCH)).mean()

    slope = jax.jit(jax.value_and_grad(loss))
    optimiser = optax.adam(optax.cosine_decay_schedule(_RATE, steps, 0.05))
    numbers = jnp.zeros((4, iterations))
    state, random = optimiser.init(numbers), np.random.default_rng(seed)
    for step in range(steps):
        chosen = jnp.asarray(scenes[random.choice(len(scenes), _BATCH, replace=False)])
        value, slopes = slope(numbers, chosen, jax.random.fold_in(jax.random.key(seed), step))
        updates, state = optimiser.update(slopes, state)
        numbers = numbers + updates
        if step % 10 == 9:
            print(f"step {step + 1}: PSNR {-float(value):.2f}", flush=True)
    return numbers


def compare(numbers: Array, scenes: np.ndarray, denoiser: Any) -> list[dict[str, Any]]:
    """Return the mean PSNR of both schedules for every blur and noise."""
    keys = jax.random.split(jax.random.key(1), len(scenes))

    @jax.jit
    def mean(numbers: Array, kernel: Array, noise: Array) -> Array:
        one = lambda case: solved_psnr(numbers, denoiser, case[0], kernel, noise, case[1])  # noqa: E731
        return jax.lax.map(one, (jnp.asarray(scenes), keys)).mean()

    rows = []
    for name, kernel in compared_kernels().items():
        for noise in NOISES:
            default, trained = (
                float(mean(some, jnp.asarray(kernel), jnp.asarray(noise / 255)))
                for some in (jnp.zeros_like(numbers), numbers)
            )
            row = {"degradation": f"{name}, {noise}/255", "default": f"{default:.2f}", "trained": f"{trained:.2f}"}
            rows.append(row | {"gain": f"{trained - default:+.2f}"})
            print(rows[-1], flush=True)
    return rows


def patches(folder: Path | None, seed: int = 0) -> np.ndarray:
    """Return crops ``[count, 80, 80, 1]`` of gray images at half their size, one per image."""
    random = np.random.default_rng(seed)
    if folder is None:
        images = list(data.sample_images(1).values())
    else:
        paths = image_files.list_pictures(folder)
        chosen = random.permutation(len(paths))[:_PATCHES]
        images = [image_files.to_channels(image_files.read(paths[i]).pixels, 1) for i in chosen]
    large = [one for one in images if min(one.shape[:2]) >= 2 * _SIDE]
    corners = [[int(random.integers(side - 2 * _SIDE + 1)) for side in one.shape[:2]] for one in large]
    crops = [one[y : y + 2 * _SIDE, x : x + 2 * _SIDE] for one, (y, x) in zip(large, corners, strict=True)]
    return np.stack(crops).reshape(-1, _SIDE, 2, _SIDE, 2, 1).mean((2, 4))


def main(
    train_folder: Annotated[Path | None, option("Folder of training images [scikit-image's].", "--train")] = None,
    test_folder: Annotated[Path | None, option("Folder of gray test images [scikit-image's].", "--data")] = None,
    iterations: Annotated[list[int] | None, option("Iterations of the solver, repeatable [5, 8].")] = None,
    steps: Annotated[int, option("Steps of the training.")] = 70,
    limit: Annotated[int | None, option("Number of test images [all].")] = None,
    side: Annotated[int, option("Side of the central crops of the test images, with the rim.")] = 128,
    publish: Publish = False,
    quick: Quick = False,
) -> None:
    denoiser = restorax.load(DENOISER)
    scenes = patches(train_folder)
    images = data.sample_images(1) if test_folder is None else data.test_images(test_folder, 1)
    crops = np.stack([central(one, side) for one in list(images.values())[: 1 if quick else limit]])
    rows = []
    for count in (1,) if quick else iterations or (5, 8):
        start = time.perf_counter()
        numbers = train(scenes, denoiser, count, 1 if quick else steps)
        seconds = f"{time.perf_counter() - start:.0f}"
        print(f"{count} iterations, {seconds} s: {np.round(np.asarray(numbers), 2).tolist()}", flush=True)
        if quick:
            return
        known = {"dataset": test_folder.name if test_folder else "scikit-image", "images": len(crops)}
        known |= {"size": f"{side}x{side}", "iterations": count, "seconds": seconds}
        rows += [known | row for row in compare(numbers, crops, denoiser)]
    print(table(rows, COLUMNS))
    record("schedule", rows, publish=publish)


if __name__ == "__main__":
    import typer

    typer.run(main)
