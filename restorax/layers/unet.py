"""Residual blocks and the residual U-Net on which several models are built."""

from collections.abc import Callable

import flax.linen as nn

from ..types import Array
from .conv import Conv, small_normal
from .resample import pixel_shuffle, pixel_unshuffle


class ResidualBlock(nn.Module):
    """``x + conv(relu(conv(x)))``.

    Attributes:
        features: channels in and out.
        bias: whether the convolutions have biases.
    """

    features: int
    bias: bool = True

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Map ``[batch, height, width, features]`` to the same shape."""
        y = Conv(self.features, relu=True, bias=self.bias, name="conv1")(x)
        return x + Conv(self.features, bias=self.bias, init=nn.initializers.zeros, name="conv2")(y)


class UNet(nn.Module):
    """Residual U-Net after a 2x pixel unshuffle; levels are joined by pixel (un)shuffle and 1x1 convolutions.

    Attributes:
        out_channels: channels of the output image.
        widths: channels of the levels, finest first; the finest level works at half the resolution.
        blocks: residual blocks per level, in the encoder, at the bottom and in the decoder.
        extra: makes a layer to follow each residual block of a level, applied as ``extra(level, name)(x)``.
    """

    out_channels: int
    widths: tuple[int, ...]
    blocks: int
    extra: Callable[[int, str], Callable[[Array], Array]] | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Map ``[batch, height, width, in_channels]`` to ``out_channels``; sides are multiples of ``2**levels``."""

        def level(x, index, path):
            for i in range(self.blocks):
                name = f"{path}{index}_block{i}"
                x = ResidualBlock(self.widths[index], name=name)(x)
                if self.extra is not None:
                    x = self.extra(index, f"{name}_extra")(x)
            return x

        x = Conv(self.widths[0], name="head")(pixel_unshuffle(x))
        skips = []
        bottom = len(self.widths) - 1
        for i in range(bottom):
            x = level(x, i, "down")
            skips.append(x)
            x = Conv(self.widths[i + 1], size=1, name=f"shrink{i}")(pixel_unshuffle(x))
        x = level(x, bottom, "bottom")
        for i in reversed(range(bottom)):
            x = pixel_shuffle(Conv(4 * self.widths[i], size=1, name=f"grow{i}")(x)) + skips[i]
            x = level(x, i, "up")
        return pixel_shuffle(Conv(4 * self.out_channels, init=small_normal, name="tail")(x))
