"""LSTM and GRU, dense and convolutional, over a sequence or one step at a time."""

from collections.abc import Callable
from functools import partial
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from ..types import Array
from . import conv
from .vary import vary_together

State = tuple[Array, ...]
Cell = Callable[[Array, Array, State], State]
Project = Callable[[Array, Array], Array]


def lstm_cell(x: Array, u: Array, state: State) -> State:
    """One step of an LSTM whose forget gate opens by one more, so that memory lasts from the first training step on.

    Args:
        x: what the input says to the input, forget, candidate and output gate, ``[..., 4 * features]``.
        u: what the hidden state says to them.
        state: hidden state and memory, each ``[..., features]``, float32.

    Returns:
        The next hidden state and memory.

    Reference:
        Hochreiter and Schmidhuber, Long short-term memory, 1997; Gers et al., Learning to forget, 2000; Jozefowicz
        et al., An empirical exploration of recurrent network architectures, ICML 2015 (the one).
    """
    i, f, g, o = jnp.split((x + u).astype(jnp.float32), 4, axis=-1)
    memory = nn.sigmoid(f + 1) * state[1] + nn.sigmoid(i) * jnp.tanh(g)
    return nn.sigmoid(o) * jnp.tanh(memory), memory


def gru_cell(x: Array, u: Array, state: State) -> State:
    """One step of a GRU whose reset gate acts after the product, so that one product serves all gates.

    Args:
        x: what the input says to the reset gate, the update gate and the candidate, ``[..., 3 * features]``.
        u: what the hidden state says to them.
        state: hidden state ``[..., features]``, float32.

    Returns:
        The next hidden state.

    Reference:
        Cho et al., Learning phrase representations using RNN encoder-decoder, EMNLP 2014; the reset as in cuDNN.
    """
    (xr, xz, xn), (ur, uz, un) = (jnp.split(part.astype(jnp.float32), 3, axis=-1) for part in (x, u))
    update = nn.sigmoid(xz + uz)
    return ((1 - update) * jnp.tanh(xn + nn.sigmoid(xr + ur) * un) + update * state[0],)


def dense(h: Array, kernel: Array) -> Array:
    """``h @ kernel`` over the last axis, in the type of the kernel."""
    flat = h.reshape(-1, h.shape[-1]).astype(kernel.dtype)
    return (flat @ kernel).reshape(*h.shape[:-1], kernel.shape[-1])


def convolve(h: Array, kernel: Array) -> Array:
    """Convolve ``[..., height, width, features]`` in the type of the kernel."""
    flat = h.reshape(-1, *h.shape[-3:]).astype(kernel.dtype)
    return conv.conv_bias_act(flat, kernel).reshape(*h.shape[:-1], kernel.shape[-1])


def scan_cell(cell: Cell, project: Project, xs: Array, kernel: Array, state: State, *, reverse: bool = False) -> State:
    """Run a cell over a sequence: ``state[t] = cell(xs[t], project(state[t - 1][0], kernel), state[t - 1])``.

    The backward pass keeps the states alone. It computes all projections again in one product, walks back once, and
    finds the gradient of the kernel in one more product after the walk: inside the loop that gradient would cost more
    than everything else.

    Args:
        cell: ``(x, u, state) -> state``, without parameters.
        project: linear in both arguments, for any leading axes of the first.
        xs: projected inputs, ``[time, ...]``.
        kernel: parameters of the projection.
        state: state before the first step, without the time axis.
        reverse: whether time runs from the end to the start.

    Returns:
        The states after every step, each ``[time, ...]``.

    Reference:
        Appleyard et al., Optimizing performance of recurrent neural networks on GPUs, 2016, section 2.

    Example:
        >>> xs, kernel, zero = jnp.zeros((5, 2, 12)), jnp.zeros((3, 12)), jnp.zeros((2, 3))
        >>> [h.shape for h in scan_cell(lstm_cell, dense, xs, kernel, (zero, zero))]
        [(5, 2, 3), (5, 2, 3)]
    """
    xs, kernel, *state = vary_together(xs, kernel, *state)
    return _scan_cell(cell, project, reverse, xs, kernel, tuple(state))


@partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def _scan_cell(cell, project, reverse, xs, kernel, state):
    def step(state, x):
        state = cell(x, project(state[0], kernel), state)
        return state, state

    return lax.scan(step, state, xs, reverse=reverse)[1]


def _scan_cell_fwd(cell, project, reverse, xs, kernel, state):
    states = _scan_cell(cell, project, reverse, xs, kernel, state)
    return states, (xs, kernel, state, states)


