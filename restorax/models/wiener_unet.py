"""WienerUNet: reads the blur of an image off its cepstrum, undoes it by Wiener filters, and judges the results."""

import jax.numpy as jnp

from ..layers.deconvolution import BlindDeconvolution
from ..layers.frame import framed
from ..layers.unet import UNet
from ..types import Array, Condition, DTypeLike, Image


class WienerUNet(BlindDeconvolution):
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

    Example:
        >>> import jax
        >>> model, image = WienerUNet(widths=(8, 8), blocks=1), jnp.ones((16, 16, 1))
        >>> variables = jax.jit(model.init)(jax.random.key(0), image)
        >>> model.apply(variables, image, method="kernel").shape
        (17, 17)
        >>> model.apply(variables, image, jnp.ones((3, 3)) / 9, method="deconvolve").shape
        (16, 16, 1)
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
        self.prepare()
        self.unet = UNet(self.channels, self.widths, self.blocks)

    def _restore(self, image: Image, condition: Condition | None, kernel: Array | None) -> Image:
        return framed(
            lambda x: self.unet(self.beside(x, image, kernel).astype(self.dtype)),
            image,
            condition,
            channels=self.channels,
            condition_channels=self.condition_channels,
            residual=self.residual,
            multiple=2 ** len(self.widths),
        )
