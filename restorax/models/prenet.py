"""PReNet: one small network, run again and again on its own result, with a convolutional LSTM as memory."""

import flax.linen as nn
import jax.numpy as jnp

from ..layers.cells import ConvLSTM
from ..layers.conv import Conv
from ..layers.frame import framed
from ..types import Array, Condition, DTypeLike, Image


class PReNet(nn.Module):
    """Stages share all parameters: each sees the image and the estimate of the stage before, and remembers.

    168,963 parameters for RGB, as published.

    Attributes:
        channels: image channels.
        width: channels of features and memory.
        blocks: residual blocks of a stage.
        stages: how often the network runs.
        residual: predict the difference to the input (as published) instead of the image.
        condition_channels: channels of the condition map, 0 for a blind network.
        masked: the condition is a mask of known pixels: holes are filled first, known pixels copied through.
        dtype: type of the activations; gates and memory stay float32, parameters too.

    Reference:
        Ren et al., Progressive image deraining networks: a better and simpler baseline, CVPR 2019, section 3.
    """

    channels: int = 1
    width: int = 32
    blocks: int = 5
    stages: int = 6
    residual: bool = True
    condition_channels: int = 0
    masked: bool = False
    dtype: DTypeLike = jnp.float32

    @property
    def receptive_field(self) -> int | None:
        """Side of the square of input pixels that an output pixel sees; ``None``, all, if holes are filled."""
        if self.masked:
            return None
        return 1 + 2 * self.stages * (2 * self.blocks + 3)

    @nn.compact
    def __call__(self, image: Image, condition: Condition | None = None) -> Image:
        """Restore ``[*batch, height, width, channels]``, any height and width."""

        def network(x):
            stages = nn.scan(
                _Stage,
                variable_broadcast="params",
                split_rngs={"params": False},
                in_axes=nn.broadcast,
                length=self.stages,
            )(self.channels, self.width, self.blocks, self.residual, name="stage")
            degraded = x[..., : self.channels]
            memory = (jnp.zeros_like(x, jnp.float32, shape=(*x.shape[:-1], self.width)),) * 2
            first = jnp.zeros_like(degraded) if self.residual else degraded
            return stages((first, memory), x)[0][0]

        return framed(
            network,
            image,
            condition,
            channels=self.channels,
            condition_channels=self.condition_channels,
            masked=self.masked,
            residual=self.residual,
            dtype=self.dtype,
        )


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
