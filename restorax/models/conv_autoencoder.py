"""Convolutional autoencoder: the textbook baseline, patch by patch through a bottleneck."""

import flax.linen as nn
import jax.numpy as jnp

from ..layers.conv import Conv, TransposedConv, small_normal
from ..layers.resample import max_pool
from ..types import Array
from .base import RestorationNetwork


class ConvAutoencoder(RestorationNetwork):
    """Convolution, pooling, fully connected bottleneck, decoder; on patches that slide over the image.

    Neighbouring patches overlap by half and are blended. The bottleneck, which knows the place in the patch, is what
    limits this network: it cannot keep fine texture. It is here to be compared with.

    Attributes:
        patch: side of a patch in pixels, a multiple of ``2 ** len(widths)`` and of 2.
        widths: channels of the encoder after each convolution and 2x2 pooling; the decoder mirrors them.
        code: numbers that describe a patch.
        residual: predict the difference to the input instead of the image.

    Reference:
        Vincent et al., Extracting and composing robust features with denoising autoencoders, ICML 2008; with
        convolutions: Masci et al., Stacked convolutional auto-encoders for hierarchical feature extraction, ICANN 2011.
    """

    patch: int = 32
    widths: tuple[int, ...] = (32, 64)
    code: int = 256
    residual: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        shrink = 2 ** len(self.widths)
        if self.patch % shrink or self.patch % 2 or self.patch < 2:
            raise ValueError(f"patch is {self.patch}; a multiple of {max(shrink, 2)} is needed")

    @property
    def multiple(self) -> int:
        """Both sides are multiples of this."""
        return self.patch // 2

    @nn.compact
    def body(self, x: Array) -> Array:
        """Map what the network sees to what it predicts."""

        def dense(features, name):
            return nn.Dense(features, dtype=self.dtype, kernel_init=nn.initializers.he_normal(), name=name)

        def autoencode(x):
            for i, features in enumerate(self.widths):
                x = max_pool(Conv(features, relu=True, name=f"encoder{i}")(x))
            shape = x.shape
            x = nn.relu(dense(self.code, "code")(x.reshape(shape[0], -1)))
            x = nn.relu(dense(shape[1] * shape[2] * shape[3], "expand")(x)).reshape(shape)
            for i in reversed(range(len(self.widths))):
                x = TransposedConv(self.widths[max(i - 1, 0)], relu=True, name=f"decoder{i}")(x)
            return Conv(self.channels, init=small_normal, name="tail")(x)

        patches, batch = _cut(x, self.patch // 2)
        return _blend(autoencode(patches), batch)


def _cut(x: Array, half: int) -> tuple[Array, tuple[int, int, int]]:
    """Patches of side ``2 half``, one every ``half`` pixels from ``half`` pixels before the border on; their grid."""
    x = jnp.pad(x, ((0, 0), (half, half), (half, half), (0, 0)), mode="reflect")
    n, height, width, channels = x.shape
    rows, columns = height // half - 1, width // half - 1
    x = x.reshape(n, rows + 1, half, width, channels)
    x = jnp.concatenate([x[:, :-1], x[:, 1:]], 2).reshape(n, rows, 2 * half, columns + 1, half, channels)
    x = jnp.concatenate([x[:, :, :, :-1], x[:, :, :, 1:]], 4).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(-1, 2 * half, 2 * half, channels), (n, rows, columns)


def _blend(patches: Array, batch: tuple[int, int, int]) -> Array:
    """Undo :func:`_cut`: the weights of the four patches over a pixel add up to one."""
    n, rows, columns = batch
    side, channels = patches.shape[2:]
    half = side // 2
    ramp = jnp.sin(jnp.pi * (jnp.arange(side) + 0.5) / side) ** 2
    patches = patches * jnp.outer(ramp, ramp).astype(patches.dtype).reshape(1, side, side, 1)
    x = patches.reshape(n, rows, columns, 2, half, 2, half, channels)
    x = x[:, :, 1:, :, :, 0] + x[:, :, :-1, :, :, 1]
    x = x[:, 1:, :, 0] + x[:, :-1, :, 1]
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(n, (rows - 1) * half, (columns - 1) * half, channels)
