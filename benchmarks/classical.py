"""Oracle-tuned classical baselines: they know the noise level or blur kernel, and the best of several settings counts.

This favours them over their use in practice and over the networks.
"""

import importlib.util
from collections.abc import Callable
from functools import partial

import cv2
import jax
import jax.numpy as jnp
import numpy as np
from scipy import ndimage, sparse
from scipy.sparse import linalg
from skimage import restoration

from restorax.degrade import Chain, Op, parse
from restorax.layers.sparse import sparse_fill

Method = Callable[[np.ndarray, np.ndarray | None], np.ndarray]

_PHOTONS = {"shot_noise": (1.0, 0.0), "emccd_noise": (2.0, 40 / 300), "apd_noise": (3.95, 0.0)}
"""Excess noise factor and read noise in electrons, with the operators' default gains."""


def methods(degradation: str) -> dict[str, list[Method]]:
    """Return the usual classical methods for a degradation, each at several settings.

    Args:
        degradation: as parsed by ``restorax.degrade.parse``, with fixed strengths.

    Returns:
        ``(image, condition) -> image`` by name, on ``[height, width, channels]``; empty where there is no usual method.

    Example:
        >>> sorted(methods("salt_and_pepper_noise(amount=0.3)"))
        ['TV', 'adaptive median', 'median', 'non-local means']
    """
    first = _first(degradation)
    if first is None:
        return {}
    name, strengths = first.name, first.strengths
    if name == "gaussian_noise":
        return _denoisers(strengths["sigma"])
    if name in _PHOTONS:
        stabilise = partial(anscombe, peak=strengths["peak"], excess=_PHOTONS[name][0], read=_PHOTONS[name][1])
        stabilised = {
            f"Anscombe, {key}": [partial(stabilise, one) for one in settings] for key, settings in _denoisers().items()
        }
        return {"median": _medians(), **stabilised}
    if name in ("salt_and_pepper_noise", "impulse_noise"):
        smoothers = {"TV": _tv(np.geomspace(0.05, 1.6, 6)), "non-local means": _nlm(np.geomspace(0.1, 0.8, 4))}
        largest = {"adaptive median": [partial(adaptive_median, largest=side) for side in (5, 9, 15)]}
        return {"median": _medians()} | smoothers | (largest if name.startswith("salt") else {})
    if name.startswith("missing"):
        navier, telea = (
            [partial(opencv_inpaint, radius=radius, flag=flag) for radius in (1, 3, 5)]
            for flag in (cv2.INPAINT_NS, cv2.INPAINT_TELEA)
        )
        sparse_fillers = [partial(sparse_dct, rounds=rounds) for rounds in (20, 40, 80)]
        return {"biharmonic": [biharmonic], "sparse DCT": sparse_fillers, "Navier-Stokes": navier, "Telea": telea}
    if (kernel := true_kernel(degradation)) is not None:
        return {
            "Wiener": [partial(wiener, kernel=kernel, noise_to_signal=b) for b in np.geomspace(1e-4, 1, 13)],
            "Richardson-Lucy": [partial(richardson_lucy, kernel=kernel, iterations=n) for n in (5, 10, 20, 40, 80)],
            "TV, ADMM": [partial(deblur_tv, kernel=kernel, weight=w) for w in np.geomspace(1e-4, 1e-2, 7)],
        }
    if name == "jpeg":
        return {"TV": _tv(np.geomspace(0.01, 0.08, 4)), "non-local means": _nlm((0.01, 0.02, 0.04))}
    return {}


def _first(degradation: str) -> Op | None:
    """Return the first operator, or ``None`` if the order is random."""
    parsed = parse(degradation)
    first = parsed.parts[0] if isinstance(parsed, Chain) else parsed
    return first if isinstance(first, Op) else None


def _denoisers(sigma: float | None = None) -> dict[str, list[Method]]:
    """Denoisers for white noise; without a level for noise of unit variance after a stabilising transform."""
    level = sigma or 1.0
    found = {
        "non-local means": _nlm(np.array((0.6, 0.8, 1.0)) * level, level),
        "TV": _tv(np.array((0.6, 0.9, 1.2, 1.6)) * level),
    }
    return found | ({"BM3D": [partial(bm3d, sigma=level)]} if importlib.util.find_spec("bm3d") else {})


