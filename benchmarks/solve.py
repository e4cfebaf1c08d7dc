"""Known linear degradations undone by a denoiser, beside trained and classical methods: ``python -m benchmarks solve``.

Parts: the blurs of ANCHORS and eight simulated shakes on the 256 x 256 images of Set12; missing pixels and Bayer
mosaics on Kodak24; super-resolution on Set14; JPEG on Classic5 and LIVE1. Blurred images are cropped as photographs
are. Outputs are rounded to 8 bits. Classical methods know the degradation, and the best of their settings counts.
"""

import io
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import cv2
import jax
import jax.numpy as jnp
import numpy as np

import restorax
from restorax import data, degrade
from restorax.degrade import Chain, Expression, Op, crop_border, parse
from restorax.degrade.quantisation_intervals import JpegIntervals
from restorax.files.jpeg import read_planes
from restorax.metrics import psnr_b
from restorax.models.blind_deconvolution import BlindDeconvolution
from restorax.solvers import deblur, default_denoiser
from restorax.types import Observation

from . import classical
from .crops import central
from .options import Publish, Quick, option
from .record import record, table
from .shakes import shake_kernels

Images = Mapping[str, np.ndarray]
Restore = Callable[[Observation], Any]

SIGMA = 2.55 / 255
BLURS: dict[str, Op] = {
    "gaussian_blur(sigma=1.6)": Op(degrade.gaussian_blur, sigma=1.6),
    "uniform 9 x 9": Op(degrade.kernel_blur, kernel=np.full((9, 9), 1 / 81, np.float32)),
    "motion_blur(length=15)": Op(degrade.motion_blur, length=15),
}
DECONVOLVING = ("wiener_unet-gray-blur", "scanunet_s-gray-blur")
MISSING = ("unet-color-missing",)
JPEG = ("arcnn-gray-jpeg", "resunet_s-gray-jpeg")
_LONG = 20  # iterations where much of the image is unknown


def quality(restored: Any, clean: Any, border: int = 0) -> float:
    """Return the PSNR in dB of an output rounded to 8 bits."""
    restored, clean = (crop_border(np.asarray(x), border) for x in (restored, clean))
    error = np.round(np.clip(restored, 0, 1) * 255) / 255 - clean
    return float(-10 * np.log10(max(np.mean(error**2), 1e-10)))


def compare(
    part: str, dataset: str, name: str, degradation: Expression, images: Images, methods: Mapping[str, list[Restore]]
) -> list[dict[str, Any]]:
    """Return a row for every method, of which the best setting counts, and one for the degraded images."""
    observed = [degradation.observe(jax.random.key(i), jnp.asarray(one)) for i, one in enumerate(images.values())]
    return _rows(part, dataset, name, [o for o, _ in observed], [c for _, c in observed], methods)


def _rows(
    part: str,
    dataset: str,
    name: str,
    observed: list[Any],
    clean: list[Any],
    methods: Mapping[str, list[Restore]],
    border: int = 0,
) -> list[dict[str, Any]]:
    rows = []
    for method, settings in methods.items():
        found = [[quality(one(o), c, border) for o, c in zip(observed, clean, strict=True)] for one in settings]
        best = max(found, key=np.mean)
        height, width = clean[0].shape[:2]
        rows.append(
            {"part": part, "dataset": dataset, "images": len(clean), "size": f"{height}x{width}", "degradation": name}
            | {"method": method, "psnr": f"{np.mean(best):.2f}"}
        )
        print(rows[-1], flush=True)
    return rows


def deblurring(op: Op, noise: float) -> tuple[Expression, dict[str, list[Restore]]]:
    """Return a blur with noise, and the methods that know both."""
    blur = Chain(op, Op(degrade.gaussian_noise, sigma=noise))
    impulse = jnp.zeros((63, 63, 1)).at[31, 31].set(1)
    kernel = np.asarray(op(jax.random.key(0), impulse).image[..., 0], np.float64)
    support = kernel[crop := slice(31 - op.border, 32 + op.border), crop]
    methods: dict[str, list[Restore]] = {"none": [lambda o: o.image]}
    methods["TV, ADMM, best of 7 weights"] = [
        partial(_classical, partial(classical.deblur_tv, kernel=support, weight=weight))
        for weight in np.geomspace(1e-4, 1e-2, 7)
    ]
    for name in DECONVOLVING:
        restorer = restorax.load(name)
        assert isinstance(restorer.model, BlindDeconvolution)
        methods[name] = [partial(_restored, restorer)]
        methods[f"{name}, true kernel"] = [partial(_deconvolved, restorer, support)]
    methods["solve, estimated kernel"] = [partial(_deblurred, noise)]
    methods["solve"] = [lambda o: restorax.solve(blur, o.image)]
    return blur, methods


def _restored(restorer: restorax.Restorer, observed: Observation) -> jax.Array:
    return restorax.restore(restorer, observed.image)


