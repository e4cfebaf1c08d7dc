"""Deblurring with a kernel that a network of the zoo reads from the image."""

import functools
import warnings
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np

from .. import zoo
from ..degrade import Op, kernel_blur
from ..types import Array, Image, check_image
from ..zoo import Restorer
from .plug_and_play import solve

ESTIMATOR = "wiener_unet-gray-blur"
"""Entry that reads the kernel."""


class KernelEstimate(NamedTuple):
    """A blur kernel read from an image.

    Attributes:
        kernel: ``[side, side]`` of unit sum. Without full confidence, part of it is moved to the centre, which blurs
            less.
        confidence: from 0, no kernel that can be trusted, to 1.
    """

    kernel: Array
    confidence: float


@functools.cache
def _estimator(name: str) -> Restorer:
    return zoo.load(name)


def estimate_kernel(image: Image, estimator: str | Restorer = ESTIMATOR) -> KernelEstimate:
    """Read the blur kernel of an image.

    Args:
        image: ``[height, width, channel]`` in [0, 1].
        estimator: entry that estimates kernels, or its name.

    Returns:
        The kernel and the confidence in it. Little texture, a kernel of nearly no blur, and edges sharper than the
        kernel permits lower the confidence.

    Raises:
        ValueError: if the image has batch axes, or the entry estimates no kernel.

    Example:
        >>> round(estimate_kernel(jnp.full((32, 32, 1), 0.5)).confidence, 1)
        0.0
    """
    image = check_image(image)
    restorer = _estimator(estimator) if isinstance(estimator, str) else estimator
    if not restorer.model.has_context:
        raise ValueError(f"{restorer.card.name} estimates no blur kernel; use {ESTIMATOR}")
    if image.ndim != 3:
        raise ValueError(f"`image` must be one image [height, width, channel], got shape {image.shape}")
    apply = jax.jit(functools.partial(restorer.model.apply, method="read_context"))
    kernel, sure = cast(tuple[Array, Array], apply({"params": restorer.params}, image))
    return KernelEstimate(kernel[0], float(sure[0]))


def deblur(
    image: Image, *, noise: float, estimator: str | Restorer = ESTIMATOR, **options: Any
) -> tuple[Array, KernelEstimate]:
    """Estimate the blur kernel of an image and restore the image with it.

    A warning says if the kernel cannot be trusted. Without any confidence the image is returned as it is.

    Args:
        image: ``[height, width, channel]`` in [0, 1].
        noise: standard deviation of the noise in [0, 1].
        estimator: entry that estimates kernels, or its name.
        **options: other arguments of :func:`restorax.solve`.

    Returns:
        The restored image, and the estimate.

    Raises:
        ValueError: as :func:`estimate_kernel` and :func:`restorax.solve`.

    Example:
        >>> import warnings
        >>> with warnings.catch_warnings(action="ignore"):
        ...     restored, estimate = deblur(jnp.full((32, 32, 1), 0.5), noise=0.01)
        >>> float(abs(restored - 0.5).max())
        0.0
    """
    estimate = estimate_kernel(image, estimator)
    if estimate.confidence < 1:
        change = "is left as it is" if estimate.confidence == 0 else "is deblurred in part"
        warnings.warn(
            f"the blur kernel cannot be read reliably (confidence {estimate.confidence:.0%}); the image {change}",
            stacklevel=2,
        )
    if estimate.confidence == 0:
        return jnp.asarray(image), estimate
    kernel = np.asarray(estimate.kernel)
    return solve(Op(kernel_blur, kernel=kernel), image, noise=noise, **options), estimate