def _medians() -> list[Method]:
    return [partial(median, side=side) for side in (3, 5, 7, 9)]


def _tv(weights) -> list[Method]:
    return [partial(tv, weight=float(w)) for w in weights]


def _nlm(strengths, sigma: float = 0.0) -> list[Method]:
    return [partial(non_local_means, strength=float(s), sigma=sigma) for s in strengths]


def median(image, condition, side):
    """Median of a square window."""
    return ndimage.median_filter(image, (side, side, 1), mode="reflect")


def adaptive_median(image, condition, largest):
    """Replace black and white pixels by the median of the smallest window whose median is neither.

    Reference:
        Hwang and Haddad, Adaptive median filters, TIP 1995, algorithm RAMF.
    """
    out, open_ = image.copy(), (image <= 0) | (image >= 1)
    for side in range(3, largest + 1, 2):
        middle = ndimage.median_filter(image, (side, side, 1), mode="reflect")
        found = open_ & (middle > 0) & (middle < 1)
        out[found] = middle[found]
        open_ &= ~found
    out[open_] = middle[open_]
    return out


def tv(image, condition, weight):
    """Total-variation denoising (Chambolle)."""
    return restoration.denoise_tv_chambolle(image, weight=weight, channel_axis=-1)


def non_local_means(image, condition, strength, sigma):
    """Non-local means denoising."""
    return restoration.denoise_nl_means(
        image, patch_size=5, patch_distance=8, h=strength, sigma=sigma, fast_mode=True, channel_axis=-1
    )


def bm3d(image, condition, sigma):
    """BM3D of the optional package ``bm3d``, channel by channel."""
    from bm3d import bm3d as run

    return np.stack([run(image[..., c], sigma) for c in range(image.shape[-1])], axis=-1)


def anscombe(method, image, condition, peak, excess, read):
    """Apply a denoiser between the generalised Anscombe transform and its exact unbiased inverse.

    Reference:
        Mäkitalo and Foi, Optimal inversion of the generalized Anscombe transformation, TIP 2013, equations 1 and 10.
    """
    variance = (read / excess) ** 2
    stable = 2 * np.sqrt(np.maximum(image * peak / excess + 3 / 8 + variance, 0))
    stable = np.maximum(method(stable.astype(np.float64), condition), 2 * np.sqrt(3 / 8 + variance))
    counts = stable**2 / 4 + np.sqrt(1.5) / 4 / stable - 11 / 8 / stable**2 + 5 / 8 * np.sqrt(1.5) / stable**3 - 1 / 8
    return np.maximum(counts - variance, 0) * excess / peak


def opencv_inpaint(image, condition, radius, flag):
    """OpenCV's inpainting, on 8-bit images."""
    pixels = np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)
    holes = (condition[..., 0] < 0.5).astype(np.uint8)
    return cv2.inpaint(pixels.squeeze(), holes, radius, flag).reshape(image.shape) / 255


def sparse_dct(image, condition, rounds):
    """Inpainting by sparse block DCT, as in the first layer of some networks."""
    image, mask = jnp.asarray(image)[None], jnp.asarray(condition)[None]
    return np.asarray(_sparse_fill(image, mask, rounds=rounds))[0]


_sparse_fill = jax.jit(sparse_fill, static_argnames="rounds")


def biharmonic(image, condition):
    """Biharmonic inpainting: minimise the squared Laplacian given the known pixels."""
    height, width = image.shape[:2]
    rows, columns = _second_difference(height), _second_difference(width)
    laplace = (sparse.kron(rows, sparse.eye(width)) + sparse.kron(sparse.eye(height), columns)).tocsc()
    known = condition[..., 0].ravel() > 0.5
    unknown, fixed = laplace[:, ~known], laplace[:, known]
    system, out = (unknown.T @ unknown).tocsc(), image.reshape(-1, image.shape[-1]).astype(np.float64)
    start = opencv_inpaint(image, condition, 3, cv2.INPAINT_TELEA).reshape(out.shape)
    scale = sparse.diags(1 / system.diagonal())
    for c in range(out.shape[-1]):
        right = -unknown.T @ (fixed @ out[known, c])
        out[~known, c], _ = linalg.cg(system, right, start[~known, c], rtol=1e-5, maxiter=5000, M=scale)
    return out.reshape(image.shape)


