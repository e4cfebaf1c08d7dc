"""Dense convolution with bias and ReLU: every dense convolution of every model calls :func:`conv_bias_act`.

Models call it as an attribute of this module (``conv.conv_bias_act``), so that a faster backend can replace it.
"""

import contextlib
import os
from collections.abc import Iterator
from contextvars import ContextVar

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import lax

from ..types import Array
from .derivatives import transposed, with_derivatives
from .parameters import param
from .varying_axes import match_varying_axes

small_normal = nn.initializers.variance_scaling(0.01, "fan_in", "normal")
"""Initialiser for the last layer of a residual network, which then starts close to the identity."""

_NHWC = ("NHWC", "HWIO", "NHWC")
_extent: ContextVar[tuple[Array, tuple[int, int]] | None] = ContextVar("extent", default=None)
_plain: ContextVar[bool] = ContextVar("plain", default=False)


def conv_bias_act(
    x: Array,
    kernel: Array,
    bias: Array | None = None,
    *,
    strides: tuple[int, int] = (1, 1),
    padding: str = "SAME",
    groups: int = 1,
    relu: bool = False,
    dilation: int = 1,
) -> Array:
    """Convolve, add a bias and apply ReLU.

    The result has the type of ``x``; kernel and bias may stay float32 beside bfloat16 activations. The environment
    variable ``RESTORAX_CONV=plain`` selects XLA's own convolution and gradients on every platform.

    Args:
        x: ``[batch, height, width, in_channels]``.
        kernel: ``[rows, columns, in_channels // groups, out_channels]``.
        bias: ``[out_channels]`` or ``None``.
        strides: rows and columns between outputs.
        padding: ``"SAME"`` (zeros) or ``"VALID"``.
        groups: number of channel groups.
        relu: whether to apply ReLU.
        dilation: distance between kernel taps; for more than 1, call :data:`xla_conv_bias_act`.

    Returns:
        ``[batch, out_height, out_width, out_channels]``.

    Example:
        >>> conv_bias_act(jnp.ones((1, 5, 5, 2)), jnp.ones((3, 3, 2, 4))).shape
        (1, 5, 5, 4)
    """
    if kernel.shape[0] * kernel.shape[1] > 1:
        x = _zero_outside(x)
    x, kernel = match_varying_axes(x, kernel.astype(x.dtype))
    same_size = (
        strides == (1, 1) and dilation == 1 and padding == "SAME" and kernel.shape[0] % 2 == kernel.shape[1] % 2 == 1
    )
    if same_size and groups == 1 and not _plain.get() and os.environ.get("RESTORAX_CONV") != "plain":
        y = _same_conv(x, kernel) if kernel.shape[0] * kernel.shape[1] > 1 else _pointwise(x, kernel)
    else:
        y = _plain_conv(x, kernel, strides, padding, groups, dilation)
    if bias is not None:
        y = y + bias.astype(x.dtype).reshape(1, 1, 1, -1)
    return nn.relu(y) if relu else y


xla_conv_bias_act = conv_bias_act
"""The XLA form, whichever backend has replaced :func:`conv_bias_act`."""


@contextlib.contextmanager
def xla_convolutions() -> Iterator[None]:
    """Trace with the XLA form of :func:`conv_bias_act`, whichever backend has replaced it."""
    global conv_bias_act
    backend, conv_bias_act = conv_bias_act, xla_conv_bias_act
    try:
        yield
    finally:
        conv_bias_act = backend


@contextlib.contextmanager
def plain_convolutions() -> Iterator[None]:
    """Trace every convolution as one operation, for other compilers than XLA."""
    token = _plain.set(True)
    try:
        with xla_convolutions():
            yield
    finally:
        _plain.reset(token)


@contextlib.contextmanager
def images_end_at(sides: Array, padded: tuple[int, int]) -> Iterator[None]:
    """Trace convolutions that take everything outside of the images for zero, as at their borders.

    A network of same-size convolutions then computes in an image extended to ``padded`` what it computes in the image
    alone, in that part. It has no effect on another backend than the XLA form.

    Args:
        sides: height and width of each image, multiples of the factor of downsampling, ``[batch or 1, 2]`` integers.
        padded: height and width of the arrays at full resolution.
    """
    token = _extent.set((sides, padded))
    try:
        yield
    finally:
        _extent.reset(token)


