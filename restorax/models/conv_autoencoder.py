"""Convolutional autoencoder with a fully connected bottleneck, applied to patches; a textbook baseline."""

import flax.linen as nn
import jax.numpy as jnp

from ..layers.conv import Conv, TransposedConv, small_normal
from ..layers.resample import max_pool
from ..types import Array
from .base import RestorationNetwork


class ConvAutoencoder(RestorationNetwork):
    """Encoder, fully connected bottleneck and decoder, applied to overlapping patches.

    Neighbouring patches overlap by half and are blended. The bottleneck cannot preserve fine texture: the network is a
    baseline for comparison.

    Attributes:
        patch: side of a patch in pixels, a multiple of ``2 ** len(widths)`` and of 2.
        widths: channels after each convolution of the encoder, before 2x2 pooling; the decoder mirrors them.
        code: size of the bottleneck.
        residual: predict the residual instead of the image.

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
        factor = 2 ** len(self.widths)
        if self.patch % factor or self.patch % 2 or self.patch < 2:
            raise ValueError(f"`patch` must be a positive multiple of {max(factor, 2)}, got {self.patch}")

    @property
    def multiple(self) -> int:
        """Both sides are multiples of this."""
        return self.patch // 2

    @nn.compact
    def body(self, x: Array) -> Array:
        """Map the padded input to the restored image or the residual."""

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
    """Cut patches of side ``2 * half`` every ``half`` pixels, beginning outside; return them and the grid."""
    x = jnp.pad(x, ((0, 0), (half, half), (half, half), (0, 0)), mode="reflect")
    n, height, width, channels = x.shape
    rows, columns = height // half - 1, width // half - 1
    x = x.reshape(n, rows + 1, half, width, channels)
    x = jnp.concatenate([x[:, :-1], x[:, 1:]], 2).reshape(n, rows, 2 * half, columns + 1, half, channels)
    x = jnp.concatenate([x[:, :, :, :-1], x[:, :, :, 1:]], 4).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(-1, 2 * half, 2 * half, channels), (n, rows, columns)


def _blend(patches: Array, batch: tuple[int, int, int]) -> Array:
    """Invert :func:`_cut`; the weights of the four patches at a pixel sum to one."""
    n, rows, columns = batch
    side, channels = patches.shape[2:]
    half = side // 2
    ramp = jnp.sin(jnp.pi * (jnp.arange(side) + 0.5) / side) ** 2
    patches = patches * jnp.outer(ramp, ramp).astype(patches.dtype).reshape(1, side, side, 1)
    x = patches.reshape(n, rows, columns, 2, half, 2, half, channels)
    x = x[:, :, 1:, :, :, 0] + x[:, :, :-1, :, :, 1]
    x = x[:, 1:, :, 0] + x[:, :-1, :, 1]
    return x.transpose(0, 1, 3, 2, 4, 5).reshape(n, (rows - 1) * half, (columns - 1) * half, channels)
