"""Measure the receptive field of a network from its gradient."""

from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from ..layers.conv import xla_convolutions
from .base import RestorationNetwork


def measure_receptive_field(model: RestorationNetwork, length: int = 512) -> int | None:
    """Measure the side of the square of input pixels on which an output pixel depends.

    One output pixel gets the gradient NaN, all others 0. Back-propagation carries NaN to exactly those input pixels
    that the output pixel depends on, however small the derivative is. The input is a horizontal strip of noise. Where
    layers are strided, the extent depends on the output pixel: the widest of ``model.multiple`` neighbours counts.

    Args:
        model: a restorer network.
        length: length of the strip in pixels; larger receptive fields count as the whole image.

    Returns:
        Side in pixels, or ``None`` (the whole image) if an end of the strip is reached.

    Example:
        >>> from restorax.models import DnCNN
        >>> measure_receptive_field(DnCNN(depth=5))
        11
    """
    period = model.multiple
    length = -(-length // period) * period
    # A recurrence over frames extends its reach with every frame; this many suffice to reach the ends of the strip.
    frames = (length // 4,) if model.takes_frames else ()
    shapes = [(*frames, period, length, x.shape[-1]) for x in model.input_shapes(1, 1)]
    image = np.random.default_rng(0).random(shapes[0], np.float32)
    # As a mask: only the ends of the strip are known.
    condition = [np.zeros(shape, np.float32) for shape in shapes[1:]]
    for values in condition:
        values[..., [0, -1], :] = 1

    def dependencies(variables, image, condition, gradient):
        def last(image):
            restored = cast(jax.Array, model.apply(variables, image, *condition))
            return restored if restored.ndim == gradient.ndim else restored[-1]

        pull = jax.vjp(last, image)[1]
        return jnp.isnan(pull(gradient)[0])

    # On the CPU: convolutions of other devices may multiply NaN from outside of their window by zero.
    quickly = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
    compiled = jax.jit(dependencies, compiler_options=quickly)
    widest = 0
    with jax.default_device(_cpu()), xla_convolutions():
        variables = _probe_parameters(model, image, *condition)
        for column in range(length // 2, length // 2 + period):
            gradient = np.zeros(shapes[0][-3:], np.float32)
            gradient[period // 2, column] = np.nan
            marked = np.asarray(compiled(variables, image, condition, gradient))
            found = marked.any((-1, -3)).reshape(-1, length).any(0)
            first, last = np.flatnonzero(found)[[0, -1]]
            if first == 0 or last == length - 1:
                return None
            widest = max(widest, int(last - first) + 1)
    return widest


def _cpu() -> Any:
    try:
        return jax.local_devices(backend="cpu")[0]
    except RuntimeError:  # JAX_PLATFORMS excludes it
        return None


def _probe_parameters(model: RestorationNetwork, *observed: np.ndarray) -> dict:
    """Draw parameters that let the gradient pass everywhere, under which activations neither vanish nor overflow.

    Half of the channels have positive weights, so that no ReLU blocks them. The others have random signs, so that max
    pooling does not select the same pixel in all channels.
    """
    random = np.random.default_rng(0)

    def draw(parameter):
        if len(parameter.shape) < 2:
            return np.full(parameter.shape, 0.1, np.float32)
        kernel = random.random(parameter.shape, np.float32) + 0.1
        kernel *= 0.5 / kernel.sum(tuple(range(kernel.ndim - 1)), keepdims=True)
        kernel[..., 1::2] *= random.choice([-1, 1], kernel[..., 1::2].shape)
        return kernel

    return jax.tree.map(draw, jax.eval_shape(model.init, jax.random.key(0), *observed))
