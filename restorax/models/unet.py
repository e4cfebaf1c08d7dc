"""U-Net: the original one, and with convolutions that know of holes."""

import flax.linen as nn
import jax.numpy as jnp

from ..layers.conv import Conv, TransposedConv, small_normal
from ..layers.field import receptive_field
from ..layers.frame import framed
from ..layers.holes import GatedConv, PartialConv
from ..layers.resample import max_pool, repeat_pixels
from ..types import Array, Condition, DTypeLike, Image

KINDS = ("plain", "partial", "gated")


class UNet(nn.Module):
    """U-Net: two 3x3 convolutions per scale, 2x2 pooling down, 2x2 transposed convolutions up, skips concatenated.

    Zeros lie beyond the border, where the original crops. 31 million parameters.

    Attributes:
        channels: image channels.
        widths: channels of the scales, finest first.
        kind: ``"plain"``; ``"partial"``, which convolves known pixels only and needs the mask; ``"gated"``, which
            learns where to look.
        residual: predict the difference to the input instead of the image.
        condition_channels: channels of the condition map, 0 for a blind network.
        masked: the condition is a mask of known pixels: holes are filled first, known pixels copied through.
        sparse: rounds of sparse filling (see ``layers/sparse.py``) after the smooth one, for textures; 0 for none.
        dtype: type of the activations; parameters stay float32.

    Reference:
        Ronneberger, Fischer and Brox, U-Net: convolutional networks for biomedical image segmentation, MICCAI 2015,
        figure 1; Liu et al., Image inpainting for irregular holes using partial convolutions, ECCV 2018; Yu et al.,
        Free-form image inpainting with gated convolution, ICCV 2019.
    """

    channels: int = 1
    widths: tuple[int, ...] = (64, 128, 256, 512, 1024)
    kind: str = "plain"
    residual: bool = True
    condition_channels: int = 0
    masked: bool = False
    sparse: int = 0
    dtype: DTypeLike = jnp.float32

    @property
    def receptive_field(self) -> int | None:
        """Side of the square of input pixels that an output pixel sees; ``None``, all, if holes are filled."""
        if self.masked:
            return None
        up, down = [("conv", 2), ("grow", 2)], [("blocks", 2), ("conv", 2)]
        scales = len(self.widths) - 1
        return receptive_field(*up * scales, ("conv", 2), *down * scales)

    @nn.compact
    def __call__(self, image: Image, condition: Condition | None = None) -> Image:
        """Restore ``[*batch, height, width, channels]``, any height and width."""
        if self.kind not in KINDS:
            raise ValueError(f"kind {self.kind!r} is unknown; accepted are {', '.join(KINDS)}")
        if self.kind == "partial" and not (self.masked and self.condition_channels == 1):
            raise ValueError("partial convolutions need the mask: give masked=True and condition_channels=1")
        coarsest = len(self.widths) - 1

        def pair(x, known, width, name):
            for i in range(2):
                if self.kind == "partial":
                    x, known = PartialConv(width, name=f"{name}_conv{i}")(x, known)
                elif self.kind == "gated":
                    x = GatedConv(width, name=f"{name}_conv{i}")(x)
                else:
                    x = Conv(width, relu=True, name=f"{name}_conv{i}")(x)
            return x, known

        def network(x):
            known = x[..., self.channels :]
            if self.kind == "partial":
                x = x[..., : self.channels] * known
            skips = []
            for i in range(coarsest):
                x, known = pair(x, known, self.widths[i], f"down{i}")
                skips.append((x, known))
                x, known = max_pool(x), max_pool(known)
            x, known = pair(x, known, self.widths[coarsest], "bottom")
            for i in reversed(range(coarsest)):
                x, known = TransposedConv(self.widths[i], name=f"grow{i}")(x), repeat_pixels(known)
                if self.kind == "partial":  # a bias says nothing about pixels that are not known
                    x = x * known
                skip, skip_known = skips.pop()
                x, known = _join(x, known, skip, skip_known)
                x, known = pair(x, known, self.widths[i], f"up{i}")
            return Conv(self.channels, size=1, init=small_normal, name="tail")(x)

        return framed(
            network,
            image,
            condition,
            channels=self.channels,
            condition_channels=self.condition_channels,
            masked=self.masked,
            sparse=self.sparse,
            residual=self.residual,
            multiple=2**coarsest,
            dtype=self.dtype,
        )


def _join(x: Array, known: Array, skip: Array, skip_known: Array) -> tuple[Array, Array]:
    """Concatenate features; both have equally many channels, so the shares of known ones average."""
    return jnp.concatenate([x, skip], -1), (known + skip_known) / 2
