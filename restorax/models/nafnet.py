"""NAFNet: a U-Net with gates instead of activation functions."""

import flax.linen as nn
import jax.numpy as jnp

from ..layers.conv import Conv, small_normal
from ..layers.depthwise import depthwise_conv
from ..layers.gating import simple_gate
from ..layers.norm import layer_norm
from ..layers.parameters import param
from ..layers.resample import pixel_shuffle, pixel_unshuffle
from ..types import Array
from .base import RestorationNetwork


class NAFBlock(nn.Module):
    """Two gated residual branches: one with a depthwise convolution and channel attention, one of 1x1 convolutions.

    ``y = x + beta conv3(sca(gate(depthwise(conv1(norm1(x))))))``, ``z = y + gamma conv5(gate(conv4(norm2(y))))``, where
    ``sca(x) = x W mean(x)`` weights the channels by a linear map of their means over the image.

    Attributes:
        features: channels in and out.
    """

    features: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Map ``[batch, height, width, features]`` to the same shape."""
        c = self.features

        def vector(name, init, features=c):
            return param(self, name, init, (features,))

        def norm(x, name):
            return layer_norm(x, vector(f"{name}_scale", nn.initializers.ones), vector(f"{name}_bias", _zeros))

        def dense(features, name):
            return Conv(features, size=1, init=nn.initializers.lecun_normal(), name=name)

        y = dense(2 * c, "conv1")(norm(x, "norm1"))
        kernel = param(self, "depthwise_kernel", nn.initializers.lecun_normal(), (3, 3, 1, 2 * c))
        y = simple_gate(depthwise_conv(y, kernel, vector("depthwise_bias", _zeros, 2 * c)))
        mean = y.mean((1, 2), keepdims=True, dtype=jnp.float32).astype(y.dtype)
        y = dense(c, "conv3")(y * dense(c, "attention")(mean))
        x = x + y * vector("beta", _zeros).astype(x.dtype).reshape(1, 1, 1, -1)

        y = dense(2 * c, "conv4")(norm(x, "norm2"))
        y = dense(c, "conv5")(simple_gate(y))
        return x + y * vector("gamma", _zeros).astype(x.dtype).reshape(1, 1, 1, -1)


_zeros = nn.initializers.zeros


class NAFNet(RestorationNetwork):
    """NAFNet: blocks without activation functions at every scale of a U-Net, sums as skip connections.

    The defaults are the published denoiser of width 32 (SIDD); ``encoder=(1, 1, 1, 28), middle=1,
    decoder=(1, 1, 1, 1)`` is the published deblurrer (GoPro, 16 GMAC at 256 x 256). Channel attention averages over
    the whole image; the published GoPro score averages over windows instead (Chu et al., Improving image restoration
    by revisiting global information aggregation, ECCV 2022).

    Attributes:
        width: channels of the finest scale; every scale has twice as many as the one before.
        encoder: blocks per scale of the encoder, finest first.
        middle: blocks at the coarsest scale.
        decoder: blocks per scale of the decoder, coarsest first.

    Reference:
        Chen et al., Simple baselines for image restoration, ECCV 2022, section 3.
    """

    channels: int = 3
    width: int = 32
    encoder: tuple[int, ...] = (2, 2, 4, 8)
    middle: int = 12
    decoder: tuple[int, ...] = (2, 2, 2, 2)

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.encoder) != len(self.decoder):
            raise ValueError(
                f"`encoder` and `decoder` must have equally many scales, "
                f"got {len(self.encoder)} and {len(self.decoder)}"
            )

    @property
    def multiple(self) -> int:
        """Both sides are multiples of this."""
        return 2 ** len(self.encoder)

    @nn.compact
    def body(self, x: Array) -> Array:
        """Map the padded input to the restored image or the residual."""

        def chain(x, blocks, name):
            for i in range(blocks):
                x = NAFBlock(x.shape[-1], name=f"{name}_block{i}")(x)
            return x

        x = Conv(self.width, name="intro")(x)
        skips = []
        for i, blocks in enumerate(self.encoder):
            x = chain(x, blocks, f"encoder{i}")
            skips.append(x)
            x = Conv(2 * x.shape[-1], size=1, name=f"down{i}")(pixel_unshuffle(x))
        x = chain(x, self.middle, "middle")
        for i, blocks in enumerate(self.decoder):
            x = pixel_shuffle(Conv(2 * x.shape[-1], size=1, bias=False, name=f"up{i}")(x)) + skips.pop()
            x = chain(x, blocks, f"decoder{i}")
        return Conv(self.channels, init=small_normal, name="ending")(x)
