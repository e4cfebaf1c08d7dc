"""Blind deconvolution before a network: estimate the blur kernel and apply Wiener filters."""

from collections.abc import Sequence
from functools import reduce

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike

from ..layers import fourier
from ..layers.features import contradicting_share, feature_share
from ..layers.kernel_estimator import KernelEstimator
from ..layers.parameters import param
from ..types import Array, ConditionLike, DTypeLike, Float, Image, check_image
from .base import RestorationNetwork

_BAND = 2**22  # pixels from which a kernel is read at once
_FEW, _ENOUGH = 0.02, 0.1  # share of blocks with features; photographs of the field's test sets, blurred, have 0.19
_BLURRED, _CLEAR = 0.4, 0.6  # largest value of a kernel: 0.44 for a Gaussian of sigma 0.6
_SHARP = 2e-4  # share of neighbouring pixels that differ too much for a kernel, above which it is distrusted


class BlindDeconvolution(RestorationNetwork):
    """Base class of networks that estimate the blur kernel and see Wiener-filtered images beside the image.

    :meth:`body` sees the filtered images as additional channels. Without filters, no kernel is estimated.

    Attributes:
        filters: number of Wiener filters, 0 for none.
        radius: half width of the blur kernel in pixels.
        estimator_width: features of the kernel estimator.
    """

    filters: int = 4
    radius: int = 8
    estimator_width: int = 256

    @property
    def has_auxiliary_loss(self) -> bool:
        """Whether the network estimates a kernel, which the auxiliary loss trains."""
        return self.filters > 0

    @property
    def has_context(self) -> bool:
        """Whether the network estimates a kernel, which all tiles share."""
        return self.filters > 0

    def setup(self) -> None:
        """Create the kernel estimator, and the filters from sharp and noisy to smooth."""
        if self.filters:
            self.read = KernelEstimator(self.radius, self.estimator_width)
            self.balance = param(self, "balance", _init_balance, (self.filters,))

    def append_filtered(self, x: Array, image: Image, kernel: Array | None) -> Array:
        """Append the Wiener-filtered images to the input of :meth:`body`.

        Args:
            x: padded image, and other features after it, ``[batch, height, width, features]``.
            image: the unpadded image, from which the kernel is estimated.
            kernel: ``[batch, side, side]`` if known.

        Returns:
            ``[batch, height, width, features + filters * channels]``.
        """
        if not self.filters:
            return x
        kernel = self.read(_luminance(image)) if kernel is None else kernel
        filtered = fourier.wiener(x[..., : self.channels], kernel, jnp.exp(self.balance))
        return jnp.concatenate([x, filtered], axis=-1)

    def __call__(self, image: Image, condition: ConditionLike | None = None) -> Image:
        """Restore ``[*batch, height, width, channels]``, any height and width.

        This is what is trained. Where :meth:`confidence` is below 1, :meth:`run` falls back towards the kernel of no
        blur and towards the input.
        """
        return self._restore(image, condition, None)

    def read_context(self, image: Image) -> tuple[Array, ...]:
        """Read the kernels ``[batch, side, side]`` and the confidence in them, ``[batch]``; nothing without filters."""
        image = check_image(image)
        if not self.filters:
            return ()
        kernel, sure = self._read_bands(_luminance(image))
        sure = sure.reshape(-1, 1, 1)
        side = 2 * self.radius + 1
        no_blur = jnp.zeros((side, side)).at[self.radius, self.radius].set(1)
        return sure * kernel + (1 - sure) * no_blur[None], sure[:, 0, 0]

    def _read_bands(self, luminance: Array) -> tuple[Array, Array]:
        """Read kernel and confidence; large images in bands of rows, weighted by their features."""
        height, width = luminance.shape[1:]
        count = max(1, height * width // _BAND)
        rows = height // count
        bands = [luminance[:, i * rows : (i + 1) * rows] for i in range(count)]
        shares = jnp.stack([feature_share(band) for band in bands])
        weights = (shares + 1e-6) / (shares + 1e-6).sum(0, keepdims=True)
        kernels = (weight.reshape(-1, 1, 1) * self.read(band) for weight, band in zip(weights, bands, strict=True))
        kernel = reduce(jnp.add, kernels)
        sharp = jnp.stack([contradicting_share(band, kernel) for band in bands]).max(0)
        enough = jnp.clip((shares.mean(0) - _FEW) / (_ENOUGH - _FEW), 0, 1)
        blurred = jnp.clip((_CLEAR - kernel.max((1, 2))) / (_CLEAR - _BLURRED), 0, 1)
        return kernel, enough * blurred * jnp.clip(2 - sharp / _SHARP, 0, 1)

    def restore_part(self, image: Image, condition: ConditionLike | None, context: tuple[Array, ...]) -> Image:
        """Restore parts of images whose kernel and confidence are known."""
        if not context:
            return self._restore(image, condition, None)
        kernel, sure = context
        image = check_image(image)
        restored = self._restore(image, condition, kernel)
        sure = sure.reshape(*image.shape[:-3], 1, 1, 1).astype(image.dtype)
        return jnp.where(sure < 1, image + sure * (restored - image), restored)

    def confidence(self, image: Image) -> Float[Array, "*batch"]:
        """Say how far the blur kernel of ``[*batch, height, width, channels]`` can be read, from 0 to 1.

        It is 0 where at most 2 % of the image shows features, and 1 from 10 % on. It is 0, too, where the kernel is
        nearly that of no blur, and where edges are sharper than the kernel permits (see ``layers/features.py``).

        Raises:
            ValueError: if the network has no filters and hence no kernel estimator.
        """
        self._check_filters()
        return self._read_bands(_luminance(image))[1].reshape(image.shape[:-3])

    def _restore(self, image: Image, condition: ConditionLike | None, kernel: Array | None) -> Image:
        def body(x):
            return self.body(self.append_filtered(x, image, kernel).astype(self.dtype))

        return self.apply_padded(body, image, condition, dtype=jnp.float32)

    def deconvolve(
        self,
        image: Image,
        kernel: Float[Array | np.ndarray, "*kernels rows columns"],
        condition: ConditionLike | None = None,
    ) -> Image:
        """Restore an image with a known blur kernel.

        Args:
            image: ``[*batch, height, width, channels]``.
            kernel: ``[*batch, side, side]`` of unit sum and odd side.
            condition: as the network was built for.

        Returns:
            Restored image of the same shape, not clipped.

        Raises:
            TypeError: if kernels are not floating point.
            ValueError: if kernels do not have an odd side, unit sum and the batch shape of the images, or the network
                has no filters.
        """
        self._check_filters()
        return self._restore(image, condition, _check_kernel(kernel, jnp.shape(image)))

    def kernel(self, image: Image) -> Float[Array, "*batch side side"]:
        """Estimate the blur kernel of ``[*batch, height, width, channels]``, of unit sum.

        Raises:
            ValueError: if the network has no filters and hence no kernel estimator.
        """
        self._check_filters()
        kernel = self._read_bands(_luminance(image))[0]
        return kernel.reshape(*image.shape[:-3], *kernel.shape[1:])

    def auxiliary_loss(self, image: Image, clean: Image) -> Array:
        """Compare the clean image, blurred with the estimated kernel, with the degraded image.

        Args:
            image: degraded, ``[*batch, height, width, channels]``.
            clean: of the same shape.

        Returns:
            Mean over images of the squared error of the image gradient, relative to that of the clean image.

        Raises:
            ValueError: if the network has no filters and hence no kernel estimator.
        """
        self._check_filters()
        image, clean = _luminance(image), _luminance(clean)
        kernel = self.read(image)
        margin = fourier.required_margin(kernel)
        image, clean = (fourier.extend_periodic(x[..., None], margin)[..., 0] for x in (image, clean))
        size = image.shape[1:]
        image, clean, weight = jnp.fft.rfft2(image), jnp.fft.rfft2(clean), fourier.gradient_power(size)
        power = lambda x: (weight * (x.real**2 + x.imag**2)).sum((1, 2))  # noqa: E731
        floor = 1e-4 * float(size[0] * size[1]) ** 2  # ignores flat images, which hold no information on blur
        return (power(fourier.transfer_function(kernel, size) * clean - image) / (power(clean) + floor)).mean()

    def _check_filters(self) -> None:
        if not self.filters:
            raise ValueError("this network has no Wiener filters and estimates no kernel; build it with filters=4")


def _luminance(image: Image) -> Array:
    """Return the mean of the channels, ``[batch, height, width]`` in float32."""
    return jnp.asarray(image.reshape(-1, *image.shape[-3:]), jnp.float32).mean(-1)


def _check_kernel(kernel: ArrayLike | Sequence, image_shape: tuple[int, ...]) -> Array:
    """Check kernels for images of a shape and return them as ``[batch, side, side]``."""
    kernel = kernel if isinstance(kernel, jax.Array) else np.asarray(kernel)
    shape = kernel.shape
    if len(shape) < 2 or shape[:-2] != image_shape[:-3] or shape[-1] != shape[-2] or shape[-1] % 2 == 0:
        raise ValueError(
            f"`kernel` must hold one square kernel of odd side per image, "
            f"got shape {shape} for images of shape {image_shape}"
        )
    if not jnp.issubdtype(kernel.dtype, jnp.floating):
        raise TypeError(f"`kernel` must be floating point with unit sum, got {kernel.dtype}")
    if not isinstance(kernel, Tracer):  # traced arrays have no values to check
        sums = np.asarray(kernel, np.float32).sum((-2, -1))
        if (wrong := sums[~(abs(sums - 1) <= 1e-3)]).size:
            raise ValueError(f"each kernel must sum to 1, got {wrong[0]:g}; divide it by its sum")
    return jnp.asarray(kernel, jnp.float32).reshape(-1, *shape[-2:])


def _init_balance(key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> Array:
    """Return the logarithms of noise-to-signal ratios from 0.001 to 0.1."""
    return jnp.log(jnp.geomspace(1e-3, 1e-1, shape[0], dtype=dtype))
