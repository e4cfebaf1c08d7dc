"""Training losses between restored and clean images."""

import functools
import re
from collections.abc import Callable

import jax.numpy as jnp

from .. import metrics
from ..types import Array


def l1(restored: Array, clean: Array) -> Array:
    """Mean absolute difference."""
    return jnp.mean(jnp.abs(restored - clean))


def mse(restored: Array, clean: Array) -> Array:
    """Mean squared difference."""
    return jnp.mean((restored - clean) ** 2)


def log_mse(restored: Array, clean: Array) -> Array:
    """PSNR-like loss: the mean over images of ``log(1 + mse / floor)``, with a floor of one 8-bit level squared.

    Easy and hard images have equal weight, as in mean PSNR; errors below one 8-bit level (48 dB) have little weight.

    Reference:
        Chen et al., Simple baselines for image restoration (NAFNet), ECCV 2022, section 4 (the loss, without a floor).
    """
    return jnp.mean(jnp.log1p(255**2 * jnp.mean((restored - clean) ** 2, axis=(-3, -2, -1))))


def charbonnier(restored: Array, clean: Array) -> Array:
    """Charbonnier loss, a smooth L1: the mean of ``sqrt(d**2 + 1e-6)``.

    Reference:
        Lai et al., Deep Laplacian pyramid networks for fast and accurate super-resolution, CVPR 2017, section 3.3.
    """
    return jnp.mean(jnp.sqrt((restored - clean) ** 2 + 1e-6))


def ssim(restored: Array, clean: Array) -> Array:
    """One minus the mean SSIM; image sides must be at least 11.

    Reference:
        Zhao et al., Loss functions for image restoration with neural networks, IEEE TCI 2017, section III.B.
    """
    return 1 - jnp.mean(metrics.ssim(restored, clean))


def fft_l1(restored: Array, clean: Array) -> Array:
    """Mean absolute difference of the real and imaginary parts of the orthonormal 2-D Fourier transforms.

    Reference:
        Cho et al., Rethinking coarse-to-fine approach in single image deblurring (MIMO-UNet), ICCV 2021, equation 3.
    """
    difference = jnp.fft.fft2((restored - clean).astype(jnp.float32), axes=(-3, -2), norm="ortho")
    return (jnp.mean(jnp.abs(difference.real)) + jnp.mean(jnp.abs(difference.imag))) / 2


LOSSES: dict[str, Callable[[Array, Array], Array]] = {
    function.__name__: function for function in (l1, mse, log_mse, charbonnier, ssim, fft_l1)
}
"""Losses by name: ``(restored, clean) -> scalar``, both images ``[batch, height, width, channel]``."""

_TERM = re.compile(r"(?:(\d+\.?\d*(?:[eE]-?\d+)?|\.\d+)\s*\*\s*)?(\w+)")


def parse_loss(text: str) -> Callable[[Array, Array], Array]:
    """Parse a loss such as ``l1`` or ``charbonnier + 0.05 * fft_l1``.

    Args:
        text: names from ``LOSSES``, each with an optional weight, joined by ``+``.

    Returns:
        A function ``(restored, clean) -> scalar``.

    Raises:
        ValueError: if the text is invalid.

    Example:
        >>> x = jnp.zeros((1, 16, 16, 1))
        >>> round(float(parse_loss("l1 + 0.5 * mse")(x, x + 0.2)), 3)
        0.22
    """
    terms = []
    for part in text.split("+"):
        match = _TERM.fullmatch(part.strip())
        if match is None or match[2] not in LOSSES:
            raise ValueError(f"loss {text!r} is not understood; write e.g. 'l1 + 0.05 * fft_l1' ({', '.join(LOSSES)})")
        terms.append((match[1], LOSSES[match[2]]))

    def loss(restored, clean):
        values = (f(restored, clean) if weight is None else float(weight) * f(restored, clean) for weight, f in terms)
        return functools.reduce(jnp.add, values)

    return loss
