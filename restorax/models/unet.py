"""U-Net: the original, and variants with partial or gated convolutions for inpainting."""

import flax.linen as nn
import jax.numpy as jnp

from ..layers.conv import Conv, TransposedConv, small_normal
from ..layers.holes import GatedConv, PartialConv
from ..layers.resample import max_pool, repeat_pixels
from ..types import Array
from .base import RestorationNetwork

KINDS = ("plain", "partial", "gated")


class UNet(RestorationNetwork):
    """U-Net: two 3x3 convolutions per scale, 2x2 pooling down, 2x2 transposed convolutions up, skips concatenated.

    Borders are padded with zeros, where the original crops. 31 million parameters.

    Attributes:
        widths: channels of the scales, finest first.
        kind: ``"plain"``; ``"partial"`` convolutions of known pixels, which need the mask; ``"gated"`` convolutions.

    Reference:
        Ronneberger, Fischer and Brox, U-Net: convolutional networks for biomedical image segmentation, MICCAI 2015,
        figure 1; Liu et al., Image inpainting for irregular holes using partial convolutions, ECCV 2018; Yu et al.,
        Free-form image inpainting with gated convolution, ICCV 2019.
    """

    widths: tuple[int, ...] = (64, 128, 256, 512, 1024)
    kind: str = "plain"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kind not in KINDS:
            raise ValueError(f"`kind` must be one of {', '.join(KINDS)}, got {self.kind!r}")
        if self.kind == "partial" and not self.fills_holes:
            raise ValueError(f"`condition` must be 'mask' with partial convolutions, got {str(self.condition)!r}")

    @property
    def multiple(self) -> int:
        """Both sides are multiples of this."""
        return 2 ** (len(self.widths) - 1)

    @nn.compact
    def body(self, x: Array) -> Array:
        """Map the padded input to the restored image or the residual."""
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
            if self.kind == "partial":  # unknown pixels would hold the bias
                x = x * known
            skip, skip_known = skips.pop()
            x, known = _join(x, known, skip, skip_known)
            x, known = pair(x, known, self.widths[i], f"up{i}")
        return Conv(self.channels, size=1, init=small_normal, name="tail")(x)


def _join(x: Array, known: Array, skip: Array, skip_known: Array) -> tuple[Array, Array]:
    """Concatenate features of equally many channels; their shares of known channels average."""
    return jnp.concatenate([x, skip], -1), (known + skip_known) / 2
