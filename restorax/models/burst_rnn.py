"""BurstRNN: a hidden state carried from frame to frame of a burst or a video."""

from typing import ClassVar

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from ..layers.cells import ConvGRU, State
from ..layers.conv import Conv, small_normal
from ..layers.resample import pixel_shuffle, pixel_unshuffle
from ..layers.unet import ResidualBlock
from ..types import Array, ConditionMap, Float, Image
from .base import RestorationNetwork

Burst = Float[Array | np.ndarray, "*batch frames height width channel"]
BurstCondition = Float[Array | np.ndarray, "*batch frames height width k"]


class BurstRNN(RestorationNetwork):
    """A convolutional GRU over frames, between a frame's encoder and decoder at half the resolution.

    Takes any number of frames, ``[*batch, frames, height, width, channels]``, and restores one of them, the reference:
    by default the last one, to which the state has brought everything before. :meth:`frames` restores all of them, and
    :meth:`step` one after the other as they come. Frames are not registered: the hidden state can follow what moves by
    about two pixels from one frame to the next.

    Attributes:
        width: channels of features and hidden state.
        blocks: residual blocks of the encoder, and of the decoder.
        bidirectional: whether a second state runs from the last frame to the first.
        reference: which frame is restored, counted from the end if negative; without ``bidirectional`` it hears from
            the frames before it alone.

    Reference:
        Ballas et al., Delving deeper into convolutional networks for learning video representations, ICLR 2016 (the
        recurrence); after Zhong et al., Efficient spatio-temporal recurrent neural network for video deblurring, ECCV
        2020 (encoder, hidden state and decoder).
    """

    width: int = 64
    blocks: int = 4
    bidirectional: bool = False
    reference: int = -1

    takes_frames: ClassVar = True

    @property
    def multiple(self) -> int:
        """Both sides are multiples of this."""
        return 2

    @property
    def streams(self) -> bool:
        """Whether frames can be restored as they arrive: not if a state runs back from the last one."""
        return not self.bidirectional

    @property
    def body_receptive_field(self) -> None:
        """``None``: what an output pixel sees grows with every frame, without bound."""
        return None

    def setup(self) -> None:
        """Create encoder, recurrence and decoder."""
        self.encoder = _Encoder(self.width, self.blocks)
        self.forward = ConvGRU(self.width)
        if self.bidirectional:
            self.backward = ConvGRU(self.width)
        self.decoder = _Decoder(self.channels, self.width, self.blocks)

    def __call__(self, image: Burst, condition: BurstCondition | None = None) -> Image:
        """Restore the reference frame of ``[*batch, frames, height, width, channels]``: one axis less."""
        if jnp.ndim(image) < 4:
            raise ValueError(f"a burst [*batch, frames, height, width, channels] is needed, not {jnp.shape(image)}")
        if not -image.shape[-4] <= self.reference < image.shape[-4]:
            raise ValueError(f"a burst of {image.shape[-4]} frames has no frame {self.reference} to restore")
        return self._restore(image, condition, self.reference)[..., self.reference, :, :, :]

    def frames(self, image: Burst, condition: BurstCondition | None = None) -> Burst:
        """Restore every frame of ``[*batch, frames, height, width, channels]``."""
        return self._restore(image, condition, None)

    def start(self, frame: Image) -> State:
        """The state before the first frame.

        Args:
            frame: any frame, ``[*batch, height, width, channels]``; its values do not matter.

        Returns:
            Zeros, to be handed to :meth:`step`.
        """
        height, width = (-(-side // 2) for side in frame.shape[-3:-1])
        return self.forward.start(jnp.zeros_like(frame, shape=(*frame.shape[:-3], height, width, 1)))

    def step(self, carry: State, frame: Image, condition: ConditionMap | None = None) -> tuple[State, Image]:
        """Restore the next frame of a stream.

        Args:
            carry: from :meth:`start`, or from the frame before.
            frame: ``[*batch, height, width, channels]``.
            condition: of this frame, ``[*batch, height, width, 1]``.

        Returns:
            The carry for the next frame, and this frame restored: equal to :meth:`frames` on all frames so far.

        Raises:
            ValueError: if the network is bidirectional, or the frame has not the size of the ones before.

        Example:
            >>> import jax
            >>> model, frame = BurstRNN(width=8, blocks=1), jnp.zeros((6, 5, 1))
            >>> variables = model.init(jax.random.key(0), frame[None])
            >>> carry = model.apply(variables, frame, method="start")
            >>> carry, restored = model.apply(variables, carry, frame, method="step")
            >>> restored.shape
            (6, 5, 1)
        """
        if self.bidirectional:
            raise ValueError("a bidirectional network needs all frames at once; it cannot restore a stream")
        expected = self.start(frame)[0].shape
        if carry[0].shape != expected:
            raise ValueError(f"the carry has shape {carry[0].shape}; this frame needs {expected}")
        after = []

        def body(x):
            x = self.encoder(x)
            flat = tuple(part.reshape(x.shape) for part in carry)
            after.extend(self.forward.step(flat, x))
            return self.decoder(x, after[0].astype(x.dtype))

        restored = self.apply_padded(body, frame, condition)
        return tuple(part.reshape(expected) for part in after), restored

    def _restore(self, burst: Array, condition: Array | None, reference: int | None) -> Array:
        """All frames restored, or only the reference; the rest is then of no use."""
        count = burst.shape[-4]

        def body(x):
            features = self.encoder(x)
            sequence = jnp.moveaxis(features.reshape(-1, count, *features.shape[1:]), 1, 0)
            states = [self.forward(sequence)[0]]
            if self.bidirectional:
                states.append(self.backward(sequence, reverse=True)[0])
            hidden = jnp.concatenate(states, axis=-1)
            if reference is None:
                hidden = jnp.moveaxis(hidden, 0, 1).reshape(features.shape[0], *hidden.shape[2:])
                return self.decoder(features, hidden)
            # Every frame gets the reference's result, so that only one has to be decoded.
            return jnp.repeat(self.decoder(sequence[reference], hidden[reference]), count, axis=0)

        return self.apply_padded(body, burst, condition)


class _Encoder(nn.Module):
    """Features of a frame, at half its resolution."""

    width: int
    blocks: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        x = Conv(self.width, name="head")(pixel_unshuffle(x))
        for i in range(self.blocks):
            x = ResidualBlock(self.width, name=f"block{i}")(x)
        return x


class _Decoder(nn.Module):
    """A frame from its features and the hidden state."""

    channels: int
    width: int
    blocks: int

    @nn.compact
    def __call__(self, features: Array, hidden: Array) -> Array:
        x = Conv(self.width, name="join")(jnp.concatenate([features, hidden], axis=-1))
        for i in range(self.blocks):
            x = ResidualBlock(self.width, name=f"block{i}")(x)
        return pixel_shuffle(Conv(4 * self.channels, init=small_normal, name="tail")(x))
