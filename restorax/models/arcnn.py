"""AR-CNN: four convolutions against compression artifacts."""

import flax.linen as nn

from ..layers.conv import Conv, small_normal
from ..types import Array
from .base import RestorationNetwork


class ARCNN(RestorationNetwork):
    """AR-CNN: feature extraction, feature enhancement, mapping, reconstruction.

    106,448 weights and 113 biases for gray images. Receptive field: 19.

    Attributes:
        widths: channels after every convolution but the last.
        sizes: sides of the kernels.
        residual: predict the difference to the input instead of the image (as published).

    Reference:
        Dong et al., Compression artifacts reduction by a deep convolutional network, ICCV 2015, section 3.
    """

    widths: tuple[int, ...] = (64, 32, 16)
    sizes: tuple[int, ...] = (9, 7, 1, 5)
    residual: bool = False

    @nn.compact
    def body(self, x: Array) -> Array:
        """Map what the network sees to what it predicts."""
        *inner, last = self.sizes
        for i, (features, size) in enumerate(zip(self.widths, inner, strict=True)):
            x = Conv(features, size=size, relu=True, name=f"conv{i}")(x)
        return Conv(self.channels, size=last, init=small_normal, name=f"conv{len(inner)}")(x)
