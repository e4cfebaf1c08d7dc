"""MIMO-UNet: a deblurring U-Net with inputs at three scales."""

import flax.linen as nn
import jax.numpy as jnp

from ..layers import conv
from ..layers.conv import Conv, TransposedConv, small_normal
from ..layers.parameters import param
from ..layers.resample import repeat_pixels
from ..layers.unet import ResidualBlock
from ..types import Array
from .base import RestorationNetwork


class StridedConv(nn.Module):
    """A 3x3 convolution of stride 2 and ReLU.

    Attributes:
        features: output channels.
    """

    features: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Map ``[batch, height, width, in_channels]``, both sides even, to half the sides."""
        kernel = param(self, "kernel", nn.initializers.he_normal(), (3, 3, x.shape[-1], self.features))
        bias = param(self, "bias", nn.initializers.zeros, (self.features,))
        x = jnp.pad(x, ((0, 0), (1, 0), (1, 0), (0, 0)))
        return conv.conv_bias_act(x, kernel, bias, strides=(2, 2), padding="VALID", relu=True)


class ShallowFeatures(nn.Module):
    """Shallow features of a downsampled input (SCM in the paper).

    Attributes:
        features: output channels.
    """

    features: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Map ``[batch, height, width, in_channels]`` to ``features`` channels."""
        sizes = ((self.features // 4, 3), (self.features // 2, 1), (self.features // 2, 3))
        y = x
        for i, (features, size) in enumerate((*sizes, (self.features - x.shape[-1], 1))):
            y = Conv(features, size=size, relu=True, name=f"conv{i}")(y)
        return Conv(self.features, size=1, name="merge")(jnp.concatenate([x, y], -1))


class Fusion(nn.Module):
    """Merge features of all scales at one scale (AFF in the paper).

    Attributes:
        features: output channels.
    """

    features: int

    @nn.compact
    def __call__(self, *scales: Array) -> Array:
        """Map several ``[batch, height, width, *]`` to ``[batch, height, width, features]``."""
        x = Conv(self.features, size=1, relu=True, name="conv0")(jnp.concatenate(scales, -1))
        return Conv(self.features, name="conv1")(x)


class MIMOUNet(RestorationNetwork):
    """MIMO-UNet: downsampled inputs enter at every scale, features of all scales are fused, one output is returned.

    6.8 million parameters with 8 blocks and 16.1 with 20 (MIMO-UNet+), as published. The two convolutions that
    produce coarse outputs for the published training loss (5,190 of these parameters) are omitted.

    Attributes:
        width: channels of the finest scale; the coarser ones have two and four times as many.
        blocks: residual blocks per scale and path.

    Reference:
        Cho et al., Rethinking coarse-to-fine approach in single image deblurring, ICCV 2021, section 3.
    """

    channels: int = 3
    width: int = 32
    blocks: int = 8

    @property
    def multiple(self) -> int:
        """Both sides are multiples of this."""
        return 4

    @nn.compact
    def body(self, x: Array) -> Array:
        """Map the padded input to the restored image or the residual."""
        width = self.width

        def chain(x, name):
            for i in range(self.blocks):
                x = ResidualBlock(x.shape[-1], name=f"{name}_block{i}")(x)
            return x

        def down(x, level, downsampled):
            x = StridedConv(width * 2**level, name=f"shrink{level}")(x)
            shallow = ShallowFeatures(width * 2**level, name=f"shallow{level}")(downsampled)
            x = x + Conv(width * 2**level, name=f"attend{level}")(x * shallow)
            return chain(x, f"encoder{level}")

        def up(x, level, skip):
            x = TransposedConv(width * 2**level, size=4, relu=True, name=f"grow{level}")(x)
            x = Conv(width * 2**level, size=1, relu=True, name=f"join{level}")(jnp.concatenate([x, skip], -1))
            return chain(x, f"decoder{level}")

        fine = chain(Conv(width, relu=True, name="head")(x), "encoder0")
        middle = down(fine, 1, x[:, ::2, ::2])
        coarse = down(middle, 2, x[:, ::4, ::4])
        fine_skip = Fusion(width, name="fuse0")(fine, repeat_pixels(middle, 2), repeat_pixels(coarse, 4))
        middle_skip = Fusion(2 * width, name="fuse1")(fine[:, ::2, ::2], middle, repeat_pixels(coarse, 2))
        x = up(chain(coarse, "decoder2"), 1, middle_skip)
        x = up(x, 0, fine_skip)
        return Conv(self.channels, init=small_normal, name="tail")(x)
