"""VideoRNN: a causal recurrent network that restores every frame of a video."""

from typing import Any, ClassVar

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from ..layers.conv import Conv, small_normal
from ..layers.motion import correlate, displacements, is_cut, is_followed, warp
from ..layers.resample import double, pixel_shuffle, pixel_unshuffle
from ..layers.unet import ResidualBlock
from ..types import Array, Condition, ConditionLike, Float, Image
from .base import RestorationNetwork

Video = Float[Array | np.ndarray, "*batch frames height width channel"]
State = tuple[Array, ...]

_BLOCK = 8  # pixels of the averages in which cuts are detected
_MEMORIES = ("warped", "fixed", "none")
_MATCHED = 16  # channels of the features that are matched


class VideoRNN(RestorationNetwork):
    """A small residual U-Net of every frame with a gated state, which is warped along the motion between the frames.

    Takes any number of frames, ``[*batch, frames, height, width, channels]``, and restores each from itself and those
    before it; :meth:`step` does so as frames arrive. The motion is estimated at a quarter of the resolution from the
    correlation of learned features within a window, and refined by convolutions. The state is an average of earlier
    features with learned weights, bounded for any length of video. It is forgotten where the video is cut, and where
    the estimated motion does not explain the frame.

    Attributes:
        widths: channels at a half, a quarter and an eighth of the resolution; the state has the first of them.
        radius: of the window, in pixels of the quarter resolution.
        memory: ``"warped"`` along the motion; ``"fixed"`` in place and ``"none"`` are the baselines of an ablation.

    Reference:
        Sajjadi et al., Frame-recurrent video super-resolution, CVPR 2018 (the warped state); Dosovitskiy et al.,
        FlowNet, ICCV 2015 (the correlation); Chung et al., Empirical evaluation of gated recurrent neural networks,
        2014, equation 7 (the update gate).
    """

    widths: tuple[int, ...] = (32, 64, 120)
    radius: int = 4
    memory: str = "warped"

    takes_frames: ClassVar = True

    @property
    def multiple(self) -> int:
        """Both sides are multiples of this."""
        return 8

    def setup(self) -> None:
        """Create encoder, estimator of motion and recurrence."""
        if self.memory not in _MEMORIES:
            raise ValueError(f"`memory` must be one of {', '.join(_MEMORIES)}, got {self.memory!r}")
        self.encoder = _Encoder(self.widths)
        self.motion = _Motion(self.radius) if self.memory == "warped" else None
        self.recurrence = _Recurrence(self.channels, self.widths)

    @property
    def has_auxiliary_loss(self) -> bool:
        """Whether the network estimates motion, which the auxiliary loss trains; it does not know masks."""
        return self.memory == "warped" and self.condition is Condition.NONE

    def __call__(self, image: Video, condition: ConditionLike | None = None) -> Video:
        """Restore every frame of ``[*batch, frames, height, width, channels]``."""
        count = _frames(image)

        def body(x):
            encoded = self._encode(x, count)
            # The motion does not depend on the state: it is estimated for all frames at once.
            sequence = self._guide(encoded, tuple(_delayed(part) for part in encoded[2:]))
            hidden = jnp.zeros_like(encoded[0][0], jnp.float32)
            scan = nn.scan(_Recurrence.advance, variable_broadcast="params", split_rngs={"params": False})
            restored = scan(self.recurrence, hidden, sequence)[1]
            return jnp.moveaxis(restored, 0, 1).reshape(x.shape[0], *restored.shape[2:])

        return self.apply_padded(body, image, condition)

    def auxiliary_loss(self, image: Video, clean: Video) -> Array:
        """Compare each clean frame with the previous one, which is warped along the estimated motion.

        Args:
            image: degraded, ``[*batch, frames, height, width, channels]`` of at least 8 x 8 pixels.
            clean: of the same shape.

        Returns:
            Mean absolute difference at a quarter of the resolution; 0 of a single frame.

        Reference:
            Sajjadi et al., Frame-recurrent video super-resolution, CVPR 2018, equation 4.
        """
        if self.motion is None:
            raise ValueError("this network estimates no motion; build it with memory='warped'")
        count = _frames(image)
        if count == 1:
            return jnp.zeros(())
        height, width = (side // self.multiple * self.multiple for side in image.shape[-3:-1])
        crop = lambda video: video[..., :height, :width, :].reshape(-1, height, width, self.channels)  # noqa: E731
        _, coarse, matched, _ = self._encode(crop(jnp.asarray(image, self.dtype)), count)
        small = _by_frame(_block_means(crop(clean), 4), count)
        flow = self.motion(*(_joined(part) for part in (coarse[1:], matched[1:], matched[:-1])))
        return jnp.abs(warp(_joined(small[:-1]), flow) - _joined(small[1:])).mean()

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
            hidden, *previous = (part.reshape(1, x.shape[0], *part.shape[-3:]) for part in carry)
            encoded = self._encode(x, 1)
            (sequence,) = zip(*self._guide(encoded, tuple(previous)), strict=True)
            hidden, restored = self.recurrence.advance(hidden[0], sequence)
            after.append((hidden, encoded[2][0], encoded[3][0]))
            return restored

        restored = self.apply_padded(body, frame, condition)
        return tuple(part.reshape(shape) for part, shape in zip(after[0], expected, strict=True)), restored

    def _encode(self, x: Array, count: Any) -> tuple[Array, ...]:
        """Return features at two scales and to match, and averages of blocks, ``[frames, batch, ...]`` each."""
        blocks = _block_means(x[..., : self.channels].astype(jnp.float32), _BLOCK)
        return tuple(_by_frame(part, count) for part in (*self.encoder(x), blocks))

    def _guide(self, encoded: tuple[Array, ...], previous: tuple[Array, ...]) -> tuple[Array, ...]:
        """Return what the recurrence needs of each frame: features, where the state is of use, and the motion."""
        fine, coarse, matched, blocks = encoded
        cut = is_cut(_joined(blocks), _joined(previous[1])).reshape(fine.shape[:2])
        known = jnp.where(cut[..., None, None, None] | (self.memory == "none"), 0.0, 1.0)
        if self.motion is None:
            return fine, coarse, known
        flow = self.motion(_joined(coarse), _joined(matched), _joined(previous[0]))
        followed = is_followed(_joined(blocks), _joined(previous[1]), _block_means(flow, 2) / 2)
        known = known * double(double(followed)).reshape(*fine.shape[:-1], 1)
        return fine, coarse, known, flow.reshape(*coarse.shape[:-1], 2)


def _frames(image: Video) -> Any:  # symbolic in exports
    if jnp.ndim(image) < 4 or not image.shape[-4]:
        raise ValueError(f"a video must have shape [*batch, frames, height, width, channels], got {jnp.shape(image)}")
    return image.shape[-4]


def _by_frame(x: Array, count: Any) -> Array:
    """Map ``[batch * frames, ...]`` to ``[frames, batch, ...]``."""
    return jnp.moveaxis(x.reshape(-1, count, *x.shape[1:]), 1, 0)


def _joined(x: Array) -> Array:
    """Join the axes of frames and batch."""
    return x.reshape(-1, *x.shape[2:])


def _delayed(x: Array) -> Array:
    """Return the predecessor of every frame; zeros before the first."""
    return jnp.concatenate([jnp.zeros_like(x[:1]), x[:-1]])


def _block_means(x: Array, side: int) -> Array:
    height, width = x.shape[1:3]
    return x.reshape(-1, height // side, side, width // side, side, x.shape[-1]).mean((2, 4))


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


class _Motion(nn.Module):
    """Estimate the motion to the previous frame in pixels of the quarter resolution, ``[batch, height, width, 2]``."""

    radius: int

    @nn.compact
    def __call__(self, coarse: Array, matched: Array, previous: Array) -> Array:
        correlation, moves = correlate(matched, previous, self.radius), displacements(self.radius)
        sharpness = self.param("sharpness", nn.initializers.constant(8.0), ())
        # Untrained features match anything; no motion is the best guess.
        prior = self.param("prior", lambda key: -(moves**2).sum(-1))
        likely = nn.softmax(sharpness * correlation + prior.reshape(1, 1, 1, -1))
        flow = likely @ moves
        spread = -(likely * jnp.log(likely + 1e-9)).sum(-1, keepdims=True)
        clues = [flow, spread, likely.max(-1, keepdims=True)]
        y = jnp.concatenate([coarse, *(clue.astype(coarse.dtype) for clue in clues)], -1)
        y = Conv(32, relu=True, name="refine1")(y)
        return flow + Conv(2, init=nn.initializers.zeros, name="refine2")(y).astype(jnp.float32)


class _Recurrence(nn.Module):
    """Restore a frame from its features and the state, and update the state."""

    channels: int
    widths: tuple[int, ...]

    @nn.compact
    def advance(self, hidden: Array, guide: tuple[Array, ...]) -> tuple[Array, Array]:
        """Map the state and :meth:`VideoRNN._guide` of a frame to the next state and the restored frame."""
        fine_width, coarse_width, bottom_width = self.widths
        fine, coarse, known, *flow = guide
        if flow:
            hidden = warp(hidden, 2 * double(flow[0]))
        hidden = known * hidden
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
        return hidden, pixel_shuffle(Conv(4 * self.channels, init=small_normal, name="tail")(x))
