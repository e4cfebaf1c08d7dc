"""ScanUNet: the residual U-Net with gated linear recurrences, swept over the image, at its coarsest levels."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from ..layers.conv import Conv
from ..layers.frame import framed
from ..layers.recurrence import linear_recurrence
from ..layers.unet import UNet
from ..types import Array, Condition, DTypeLike, Image


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
        """Map ``[batch, height, width, features]`` to the same shape; every output sees every input."""
        projected = Conv(5 * self.state, size=1, init=nn.initializers.lecun_normal(), name="project")(x)
        value, gate, entry, decay_in_row, decay_in_column = jnp.split(projected, 5, axis=-1)
        rate = self.param("rate", _spread_memory, (2, self.state))
        hidden = (value * nn.sigmoid(entry)).astype(jnp.float32)
        hidden = _sweep(hidden, decay_in_row, rate[0], axis=2, backward=(False, False, True, True))
        hidden = _sweep(hidden, decay_in_column, rate[1], axis=1, backward=(False, True, False, True))
        out = hidden.astype(x.dtype) * nn.silu(gate)
        return x + Conv(self.features, size=1, init=nn.initializers.zeros, name="out")(out)


def _sweep(hidden: Array, decay: Array, rate: Array, *, axis: int, backward: tuple[bool, ...]) -> Array:
    """The recurrence along one axis; the marked quarters of the channels run from the far end."""
    log_a = -8 * nn.softplus(rate).reshape(1, 1, 1, -1) * nn.sigmoid(decay.astype(jnp.float32))
    entering = jnp.sqrt(-jnp.expm1(2 * log_a) + 1e-6) * hidden  # the root has no gradient at zero
    # One scan serves both directions: quarters that run backwards are reversed before and after it.
    a, entering = (_mirror(part, axis, backward) for part in (jnp.exp(log_a), entering))
    return _mirror(linear_recurrence(a, entering, axis=axis), axis, backward)


def _mirror(x: Array, axis: int, backward: tuple[bool, ...]) -> Array:
    """Reverse the marked quarters of the channels along ``axis``."""
    quarters = jnp.split(x, len(backward), axis=-1)
    return jnp.concatenate([jnp.flip(q, axis) if b else q for q, b in zip(quarters, backward, strict=True)], -1)


def _spread_memory(key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> Array:
    """Rates whose decay at half-open gates is spread over 0.5 .. 0.99."""
    decay = jax.random.uniform(key, shape, dtype, 0.5, 0.99)
    return jnp.log(jnp.expm1(-jnp.log(decay) / 4))


class ScanUNet(nn.Module):
    """Residual U-Net whose coarsest levels also carry hidden states across the whole image.

    Convolutions see a window; the scans let a pixel inside a large hole, or along a long blur, hear from everywhere.

    Attributes:
        channels: image channels.
        widths: channels of the levels, finest (half resolution) first.
        blocks: residual blocks per level and way.
        scan_levels: levels at which each residual block is followed by a scan.
        state: hidden channels of a scan as a share of the width of its level.
        residual: predict the difference to the input instead of the image.
        condition_channels: channels of the condition map, 0 for a blind network.
        masked: the condition is a mask of known pixels: holes are filled first, known pixels copied through.
        dtype: type of the activations; gates, decay and carry stay float32, parameters too.

    Reference:
        The U-Net after DRUNet (Zhang et al., TPAMI 2022); the recurrence after De et al., Griffin, 2024.
    """

    channels: int = 1
    widths: tuple[int, ...] = (48, 96, 192)
    blocks: int = 2
    scan_levels: tuple[int, ...] = (2,)
    state: float = 0.5
    residual: bool = True
    condition_channels: int = 0
    masked: bool = False
    dtype: DTypeLike = jnp.float32

    @property
    def receptive_field(self) -> None:
        """``None``: an output pixel sees the whole image."""
        return None

    @nn.compact
    def __call__(self, image: Image, condition: Condition | None = None) -> Image:
        """Restore ``[*batch, height, width, channels]``, any height and width."""

        def scan(level, name):
            if level not in self.scan_levels:
                return lambda x: x
            state = 4 * max(1, round(self.state * self.widths[level] / 4))
            return QuadrantScan(self.widths[level], state, name=name)

        return framed(
            UNet(self.channels, self.widths, self.blocks, scan, name="unet"),
            image,
            condition,
            channels=self.channels,
            condition_channels=self.condition_channels,
            masked=self.masked,
            residual=self.residual,
            multiple=2 ** len(self.widths),
            dtype=self.dtype,
        )
