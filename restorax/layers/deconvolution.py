"""Blind deconvolution before a network: read the blur of an image off its cepstrum, undo it by Wiener filters."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from ..types import Array, Condition, DTypeLike, Float, Image
from . import fourier
from .conv import Conv, small_normal


class KernelReader(nn.Module):
    """Reads one blur kernel off the cepstra of all parts of an image.

    Echoes of edges stand in a cepstrum at the distances at which the blur repeats them, whatever the image shows.
    Cepstra know no sign, so kernels are their own mirror images, as those of defocus and straight motion are. What is
    turned by a right angle or mirrored is read turned or mirrored: each kernel teaches four directions.

    Attributes:
        radius: half width of the kernel in pixels.
        width: features of a window, and of their mean.

    Reference:
        Cannon, Blind deconvolution of spatially invariant image blurs with phase, IEEE TASSP 1976 (the cepstrum).
    """

    radius: int
    width: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Map ``[batch, height, width]`` to kernels ``[batch, side, side]`` that are not negative and sum to 1."""
        # Echoes of edges are up to twice the radius away; windows must be larger by far.
        side, lags, window = 2 * self.radius + 1, 5 * self.radius // 2, 8 * self.radius
        cepstra = _turned(jnp.arcsinh(fourier.cepstrum(fourier.windows(x, window), lags)))
        x = cepstra[..., lags:].reshape(-1, 1, cepstra.shape[2], (2 * lags + 1) * (lags + 1))
        x = Conv(self.width, size=1, relu=True, name="window1")(x)
        x = Conv(self.width, size=1, relu=True, name="window2")(x).mean(2, keepdims=True)
        x = Conv(self.width, size=1, relu=True, name="image")(x)
        logits = Conv(side * side, size=1, init=small_normal, name="taps")(x).reshape(4, -1, side, side)
        logits = _turned_back(logits).mean(0)
        logits = (logits + logits[:, ::-1, ::-1]) / 2
        offsets = jnp.arange(-self.radius, self.radius + 1.0)
        # A peak with long tails to start from. A softmax reads long motion worse: what is rarely part of a kernel it
        # pushes to where its slope is nothing.
        start = jnp.log(jnp.expm1(4 / (1 + offsets[:, None] ** 2 + offsets[None, :] ** 2) ** 1.5))
        taps = nn.softplus(4 * logits + start[None])
        return taps / taps.sum((1, 2), keepdims=True)


def _turned(x: Array) -> Array:
    """The four ways to turn and mirror what is its own mirror image, on a new first axis."""
    turned = x.swapaxes(-1, -2)
    return jnp.stack([x, x[..., ::-1, :], turned, turned[..., ::-1, :]])


def _turned_back(x: Array) -> Array:
    plain, mirrored, turned, both = x
    return jnp.stack([plain, mirrored[..., ::-1, :], turned.swapaxes(-1, -2), both[..., ::-1, :].swapaxes(-1, -2)])


class BlindDeconvolution(nn.Module):
    """What networks share that see Wiener filters beside the image, by a blur that they read off it.

    A network inherits from it, has the fields ``radius``, ``filters`` and ``reader``, calls :meth:`prepare` in its
    ``setup``, and says in ``_restore`` what it makes of :meth:`beside`. Without filters it is a network as any other.
    """

    def prepare(self) -> None:
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

    def __call__(self, image: Image, condition: Condition | None = None) -> Image:
        """Restore ``[*batch, height, width, channels]``, any height and width."""
        return self._restore(image, condition, None)

    def deconvolve(
        self,
        image: Image,
        kernel: Float[Array | np.ndarray, "*kernels rows columns"],
        condition: Condition | None = None,
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

    def guide(self, image: Image, clean: Image) -> Array:
        """How far the clean image, blurred with the estimated kernel, is from the degraded one: what trains the reader.

        Args:
            image: degraded, ``[*batch, height, width, channels]``.
            clean: of the same shape.

        Returns:
            Mean over the images of the power of the differences' error, as a share of that of the clean differences.

        Raises:
            ValueError: if the network has no filters, hence nothing to guide.
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
    return image.reshape(-1, *image.shape[-3:]).astype(jnp.float32).mean(-1)


def _checked(kernel: Any, size: tuple[int, ...]) -> Array:
    """The kernels of images of a size, ``[batch, side, side]``, or what is wrong with them."""
    if not isinstance(kernel, jax.Array):
        kernel = np.asarray(kernel)
    shape = kernel.shape
    if len(shape) < 2 or shape[:-2] != size[:-3] or shape[-1] != shape[-2] or shape[-1] % 2 == 0:
        raise ValueError(
            f"kernels of shape {shape} do not fit images of shape {size}; "
            "one square kernel of an odd side for every image is needed"
        )
    if not jnp.issubdtype(kernel.dtype, jnp.floating):
        raise TypeError(f"kernels have type {kernel.dtype}; floating point of unit sum is needed")
    if not isinstance(kernel, jax.core.Tracer):  # which has no values to check
        sums = np.asarray(kernel, np.float32).sum((-2, -1))
        if (wrong := sums[~(abs(sums - 1) <= 1e-3)]).size:
            raise ValueError(f"a kernel sums to {wrong[0]:g}; 1 is needed (divide it by its sum)")
    return jnp.asarray(kernel, jnp.float32).reshape(-1, *shape[-2:])


def _spread_balances(key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> Array:
    """Logarithms of balances from 0.001 to 0.1."""
    return jnp.log(jnp.geomspace(1e-3, 1e-1, *shape, dtype=dtype))
