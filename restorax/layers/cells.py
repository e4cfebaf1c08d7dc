"""LSTM and GRU, dense and convolutional, over a sequence or one step at a time."""

from collections.abc import Callable
from typing import ClassVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from ..types import Array
from . import conv

State = tuple[Array, ...]


def lstm_cell(x: Array, u: Array, state: State) -> State:
    """One step of an LSTM whose forget gate opens by one more, so that memory lasts from the first training step on.

    Args:
        x: what the input says to the input gate, forget gate, candidate and output gate, ``[..., 4 * features]``.
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


def dense(x: Array, kernel: Array) -> Array:
    """``x @ kernel`` over the last axis, in the type of the kernel."""
    flat = x.reshape(-1, x.shape[-1]).astype(kernel.dtype)
    return (flat @ kernel).reshape(*x.shape[:-1], kernel.shape[-1])


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
    """What LSTM and GRU share: kernels, the first state, one step, a sequence."""

    features: int

    cell: ClassVar[Callable[[Array, Array, State], State]]
    gates: ClassVar[int]
    parts: ClassVar[int]
    size: ClassVar[tuple[int, ...]] = ()  # sides of the kernels; none for vectors

    @nn.compact
    def _kernels(self, x: Array) -> tuple[Array, Array, Array]:
        """Of the input, of the hidden state, and the bias: all gates in one, in the type of ``x``."""
        width, init = self.gates * self.features, nn.initializers.lecun_normal()
        entering = self.param("entering", init, (*self.size, x.shape[-1], width))
        hidden = self.param("hidden", init, (*self.size, self.features, width))
        bias = self.param("bias", nn.initializers.zeros, (width,))
        return entering.astype(x.dtype), hidden.astype(x.dtype), bias.astype(x.dtype)

    def _advance(self, kernels: tuple[Array, Array, Array], state: State, x: Array) -> State:
        entering, hidden, bias = kernels
        if self.size:
            said, recalled = conv.conv_bias_act(x, entering, bias), conv.conv_bias_act(state[0].astype(x.dtype), hidden)
        else:
            said = dense(x, entering) + bias.reshape((1,) * (x.ndim - 1) + (-1,))
            recalled = dense(state[0], hidden)
        return self.cell(said, recalled, state)

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
        return self._advance(self._kernels(x), state, x)

    def __call__(self, xs: Array, state: State | None = None, *, reverse: bool = False) -> tuple[Array, State]:
        """Take all steps of a sequence, as :meth:`step` does one after the other.

        The backward pass keeps inputs and states alone and computes the gates again. The projection of the input stays
        in the loop, where its result stays in the cache: on CPU that takes a third to two thirds of the time of one
        product before the loop (``python -m benchmarks.recurrence``).

        Args:
            xs: ``[time, ..., channels]``; ``[time, batch, height, width, channels]`` for the convolutional ones.
            state: state before the first step, zero by default.
            reverse: whether time runs from the end to the start.

        Returns:
            The hidden states after every step, ``[time, ..., features]`` in the type of ``xs``, and the last state.
        """
        state, kernels = self.start(xs[0]) if state is None else state, self._kernels(xs)

        def step(state, x):
            state = self._advance(kernels, state, x)
            return state, state[0].astype(x.dtype)

        state, hidden = lax.scan(jax.checkpoint(step, prevent_cse=False), state, xs, reverse=reverse)
        return hidden, state


class LSTM(_Recurrent):
    """Long short-term memory over vectors; see :func:`lstm_cell`.

    Attributes:
        features: channels of hidden state and memory.

    Example:
        >>> xs = jnp.ones((7, 2, 5))  # seven steps of two sequences
        >>> hidden, state = LSTM(3).init_with_output(jax.random.key(0), xs)[0]
        >>> hidden.shape, [part.shape for part in state]
        ((7, 2, 3), [(2, 3), (2, 3)])
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

    size = (3, 3)


class ConvGRU(GRU):
    """A GRU whose hidden state is an image, with 3x3 kernels.

    Attributes:
        features: channels of the hidden state.

    Reference:
        Ballas et al., Delving deeper into convolutional networks for learning video representations, ICLR 2016.
    """

    size = (3, 3)
