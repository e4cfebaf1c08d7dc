"""StageUNet: a small U-Net applied several times, with convolutional memory at its coarsest level."""

from typing import ClassVar

import flax.linen as nn
import jax.numpy as jnp

from ..layers.cells import ConvGRU
from ..layers.conv import Conv
from ..layers.unet import UNet
from ..types import Array
from .base import RestorationNetwork


class StageUNet(RestorationNetwork):
    """Stage recurrence at the scale of a U-Net: depth from repetition instead of from parameters.

    Stages share all parameters. Each sees the degraded image, the estimate of the previous stage, and the hidden states
    of the previous stages: after each residual block of the coarsest level, a GRU with half as many channels.

    Attributes:
        widths: channels of the levels, finest (half resolution) first.
        blocks: residual blocks per level and path.
        stages: number of times the network runs.

    Reference:
        After Ren et al., Progressive image deraining networks (PReNet), CVPR 2019; the U-Net after DRUNet (Zhang et
        al., TPAMI 2022).
    """

    widths: tuple[int, ...] = (32, 64, 128)
    blocks: int = 1
    stages: int = 4

    convolutional: ClassVar = True

    @property
    def multiple(self) -> int:
        """Both sides are multiples of this."""
        return 2 ** len(self.widths)

    @nn.compact
    def body(self, x: Array) -> Array:
        """Map the padded input to the restored image or the residual."""
        stages = nn.scan(
            _Stage,
            variable_broadcast="params",
            split_rngs={"params": False},
            in_axes=nn.broadcast,  # pyright: ignore[reportArgumentType]
            length=self.stages,
        )(self.channels, self.widths, self.blocks, self.residual, name="stage")
        degraded = x[..., : self.channels]
        first = jnp.zeros_like(degraded) if self.residual else degraded
        n, height, width, _ = x.shape
        shape = (n, height // self.multiple, width // self.multiple, _memory_width(self.widths))
        states = ((jnp.zeros_like(x, jnp.float32, shape=shape),),) * self.blocks
        return stages((first, states), x)[0][0]


def _memory_width(widths: tuple[int, ...]) -> int:
    return max(1, round(widths[-1] / 2))


class _Stage(nn.Module):
    """``((output, states), input) -> (output, states)``; the output is the image, or its difference to the input."""

    channels: int
    widths: tuple[int, ...]
    blocks: int
    residual: bool

    @nn.compact
    def __call__(self, carry: tuple[Array, tuple], x: Array) -> tuple[tuple, None]:
        out, states = carry
        estimate = x[..., : self.channels] + out if self.residual else out
        remaining, updated = list(states), []

        def memory(level, name):
            return (lambda y: update(y, name)) if level == len(self.widths) - 1 else (lambda y: y)

        def update(y, name):
            updated.append(ConvGRU(_memory_width(self.widths), name=name).step(remaining.pop(0), y))
            hidden = updated[-1][0].astype(y.dtype)
            return y + Conv(self.widths[-1], size=1, init=nn.initializers.zeros, name=f"{name}_out")(hidden)

        unet = UNet(self.channels, self.widths, self.blocks, memory, name="unet")
        return (unet(jnp.concatenate([x, estimate], axis=-1)), tuple(updated)), None
