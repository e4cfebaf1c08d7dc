"""FFDNet: a fast denoiser at half the resolution, conditioned on the noise level."""

from typing import ClassVar

import flax.linen as nn
import jax.numpy as jnp

from ..layers.conv import Conv
from ..layers.resample import pixel_shuffle, pixel_unshuffle
from ..types import Array, Condition
from .base import RestorationNetwork


class FFDNet(RestorationNetwork):
    """FFDNet: pixel unshuffle, a chain of 3x3 convolutions over the sub-images and the noise-level map, shuffle.

    485,316 parameters for gray images; 852,108 for colour (depth 12, width 96). Receptive field: 4 x depth + 2.

    Attributes:
        depth: number of 3x3 convolutions, 15 for gray and 12 for colour images.
        width: channels between them, 64 for gray and 96 for colour images.
        residual: predict the residual instead of the image (as published).
        condition: the noise level (as published), or none for a blind network.

    Reference:
        Zhang et al., FFDNet: toward a fast and flexible solution for CNN-based image denoising, TIP 2018, section III.
    """

    depth: int = 15
    width: int = 64
    residual: bool = False
    condition: Condition = Condition.NOISE_LEVEL

    accepts: ClassVar = (Condition.NOISE_LEVEL, Condition.NONE)
    convolutional: ClassVar = True

    @property
    def multiple(self) -> int:
        """Both sides are multiples of this."""
        return 2

    @nn.compact
    def body(self, x: Array) -> Array:
        """Map the padded input to the restored image or the residual."""
        pixels, levels = x[..., : self.channels], x[..., self.channels :]
        n, height, width, k = levels.shape
        # Average the map over each 2x2 block.
        levels = levels.reshape(n, height // 2, 2, width // 2, 2, k).mean((2, 4))
        x = jnp.concatenate([pixel_unshuffle(pixels), levels], -1)
        for i in range(self.depth - 1):
            x = Conv(self.width, relu=True, name=f"conv{i}")(x)
        return pixel_shuffle(Conv(4 * self.channels, name=f"conv{self.depth - 1}")(x))
