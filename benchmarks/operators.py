"""Degradation operators compared with other libraries, 16 x 256 x 256 x 3: ``python -m benchmarks operators``."""

import io
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import typer
from PIL import Image as PillowImage
from rich.console import Console
from rich.table import Table

from restorax.data import sample_images
from restorax.degrade import kernels, parse

from .options import Publish, Quick, option
from .record import record
from .timing import interleaved

Array = np.ndarray
rng = np.random.default_rng(0)


class Case(NamedTuple):
    """An operator as text, and peers that do the same to a float32 batch; ``exact`` peers give the same pixels."""

    text: str
    peers: dict[str, Callable[[Array], Any]]
    exact: bool = False


def _each(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """Apply a function of one image to a batch in a Python loop."""
    return lambda batch: np.stack([function(image) for image in batch])


def _normal(shape) -> Array:
    return rng.standard_normal(shape, dtype=np.float32)


def _uniform(shape) -> Array:
    return rng.random(shape, dtype=np.float32)


def _salt_and_pepper(x: Array, amount: float = 0.1) -> Array:
    draw = _uniform(x.shape)
    return np.where(draw < amount, (draw < amount / 2).astype(np.float32), x)


def _dead(x: Array) -> Array:
    draw = _uniform((*x.shape[:-1], 1))
    return np.where(draw < 0.01, (draw < 0.005).astype(np.float32), x)


def _camera(x: Array) -> Array:
    return x + np.sqrt(0.01 * x + 0.02**2) * _normal(x.shape)


def _avalanche(x: Array, excess: float) -> Array:
    electrons = rng.poisson(20 * x)
    spread = np.float32(excess - 1)
    drawn = spread * rng.standard_gamma(np.maximum(electrons, 1) / spread, dtype=np.float64)
    return (np.where(electrons > 0, drawn, 0) + 0.1 * _normal(x.shape)) / 20


def _exact_share(image: Array) -> Array:
    mask = np.ones(image.shape[:2], np.float32).ravel()
    mask[rng.permutation(mask.size)[: mask.size // 2]] = 0
    return image * mask.reshape(*image.shape[:2], 1)


def _lines(image: Array, width: int, points: int) -> Array:
    mask = np.ones(image.shape[:2], np.uint8)
    for _ in range(5):
        vertices = rng.integers(0, 256, (points, 2)).astype(np.int32)
        cv2.polylines(mask, [vertices], False, 0, width)
    return image * mask[..., None]


def _mosaic(x: Array) -> Array:
    out = np.zeros_like(x)
    for row, column, channel in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        out[:, row::2, column::2, channel] = x[:, row::2, column::2, channel]
    return out


def _filtered(kernel) -> dict[str, Callable]:
    flipped = np.ascontiguousarray(np.asarray(kernel, np.float32)[::-1, ::-1])
    return {"OpenCV": _each(lambda image: cv2.filter2D(image, -1, flipped, borderType=cv2.BORDER_REFLECT_101))}


def _opencv_jpeg(quality: int) -> Callable[[Array], Array]:
    def run(image):
        pixels = cv2.cvtColor((image * 255 + 0.5).astype(np.uint8), cv2.COLOR_RGB2BGR)
        file = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        return cv2.cvtColor(cv2.imdecode(file, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB).astype(np.float32) / 255

    return run


def _pillow_jpeg(quality: int) -> Callable[[Array], Array]:
    def run(image):
        file = io.BytesIO()
        PillowImage.fromarray(np.round(image * 255).astype(np.uint8)).save(file, "JPEG", quality=quality)
        return np.asarray(PillowImage.open(file)).astype(np.float32) / 255

    return run


def _chroma(image: Array) -> Array:
    ycc = cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)
    small = cv2.resize(ycc[..., 1:], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    ycc[..., 1:] = cv2.resize(small, image.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return cv2.cvtColor(ycc, cv2.COLOR_YCrCb2RGB)


def _pillow_rescale(size: int) -> Callable[[Array], Array]:
    def run(image):
        planes = [PillowImage.fromarray(plane) for plane in np.moveaxis(image, -1, 0)]
        cubic = PillowImage.Resampling.BICUBIC
        return np.stack([np.asarray(p.resize((size, size), cubic).resize((256, 256), cubic)) for p in planes], -1)

    return run


def _pillow_palette(image: Array) -> Array:
    paletted = PillowImage.fromarray((image * 255 + 0.5).astype(np.uint8))
    return np.asarray(paletted.quantize(16, PillowImage.Quantize.MEDIANCUT, kmeans=10).convert("RGB")) / np.float32(255)


def _opencv_burst(image: Array) -> Array:
    def moved(down, right):
        matrix = np.float32([[1, 0, right], [0, 1, down]])
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(image, matrix, image.shape[1::-1], flags=flags, borderMode=cv2.BORDER_REFLECT_101)

    return np.stack([moved(*rng.uniform(-2, 2, 2)) for _ in range(8)])


def _cases() -> dict[str, Case]:
    shake = kernels.shake_kernel(jax.random.key(0), length=16.0, radius=16)
    fixed = {
        "anisotropic_blur": kernels.gaussian_kernel(sigma=2.0, ratio=0.3, angle=30.0, radius=8),
        "motion_blur": kernels.motion_kernel(length=15.0, angle=30.0, radius=8),
        "defocus_blur": kernels.defocus_kernel(blur_radius=4.0, radius=4),
        "sinc_filter": kernels.sinc_kernel(cutoff=1.0, radius=10),
    }
    gaussian = {
        "OpenCV": _each(
            lambda i: cv2.GaussianBlur(i, (17, 17), 2.0, borderType=cv2.BORDER_REFLECT_101),
        )
    }
    return {
        "gaussian_noise": Case("gaussian_noise(sigma=0.1)", {"NumPy": lambda x: x + 0.1 * _normal(x.shape)}),
        "correlated_noise": Case(
            "correlated_noise(sigma=0.1)",
            {"NumPy + OpenCV": _each(lambda i: i + 0.1 * cv2.GaussianBlur(_normal(i.shape), (3, 3), 0) / 0.375)},
        ),
        "uniform_noise": Case("uniform_noise(amplitude=0.1)", {"NumPy": lambda x: x + 0.2 * _uniform(x.shape) - 0.1}),
        "speckle_noise": Case("speckle_noise(sigma=0.2)", {"NumPy": lambda x: x * (1 + 0.2 * _normal(x.shape))}),
        "salt_and_pepper_noise": Case("salt_and_pepper_noise(amount=0.1)", {"NumPy": _salt_and_pepper}),
        "impulse_noise": Case(
            "impulse_noise(amount=0.1)",
            {"NumPy": lambda x: np.where(_uniform(x.shape) < 0.1, _uniform(x.shape), x)},
        ),
        "stripe_noise": Case("stripe_noise(sigma=0.05)", {"NumPy": lambda x: x + 0.05 * _normal((*x.shape[:2], 1, 1))}),
        "dead_pixels": Case("dead_pixels(amount=0.01)", {"NumPy": _dead}),
        "shot_noise": Case("shot_noise(peak=20)", {"NumPy": lambda x: (rng.poisson(20 * x) / 20).astype(np.float32)}),
        "camera_noise": Case("camera_noise(shot=0.01, read=0.02)", {"NumPy": _camera}),
        "emccd_noise": Case("emccd_noise(peak=20)", {"NumPy": lambda x: _avalanche(x, 2.0)}),
        "apd_noise": Case("apd_noise(peak=20)", {"NumPy": lambda x: _avalanche(x, 3.95)}),
        "missing_pixels": Case("missing_pixels(missing=0.5)", {"NumPy": _each(_exact_share)}),
        "missing_strokes": Case("missing_strokes()", {"OpenCV": _each(lambda i: _lines(i, 20, 8))}),
        "missing_lines": Case("missing_lines(thickness=3)", {"OpenCV": _each(lambda i: _lines(i, 3, 2))}),
        "bayer_mosaic": Case("bayer_mosaic()", {"NumPy": _mosaic}, exact=True),
        "gaussian_blur": Case("gaussian_blur(sigma=2)", gaussian, exact=True),
        "anisotropic_blur": Case(
            "anisotropic_blur(sigma=2, ratio=0.3, angle=30)", _filtered(fixed["anisotropic_blur"]), exact=True
        ),
        "motion_blur": Case("motion_blur(length=15, angle=30)", _filtered(fixed["motion_blur"]), exact=True),
        "defocus_blur": Case("defocus_blur(blur_radius=4)", _filtered(fixed["defocus_blur"]), exact=True),
        "sinc_filter": Case("sinc_filter(cutoff=1)", _filtered(fixed["sinc_filter"]), exact=True),
        "shake_blur": Case("shake_blur(length=16)", _filtered(shake)),
        "jpeg": Case(
            "jpeg(quality=30)", {"Pillow": _each(_pillow_jpeg(30)), "OpenCV": _each(_opencv_jpeg(30))}, exact=True
        ),
        "double_jpeg": Case(
            "double_jpeg(first=30, second=60)",
            {"OpenCV": _each(lambda i: _opencv_jpeg(60)(_opencv_jpeg(30)(i)))},
        ),
        "chroma_subsampling": Case("chroma_subsampling()", {"OpenCV": _each(_chroma)}, exact=True),
        "low_resolution": Case("low_resolution(factor=4)", {"Pillow": _each(_pillow_rescale(64))}),
        "rescale": Case("rescale(factor=0.25)", {"Pillow": _each(_pillow_rescale(64))}),
        "low_light": Case(
            "low_light(exposure=0.1, shot=0.01, read=0.02)", {"NumPy": lambda x: _camera(0.1 * x) / np.float32(0.1)}
        ),
        "gamma_change": Case(
            "gamma_change(gamma=2.2)",
            {"NumPy": lambda x: x ** np.float32(2.2), "OpenCV": lambda x: cv2.pow(x, 2.2)},
            True,
        ),
        "haze": Case("haze(transmission=0.5)", {"NumPy": lambda x: np.float32(0.5) * x + np.float32(0.5)}, True),
        "quantisation": Case(
            "quantisation(levels=8)", {"NumPy": lambda x: np.round(np.clip(x, 0, 1) * 7) / np.float32(7)}, exact=True
        ),
        "palette": Case("palette(colours=16)", {"Pillow": _each(_pillow_palette)}),
        "burst": Case("burst(frames=8)", {"OpenCV": _each(_opencv_burst)}),
    }


def _torch_peers(batch: Array) -> dict[str, dict[str, Callable[[Array], Any]]]:
    """Peers in PyTorch and kornia on a CPU, on tensors created beforehand; empty where they are not installed."""
    if jax.default_backend() != "cpu":
        return {}
    try:
        import kornia
        import torch
    except ImportError:
        return {}
    x = torch.from_numpy(np.ascontiguousarray(np.moveaxis(batch, -1, 1)))
    quality = torch.full((len(batch),), 30.0)

    def filtered(name, kernel):
        kernel = torch.from_numpy(np.array(kernel))[None]
        return name, {"kornia": lambda _: kornia.filters.filter2d(x, kernel, "reflect")}

    jpeg = {"kornia": lambda _: kornia.enhance.jpeg_codec_differentiable(x, quality)}
    return {
        "gaussian_noise": {"PyTorch": lambda _: x + 0.1 * torch.randn_like(x)},
        "shot_noise": {"PyTorch": lambda _: torch.poisson(20 * x) / 20},
        "gaussian_blur": {"kornia": lambda _: kornia.filters.gaussian_blur2d(x, (17, 17), (2.0, 2.0))},
        "jpeg": jpeg,
        "jpeg_straight_through": jpeg,
        **dict([filtered("motion_blur", kernels.motion_kernel(length=15.0, angle=30.0, radius=8))]),
    }


def main(
    quick: Quick = False,
    only: Annotated[str, option("Name of one operator [all].")] = "",
    publish: Publish = False,
) -> None:
    """Time every operator interleaved with its peers, print and record the results."""
    images = [cv2.resize(p[:256, :256], (256, 256)) for p in sample_images(3).values()]
    batch = np.stack([images[i % len(images)] for i in range(2 if quick else 16)]).astype(np.float32)
    cases, torch_peers = _cases(), _torch_peers(batch)
    for name, peers in torch_peers.items():
        case = cases.get(name, Case("jpeg_straight_through(quality=30)", {}))
        cases[name] = case._replace(peers={**case.peers, **peers})
    table = Table("operator", "restorax ms", "compile s", "best peer", "peer ms", "peer / restorax", "difference")
    rows = []
    on_device = jnp.asarray(batch)
    for name, case in cases.items():
        if only and only != name:
            continue
        run = jax.jit(parse(case.text))
        ours = lambda _, run=run: run(jax.random.key(0), on_device).image  # noqa: E731
        timings = interleaved([ours, *case.peers.values()], [(batch,)], rounds=3 if quick else 15)
        best = min(range(1, len(timings)), key=lambda i: timings[i].median)
        peer = list(case.peers)[best - 1]
        difference = ""
        if case.exact:
            first = next(iter(case.peers.values()))(batch)
            difference = f"{float(np.abs(np.clip(np.asarray(ours(None)), -9, 9) - first).max()):.1e}"
        ratio = timings[best].median / timings[0].median
        rows.append(
            {
                "operator": case.text,
                "batch": len(batch),
                "ms": 1e3 * timings[0].median,
                "p10": 1e3 * timings[0].p10,
                "p90": 1e3 * timings[0].p90,
                "compile_s": timings[0].first,
                "peer": peer,
                "peer_ms": 1e3 * timings[best].median,
                "ratio": ratio,
                "difference": difference,
            }
        )
        numbers = (f"{rows[-1]['ms']:.1f}", f"{rows[-1]['compile_s']:.1f}", peer, f"{rows[-1]['peer_ms']:.1f}")
        table.add_row(name, *numbers, f"{ratio:.2f}", difference)
    Console().print(table)
    if not quick:
        record("operators", rows, publish=publish)


if __name__ == "__main__":
    typer.run(main)
