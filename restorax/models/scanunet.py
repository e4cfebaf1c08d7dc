"""ScanUNet: a residual U-Net with gated linear recurrences across the image at its coarsest levels."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from ..layers.conv import Conv
from ..layers.parameters import param
from ..layers.recurrence import linear_recurrence
from ..layers.unet import UNet
from ..types import Array, DTypeLike
from .blind_deconvolution import BlindDeconvolution


class QuadrantScan(nn.Module):
    """A gated linear recurrence along rows, then along columns; each quarter of the channels sees one quadrant.

    ``a = exp(-8 softplus(L) sigmoid(r))``, ``h[t] = a h[t-1] + sqrt(1 - a^2) u[t]``. The output enters through a
    projection that starts at zero, so the block begins as the identity.

    Attributes:
        features: channels in and out.
        state: channels of the hidden state, a multiple of 4.

    Reference:
        De et al., Griffin: mixing gated linear recurrences with local attention, 2024, section 2.4 (RG-LRU).
    """

    features: int
    state: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Map ``[batch, height, width, features]`` to the same shape; every output depends on every input."""
        projected = Conv(5 * self.state, size=1, init=nn.initializers.lecun_normal(), name="project")(x)
        value, gate, input_gate, row_gate, column_gate = jnp.split(projected, 5, axis=-1)
        rate = param(self, "rate", _init_rate, (2, self.state))
        hidden = (value * nn.sigmoid(input_gate)).astype(jnp.float32)
        hidden = _sweep(hidden, row_gate, rate[0], axis=2, backward=(False, False, True, True))
        hidden = _sweep(hidden, column_gate, rate[1], axis=1, backward=(False, True, False, True))
        out = hidden.astype(x.dtype) * nn.silu(gate)
        return x + Conv(self.features, size=1, init=nn.initializers.zeros, name="out")(out)


def _sweep(hidden: Array, gate: Array, rate: Array, *, axis: int, backward: tuple[bool, ...]) -> Array:
    """Run the recurrence along one axis; the quarters of the channels marked ``backward`` run from the far end."""
    log_a = -8 * nn.softplus(rate).reshape(1, 1, 1, -1) * nn.sigmoid(gate.astype(jnp.float32))
    weight = jnp.sqrt(-jnp.expm1(2 * log_a) + 1e-6)  # the root has no gradient at zero
    # Reversing these quarters before and after lets one scan serve both directions.
    a, b = (_mirror(x, axis, backward) for x in (jnp.exp(log_a), weight * hidden))
    return _mirror(linear_recurrence(a, b, axis=axis), axis, backward)


def _mirror(x: Array, axis: int, backward: tuple[bool, ...]) -> Array:
    """Reverse the marked quarters of the channels along ``axis``."""
    quarters = jnp.split(x, len(backward), axis=-1)
    return jnp.concatenate([jnp.flip(q, axis) if b else q for q, b in zip(quarters, backward, strict=True)], -1)


def _init_rate(key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> Array:
    """Draw rates whose decay at half-open gates is spread over 0.5 .. 0.99."""
    decay = jax.random.uniform(key, shape, dtype, 0.5, 0.99)
    return jnp.log(jnp.expm1(-jnp.log(decay) / 4))


class ScanUNet(BlindDeconvolution):
    """Residual U-Net whose coarsest levels also carry hidden states across the whole image.

    Convolutions see a window; the scans give a pixel inside a large hole, or along a long blur, access to the whole
    image. Each scan has half as many hidden channels as its level has channels.

    Attributes:
        widths: channels of the levels, finest (half resolution) first.
        blocks: residual blocks per level and path.
        scan_levels: levels at which each residual block is followed by a scan.
        filters: number of Wiener filters for the estimated blur, whose results the U-Net sees beside the image;
            :meth:`kernel` and :meth:`deconvolve` are those of ``WienerUNet``. 0 for none.

    Reference:
        The U-Net after DRUNet (Zhang et al., TPAMI 2022); the recurrence after De et al., Griffin, 2024.
    """

    widths: tuple[int, ...] = (48, 96, 192)
    blocks: int = 2
    scan_levels: tuple[int, ...] = (2,)
    filters: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if set(self.scan_levels) - set(levels := range(len(self.widths))):
            raise ValueError(
                f"`scan_levels` must be among {list(levels)} with the widths {self.widths}, got {self.scan_levels}"
            )

    @property
    def multiple(self) -> int:
        """Both sides are multiples of this."""
        return 2 ** len(self.widths)

    def setup(self) -> None:
        """Create the kernel estimator, the filters and the U-Net."""

        def scan(level, name):
            if level not in self.scan_levels:
                return lambda x: x
            width = self.widths[level]
            return QuadrantScan(width, 4 * max(1, round(width / 8)), name=name)

        super().setup()
        self.unet = UNet(self.channels, self.widths, self.blocks, scan)

    def body(self, x: Array) -> Array:
        """Map the padded input to the restored image or the residual."""
        return self.unet(x)
