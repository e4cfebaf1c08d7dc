"""Partial and gated convolutions, for inpainting."""

import flax.linen as nn
import jax.numpy as jnp

from ..types import Array
from . import conv
from .conv import Conv
from .parameters import param


class PartialConv(nn.Module):
    """Partial convolution and ReLU: a 3x3 convolution of known pixels, normalised by their share of the window.

    ``y = W (x m) / mean(m) + b`` where the window has a known pixel, and 0 where it has none. The mean is over the
    window; pixels beyond the border are unknown.

    Attributes:
        features: output channels.

    Reference:
        Liu et al., Image inpainting for irregular holes using partial convolutions, ECCV 2018, equations 1 and 2.
    """

    features: int

    @nn.compact
    def __call__(self, x: Array, known: Array) -> tuple[Array, Array]:
        """Convolve ``[batch, height, width, in_channels]``, zero where unknown.

        Args:
            x: features, already multiplied by the mask.
            known: share of known channels per pixel, ``[batch, height, width, 1]`` in [0, 1].

        Returns:
            ``[batch, height, width, features]``, and the mask of output pixels with a known pixel in their window.
        """
        window = jnp.full((3, 3, 1, 1), 1 / 9, known.dtype)
        mean = conv.conv_bias_act(known, window)
        any_known = (mean > 0).astype(x.dtype)
        bias = param(self, "bias", nn.initializers.zeros, (self.features,)).astype(x.dtype).reshape(1, 1, 1, -1)
        y = Conv(self.features, bias=False, name="conv")(x)
        return nn.relu(y * any_known / jnp.where(mean > 0, mean, 1) + bias * any_known), any_known


class GatedConv(nn.Module):
    """Gated 3x3 convolution: ``elu(W x) * sigmoid(V x)``.

    Attributes:
        features: output channels.

    Reference:
        Yu et al., Free-form image inpainting with gated convolution, ICCV 2019, equation 3.
    """

    features: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Map ``[batch, height, width, in_channels]`` to ``[batch, height, width, features]``."""
        value, gate = jnp.split(Conv(2 * self.features, name="conv")(x), 2, axis=-1)
        return nn.elu(value) * nn.sigmoid(gate)
