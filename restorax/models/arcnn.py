"""AR-CNN: four convolutions against compression artifacts."""

import flax.linen as nn
import jax.numpy as jnp

from ..layers.conv import Conv, small_normal
from ..layers.field import receptive_field
from ..layers.frame import framed
from ..types import Condition, DTypeLike, Image


class ARCNN(nn.Module):
    """AR-CNN: feature extraction, feature enhancement, mapping, reconstruction.

    106,448 weights and 113 biases for gray images. Receptive field: 19.

    Attributes:
        channels: image channels.
        widths: channels after every convolution but the last.
        sizes: sides of the kernels.
        residual: predict the difference to the input instead of the image (as published).
        condition_channels: channels of the condition map, 0 for a blind network.
        dtype: type of the activations; parameters stay float32.

    Reference:
        Dong et al., Compression artifacts reduction by a deep convolutional network, ICCV 2015, section 3.
    """

    channels: int = 1
    widths: tuple[int, ...] = (64, 32, 16)
    sizes: tuple[int, ...] = (9, 7, 1, 5)
    residual: bool = False
    condition_channels: int = 0
    dtype: DTypeLike = jnp.float32

    @property
    def receptive_field(self) -> int:
        """Side of the square of input pixels that an output pixel sees."""
        return receptive_field(*(("conv", size // 2) for size in self.sizes))

    @nn.compact
    def __call__(self, image: Image, condition: Condition | None = None) -> Image:
        """Restore ``[*batch, height, width, channels]``, any height and width."""

        def network(x):
            *inner, last = self.sizes
            for i, (features, size) in enumerate(zip(self.widths, inner, strict=True)):
                x = Conv(features, size=size, relu=True, name=f"conv{i}")(x)
            return Conv(self.channels, size=last, init=small_normal, name=f"conv{len(inner)}")(x)

        return framed(
            network,
            image,
            condition,
            channels=self.channels,
            condition_channels=self.condition_channels,
            residual=self.residual,
            dtype=self.dtype,
        )