def _deblurred(noise: float, observed: Observation) -> jax.Array:
    with warnings.catch_warnings(action="ignore"):
        return deblur(jnp.asarray(observed.image), noise=noise)[0]


def _classical(method: classical.Method, observed: Observation) -> np.ndarray:
    return method(np.asarray(observed.image), None if observed.condition is None else np.asarray(observed.condition))


@partial(jax.jit, static_argnums=0)
def _deconvolve(model: BlindDeconvolution, params: Any, image: jax.Array, kernel: jax.Array) -> jax.Array:
    return model.apply({"params": params}, image, kernel, method="deconvolve")


def _deconvolved(restorer: restorax.Restorer, kernel: np.ndarray, observed: Observation) -> jax.Array:
    return _deconvolve(restorer.model, restorer.params, observed.image, jnp.asarray(kernel, jnp.float32))


def blur(images: Images) -> list[dict[str, Any]]:
    """Measure the blurs of ANCHORS."""
    rows = []
    for name, op in BLURS.items():
        degradation, methods = deblurring(op, SIGMA)
        rows += compare("blur", "set12", f"{name}, 2.55/255", degradation, images, methods)
    return rows


def shake(images: Images, count: int = 8) -> list[dict[str, Any]]:
    """Measure simulated shakes, each on one of the images in turn; rows hold the mean over kernels."""
    rows = []
    for noise in (SIGMA, 3 * SIGMA):
        measured = []
        for index, kernel in enumerate(shake_kernels()[:count]):
            name = list(images)[index % len(images)]
            degradation, methods = deblurring(Op(degrade.kernel_blur, kernel=kernel.astype(np.float32)), noise)
            text = f"shakes, {255 * noise:.2f}/255"
            measured += compare("shake", "set12", text, degradation, {name: images[name]}, methods)
        for method in dict.fromkeys(row["method"] for row in measured):
            same = [row for row in measured if row["method"] == method]
            mean = np.mean([float(row["psnr"]) for row in same])
            rows.append(same[0] | {"images": len(same), "psnr": f"{mean:.2f}"})
    return rows


def missing(images: Images) -> list[dict[str, Any]]:
    """Measure missing pixels of colour images."""
    rows = []
    for share in (0.5, 0.8):
        text = f"missing_pixels(missing={share})"
        methods: dict[str, list[Restore]] = {
            name: [partial(_classical, one) for one in settings]
            for name, settings in classical.methods(text).items()
            if name in ("biharmonic", "Telea")
        }
        for name in MISSING:
            methods[name] = [partial(_filled, restorax.load(name))]
        methods |= _solving(text)
        rows += compare("missing", "kodak24", text, parse(text), images, methods)
    return rows


def _filled(restorer: restorax.Restorer, observed: Observation) -> jax.Array:
    return restorax.restore(restorer, observed.image, observed.condition)


def _solving(text: str) -> dict[str, list[Restore]]:
    """Return methods for observations without noise of which much is unknown."""
    forms = {}
    for method in ("hqs", "admm"):
        apply = partial(restorax.solve, text, noise=0.0, iterations=_LONG, method=method)
        forms[f"solve, {method}"] = [apply]
    return forms


def mosaic(images: Images) -> list[dict[str, Any]]:
    """Measure demosaicking without noise."""
    methods: dict[str, list[Restore]] = {
        name: [lambda o, m=name: degrade.demosaic(o.image, method=m)]
        for name in ("bilinear", "malvar", "hamilton_adams")
    }
    methods["OpenCV, edge aware"] = [_opencv_demosaicked]
    methods |= _solving("bayer_mosaic()")
    observed = [degrade.bayer_mosaic(jnp.asarray(one)) for one in images.values()]
    return _rows("mosaic", "kodak24", "bayer_mosaic()", observed, list(images.values()), methods, border=4)


def _opencv_demosaicked(observed: Observation) -> np.ndarray:
    mosaic = np.round(255 * np.asarray(observed.image).sum(-1)).astype(np.uint8)
    # OpenCV names the pattern by the second row and column.
    return cv2.cvtColor(mosaic, cv2.COLOR_BayerBG2RGB_EA).astype(np.float32) / 255


