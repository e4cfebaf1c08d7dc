"""Blind deconvolution before a network: read the blur of an image off its cepstrum, undo it by Wiener filters."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike

from ..layers import fourier
from ..layers.kernel_reader import KernelReader
from ..types import Array, ConditionMap, DTypeLike, Float, Image
from .base import RestorationNetwork


class BlindDeconvolution(RestorationNetwork):
    """Base class of networks that estimate the blur kernel and see Wiener-filtered images beside the image.

    :meth:`body` sees the filters' results as further channels. Without filters it is a network like any other.

    Attributes:
        filters: number of Wiener filters, 0 for none.
        radius: half width of the blur kernel in pixels.
        reader: features of the kernel's reader.
    """

    filters: int = 4
    radius: int = 8
    reader: int = 256

    @property
    def has_auxiliary_loss(self) -> bool:
        """Whether there is a kernel estimate to be trained."""
        return self.filters > 0

    def setup(self) -> None:
        """Create reader and filters, from sharp and noisy to smooth."""
        if self.filters:
            self.read = KernelReader(self.radius, self.reader)
            self.balance = self.param("balance", _spread_balances, (self.filters,))

    def beside(self, x: Array, image: Image, kernel: Array | None) -> Array:
        """Append the filters' results to what the U-Net would see without them.

        Args:
            x: padded image, and other features after it, ``[batch, height, width, features]``.
            image: the image as it was given, off which the kernel is read.
            kernel: ``[batch, side, side]``, where it is known.

        Returns:
            ``[batch, height, width, features + filters * channels]``.
        """
        if not self.filters:
            return x
        kernel = self.read(_luminance(image)) if kernel is None else kernel
        filtered = fourier.wiener(x[..., : self.channels], kernel, jnp.exp(self.balance))
        return jnp.concatenate([x, filtered], axis=-1)

    def __call__(self, image: Image, condition: ConditionMap | None = None) -> Image:
        """Restore ``[*batch, height, width, channels]``, any height and width."""
        return self._restore(image, condition, None)

    def _restore(self, image: Image, condition: ConditionMap | None, kernel: Array | None) -> Image:
        def body(x):
            return self.body(self.beside(x, image, kernel).astype(self.dtype))

        return self.apply_padded(body, image, condition, dtype=jnp.float32)

    def deconvolve(
        self,
        image: Image,
        kernel: Float[Array | np.ndarray, "*kernels rows columns"],
        condition: ConditionMap | None = None,
    ) -> Image:
        """Restore an image whose blur is known.

        Args:
            image: ``[*batch, height, width, channels]``.
            kernel: ``[*batch, side, side]`` of unit sum, an odd side.
            condition: as the network was built for.

        Returns:
            Restored image of the same shape, not clipped.

        Raises:
            TypeError: if kernels are not floating point.
            ValueError: if there is not one kernel of an odd side and unit sum for every image, or the network has no
                filters.
        """
        self._need_filters()
        return self._restore(image, condition, _checked(kernel, jnp.shape(image)))

    def kernel(self, image: Image) -> Float[Array, "*batch side side"]:
        """The blur kernel that the network reads off ``[*batch, height, width, channels]``, of unit sum.

        Raises:
            ValueError: if the network has no filters, hence no reader.
        """
        self._need_filters()
        kernel = self.read(_luminance(image))
        return kernel.reshape(*image.shape[:-3], *kernel.shape[1:])

    def auxiliary_loss(self, image: Image, clean: Image) -> Array:
        """Error of the clean image, blurred with the estimated kernel, against the degraded one: it trains the reader.

        Args:
            image: degraded, ``[*batch, height, width, channels]``.
            clean: of the same shape.

        Returns:
            Mean over the images of the power of the differences' error, as a share of that of the clean differences.

        Raises:
            ValueError: if the network has no filters, hence no kernel to train.
        """
        self._need_filters()
        image, clean = _luminance(image), _luminance(clean)
        kernel = self.read(image)
        beyond = fourier.margin(kernel)
        image, clean = (fourier.periodic(x[..., None], beyond)[..., 0] for x in (image, clean))
        size = image.shape[1:]
        image, clean, weight = jnp.fft.rfft2(image), jnp.fft.rfft2(clean), fourier.roughness(size)
        power = lambda x: (weight * (x.real**2 + x.imag**2)).sum((1, 2))  # noqa: E731
        nothing = 1e-4 * float(size[0] * size[1]) ** 2  # flat images say nothing about their blur
        return (power(fourier.transfer(kernel, size) * clean - image) / (power(clean) + nothing)).mean()

    def _need_filters(self) -> None:
        if not self.filters:
            raise ValueError("this network reads no blur and has no filters; build it with filters=4")


def _luminance(image: Image) -> Array:
    """What the reader reads: the mean of the channels, ``[batch, height, width]`` in float32."""
    return jnp.asarray(image.reshape(-1, *image.shape[-3:]), jnp.float32).mean(-1)


def _checked(kernel: ArrayLike | Sequence, size: tuple[int, ...]) -> Array:
    """The kernels of images of a size, ``[batch, side, side]``, or what is wrong with them."""
    kernel = kernel if isinstance(kernel, jax.Array) else np.asarray(kernel)
    shape = kernel.shape
    if len(shape) < 2 or shape[:-2] != size[:-3] or shape[-1] != shape[-2] or shape[-1] % 2 == 0:
        raise ValueError(
            f"kernels of shape {shape} do not fit images of shape {size}; "
            "one square kernel of an odd side for every image is needed"
        )
    if not jnp.issubdtype(kernel.dtype, jnp.floating):
        raise TypeError(f"kernels have type {kernel.dtype}; floating point of unit sum is needed")
    if not isinstance(kernel, Tracer):  # which has no values to check
        sums = np.asarray(kernel, np.float32).sum((-2, -1))
        if (wrong := sums[~(abs(sums - 1) <= 1e-3)]).size:
            raise ValueError(f"a kernel sums to {wrong[0]:g}; 1 is needed (divide it by its sum)")
    return jnp.asarray(kernel, jnp.float32).reshape(-1, *shape[-2:])


def _spread_balances(key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> Array:
    """Logarithms of balances from 0.001 to 0.1."""
    return jnp.log(jnp.geomspace(1e-3, 1e-1, shape[0], dtype=dtype))
