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


def check_levels(levels: tuple[int, ...], widths: tuple[int, ...], name: str) -> None:
    """Refuse levels that a U-Net does not have.

    Args:
        levels: those at which something is added.
        widths: channels of the levels that there are.
        name: how the message calls ``levels``.

    Raises:
        ValueError: if a level has no width.

    Example:
        >>> check_levels((2,), (8, 8), "scan_levels")
        Traceback (most recent call last):
        ValueError: scan_levels are (2,); with the widths (8, 8) there are the levels [0, 1]
    """
    if set(levels) - set(there := range(len(widths))):
        raise ValueError(f"{name} are {levels}; with the widths {widths} there are the levels {list(there)}")


def unet_receptive_field(levels: int, blocks: int) -> int:
    """Side in pixels of what an output pixel of :class:`UNet` sees at most.

    Args:
        levels: number of levels.
        blocks: residual blocks per level and way, each of two 3x3 convolutions.

    Returns:
        Pixels; exact for the worst alignment of the pixel to the coarser grids.
    """
    return widest(lambda span: unet_span(span, (2 * blocks,) * levels), 2**levels)


def unet_span(span: tuple[int, int], radii: tuple[int, ...]) -> tuple[int, int]:
    """First and last pixel that an interval of output pixels of :class:`UNet` sees, along one axis.

    Args:
        span: first and last output pixel.
        radii: by how many cells the blocks of a level look to each side, on each way; finest level first.

    Returns:
        First and last input pixel.

    Example:
        >>> unet_span((0, 0), (2,))
        (-8, 9)
    """

    def coarser(first, last):
        return first // 2, last // 2

    def finer(first, last):
        return 2 * first, 2 * last + 1

    def wider(first, last, cells):
        return first - cells, last + cells

    span = wider(*coarser(*span), 1)  # the tail
    for radius in radii[:-1]:
        span = coarser(*wider(*span, radius))
    span = wider(*span, radii[-1])
    for radius in reversed(radii[:-1]):
        span = wider(*finer(*span), radius)
    return finer(*wider(*span, 1))  # the head


def widest(span_of: Callable[[tuple[int, int]], tuple[int, int]], period: int) -> int:
    """Pixels that one output pixel sees at most, over its alignments to a grid.

    Args:
        span_of: maps first and last output pixel to first and last input pixel.
        period: side of the grid in pixels.

    Returns:
        The largest number of input pixels along one axis.
    """
    spans = (span_of((pixel, pixel)) for pixel in range(period))
    return max(last - first + 1 for first, last in spans)
