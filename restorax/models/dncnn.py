"""DnCNN: a straight chain of convolutions that predicts the noise."""

import flax.linen as nn
import jax.numpy as jnp

from ..layers.conv import Conv
from ..layers.frame import framed
from ..types import Condition, DTypeLike, Image


class DnCNN(nn.Module):
    """DnCNN with its batch normalisation folded into the convolutions, as its authors publish the weights.

    17 layers make DnCNN-S (one noise level), 20 layers DnCNN-B (blind) and DnCNN-3. Receptive field: 2 x depth + 1.

    Attributes:
        channels: image channels.
        depth: number of 3x3 convolutions.
        width: channels between them.
        residual: predict the difference to the input (as published) instead of the image.
        condition_channels: channels of the condition map, 0 for a blind network.
        dtype: type of the activations; parameters stay float32.

    Reference:
        Zhang et al., Beyond a Gaussian denoiser: residual learning of deep CNN for image denoising, TIP 2017.
    """

    channels: int = 1
    depth: int = 17
    width: int = 64
    residual: bool = True
    condition_channels: int = 0
    dtype: DTypeLike = jnp.float32

    @property
    def receptive_field(self) -> int:
        """Side of the square of input pixels that an output pixel sees."""
        return 2 * self.depth + 1

    @nn.compact
    def __call__(self, image: Image, condition: Condition | None = None) -> Image:
        """Restore ``[*batch, height, width, channels]``, any height and width."""

        def network(x):
            for i in range(self.depth - 1):
                x = Conv(self.width, relu=True, name=f"conv{i}")(x)
            return Conv(self.channels, name=f"conv{self.depth - 1}")(x)

        return framed(
            network,
            image,
            condition,
            channels=self.channels,
            condition_channels=self.condition_channels,
            residual=self.residual,
            dtype=self.dtype,
        )
