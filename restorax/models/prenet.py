"""PReNet: one small network applied repeatedly to its own output, with a convolutional LSTM."""

from typing import ClassVar

import flax.linen as nn
import jax.numpy as jnp

from ..layers.cells import ConvLSTM
from ..layers.conv import Conv
from ..types import Array
from .base import RestorationNetwork


class PReNet(RestorationNetwork):
    """Progressive network: stages share parameters and see the image, the previous estimate and an LSTM state.

    168,963 parameters for RGB, as published.

    Attributes:
        width: channels of features and memory.
        blocks: residual blocks of a stage.
        stages: number of times the network runs.

    Reference:
        Ren et al., Progressive image deraining networks: a better and simpler baseline, CVPR 2019, section 3.
    """

    width: int = 32
    blocks: int = 5
    stages: int = 6

    convolutional: ClassVar = True

    @nn.compact
    def body(self, x: Array) -> Array:
        """Map the padded input to the restored image or the residual."""
        stages = nn.scan(
            _Stage,
            variable_broadcast="params",
            split_rngs={"params": False},
            in_axes=nn.broadcast,  # pyright: ignore[reportArgumentType]
            length=self.stages,
        )(self.channels, self.width, self.blocks, self.residual, name="stage")
        degraded = x[..., : self.channels]
        zeros = jnp.zeros_like(x, jnp.float32, shape=(*x.shape[:-1], self.width))
        first = jnp.zeros_like(degraded) if self.residual else degraded
        return stages((first, (zeros, zeros)), x)[0][0]


class _Stage(nn.Module):
    """``((output, memory), input) -> (output, memory)``; the output is the image, or its difference to the input."""

    channels: int
    width: int
    blocks: int
    residual: bool

    @nn.compact
    def __call__(self, carry: tuple[Array, tuple[Array, Array]], x: Array) -> tuple[tuple, None]:
        out, memory = carry
        estimate = x[..., : self.channels] + out if self.residual else out
        y = Conv(self.width, relu=True, name="head")(jnp.concatenate([x, estimate], axis=-1))
        memory = ConvLSTM(self.width, name="memory").step(memory, y)
        y = memory[0].astype(x.dtype)
        for i in range(self.blocks):
            inside = Conv(self.width, relu=True, name=f"block{i}_conv1")(y)
            y = nn.relu(y + Conv(self.width, relu=True, name=f"block{i}_conv2")(inside))
        return (Conv(self.channels, init=nn.initializers.lecun_normal(), name="tail")(y), memory), None
