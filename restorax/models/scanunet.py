"""ScanUNet: the residual U-Net with gated linear recurrences, swept over the image, at its coarsest levels."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from ..layers.conv import Conv
from ..layers.recurrence import linear_recurrence
from ..layers.unet import UNet, check_levels, unet_span, widest
from ..types import Array, DTypeLike
from .blind_deconvolution import BlindDeconvolution


class QuadrantScan(nn.Module):
    """A gated linear recurrence along rows, then along columns; each quarter of the channels sees one quadrant.

    ``a = exp(-8 softplus(L) sigmoid(r))``, ``h[t] = a h[t-1] + sqrt(1 - a^2) u[t]``. The output enters through a
    projection that starts at zero, so the block begins as the identity.

    Attributes:
        features: channels in and out.
        state: channels of the hidden state, a multiple of 4; of 8 if it rotates.
        rotate: half of these channels are real, half imaginary parts, which turn in every step by an angle that is
            learned and that the input changes a little. No more parameters than without.

    Reference:
        De et al., Griffin: mixing gated linear recurrences with local attention, 2024, section 2.4 (RG-LRU); Orvieto
        et al., Resurrecting recurrent neural networks for long sequences, ICML 2023, section 3.2 (rotation).
    """

    features: int
    state: int
    rotate: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Map ``[batch, height, width, features]`` to the same shape; every output sees every input."""
        projected = Conv(5 * self.state, size=1, init=nn.initializers.lecun_normal(), name="project")(x)
        value, gate, entry, in_row, in_column = jnp.split(projected, 5, axis=-1)
        lanes = self.state // 2 if self.rotate else self.state
        rate = self.param("rate", _spread_memory, (2, lanes))
        angle = self.param("angle", _spread_angles, (2, lanes)) if self.rotate else (None, None)
        hidden = (value * nn.sigmoid(entry)).astype(jnp.float32)
        hidden = (hidden,) if not self.rotate else tuple(jnp.split(hidden, 2, axis=-1))
        hidden = _sweep(hidden, in_row, rate[0], angle[0], axis=2, backward=(False, False, True, True))
        hidden = _sweep(hidden, in_column, rate[1], angle[1], axis=1, backward=(False, True, False, True))
        out = jnp.concatenate(hidden, axis=-1).astype(x.dtype) * nn.silu(gate)
        return x + Conv(self.features, size=1, init=nn.initializers.zeros, name="out")(out)


def _sweep(
    hidden: tuple[Array, ...],
    gates: Array,
    rate: Array,
    angle: Array | None,
    *,
    axis: int,
    backward: tuple[bool, ...],
) -> tuple[Array, ...]:
    """The recurrence along one axis; the marked quarters of the channels run from the far end."""
    gates = gates.astype(jnp.float32)
    if angle is not None:
        gates, turn = jnp.split(gates, 2, axis=-1)
        # Radians of a tenth: a state that is turned at random forgets.
        angle = _mirror(angle.reshape(1, 1, 1, -1) + 0.1 * turn, axis, backward)
    log_a = -8 * nn.softplus(rate).reshape(1, 1, 1, -1) * nn.sigmoid(gates)
    weight = jnp.sqrt(-jnp.expm1(2 * log_a) + 1e-6)  # the root has no gradient at zero
    # One scan serves both directions: quarters that run backwards are reversed before and after it.
    a = _mirror(jnp.exp(log_a), axis, backward)
    entering = tuple(_mirror(weight * part, axis, backward) for part in hidden)
    states = linear_recurrence(a, entering if angle is not None else entering[0], angle=angle, axis=axis)
    return tuple(_mirror(part, axis, backward) for part in (states if angle is not None else (states,)))


def _mirror(x: Array, axis: int, backward: tuple[bool, ...]) -> Array:
    """Reverse the marked quarters of the channels along ``axis``."""
    quarters = jnp.split(x, len(backward), axis=-1)
    return jnp.concatenate([jnp.flip(q, axis) if b else q for q, b in zip(quarters, backward, strict=True)], -1)


