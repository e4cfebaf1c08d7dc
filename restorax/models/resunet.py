"""ResUNet: a residual U-Net of plain convolutions behind a pixel unshuffle."""

from typing import ClassVar

import flax.linen as nn

from ..layers.unet import UNet
from ..types import Array
from .base import RestorationNetwork


class ResUNet(RestorationNetwork):
    """Residual U-Net of 3x3 convolutions and ReLU that works from half the resolution downwards.

    Plain convolutions reach the highest throughput on every device, and the unshuffle quarters the number of pixels
    before the first of them. Blind unless built with a condition.

    Attributes:
        widths: channels of the levels, finest (half resolution) first.
        blocks: residual blocks per level and path.

    Reference:
        After Zhang et al., Plug-and-play image restoration with deep denoiser prior (DRUNet), TPAMI 2022, and
        Zhang et al., FFDNet, TIP 2018 (the unshuffle).
    """

    widths: tuple[int, ...] = (48, 96, 192)
    blocks: int = 2

    convolutional: ClassVar = True

    @property
    def multiple(self) -> int:
        """Both sides are multiples of this."""
        return 2 ** len(self.widths)

    @nn.compact
    def body(self, x: Array) -> Array:
        """Map the padded input to the restored image or the residual."""
        return UNet(self.channels, self.widths, self.blocks, name="unet")(x)
