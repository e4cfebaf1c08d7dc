"""VideoRNN: a causal recurrent network that restores every frame of a video."""

from typing import ClassVar

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from ..layers.conv import Conv, small_normal
from ..layers.motion import correlate, displacements, is_cut, warp
from ..layers.resample import double, pixel_shuffle, pixel_unshuffle
from ..layers.unet import ResidualBlock
from ..types import Array, ConditionLike, Float, Image
from .base import RestorationNetwork

Video = Float[Array | np.ndarray, "*batch frames height width channel"]
State = tuple[Array, Array, Array]

_BLOCK = 8  # pixels of the averages in which cuts are detected
_MATCHED = 16  # channels of the features that are matched


class VideoRNN(RestorationNetwork):
    align: str = "flow"
    widths: tuple[int, ...] = (32, 64, 120)
    radius: int = 4

    takes_frames: ClassVar = True

    @property
    def multiple(self) -> int:
        return 8

    def setup(self) -> None:
        self.encoder = _Encoder(self.widths)
        self.recurrence = _Recurrence(self.channels, self.widths, self.radius, self.align)

    def __call__(self, image: Video, condition: ConditionLike | None = None) -> Video:
        if jnp.ndim(image) < 4 or not image.shape[-4]:
            raise ValueError(f"a video must have shape [*batch, frames, height, width, channels], got {jnp.shape(image)}")
        count = image.shape[-4]

        def body(x):
            encoded = self._encode(x)
            sequence = [jnp.moveaxis(part.reshape(-1, count, *part.shape[1:]), 1, 0) for part in encoded]
            scan = nn.scan(
                lambda recurrence, state, encoded: recurrence(state, encoded),
                variable_broadcast="params",
                split_rngs={"params": False},
            )
            restored = scan(self.recurrence, self.recurrence.start([part[0] for part in sequence]), tuple(sequence))[1]
            return jnp.moveaxis(restored, 0, 1).reshape(x.shape[0], *restored.shape[2:])

        return self.apply_padded(body, image, condition)

    def _encode(self, x):
        height, width = x.shape[1:3]
        image = x[..., : self.channels].astype(jnp.float32)
        blocks = image.reshape(-1, height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK, self.channels).mean((2, 4))
        return (*self.encoder(x), blocks)


class _Encoder(nn.Module):
    widths: tuple[int, ...]

    @nn.compact
    def __call__(self, x):
        fine, coarse, _ = self.widths
        x = Conv(fine, name="head")(pixel_unshuffle(x))
        x = ResidualBlock(fine, name="fine")(x)
        y = Conv(coarse, size=1, name="shrink")(pixel_unshuffle(x))
        y = ResidualBlock(coarse, name="coarse")(y)
        matched = Conv(_MATCHED, size=1, name="matched")(y).astype(jnp.float32)
        matched = matched / jnp.sqrt((matched**2).mean(-1, keepdims=True) + 1e-6)
        return x, y, matched


class _Recurrence(nn.Module):
    channels: int
    widths: tuple[int, ...]
    radius: int
    align: str

    def start(self, encoded):
        fine, _, matched, blocks = encoded
        return jnp.zeros_like(fine, jnp.float32), jnp.zeros_like(matched), jnp.zeros_like(blocks)

    @nn.compact
    def __call__(self, state, encoded):
        fine_width, coarse_width, bottom_width = self.widths
        fine, coarse, matched, blocks = encoded
        hidden, previous, previous_blocks = state
        kept = 1 - is_cut(blocks, previous_blocks).astype(jnp.float32).reshape(-1, 1, 1, 1)
        hidden = hidden * kept
        if self.align == "flow":
            correlation = correlate(matched, previous, self.radius)
            scale = self.param("sharpness", nn.initializers.constant(16.0), ())
            bias = self.param("bias", nn.initializers.zeros, (correlation.shape[-1],))
            likely = nn.softmax(scale * correlation + bias.reshape(1, 1, 1, -1))
            flow = likely @ displacements(self.radius)
            spread = -(likely * jnp.log(likely + 1e-9)).sum(-1, keepdims=True)
            clues = jnp.concatenate([coarse, flow.astype(coarse.dtype), spread.astype(coarse.dtype), likely.max(-1, keepdims=True).astype(coarse.dtype)], -1)
            y = Conv(32, relu=True, name="refine1")(clues)
            flow = flow + Conv(2, init=nn.initializers.zeros, name="refine2")(y).astype(jnp.float32)
            hidden = warp(hidden, 2 * double(flow))
        elif self.align == "shift":
            n = fine_width // 2
            still, moving = hidden[..., :n], hidden[..., n:]
            steps = [(-2, -2), (-2, 0), (-2, 2), (0, -2), (0, 2), (2, -2), (2, 0), (2, 2)]
            groups = jnp.split(moving, 8, -1)
            hidden = jnp.concatenate([still, *(jnp.roll(g, s, (1, 2)) for g, s in zip(groups, steps))], -1)
        x = Conv(fine_width, name="join")(jnp.concatenate([fine, hidden.astype(fine.dtype)], -1))
        y = Conv(coarse_width, size=1, name="shrink0")(pixel_unshuffle(x)) + coarse
        y = ResidualBlock(coarse_width, name="down")(y)
        z = Conv(bottom_width, size=1, name="shrink1")(pixel_unshuffle(y))
        for i in range(2):
            z = ResidualBlock(bottom_width, name=f"bottom{i}")(z)
        y = y + pixel_shuffle(Conv(4 * coarse_width, size=1, name="grow1")(z))
        y = ResidualBlock(coarse_width, name="up")(y)
        x = x + pixel_shuffle(Conv(4 * fine_width, size=1, name="grow0")(y))
        x = ResidualBlock(fine_width, name="fine")(x)
        update, candidate = jnp.split(Conv(2 * fine_width, name="gates")(x).astype(jnp.float32), 2, -1)
        update = nn.sigmoid(update)
        hidden = update * jnp.tanh(candidate) + (1 - update) * hidden
        x = x + Conv(fine_width, size=1, name="recall")(hidden.astype(x.dtype))
        x = ResidualBlock(fine_width, name="last")(x)
        restored = pixel_shuffle(Conv(4 * self.channels, init=small_normal, name="tail")(x))
        return (hidden, matched, blocks), restored
