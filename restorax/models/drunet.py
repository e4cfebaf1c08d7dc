"""DRUNet: a bias-free residual U-Net for denoising, conditioned on the noise level."""

from typing import ClassVar

import flax.linen as nn

from ..layers.conv import Conv, TransposedConv, small_normal
from ..layers.resample import pixel_unshuffle
from ..layers.unet import ResidualBlock
from ..types import Array, Condition
from .base import RestorationNetwork


class DRUNet(RestorationNetwork):
    """DRUNet: four scales, residual blocks, strided and transposed convolutions, sums as skip connections.

    Without biases the network is homogeneous: scaling image and noise level scales the output. 32,638,656 parameters
    for gray images.

    Attributes:
        widths: channels of the scales, finest first.
        blocks: residual blocks per scale and path.
        residual: predict the residual instead of the image (as published).
        condition: the noise level (as published), or none for a blind network.

    Reference:
        Zhang et al., Plug-and-play image restoration with deep denoiser prior, TPAMI 2022, section 3.
    """

    widths: tuple[int, ...] = (64, 128, 256, 512)
    blocks: int = 4
    residual: bool = False
    condition: Condition = Condition.NOISE_LEVEL

    accepts: ClassVar = (Condition.NOISE_LEVEL, Condition.NONE)
    convolutional: ClassVar = True

    @property
    def multiple(self) -> int:
        """Both sides are multiples of this."""
        return 2 ** (len(self.widths) - 1)

    @nn.compact
    def body(self, x: Array) -> Array:
        """Map the padded input to the restored image or the residual."""
        coarsest = len(self.widths) - 1

        def chain(x, name):
            for i in range(self.blocks):
                x = ResidualBlock(x.shape[-1], bias=False, name=f"{name}_block{i}")(x)
            return x

        x = Conv(self.widths[0], bias=False, name="head")(x)
        skips = [x]
        for i in range(coarsest):
            x = pixel_unshuffle(chain(x, f"down{i}"))
            x = Conv(self.widths[i + 1], size=1, bias=False, name=f"shrink{i}")(x)
            skips.append(x)
        x = chain(x, "body")
        for i in reversed(range(coarsest)):
            x = TransposedConv(self.widths[i], bias=False, name=f"grow{i}")(x + skips.pop())
            x = chain(x, f"up{i}")
        return Conv(self.channels, bias=False, init=small_normal, name="tail")(x + skips.pop())