def _second_difference(length):
    return sparse.diags([np.r_[1, np.full(length - 2, 2), 1], *[-np.ones(length - 1)] * 2], [0, -1, 1])


def true_kernel(degradation: str) -> np.ndarray | None:
    """Return the kernel ``[side, side]`` if the first operator of a degradation is a blur, otherwise ``None``."""
    first = _first(degradation)
    if first is None or not first.name.endswith("_blur"):
        return None
    impulse = jnp.zeros((63, 63, 1)).at[31, 31].set(1)
    return np.asarray(first(jax.random.key(0), impulse).image[..., 0], np.float64)


def _in_fourier(image, kernel, solve):
    """Solve in the Fourier domain on an image with reflected borders."""
    margin = kernel.shape[0]
    padded = np.pad(image.astype(np.float64), ((margin, margin), (margin, margin), (0, 0)), mode="reflect")
    corner = np.zeros(padded.shape[:2])
    corner[: kernel.shape[0], : kernel.shape[1]] = kernel
    transfer = np.fft.rfft2(np.roll(corner, [-(side // 2) for side in kernel.shape], (0, 1)))
    restored = [solve(padded[..., c], transfer) for c in range(image.shape[-1])]
    return np.stack(restored, axis=-1)[margin:-margin, margin:-margin]


def _gradients(shape):
    """Fourier transforms of the difference filters along both axes."""
    down, right = np.zeros(shape), np.zeros(shape)
    down[0, 0], down[-1, 0], right[0, 0], right[0, -1] = -1, 1, -1, 1
    return np.fft.rfft2(down), np.fft.rfft2(right)


def wiener(image, condition, kernel, noise_to_signal):
    """Wiener filter with a gradient prior for the signal spectrum."""

    def solve(x, transfer):
        smooth = sum(np.abs(g) ** 2 for g in _gradients(x.shape))
        return np.fft.irfft2(
            np.conj(transfer) * np.fft.rfft2(x) / (np.abs(transfer) ** 2 + noise_to_signal * smooth), x.shape
        )

    return _in_fourier(image, kernel, solve)


def richardson_lucy(image, condition, kernel, iterations):
    """Richardson-Lucy deconvolution."""

    def solve(x, transfer):
        x, estimate = np.maximum(x, 1e-6), np.full_like(x, 0.5)
        for _ in range(iterations):
            blurred = np.fft.irfft2(transfer * np.fft.rfft2(estimate), x.shape)
            ratio = x / np.maximum(blurred, 1e-6)
            estimate = estimate * np.fft.irfft2(np.conj(transfer) * np.fft.rfft2(ratio), x.shape)
        return estimate

    return _in_fourier(image, kernel, solve)


def deblur_tv(image, condition, kernel, weight, iterations=60):
    """Total-variation deblurring by the alternating direction method of multipliers.

    Reference:
        Wang et al., A new alternating minimization algorithm for total variation image reconstruction, 2008, with the
        multipliers of Boyd et al., Distributed optimization via ADMM, 2011, section 6.4.1.
    """
    penalty = 20 * weight

    def solve(x, transfer):
        filters = _gradients(x.shape)
        bottom = np.abs(transfer) ** 2 + penalty * sum(np.abs(g) ** 2 for g in filters)
        fixed = np.conj(transfer) * np.fft.rfft2(x)
        split, dual = np.zeros((2, *x.shape)), np.zeros((2, *x.shape))
        for _ in range(iterations):
            pull = sum(np.conj(g) * np.fft.rfft2(s - u) for g, s, u in zip(filters, split, dual, strict=True))
            spectrum = (fixed + penalty * pull) / bottom
            slopes = np.stack([np.fft.irfft2(g * spectrum, x.shape) for g in filters]) + dual
            length = np.sqrt((slopes**2).sum(0))
            split = slopes * np.maximum(1 - weight / penalty / np.maximum(length, 1e-12), 0)
            dual = slopes - split
        return np.fft.irfft2(spectrum, x.shape)

    return _in_fourier(image, kernel, solve)


def observe(method: Method) -> Callable[..., np.ndarray]:
    """Adapt a method to the JAX arrays of ``restorax.evaluate``."""

    def restore(image, condition=None):
        mask = None if condition is None else np.asarray(condition)
        return method(np.asarray(image), mask).reshape(image.shape).astype(np.float32)

    return restore