def _zero_outside(x: Array) -> Array:
    """Set features beyond the ends of their images to zero, at any resolution."""
    extent = _extent.get()
    if extent is None:
        return x
    sides, padded = extent
    ends = (sides * jnp.array([x.shape[1:3]]) // jnp.array([padded])).reshape(-1, 2, 1, 1, 1)
    rows, columns = jnp.arange(x.shape[1]).reshape(1, -1, 1, 1), jnp.arange(x.shape[2]).reshape(1, 1, -1, 1)
    return jnp.where((rows < ends[:, 0]) & (columns < ends[:, 1]), x, 0)


def _plain_conv(x, kernel, strides=(1, 1), padding="SAME", groups=1, dilation=1):
    return lax.conv_general_dilated(
        x,
        kernel,
        strides,
        padding,
        rhs_dilation=(dilation, dilation),
        dimension_numbers=_NHWC,
        feature_group_count=groups,
    )


def _pointwise(x, kernel):
    """Compute a 1x1 convolution as a matrix product, which halves the time of both passes on CPU."""
    product = jnp.matmul(x.reshape(-1, x.shape[-1]), kernel[0, 0], preferred_element_type=jnp.float32)
    return product.astype(x.dtype).reshape(*x.shape[:-1], kernel.shape[-1])


def _input_gradient(x, kernel, g):
    return lax.platform_dependent(x, kernel, g, cpu=_input_gradient_nhwc, default=_plain_input_gradient)


def _kernel_gradient(x, kernel, g):
    # On CPU, matrix products take 0.8 of the time of XLA's kernel gradient at 96 channels and equal it at other widths;
    # at multiples of 64 they are slower (python -m benchmarks conv).
    by_products = kernel.shape[2] % 64 or kernel.shape[3] % 64
    on_cpu = _kernel_gradient_by_products if by_products else _kernel_gradient_nhwc
    return lax.platform_dependent(x, kernel, g, cpu=on_cpu, default=_plain_kernel_gradient)


def _plain_input_gradient(x, kernel, g):
    return jax.vjp(lambda x: _plain_conv(x, kernel), x)[1](g)[0]


def _plain_kernel_gradient(x, kernel, g):
    return jax.vjp(lambda kernel: _plain_conv(x, kernel), kernel)[1](g)[0]


# On CPU, convolutions with another layout than NHWC, HWIO are 7 to 70 times slower inside loops, where the compiler
# does not change layouts. These gradients therefore use that layout.


def _input_gradient_nhwc(x, kernel, g):
    return _plain_conv(g, kernel[::-1, ::-1].transpose(0, 1, 3, 2))


def _kernel_gradient_nhwc(x, kernel, g):
    pads = [(side // 2, side // 2) for side in kernel.shape[:2]]
    images, filters = x.transpose(3, 1, 2, 0), g.transpose(1, 2, 0, 3)
    return lax.conv_general_dilated(images, filters, (1, 1), pads, dimension_numbers=_NHWC).transpose(1, 2, 0, 3)


def _kernel_gradient_by_products(x, kernel, g):
    """Compute one matrix product per tap: the shifted input, transposed, times the output gradient."""
    rows, columns, channels, features = kernel.shape
    height, width = x.shape[1:3]
    padded = jnp.pad(x, ((0, 0), (rows // 2, rows // 2), (columns // 2, columns // 2), (0, 0)))
    flat = g.reshape(-1, features)
    taps = [
        jnp.matmul(
            padded[:, i : i + height, j : j + width].reshape(-1, channels).T, flat, preferred_element_type=jnp.float32
        )
        for i in range(rows)
        for j in range(columns)
    ]
    return jnp.stack(taps).reshape(kernel.shape).astype(kernel.dtype)


_same_conv = with_derivatives(_plain_conv, transposed(_input_gradient), transposed(_kernel_gradient))


class Conv(nn.Module):
    """A convolution that computes in the type of its input.

    Attributes:
        features: output channels.
        size: side of the square kernel.
        relu: whether to apply ReLU.
        bias: whether to add a bias.
        dilation: distance between kernel taps.
        init: initialiser of the kernel, He's by default.
    """

    features: int
    size: int = 3
    relu: bool = False
    bias: bool = True
    dilation: int = 1
    init: nn.initializers.Initializer = nn.initializers.he_normal()

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Map ``[batch, height, width, in_channels]`` to ``[batch, height, width, features]``."""
        kernel = param(self, "kernel", self.init, (self.size, self.size, x.shape[-1], self.features))
        bias = param(self, "bias", nn.initializers.zeros, (self.features,)) if self.bias else None
        if self.dilation > 1:
            return xla_conv_bias_act(x, kernel, bias, dilation=self.dilation, relu=self.relu)
        return conv_bias_act(x, kernel, bias, relu=self.relu)


class TransposedConv(nn.Module):
    """A transposed convolution of stride 2, computed as a convolution followed by a pixel shuffle.

    Every output pixel depends on ``size / 2`` x ``size / 2`` input pixels. The last axis of the kernel holds the taps
    of the four output pixels of a 2x2 block, row by row.

    Attributes:
        features: output channels.
        size: side of the kernel of the transposed convolution, 2 or 4 (then one pixel is cropped on every side).
        relu: whether to apply ReLU.
        bias: whether to add a bias.
    """

    features: int
    size: int = 2
    relu: bool = False
    bias: bool = True

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Map ``[batch, height, width, in_channels]`` to ``[batch, 2 height, 2 width, features]``."""
        n, height, width, channels = x.shape
        taps = self.size // 2
        kernel = param(self, "kernel", nn.initializers.he_normal(), (taps, taps, channels, 4 * self.features))
        if taps == 2:
            x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        out = conv_bias_act(x, kernel, padding="VALID")
        out = out.reshape(*out.shape[:3], 2, 2, self.features)
        # For size 4, odd output pixels use the window one pixel further.
        odd = taps - 1
        rows = jnp.stack([out[:, :height, :, 0], out[:, odd : odd + height, :, 1]], 2)
        both = jnp.stack([rows[:, :, :, :width, 0], rows[:, :, :, odd : odd + width, 1]], 4)
        y = both.reshape(n, 2 * height, 2 * width, self.features)
        if self.bias:
            y = y + param(self, "bias", nn.initializers.zeros, (self.features,)).astype(x.dtype).reshape(1, 1, 1, -1)
        return nn.relu(y) if self.relu else y
