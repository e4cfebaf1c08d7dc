"""ResUNet: a residual U-Net of plain convolutions behind a pixel unshuffle."""

import flax.linen as nn
import jax.numpy as jnp

from ..layers.frame import framed
from ..layers.unet import UNet, unet_receptive_field
from ..types import Condition, DTypeLike, Image


class ResUNet(nn.Module):
    """Residual U-Net of 3x3 convolutions and ReLU that works from half the resolution downwards.

    Plain convolutions buy the most arithmetic per second on every device; the unshuffle saves three quarters of
    the pixels before the first of them. Blind: it estimates the damage itself unless given a condition.

    Attributes:
        channels: image channels.
        widths: channels of the levels, finest (half resolution) first.
        blocks: residual blocks per level and way.
        residual: predict the difference to the input instead of the image.
        condition_channels: channels of the condition map, 0 for a blind network.
        masked: the condition is a mask of known pixels: holes are filled first, known pixels copied through.
        dtype: type of the activations; parameters stay float32.

    Reference:
        After Zhang et al., Plug-and-play image restoration with deep denoiser prior (DRUNet), TPAMI 2022, and
        Zhang et al., FFDNet, TIP 2018 (the unshuffle).
    """

    channels: int = 1
    widths: tuple[int, ...] = (48, 96, 192)
    blocks: int = 2
    residual: bool = True
    condition_channels: int = 0
    masked: bool = False
    dtype: DTypeLike = jnp.float32

    @property
    def receptive_field(self) -> int | None:
        """Side of the square of input pixels that an output pixel sees; ``None``, all, if holes are filled."""
        if self.masked:
            return None
        return unet_receptive_field(len(self.widths), self.blocks)

    @nn.compact
    def __call__(self, image: Image, condition: Condition | None = None) -> Image:
        """Restore ``[*batch, height, width, channels]``, any height and width."""
        return framed(
            UNet(self.channels, self.widths, self.blocks, name="unet"),
            image,
            condition,
            channels=self.channels,
            condition_channels=self.condition_channels,
            masked=self.masked,
            residual=self.residual,
            multiple=2 ** len(self.widths),
            dtype=self.dtype,
        )
