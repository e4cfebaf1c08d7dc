"""Convolutions that know which pixels are missing."""

import flax.linen as nn
import jax.numpy as jnp

from ..types import Array
from . import conv
from .conv import Conv


class PartialConv(nn.Module):
    """A convolution of known pixels only, scaled up where few are known.

    ``y = W (x m) / mean(m) + b`` where the window has a known pixel, and 0 where it has none; means are over the
    window of the kernel, with nothing known beyond the border. Followed by ReLU.

    Attributes:
        features: output channels.
        size: side of the square kernel.

    Reference:
        Liu et al., Image inpainting for irregular holes using partial convolutions, ECCV 2018, equations 1 and 2.
    """

    features: int
    size: int = 3

    @nn.compact
    def __call__(self, x: Array, known: Array) -> tuple[Array, Array]:
        """Convolve ``[batch, height, width, in_channels]``, zero where unknown.

        Args:
            x: features, already multiplied by the mask.
            known: share of the channels that are known at a pixel, ``[batch, height, width, 1]`` in [0, 1].

        Returns:
            ``[batch, height, width, features]``, and the new mask of zeros and ones.
        """
        window = jnp.full((self.size, self.size, 1, 1), 1 / self.size**2, known.dtype)
        mean = conv.conv_bias_act(known, window)
        seen = (mean > 0).astype(x.dtype)
        bias = self.param("bias", nn.initializers.zeros, (self.features,)).astype(x.dtype).reshape(1, 1, 1, -1)
        y = Conv(self.features, size=self.size, bias=False, name="conv")(x)
        return nn.relu(y * seen / jnp.where(mean > 0, mean, 1) + bias * seen), seen


class GatedConv(nn.Module):
    """A convolution whose every output is weighted by a second, learned one: ``elu(W x) * sigmoid(V x)``.

    Attributes:
        features: output channels.
        size: side of the square kernels.

    Reference:
        Yu et al., Free-form image inpainting with gated convolution, ICCV 2019, equation 3.
    """

    features: int
    size: int = 3

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Map ``[batch, height, width, in_channels]`` to ``[batch, height, width, features]``."""
        value, gate = jnp.split(Conv(2 * self.features, size=self.size, name="conv")(x), 2, axis=-1)
        return nn.elu(value) * nn.sigmoid(gate)
