"""WienerUNet: blind deblurring by kernel estimation, Wiener filters and a residual U-Net."""

from typing import ClassVar

from ..layers.unet import UNet
from ..types import Array, Condition
from .blind_deconvolution import BlindDeconvolution


class WienerUNet(BlindDeconvolution):
    """Blind deblurring in three steps: estimate the kernel, invert the blur, remove the artifacts of inversion.

    Several Wiener filters, from sharp and noisy to smooth, undo the estimated blur; a residual U-Net combines their
    results with the image. :meth:`kernel` returns the estimate, and :meth:`deconvolve` takes a known kernel. One kernel
    applies to the whole image and all its channels.

    Attributes:
        widths: channels of the levels of the U-Net, finest (half resolution) first.
        blocks: residual blocks per level and path.

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

    # The kernel is estimated from the unfilled image, so masks are not supported.
    accepts: ClassVar = (Condition.NONE, Condition.NOISE_LEVEL, Condition.JPEG_QUALITY)

    @property
    def multiple(self) -> int:
        """Both sides are multiples of this."""
        return 2 ** len(self.widths)

    def setup(self) -> None:
        """Create the kernel estimator, the filters and the U-Net."""
        super().setup()
        self.unet = UNet(self.channels, self.widths, self.blocks)

    def body(self, x: Array) -> Array:
        """Map the padded input to the restored image or the residual."""
        return self.unet(x)