def _scan_cell_bwd(cell, project, reverse, saved, g):
    xs, kernel, state, states = saved
    before = tuple(
        jnp.concatenate([all_[1:], first[None]] if reverse else [first[None], all_[:-1]])
        for first, all_ in zip(state, states, strict=True)
    )
    us = project(before[0], kernel)

    def step(g_state, now):
        x, u, state, g_now = now
        g_state = jax.tree.map(jnp.add, g_state, g_now)
        g_x, g_u, g_before = jax.vjp(cell, x, u, state)[1](g_state)
        g_h = jax.vjp(lambda h: project(h, kernel), state[0])[1](g_u)[0]
        return (g_before[0] + g_h, *g_before[1:]), (g_x, g_u)

    zero = jax.tree.map(jnp.zeros_like, state)
    g_state, (g_xs, g_us) = lax.scan(step, zero, (xs, us, before, g), reverse=not reverse)
    g_kernel = jax.vjp(lambda kernel: project(before[0], kernel), kernel)[1](g_us)[0]
    return g_xs, g_kernel, g_state


_scan_cell.defvjp(_scan_cell_fwd, _scan_cell_bwd)


class Dense(nn.Module):
    """A matrix product with bias as a Flax module; computes in the type of its input.

    Attributes:
        features: output channels.
        init: initialiser of the kernel.
    """

    features: int
    init: nn.initializers.Initializer = nn.initializers.lecun_normal()

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Map ``[..., in_channels]`` to ``[..., features]``."""
        kernel = self.param("kernel", self.init, (x.shape[-1], self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return dense(x, kernel.astype(x.dtype)) + bias.astype(x.dtype).reshape((1,) * (x.ndim - 1) + (-1,))


class _Recurrent(nn.Module):
    """What LSTM and GRU share: the projections, the first state, one step, a sequence."""

    features: int

    cell: ClassVar[Cell]
    gates: ClassVar[int]
    parts: ClassVar[int]
    size: ClassVar[int | None] = None  # side of the kernels; dense without

    def setup(self) -> None:
        """Create the projections of input and hidden state, all gates in one kernel."""
        width, init = self.gates * self.features, nn.initializers.lecun_normal()
        if self.size is None:
            self.enter = Dense(width, init=init)
            self.hidden = self.param("hidden", init, (self.features, width))
        else:
            self.enter = conv.Conv(width, size=self.size, init=init)
            self.hidden = self.param("hidden", init, (self.size, self.size, self.features, width))

    def start(self, x: Array) -> State:
        """The state before the first step: zero, float32.

        Args:
            x: input of one step, ``[..., channels]``.

        Returns:
            Hidden state, and memory if there is one, each ``[..., features]``.
        """
        return (jnp.zeros_like(x, jnp.float32, shape=(*x.shape[:-1], self.features)),) * self.parts

    def step(self, state: State, x: Array) -> State:
        """Take one step.

        Args:
            state: from :meth:`start` or the step before.
            x: ``[..., channels]``; ``[batch, height, width, channels]`` for the convolutional ones.

        Returns:
            The next state, each part ``[..., features]``, float32; the hidden state comes first.
        """
        x = self._enter(x)
        return self.cell(x, self._project(state[0], self.hidden.astype(x.dtype)), state)

    def __call__(self, xs: Array, state: State | None = None, *, reverse: bool = False) -> State:
        """Take all steps of a sequence: equal to :meth:`step` one after the other, and faster.

        Args:
            xs: ``[time, ..., channels]``; ``[time, batch, height, width, channels]`` for the convolutional ones.
            state: state before the first step, zero by default.
            reverse: whether time runs from the end to the start.

        Returns:
            The states after every step, each part ``[time, ..., features]``, float32; the hidden state comes first.
        """
        state = self.start(xs[0]) if state is None else state
        xs = self._enter(xs)
        return scan_cell(self.cell, self._project, xs, self.hidden.astype(xs.dtype), state, reverse=reverse)

    @property
    def _project(self) -> Project:
        return dense if self.size is None else convolve

    def _enter(self, x: Array) -> Array:
        if self.size is None:
            return self.enter(x)
        return self.enter(x.reshape(-1, *x.shape[-3:])).reshape(*x.shape[:-1], -1)


class LSTM(_Recurrent):
    """Long short-term memory over vectors; see :func:`lstm_cell`.

    Attributes:
        features: channels of hidden state and memory.
    """

    cell, gates, parts = staticmethod(lstm_cell), 4, 2


class GRU(_Recurrent):
    """Gated recurrent unit over vectors; see :func:`gru_cell`.

    Attributes:
        features: channels of the hidden state.
    """

    cell, gates, parts = staticmethod(gru_cell), 3, 1


class ConvLSTM(LSTM):
    """An LSTM whose hidden state is an image, with 3x3 kernels.

    Attributes:
        features: channels of hidden state and memory.

    Reference:
        Shi et al., Convolutional LSTM network, NIPS 2015 (without its peepholes).
    """

    size = 3


class ConvGRU(GRU):
    """A GRU whose hidden state is an image, with 3x3 kernels.

    Attributes:
        features: channels of the hidden state.

    Reference:
        Ballas et al., Delving deeper into convolutional networks for learning video representations, ICLR 2016.
    """

    size = 3
