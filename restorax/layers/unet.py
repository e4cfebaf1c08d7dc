"""A residual U-Net of plain convolutions, with room for another block beside its own."""

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
    """Residual U-Net behind a 2x pixel unshuffle; resolution changes by (un)shuffling and a 1x1 convolution.

    Attributes:
        out_channels: channels of the output image.
        widths: channels of the levels, finest first; the finest level works at half the resolution.
        blocks: residual blocks per level on the way down, at the bottom and on the way up.
        extra: gives what follows each residual block of a level, as ``extra(level, name)(x)``, or nothing.
    """

    out_channels: int
    widths: tuple[int, ...]
    blocks: int
    extra: Callable[[int, str], Callable[[Array], Array]] | None = None

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Map ``[batch, height, width, in_channels]`` to ``out_channels``; sides are multiples of ``2**levels``."""

        def level(x, index, way):
            for i in range(self.blocks):
                name = f"{way}{index}_block{i}"
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
