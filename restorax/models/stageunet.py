"""StageUNet: one small U-Net, run several times on its own result, with convolutional memory at its coarse levels."""

import flax.linen as nn
import jax.numpy as jnp

from ..layers.cells import ConvGRU, ConvLSTM
from ..layers.conv import Conv
from ..layers.unet import UNet, check_levels, unet_span, widest
from ..types import Array
from .base import RestorationNetwork

_CELLS = {"gru": ConvGRU, "lstm": ConvLSTM}


class StageUNet(RestorationNetwork):
    """Stage recurrence at the scale of a U-Net: depth from repetition instead of from parameters.

    Stages share all parameters. Each sees the degraded image and the estimate of the stage before, and its memory
    carries on what the stages before had found out.

    Attributes:
        widths: channels of the levels, finest (half resolution) first.
        blocks: residual blocks per level and way.
        stages: how often the network runs.
        memory_levels: levels at which each residual block is followed by a memory.
        state: hidden channels of a memory as a share of the width of its level.
        cell: ``"gru"`` or ``"lstm"``.

    Reference:
        After Ren et al., Progressive image deraining networks (PReNet), CVPR 2019; the U-Net after DRUNet (Zhang et
        al., TPAMI 2022).
    """

    widths: tuple[int, ...] = (32, 64, 128)
    blocks: int = 1
    stages: int = 4
    memory_levels: tuple[int, ...] = (2,)
    state: float = 0.5
    cell: str = "gru"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.cell not in _CELLS:
            raise ValueError(f"cell is {self.cell!r}; accepted are {' and '.join(_CELLS)}")
        check_levels(self.memory_levels, self.widths, "memory_levels")

    @property
    def multiple(self) -> int:
        """Both sides are multiples of this."""
        return 2 ** len(self.widths)

    @property
    def body_receptive_field(self) -> int:
        """Side of the square of input pixels that an output pixel sees."""
        levels = range(len(self.widths))
        radii = tuple(self.blocks * (3 if level in self.memory_levels else 2) for level in levels)

        def span_of(span):
            for _ in range(self.stages):
                span = unet_span(span, radii)
            return span

        return widest(span_of, 2 ** len(levels))

    @nn.compact
    def body(self, x: Array) -> Array:
        """Map what the network sees to what it predicts."""
        stages = nn.scan(
            _Stage,
            variable_broadcast="params",
            split_rngs={"params": False},
            in_axes=nn.broadcast,
            length=self.stages,
        )(
            self.channels,
            self.widths,
            self.blocks,
            self.memory_levels,
            self.state,
            self.cell,
            self.residual,
            name="stage",
        )
        degraded = x[..., : self.channels]
        first = jnp.zeros_like(degraded) if self.residual else degraded
        return stages((first, self._first_memory(x)), x)[0][0]

    def _first_memory(self, x: Array) -> dict[str, tuple[Array, ...]]:
        """Zeros for every memory, by the name of the place at which it stands."""
        n, height, width, _ = x.shape
        states = {}
        for level in self.memory_levels:
            side = 2 ** (level + 1)
            shape = (n, height // side, width // side, _memory_width(self.state, self.widths[level]))
            zero = jnp.zeros_like(x, jnp.float32, shape=shape)
            ways = ("bottom",) if level == len(self.widths) - 1 else ("down", "up")
            for place in (f"{way}{level}_block{i}_extra" for way in ways for i in range(self.blocks)):
                states[place] = (zero,) * _CELLS[self.cell].parts
        return states


def _memory_width(share: float, width: int) -> int:
    return max(1, round(share * width))


class _Stage(nn.Module):
    """``((output, states), input) -> (output, states)``; the output is the image, or its difference to the input."""

    channels: int
    widths: tuple[int, ...]
    blocks: int
    memory_levels: tuple[int, ...]
    state: float
    cell: str
    residual: bool

    @nn.compact
    def __call__(self, carry: tuple[Array, dict], x: Array) -> tuple[tuple, None]:
        out, states = carry
        estimate = x[..., : self.channels] + out if self.residual else out
        after = {}

        def remember(level, name):
            if level not in self.memory_levels:
                return lambda y: y
            return lambda y: y + recall(y, level, name)

        def recall(y, level, name):
            cell = _CELLS[self.cell](_memory_width(self.state, self.widths[level]), name=name)
            after[name] = cell.step(states[name], y)
            back = Conv(self.widths[level], size=1, init=nn.initializers.zeros, name=f"{name}_out")
            return back(after[name][0].astype(y.dtype))

        unet = UNet(self.channels, self.widths, self.blocks, remember, name="unet")
        return (unet(jnp.concatenate([x, estimate], axis=-1)), after), None
