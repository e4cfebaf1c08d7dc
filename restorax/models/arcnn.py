"""AR-CNN: four convolutions that remove JPEG compression artifacts."""

from typing import ClassVar

import flax.linen as nn

from ..layers.conv import Conv, small_normal
from ..types import Array
from .base import RestorationNetwork


class ARCNN(RestorationNetwork):
    """AR-CNN: feature extraction, feature enhancement, mapping, reconstruction.

    106,448 weights and 113 biases for gray images. Receptive field: 19.

    Attributes:
        widths: channels after each convolution except the last.
        sizes: kernel sizes.
        residual: predict the residual instead of the image (as published).

    Reference:
        Dong et al., Compression artifacts reduction by a deep convolutional network, ICCV 2015, section 3.
    """

    widths: tuple[int, ...] = (64, 32, 16)
    sizes: tuple[int, ...] = (9, 7, 1, 5)
    residual: bool = False

    convolutional: ClassVar = True

    @nn.compact
    def body(self, x: Array) -> Array:
        """Map the padded input to the restored image or the residual."""
        *inner, last = self.sizes
        for i, (features, size) in enumerate(zip(self.widths, inner, strict=True)):
            x = Conv(features, size=size, relu=True, name=f"conv{i}")(x)
        return Conv(self.channels, size=last, init=small_normal, name=f"conv{len(inner)}")(x)
