"""IRCNN: a fast denoiser of dilated convolutions for plug-and-play restoration."""

from typing import ClassVar

import flax.linen as nn

from ..layers.conv import Conv
from ..types import Array
from .base import RestorationNetwork


class IRCNN(RestorationNetwork):
    """IRCNN denoiser with its batch normalisation folded into the convolutions.

    185,857 parameters for gray images. Receptive field: 33. Published as 25 networks, one per noise level.

    Attributes:
        dilations: dilation of each 3x3 convolution.
        width: channels between them.

    Reference:
        Zhang et al., Learning deep CNN denoiser prior for image restoration, CVPR 2017, section 4.
    """

    dilations: tuple[int, ...] = (1, 2, 3, 4, 3, 2, 1)
    width: int = 64

    convolutional: ClassVar = True

    @nn.compact
    def body(self, x: Array) -> Array:
        """Map the padded input to the restored image or the residual."""
        last = len(self.dilations) - 1
        for i, dilation in enumerate(self.dilations):
            features = self.width if i < last else self.channels
            x = Conv(features, dilation=dilation, relu=i < last, name=f"conv{i}")(x)
        return x