def super_resolution(images: Images) -> list[dict[str, Any]]:
    """Measure bicubic super-resolution of luma."""
    rows = []
    for factor in (2, 4):
        whole = {
            name: one[: one.shape[0] // factor * factor, : one.shape[1] // factor * factor]
            for name, one in images.items()
        }
        small = partial(_reduced, factor)
        observed = [Observation(small(jnp.asarray(one))) for one in whole.values()]
        methods: dict[str, list[Restore]] = {
            "bicubic": [partial(_enlarged, factor)],
            "solve": [partial(_super_resolved, factor, small)],
        }
        rows += _rows(
            "super-resolution", "set14", f"bicubic, 1/{factor}", observed, list(whole.values()), methods, factor
        )
    return rows


def _reduced(factor: int, image: jax.Array) -> jax.Array:
    return degrade.resize(image, height=image.shape[0] // factor, width=image.shape[1] // factor)


def _enlarged(factor: int, observed: Observation) -> jax.Array:
    image = jnp.asarray(observed.image)
    return degrade.resize(image, height=factor * image.shape[0], width=factor * image.shape[1])


def _super_resolved(factor: int, small: Callable[[jax.Array], jax.Array], observed: Observation) -> jax.Array:
    image = observed.image
    shape = (factor * image.shape[0], factor * image.shape[1], 1)
    return restorax.solve(small, image, noise=0.0, shape=shape)


def jpeg(images: Images, dataset: str) -> list[dict[str, Any]]:
    """Measure JPEG entries with and without the projection onto what the file allows, and `solve` with the file."""
    rows = []
    for q in (10, 20, 30, 40):
        files = [_encoded(one, q) for one in images.values()]
        clean = list(images.values())
        forms: dict[str, Callable[[jax.Array, JpegIntervals], Any]] = {"none": lambda x, _: x}
        for name in JPEG:
            restorer = restorax.load(name)
            forms[name] = lambda x, _, r=restorer: restorax.restore(r, x)
            forms[f"{name}, consistent"] = lambda x, i, r=restorer: restorax.restore(r, x, consistent=i)
        forms["solve"] = lambda x, i: restorax.solve(i, x)
        for method, apply in forms.items():
            restored = [np.round(np.clip(np.asarray(apply(x, i)), 0, 1) * 255) / 255 for x, i in files]
            blocks = [
                float(psnr_b(jnp.asarray(r, jnp.float32), jnp.asarray(c))) for r, c in zip(restored, clean, strict=True)
            ]
            found = np.mean([quality(r, c) for r, c in zip(restored, clean, strict=True)])
            rows.append(
                {"part": "jpeg", "dataset": dataset, "images": len(clean), "degradation": f"jpeg(quality={q})"}
                | {"method": method, "psnr": f"{found:.2f}", "psnr_b": f"{np.mean(blocks):.2f}"}
            )
            print(rows[-1], flush=True)
    return rows


def _encoded(clean: np.ndarray, q: int) -> tuple[jax.Array, JpegIntervals]:
    """Compress with libjpeg; return what it decodes to, and the intervals of the file."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.round(255 * clean[..., 0]).astype(np.uint8)).save(file, "JPEG", quality=q)
    decoded = np.asarray(Image.open(file), np.float32)[..., None] / 255
    return jnp.asarray(decoded), JpegIntervals.of(read_planes(file.getvalue()))


def main(
    data_folder: Annotated[Path | None, option("Folder with set12, set14, kodak24, classic5, live1.", "--data")] = None,
    part: Annotated[
        list[str] | None, option("blur, shake, missing, mosaic, super-resolution or jpeg, repeatable [all].")
    ] = None,
    limit: Annotated[int | None, option("Number of images per set [all].")] = None,
    side: Annotated[int, option("Side of the central crops of Kodak24 and Set14.")] = 256,
    publish: Publish = False,
    quick: Quick = False,
) -> None:
    def read(name: str, channels: int, crop: int | None) -> Images:
        if data_folder is None:
            samples = data.sample_images(channels)
            return {key: central(one, 64) for key, one in list(samples.items())[: 1 if quick else limit]}
        found = sorted(data.test_images(data_folder / name, channels).items())
        found = [(key, central(one, crop) if crop else one) for key, one in found]
        return dict(found[:limit])

    def small_set12() -> Images:
        return {key: one for key, one in read("set12", 1, None).items() if max(one.shape) <= 256}

    measure: dict[str, Callable[[], list[dict[str, Any]]]] = {
        "blur": lambda: blur(small_set12()),
        "shake": lambda: shake(small_set12()),
        "missing": lambda: missing(read("kodak24", 3, side)),
        "mosaic": lambda: mosaic(read("kodak24", 3, side)),
        "super-resolution": lambda: super_resolution(read("set14", 1, side)),
        "jpeg": lambda: [row for name in ("classic5", "live1") for row in jpeg(read(name, 1, None), name)],
    }
    if unknown := set(part or ()) - set(measure):
        raise ValueError(f"`part` must be one of {', '.join(measure)}, got {unknown.pop()!r}")
    gray, colour = (default_denoiser(channels).card.name for channels in (1, 3))
    told = gray if gray == colour else f"{gray}, {colour} for colour"
    for one in ("super-resolution",) if quick else part or tuple(measure):
        rows = [row | {"denoiser": told if row["method"].startswith("solve") else ""} for row in measure[one]()]
        print(table(rows, ("part", "dataset", "images", "degradation", "method", "psnr")))
        if not quick:
            record("solve", rows, publish=publish)


if __name__ == "__main__":
    import typer

    typer.run(main)
