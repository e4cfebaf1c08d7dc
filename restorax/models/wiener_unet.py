"""WienerUNet: reads the blur of an image off its cepstrum, undoes it by Wiener filters, and judges the results."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from ..layers import fourier
from ..layers.conv import Conv, small_normal
from ..layers.frame import framed
from ..layers.unet import UNet
from ..types import Array, Condition, DTypeLike, Float, Image


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


class WienerUNet(nn.Module):
    """Blind deblurring in three steps: estimate the kernel, invert it, restore what inverting spoils.

    Several Wiener filters, from sharp and noisy to smooth, undo the estimated blur at once; a residual U-Net sees
    their results beside the image and makes one of them. :meth:`kernel` shows the estimate, and :meth:`deconvolve`
    takes a kernel that is known. One kernel serves the whole image.

    Attributes:
        channels: image channels; all have the same blur.
        widths: channels of the levels of the U-Net, finest (half resolution) first.
        blocks: residual blocks per level and way.
        radius: half width of the kernel in pixels.
        filters: number of Wiener filters.
        reader: features of the kernel's reader.
        residual: predict the difference to the input instead of the image.
        condition_channels: channels of the condition map, which the U-Net sees, 0 for none.
        dtype: type of the activations of the U-Net; spectra and parameters are float32.

    Reference:
        Dong et al., Deep Wiener deconvolution, NeurIPS 2020 (filters before a network); Zhang et al., Plug-and-play
        image restoration with deep denoiser prior, TPAMI 2022 (the U-Net).
    """

    channels: int = 1
    widths: tuple[int, ...] = (48, 96, 192)
    blocks: int = 2
    radius: int = 8
    filters: int = 4
    reader: int = 256
    residual: bool = True
    condition_channels: int = 0
    dtype: DTypeLike = jnp.float32

    @property
    def receptive_field(self) -> None:
        """``None``: every pixel takes part in the kernel, and in every frequency."""
        return None

    def setup(self) -> None:
        """Create reader, filters and U-Net."""
        self.read = KernelReader(self.radius, self.reader)
        self.balance = self.param("balance", _spread_balances, (self.filters,))
        self.unet = UNet(self.channels, self.widths, self.blocks)

    def __call__(self, image: Image, condition: Condition | None = None) -> Image:
        """Restore ``[*batch, height, width, channels]``, any height and width."""
        return self._restore(image, condition, None)

    def deconvolve(
        self, image: Image, kernel: Float[Array, "*kernels rows columns"], condition: Condition | None = None
    ) -> Image:
        """Restore an image whose blur is known.

        Args:
            image: ``[*batch, height, width, channels]``.
            kernel: ``[*batch, side, side]`` of unit sum, an odd side, equal to itself turned by 180 degrees.
            condition: as the network was built for.

        Returns:
            Restored image of the same shape, not clipped.

        Raises:
            ValueError: if there is not one kernel of an odd side for every image.

        Example:
            >>> model, image = WienerUNet(widths=(8, 8), blocks=1), jnp.ones((16, 16, 1))
            >>> variables = model.init(jax.random.key(0), image)
            >>> model.apply(variables, image, jnp.ones((3, 3)) / 9, method="deconvolve").shape
            (16, 16, 1)
        """
        if kernel.shape[:-2] != image.shape[:-3] or kernel.shape[-1] != kernel.shape[-2] or kernel.shape[-1] % 2 == 0:
            raise ValueError(
                f"kernels of shape {kernel.shape} do not fit images of shape {image.shape}; "
                "one square kernel of an odd side for every image is needed"
            )
        return self._restore(image, condition, kernel.reshape(-1, *kernel.shape[-2:]))

    def kernel(self, image: Image) -> Float[Array, "*batch side side"]:
        """The blur kernel that the network reads off ``[*batch, height, width, channels]``, of unit sum.

        Example:
            >>> model, image = WienerUNet(widths=(8, 8), blocks=1), jnp.ones((16, 16, 1))
            >>> model.apply(model.init(jax.random.key(0), image), image, method="kernel").shape
            (17, 17)
        """
        kernel = self.read(_luminance(image))
        return kernel.reshape(*image.shape[:-3], *kernel.shape[1:])

    def guide(self, image: Image, clean: Image) -> Array:
        """How far the clean image, blurred with the estimated kernel, is from the degraded one: what trains the reader.

        Args:
            image: degraded, ``[*batch, height, width, channels]``.
            clean: of the same shape.

        Returns:
            Mean over the images of the power of the differences' error, as a share of that of the clean differences.
        """
        image, clean = _luminance(image), _luminance(clean)
        kernel = self.read(image)
        beyond = fourier.margin(kernel)
        image, clean = (fourier.periodic(x[..., None], beyond)[..., 0] for x in (image, clean))
        size = image.shape[1:]
        image, clean, weight = jnp.fft.rfft2(image), jnp.fft.rfft2(clean), fourier.roughness(size)
        power = lambda x: (weight * (x.real**2 + x.imag**2)).sum((1, 2))  # noqa: E731
        nothing = 1e-4 * float(size[0] * size[1]) ** 2  # flat images say nothing about their blur
        return (power(fourier.transfer(kernel, size) * clean - image) / (power(clean) + nothing)).mean()

    def _restore(self, image: Image, condition: Condition | None, kernel: Array | None) -> Image:
        def network(x):
            observed = x[..., : self.channels]
            known = self.read(observed.mean(-1)) if kernel is None else kernel
            filtered = fourier.wiener(observed, known, jnp.exp(self.balance))
            return self.unet(jnp.concatenate([x, filtered], axis=-1).astype(self.dtype))

        return framed(
            network,
            image,
            condition,
            channels=self.channels,
            condition_channels=self.condition_channels,
            residual=self.residual,
            multiple=2 ** len(self.widths),
        )


def _luminance(image: Image) -> Array:
    """What the reader reads: the mean of the channels, ``[batch, height, width]`` in float32."""
    return image.reshape(-1, *image.shape[-3:]).astype(jnp.float32).mean(-1)


def _spread_balances(key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> Array:
    """Logarithms of balances from 0.001 to 0.1."""
    return jnp.log(jnp.geomspace(1e-3, 1e-1, *shape, dtype=dtype))
