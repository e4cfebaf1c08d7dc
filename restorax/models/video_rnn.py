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
State = tuple[Array, ...]

_BLOCK = 8  # pixels of the averages in which cuts are detected
_MATCHED = 16  # channels of the features that are matched


class VideoRNN(RestorationNetwork):
    """A small residual U-Net of every frame with a gated state, which is warped along the motion between the frames.

    Takes any number of frames, ``[*batch, frames, height, width, channels]``, and restores each from itself and those
    before it; :meth:`step` does so as frames arrive. The motion is estimated at a quarter of the resolution from the
    correlation of learned features within a window, and refined by convolutions. The state is an average of earlier
    features with learned weights, bounded for any length of video. It is forgotten where the video is cut.

    Attributes:
        widths: channels at a half, a quarter and an eighth of the resolution; the state has the first of them.
        radius: of the window, in pixels of the quarter resolution.
        aligned: whether the state is warped; without, the network is the baseline of an ablation.

    Reference:
        Sajjadi et al., Frame-recurrent video super-resolution, CVPR 2018 (the warped state); Dosovitskiy et al.,
        FlowNet, ICCV 2015 (the correlation); Chung et al., Empirical evaluation of gated recurrent neural networks,
        2014, equation 7 (the update gate).
    """

    widths: tuple[int, ...] = (32, 64, 120)
    radius: int = 4
    aligned: bool = True

    takes_frames: ClassVar = True

    @property
    def multiple(self) -> int:
        """Both sides are multiples of this."""
        return 8

    def setup(self) -> None:
        """Create encoder and recurrence."""
        self.encoder = _Encoder(self.widths)
        self.recurrence = _Recurrence(self.channels, self.widths, self.radius if self.aligned else None)

    def __call__(self, image: Video, condition: ConditionLike | None = None) -> Video:
        """Restore every frame of ``[*batch, frames, height, width, channels]``."""
        if jnp.ndim(image) < 4 or not image.shape[-4]:
            raise ValueError(
                f"a video must have shape [*batch, frames, height, width, channels], got {jnp.shape(image)}"
            )
        count = image.shape[-4]

        def body(x):
            encoded = self._encode(x)
            sequence = tuple(jnp.moveaxis(part.reshape(-1, count, *part.shape[1:]), 1, 0) for part in encoded)
            state = _start(tuple(part[0] for part in sequence))
            scan = nn.scan(_Recurrence.advance, variable_broadcast="params", split_rngs={"params": False})
            restored = scan(self.recurrence, state, sequence)[1]
            return jnp.moveaxis(restored, 0, 1).reshape(x.shape[0], *restored.shape[2:])

        return self.apply_padded(body, image, condition)

    def start(self, frame: Image) -> State:
        """Return the state before the first frame.

        Args:
            frame: any frame, ``[*batch, height, width, channels]``; only its shape is used.

        Returns:
            Zeros, the first carry of :meth:`step`: hidden state, features to match and averages of blocks.
        """
        rows, columns = (-(-side // 8) for side in frame.shape[-3:-1])
        shapes = ((4, self.widths[0]), (2, _MATCHED), (1, self.channels))
        return tuple(
            jnp.zeros_like(frame, jnp.float32, shape=(*frame.shape[:-3], scale * rows, scale * columns, depth))
            for scale, depth in shapes
        )

    def step(self, carry: State, frame: Image, condition: ConditionLike | None = None) -> tuple[State, Image]:
        """Restore the next frame of a stream.

        Args:
            carry: from :meth:`start` or the previous frame.
            frame: ``[*batch, height, width, channels]``.
            condition: of this frame.

        Returns:
            The carry for the next frame, and this frame restored as a call with all frames would restore it.

        Raises:
            ValueError: if the frame has another size than the previous ones.

        Example:
            >>> import jax
            >>> model, frame = VideoRNN(widths=(4, 4, 4)), jnp.zeros((6, 5, 1))
            >>> variables = model.init(jax.random.key(0), frame[None])
            >>> carry = model.apply(variables, frame, method="start")
            >>> carry, restored = model.apply(variables, carry, frame, method="step")
            >>> restored.shape
            (6, 5, 1)
        """
        expected = [part.shape for part in self.start(frame)]
        if [part.shape for part in carry] != expected:
            raise ValueError(
                f"the carry must have shapes {expected} for this frame, got {[part.shape for part in carry]}"
            )
        after: list[State] = []

        def body(x):
            flat = tuple(part.reshape(x.shape[0], *part.shape[-3:]) for part in carry)
            state, restored = self.recurrence.advance(flat, self._encode(x))
            after.append(state)
            return restored

        restored = self.apply_padded(body, frame, condition)
        return tuple(part.reshape(shape) for part, shape in zip(after[0], expected, strict=True)), restored

    def _encode(self, x: Array) -> tuple[Array, ...]:
        """Return what the recurrence needs of a frame: features at two scales and to match, and averages of blocks."""
        height, width = x.shape[1:3]
        image = x[..., : self.channels].astype(jnp.float32)
        blocks = image.reshape(-1, height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK, self.channels).mean((2, 4))
        return (*self.encoder(x), blocks)


def _start(encoded: tuple[Array, ...]) -> State:
    fine, _, matched, blocks = encoded
    return jnp.zeros_like(fine, jnp.float32), jnp.zeros_like(matched), jnp.zeros_like(blocks)


class _Encoder(nn.Module):
    """Map a frame to features at a half and a quarter of its resolution, and to unit features for matching."""

    widths: tuple[int, ...]

    @nn.compact
    def __call__(self, x: Array) -> tuple[Array, Array, Array]:
        fine_width, coarse_width, _ = self.widths
        fine = Conv(fine_width, name="head")(pixel_unshuffle(x))
        fine = ResidualBlock(fine_width, name="fine")(fine)
        coarse = Conv(coarse_width, size=1, name="shrink")(pixel_unshuffle(fine))
        coarse = ResidualBlock(coarse_width, name="coarse")(coarse)
        matched = Conv(_MATCHED, size=1, name="matched")(coarse).astype(jnp.float32)
        return fine, coarse, matched / jnp.sqrt((matched**2).mean(-1, keepdims=True) + 1e-6)


class _Recurrence(nn.Module):
    """Restore a frame from its features and the state, and update the state."""

    channels: int
    widths: tuple[int, ...]
    radius: int | None  # None: the state is not aligned

    @nn.compact
    def advance(self, state: State, encoded: tuple[Array, ...]) -> tuple[State, Array]:
        """Map the state and :meth:`VideoRNN._encode` of a frame to the next state and the restored frame."""
        fine_width, coarse_width, bottom_width = self.widths
        fine, coarse, matched, blocks = encoded
        hidden, previous, previous_blocks = state
        hidden = jnp.where(is_cut(blocks, previous_blocks).reshape(-1, 1, 1, 1), 0, hidden)
        if self.radius is not None:
            hidden = warp(hidden, 2 * double(self._flow(coarse, matched, previous, self.radius)))
        x = Conv(fine_width, name="join")(jnp.concatenate([fine, hidden.astype(fine.dtype)], -1))
        y = Conv(coarse_width, size=1, name="shrink0")(pixel_unshuffle(x)) + coarse
        y = ResidualBlock(coarse_width, name="down")(y)
        z = Conv(bottom_width, size=1, name="shrink1")(pixel_unshuffle(y))
        for number in range(2):
            z = ResidualBlock(bottom_width, name=f"bottom{number}")(z)
        y = y + pixel_shuffle(Conv(4 * coarse_width, size=1, name="grow1")(z))
        y = ResidualBlock(coarse_width, name="up")(y)
        x = x + pixel_shuffle(Conv(4 * fine_width, size=1, name="grow0")(y))
        x = ResidualBlock(fine_width, name="fine")(x)
        gate, candidate = jnp.split(Conv(2 * fine_width, name="gates")(x).astype(jnp.float32), 2, -1)
        gate = nn.sigmoid(gate)
        hidden = gate * jnp.tanh(candidate) + (1 - gate) * hidden
        x = x + Conv(fine_width, size=1, name="recall")(hidden.astype(x.dtype))
        x = ResidualBlock(fine_width, name="last")(x)
        restored = pixel_shuffle(Conv(4 * self.channels, init=small_normal, name="tail")(x))
        return (hidden, matched, blocks), restored

    def _flow(self, coarse: Array, matched: Array, previous: Array, radius: int) -> Array:
        """Estimate the motion to the previous frame in pixels of the quarter resolution, ``[..., 2]``."""
        correlation = correlate(matched, previous, radius)
        sharpness = self.param("sharpness", nn.initializers.constant(16.0), ())
        prior = self.param("prior", nn.initializers.zeros, (correlation.shape[-1],))
        likely = nn.softmax(sharpness * correlation + prior.reshape(1, 1, 1, -1))
        flow = likely @ displacements(radius)
        spread = -(likely * jnp.log(likely + 1e-9)).sum(-1, keepdims=True)
        clues = [flow, spread, likely.max(-1, keepdims=True)]
        y = jnp.concatenate([coarse, *(clue.astype(coarse.dtype) for clue in clues)], -1)
        y = Conv(32, relu=True, name="refine1")(y)
        return flow + Conv(2, init=nn.initializers.zeros, name="refine2")(y).astype(jnp.float32)