def _spread_memory(key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> Array:
    """Rates whose decay at half-open gates is spread over 0.5 .. 0.99."""
    decay = jax.random.uniform(key, shape, dtype, 0.5, 0.99)
    return jnp.log(jnp.expm1(-jnp.log(decay) / 4))


def _spread_angles(key: jax.Array, shape: tuple[int, ...], dtype: DTypeLike = jnp.float32) -> Array:
    """Turns per step, up to a quarter either way."""
    return jax.random.uniform(key, shape, dtype, -jnp.pi / 2, jnp.pi / 2)


class ConvolutionalStandIn(nn.Module):
    """A residual block of about as many parameters, and operations, as a :class:`QuadrantScan`.

    Attributes:
        features: channels in and out.
        state: channels of the hidden state of the scan that it stands for.
    """

    features: int
    state: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Map ``[batch, height, width, features]`` to the same shape."""
        wanted = self.features * 6 * self.state + 7 * self.state + self.features
        middle = max(1, round((wanted - self.features) / (18 * self.features + 1)))
        y = Conv(middle, relu=True, name="conv1")(x)
        return x + Conv(self.features, init=nn.initializers.zeros, name="conv2")(y)


class ScanUNet(BlindDeconvolution):
    """Residual U-Net whose coarsest levels also carry hidden states across the whole image.

    Convolutions see a window; the scans let a pixel inside a large hole, or along a long blur, hear from everywhere.

    Attributes:
        widths: channels of the levels, finest (half resolution) first.
        blocks: residual blocks per level and way.
        scan_levels: levels at which each residual block is followed by a scan.
        state: hidden channels of a scan as a share of the width of its level.
        rotate: the hidden state rotates, see :class:`QuadrantScan`.
        recurrent: ``False`` puts a convolutional block of as many parameters in the place of every scan, to measure
            what the recurrence is worth.
        filters: number of Wiener filters, of a blur that is read off the image, whose results the U-Net sees beside it;
            :meth:`kernel` and :meth:`deconvolve` are those of ``WienerUNet``. 0 for none.

    Reference:
        The U-Net after DRUNet (Zhang et al., TPAMI 2022); the recurrence after De et al., Griffin, 2024.
    """

    widths: tuple[int, ...] = (48, 96, 192)
    blocks: int = 2
    scan_levels: tuple[int, ...] = (2,)
    state: float = 0.5
    rotate: bool = False
    recurrent: bool = True
    filters: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_levels(self.scan_levels, self.widths, "scan_levels")

    @property
    def multiple(self) -> int:
        """Both sides are multiples of this."""
        return 2 ** len(self.widths)

    @property
    def body_receptive_field(self) -> int | None:
        """``None``: an output pixel sees the whole image; the side of what it sees if nothing recurs or is filtered."""
        if self.filters or (self.recurrent and self.scan_levels):
            return None
        levels = range(len(self.widths))
        radii = tuple(2 * self.blocks * (2 if level in self.scan_levels else 1) for level in levels)
        return widest(lambda span: unet_span(span, radii), 2 ** len(levels))

    def setup(self) -> None:
        """Create reader, filters and U-Net."""

        def scan(level, name):
            if level not in self.scan_levels:
                return lambda x: x
            unit = 8 if self.rotate else 4
            state = unit * max(1, round(self.state * self.widths[level] / unit))
            if not self.recurrent:
                return ConvolutionalStandIn(self.widths[level], state, name=name)
            return QuadrantScan(self.widths[level], state, self.rotate, name=name)

        super().setup()
        self.unet = UNet(self.channels, self.widths, self.blocks, scan)

    def body(self, x: Array) -> Array:
        """Map what the network sees to what it predicts."""
        return self.unet(x)
