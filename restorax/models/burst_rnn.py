"""BurstRNN: a recurrent network that restores a burst of frames or a video."""

from typing import ClassVar

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from ..layers.cells import ConvGRU, State
from ..layers.conv import Conv, small_normal
from ..layers.resample import pixel_shuffle, pixel_unshuffle
from ..layers.unet import ResidualBlock
from ..types import Array, ConditionLike, Float, Image
from .base import RestorationNetwork

Burst = Float[Array | np.ndarray, "*batch frames height width channel"]


class BurstRNN(RestorationNetwork):
    """A convolutional GRU over frames, between a frame's encoder and decoder at half the resolution.

    Takes any number of frames, ``[*batch, frames, height, width, channels]``, and restores the last one from all of
    them. :meth:`frames` restores every frame from those before it, and :meth:`step` does so as frames arrive. Frames
    are not registered: the hidden state can follow motion of about two pixels per frame.

    Attributes:
        width: channels of features and hidden state.
        blocks: residual blocks of the encoder, and of the decoder.

    Reference:
        Ballas et al., Delving deeper into convolutional networks for learning video representations, ICLR 2016 (the
        recurrence); after Zhong et al., Efficient spatio-temporal recurrent neural network for video deblurring, ECCV
        2020 (encoder, hidden state and decoder).
    """

    width: int = 64
    blocks: int = 4

    takes_frames: ClassVar = True

    @property
    def multiple(self) -> int:
        """Both sides are multiples of this."""
        return 2

    def setup(self) -> None:
        """Create encoder, recurrence and decoder."""
        self.encoder = _Encoder(self.width, self.blocks)
        self.forward = ConvGRU(self.width)
        self.decoder = _Decoder(self.channels, self.width, self.blocks)

    def __call__(self, image: Burst, condition: ConditionLike | None = None) -> Image:
        """Restore the last frame of ``[*batch, frames, height, width, channels]``; the axis of frames is dropped."""
        if jnp.ndim(image) < 4 or not image.shape[-4]:
            raise ValueError(
                f"a burst must have shape [*batch, frames, height, width, channels], got {jnp.shape(image)}"
            )
        return self._restore(image, condition, last_only=True)[..., -1, :, :, :]

    def frames(self, image: Burst, condition: ConditionLike | None = None) -> Burst:
        """Restore every frame of ``[*batch, frames, height, width, channels]``."""
        return self._restore(image, condition, last_only=False)

    def start(self, frame: Image) -> State:
        """Return the state before the first frame.

        Args:
            frame: any frame, ``[*batch, height, width, channels]``; only its shape is used.

        Returns:
            Zeros, the first carry of :meth:`step`.
        """
        height, width = (-(-side // 2) for side in frame.shape[-3:-1])
        return self.forward.start(jnp.zeros_like(frame, shape=(*frame.shape[:-3], height, width, 1)))

    def step(self, carry: State, frame: Image, condition: ConditionLike | None = None) -> tuple[State, Image]:
        """Restore the next frame of a stream.

        Args:
            carry: from :meth:`start` or the previous frame.
            frame: ``[*batch, height, width, channels]``.
            condition: of this frame.

        Returns:
            The carry for the next frame, and this frame restored as :meth:`frames` would restore it.

        Raises:
            ValueError: if the frame has another size than the previous ones.

        Example:
            >>> import jax
            >>> model, frame = BurstRNN(width=8, blocks=1), jnp.zeros((6, 5, 1))
            >>> variables = model.init(jax.random.key(0), frame[None])
            >>> carry = model.apply(variables, frame, method="start")
            >>> carry, restored = model.apply(variables, carry, frame, method="step")
            >>> restored.shape
            (6, 5, 1)
        """
        expected = self.start(frame)[0].shape
        if carry[0].shape != expected:
            raise ValueError(f"the carry must have shape {expected} for this frame, got {carry[0].shape}")
        after = []

        def body(x):
            x = self.encoder(x)
            flat = tuple(part.reshape(x.shape) for part in carry)
            after.extend(self.forward.step(flat, x))
            return self.decoder(x, after[0].astype(x.dtype))

        restored = self.apply_padded(body, frame, condition)
        return tuple(part.reshape(expected) for part in after), restored

    def _restore(self, burst: Burst, condition: ConditionLike | None, *, last_only: bool) -> Array:
        """Restore all frames, or only the last; the others are then meaningless."""
        count = burst.shape[-4]

        def body(x):
            features = self.encoder(x)
            sequence = jnp.moveaxis(features.reshape(-1, count, *features.shape[1:]), 1, 0)
            hidden = self.forward(sequence)[0]
            if not last_only:
                hidden = jnp.moveaxis(hidden, 0, 1).reshape(features.shape[0], *hidden.shape[2:])
                return self.decoder(features, hidden)
            # Repeat the last frame's result instead of decoding every frame.
            return jnp.repeat(self.decoder(sequence[-1], hidden[-1]), count, axis=0)

        return self.apply_padded(body, burst, condition)


class _Encoder(nn.Module):
    """Map a frame to features at half its resolution."""

    width: int
    blocks: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        x = Conv(self.width, name="head")(pixel_unshuffle(x))
        for i in range(self.blocks):
            x = ResidualBlock(self.width, name=f"block{i}")(x)
        return x


class _Decoder(nn.Module):
    """Map features and hidden state to a frame."""

    channels: int
    width: int
    blocks: int

    @nn.compact
    def __call__(self, features: Array, hidden: Array) -> Array:
        x = Conv(self.width, name="join")(jnp.concatenate([features, hidden], axis=-1))
        for i in range(self.blocks):
            x = ResidualBlock(self.width, name=f"block{i}")(x)
        return pixel_shuffle(Conv(4 * self.channels, init=small_normal, name="tail")(x))
