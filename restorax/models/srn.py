"""SRN: a deblurring encoder-decoder applied from coarse to fine scales, with a recurrent state."""

import flax.linen as nn
import jax.numpy as jnp

from ..layers import conv
from ..layers.cells import ConvLSTM
from ..layers.conv import Conv, small_normal
from ..layers.parameters import param
from ..layers.resample import double, halve, pixel_shuffle
from ..types import Array
from .base import RestorationNetwork


class SRN(RestorationNetwork):
    """Scale-recurrent network: scales share parameters and see the image and the estimate of the coarser scale.

    8.06 M parameters, as published; 6.88 M for RGB without the memory, a variant that its authors also publish.
    Gradients run through all scales, so a loss on the finest scale alone trains them (the authors add one per scale).

    Attributes:
        widths: channels of the levels of the encoder, finest (full resolution) first.
        blocks: residual blocks per level and path.
        scales: resolutions, each half of the next.
        recurrent: whether a convolutional LSTM carries a state from scale to scale.

    Reference:
        Tao et al., Scale-recurrent network for deep image deblurring, CVPR 2018, section 3.
    """

    widths: tuple[int, ...] = (32, 64, 128)
    blocks: int = 3
    scales: int = 3
    recurrent: bool = True

    @property
    def multiple(self) -> int:
        """Both sides are multiples of this."""
        return 2 ** (self.scales - 1 + len(self.widths) - 1)

    @nn.compact
    def body(self, x: Array) -> Array:
        """Map the padded input to the restored image or the residual."""
        unit = _EncoderDecoder(self.channels, self.widths, self.blocks, self.recurrent, name="unit")
        pyramid = [x]
        for _ in range(self.scales - 1):
            pyramid.append(halve(pyramid[-1]))
        coarsest = pyramid[-1][..., : self.channels]
        out = jnp.zeros_like(coarsest) if self.residual else coarsest
        state = None
        for scale in reversed(range(self.scales)):
            x = pyramid[scale]
            estimate = x[..., : self.channels] + out if self.residual else out
            out, state = unit(jnp.concatenate([x, estimate], axis=-1), state)
            if scale:
                out, state = double(out), tuple(double(part) for part in state)
        return out


class _ResidualBlock(nn.Module):
    """``x + conv(relu(conv(x)))`` with 5x5 convolutions."""

    features: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        y = Conv(self.features, size=5, relu=True, name="conv1")(x)
        # He initialisation would double the variance in each of eighteen blocks.
        small = nn.initializers.variance_scaling(0.1, "fan_in", "normal")
        return x + Conv(self.features, size=5, init=small, name="conv2")(y)


class _Shrink(nn.Module):
    """A 5x5 convolution of stride 2 and ReLU."""

    features: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        kernel = param(self, "kernel", nn.initializers.he_normal(), (5, 5, x.shape[-1], self.features))
        bias = param(self, "bias", nn.initializers.zeros, (self.features,))
        return conv.conv_bias_act(x, kernel, bias, strides=(2, 2), relu=True)


class _Grow(nn.Module):
    """A 4x4 transposed convolution of stride 2 and ReLU, computed as a 3x3 convolution and pixel shuffle.

    Output pixel ``2 i + phase`` depends on two of the three input pixels around ``i``.
    """

    features: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        channels = x.shape[-1]
        init = nn.initializers.variance_scaling(
            8.0, "fan_in", "normal"
        )  # an output pixel depends on a quarter of the taps
        kernel = param(self, "kernel", init, (4, 4, channels, self.features))
        bias = param(self, "bias", nn.initializers.zeros, (self.features,))
        phases = _phases(_phases(kernel, 0), 2)  # [3, 2, 3, 2, in, out]
        dense = phases.transpose(0, 2, 4, 1, 3, 5).reshape(3, 3, channels, 4 * self.features)
        return pixel_shuffle(conv.conv_bias_act(x, dense, jnp.tile(bias, 4), relu=True))


def _phases(kernel: Array, axis: int) -> Array:
    """Split an axis of four taps into ``[three pixels, two phases]`` of a transposed convolution of stride 2."""
    taps = [jnp.take(kernel, i, axis) for i in range(4)]
    zero = jnp.zeros_like(taps[0])
    even, odd = jnp.stack([taps[3], taps[1], zero], axis), jnp.stack([zero, taps[2], taps[0]], axis)
    return jnp.stack([even, odd], axis + 1)


class _EncoderDecoder(nn.Module):
    """``(image and estimate, state) -> (output, state)`` at one scale."""

    channels: int
    widths: tuple[int, ...]
    blocks: int
    recurrent: bool

    @nn.compact
    def __call__(self, x: Array, state: tuple[Array, ...] | None) -> tuple[Array, tuple[Array, ...]]:
        def level(x, index, path):
            for i in range(self.blocks):
                x = _ResidualBlock(self.widths[index], name=f"{path}{index}_block{i}")(x)
            return x

        bottom = len(self.widths) - 1
        x = level(Conv(self.widths[0], size=5, relu=True, name="head")(x), 0, "down")
        skips = []
        for i in range(bottom):
            skips.append(x)
            x = level(_Shrink(self.widths[i + 1], name=f"shrink{i}")(x), i + 1, "down")
        if self.recurrent:
            memory = ConvLSTM(self.widths[-1], name="memory")
            state = memory.step(memory.start(x) if state is None else state, x)
            x = state[0].astype(x.dtype)
        x = level(x, bottom, "up")
        for i in reversed(range(bottom)):
            x = level(_Grow(self.widths[i], name=f"grow{i}")(x) + skips[i], i, "up")
        return Conv(self.channels, size=5, init=small_normal, name="tail")(x), state or ()
