"""DnCNN: a chain of convolutions that predicts the noise."""

from typing import ClassVar

import flax.linen as nn

from ..layers.conv import Conv
from ..types import Array
from .base import RestorationNetwork


class DnCNN(RestorationNetwork):
    """DnCNN with its batch normalisation folded into the convolutions, as its authors publish the weights.

    17 layers make DnCNN-S (one noise level), 20 layers DnCNN-B (blind) and DnCNN-3. Receptive field: 2 x depth + 1.

    Attributes:
        depth: number of 3x3 convolutions.
        width: channels between them.

    Reference:
        Zhang et al., Beyond a Gaussian denoiser: residual learning of deep CNN for image denoising, TIP 2017.
    """

    depth: int = 17
    width: int = 64

    convolutional: ClassVar = True

    @nn.compact
    def body(self, x: Array) -> Array:
        """Map the padded input to the restored image or the residual."""
        for i in range(self.depth - 1):
            x = Conv(self.width, relu=True, name=f"conv{i}")(x)
        return Conv(self.channels, name=f"conv{self.depth - 1}")(x)
