"""FBCNN: a JPEG restorer conditioned on the JPEG quality, which it can estimate."""

from typing import ClassVar, cast

import flax.linen as nn
import jax.numpy as jnp

from ..layers.conv import Conv, TransposedConv, small_normal
from ..layers.resample import pixel_unshuffle
from ..layers.unet import ResidualBlock
from ..types import Array, Condition, Image, Params
from .base import RestorationNetwork


class QualityBlock(nn.Module):
    """``x + gamma * conv(relu(conv(x))) + beta``, with gamma and beta computed from the quality.

    Attributes:
        features: channels in and out.
    """

    features: int

    @nn.compact
    def __call__(self, x: Array, gamma: Array, beta: Array) -> Array:
        """Map ``[batch, height, width, features]`` to its shape; gamma and beta are ``[batch, 1, 1, features]``."""
        y = Conv(self.features, relu=True, name="conv1")(x)
        return x + gamma * Conv(self.features, name="conv2")(y) + beta


class FBCNN(RestorationNetwork):
    """FBCNN: a U-Net whose decoder is modulated by the JPEG quality, which a branch at the bottom estimates.

    Internally the quality is ``1 - quality / 100``, 0 for the best file. 71.9 million parameters.

    Attributes:
        widths: channels of the scales, finest first.
        blocks: residual blocks per scale and path.
        embedding: channels of the embedded quality.
        residual: predict the residual instead of the image (as published).
        condition: the JPEG quality, averaged over the image, or none; the parameters are the same. Without a map the
            network uses its own estimate.

    Reference:
        Jiang, Zhang and Timofte, Towards flexible blind JPEG artifacts removal, ICCV 2021, section 3.
    """

    channels: int = 3
    widths: tuple[int, ...] = (64, 128, 256, 512)
    blocks: int = 4
    embedding: int = 512
    residual: bool = False

    accepts: ClassVar = (Condition.NONE, Condition.JPEG_QUALITY)
    condition_optional: ClassVar = True

    @property
    def multiple(self) -> int:
        """Both sides are multiples of this."""
        return 2 ** (len(self.widths) - 1)

    @nn.compact
    def body(self, x: Array) -> Array:
        """Map the padded input to the restored image or the residual."""
        coarsest = len(self.widths) - 1

        def chain(x, name):
            for i in range(self.blocks):
                x = ResidualBlock(x.shape[-1], name=f"{name}_block{i}")(x)
            return x

        def dense(features, name):
            return nn.Dense(features, dtype=self.dtype, kernel_init=nn.initializers.he_normal(), name=name)

        def estimate(x):
            x = chain(x, "quality").mean((1, 2))
            x = nn.relu(dense(self.embedding, "quality_dense0")(x))
            x = nn.relu(dense(self.embedding, "quality_dense1")(x))
            return nn.sigmoid(dense(1, "quality_dense2")(x))

        quality_map = x[..., self.channels :]
        x = Conv(self.widths[0], name="head")(x[..., : self.channels])
        skips = [x]
        for i in range(coarsest):
            x = pixel_unshuffle(chain(x, f"down{i}"))
            x = Conv(self.widths[i + 1], size=1, name=f"shrink{i}")(x)
            skips.append(x)
        x = chain(x, "encoder")
        loss = estimate(x)
        if not self.is_initializing():
            self.sow("intermediates", "quality", 1 - loss)
        if quality_map.shape[-1]:
            loss = 1 - quality_map.mean((1, 2))
        for i in range(3):
            loss = nn.relu(dense(self.embedding, f"embed{i}")(loss))
        x = chain(x, "decoder")
        for i in reversed(range(coarsest)):
            x = TransposedConv(self.widths[i], name=f"grow{i}")(x + skips.pop())
            gamma = nn.sigmoid(dense(self.widths[i], f"gamma{i}")(loss))[:, None, None]
            beta = jnp.tanh(dense(self.widths[i], f"beta{i}")(loss))[:, None, None]
            for j in range(self.blocks):
                x = QualityBlock(self.widths[i], name=f"up{i}_block{j}")(x, gamma, beta)
        return Conv(self.channels, init=small_normal, name="tail")(x + skips.pop())


def estimate_quality(model: FBCNN, params: Params, image: Image) -> Array:
    """Estimate the JPEG quality of an image with FBCNN, divided by 100.

    Args:
        model: the network.
        params: its parameters.
        image: ``[*batch, height, width, channels]`` in [0, 1].

    Returns:
        ``[*batch]`` in [0, 1].

    Example:
        >>> import jax
        >>> model, image = FBCNN(channels=1, widths=(4, 8), blocks=1, embedding=8), jnp.zeros((5, 16, 16, 1))
        >>> estimate_quality(model, model.init(jax.random.key(0), image)["params"], image).shape
        (5,)
    """
    _, collections = model.apply({"params": params}, image, mutable=["intermediates"])
    return cast(Array, collections["intermediates"]["quality"][0]).reshape(image.shape[:-3])
