"""WienerUNet: reads the blur of an image off its cepstrum, undoes it by Wiener filters, and judges the results."""

from typing import ClassVar

from ..layers.unet import UNet
from ..types import Array, Condition
from .blind_deconvolution import BlindDeconvolution


class WienerUNet(BlindDeconvolution):
    """Blind deblurring in three steps: estimate the kernel, invert it, restore what inverting spoils.

    Several Wiener filters, from sharp and noisy to smooth, undo the estimated blur at once; a residual U-Net sees
    their results beside the image and makes one of them. :meth:`kernel` shows the estimate, and :meth:`deconvolve`
    takes a kernel that is known. One kernel serves the whole image and all its channels.

    Attributes:
        widths: channels of the levels of the U-Net, finest (half resolution) first.
        blocks: residual blocks per level and way.

    Reference:
        Dong et al., Deep Wiener deconvolution, NeurIPS 2020 (filters before a network); Zhang et al., Plug-and-play
        image restoration with deep denoiser prior, TPAMI 2022 (the U-Net).

    Example:
        >>> import jax, jax.numpy as jnp
        >>> model, image = WienerUNet(widths=(8, 8), blocks=1), jnp.ones((16, 16, 1))
        >>> variables = jax.jit(model.init)(jax.random.key(0), image)
        >>> model.apply(variables, image, method="kernel").shape
        (17, 17)
        >>> model.apply(variables, image, jnp.ones((3, 3)) / 9, method="deconvolve").shape
        (16, 16, 1)
    """

    widths: tuple[int, ...] = (48, 96, 192)
    blocks: int = 2

    # The blur is read off the image as given, whose holes may hold anything.
    accepts: ClassVar = (Condition.NONE, Condition.NOISE_LEVEL, Condition.JPEG_QUALITY)

    @property
    def multiple(self) -> int:
        """Both sides are multiples of this."""
        return 2 ** len(self.widths)

    def setup(self) -> None:
        """Create reader, filters and U-Net."""
        super().setup()
        self.unet = UNet(self.channels, self.widths, self.blocks)

    def body(self, x: Array) -> Array:
        """Map what the network sees to what it predicts."""
        return self.unet(x)
