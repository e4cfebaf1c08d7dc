"""IRCNN: a short chain of dilated convolutions, a fast denoiser for plug-and-play restoration."""

import flax.linen as nn
import jax.numpy as jnp

from ..layers.conv import Conv
from ..layers.field import receptive_field
from ..layers.frame import framed
from ..types import Condition, DTypeLike, Image


class IRCNN(nn.Module):
    """IRCNN denoiser with its batch normalisation folded into the convolutions.

    185,857 parameters for gray images. Receptive field: 33. Published as 25 networks, one per noise level.

    Attributes:
        channels: image channels.
        dilations: of the 3x3 convolutions.
        width: channels between them.
        residual: predict the difference to the input (as published) instead of the image.
        condition_channels: channels of the condition map, 0 for a blind network.
        dtype: type of the activations; parameters stay float32.

    Reference:
        Zhang et al., Learning deep CNN denoiser prior for image restoration, CVPR 2017, section 4.
    """

    channels: int = 1
    dilations: tuple[int, ...] = (1, 2, 3, 4, 3, 2, 1)
    width: int = 64
    residual: bool = True
    condition_channels: int = 0
    dtype: DTypeLike = jnp.float32

    @property
    def receptive_field(self) -> int:
        """Side of the square of input pixels that an output pixel sees."""
        return receptive_field(*(("conv", dilation) for dilation in self.dilations))

    @nn.compact
    def __call__(self, image: Image, condition: Condition | None = None) -> Image:
        """Restore ``[*batch, height, width, channels]``, any height and width."""

        def network(x):
            last = len(self.dilations) - 1
            for i, dilation in enumerate(self.dilations):
                features = self.width if i < last else self.channels
                x = Conv(features, dilation=dilation, relu=i < last, name=f"conv{i}")(x)
            return x

        return framed(
            network,
            image,
            condition,
            channels=self.channels,
            condition_channels=self.condition_channels,
            residual=self.residual,
            dtype=self.dtype,
        )
