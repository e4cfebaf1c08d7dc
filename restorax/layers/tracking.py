"""Dense motion between two frames by the method of Lucas and Kanade, and sharp sampling along it."""

import functools

import jax.numpy as jnp

from ..types import Array
from .motion import places_along, warp

_WINDOW, _STEPS = 11, 4
_STILL = 1.05  # what rests is not sampled between pixels
_BINOMIAL = (1, 3, 3, 1)
_SMALLEST = 8  # pixels of a side at the coarsest scale
_DAMPING = (3 / 255) ** 2  # gradient energy below which a window shows no motion
_KEYS = -0.75  # of the cubic kernel: repeated sampling blurs less than with -0.5


def track(current: Array, previous: Array, levels: int = 4) -> Array:
    """Estimate where each pixel of a frame was in the previous frame, from coarse to fine.

    At each scale from a half of the resolution, the displacement within a window is corrected four times by the least
    squares of the linearised difference. The gradients are those of the previous frame, which may be less noisy.

    Args:
        current: ``[batch, height, width, channels]``; noise averages out within the window.
        previous: of the same shape.
        levels: scales at most; the coarsest has sides of at least 8 pixels.

    Returns:
        Displacement in pixels, rows first, ``[batch, height, width, 2]``: 0 for frames smaller than 16 pixels.

    Reference:
        Lucas and Kanade, An iterative image registration technique, IJCAI 1981; Bouguet, Pyramidal implementation of
        the Lucas Kanade feature tracker, 2001.

    Example:
        >>> import jax
        >>> ramp = jnp.broadcast_to(jnp.arange(32.0) / 32, (1, 32, 32))[..., None]
        >>> round(float(jax.jit(track)(ramp, ramp + 1 / 32)[0, 16, 16, 1]), 1)
        -1.0
    """
    pairs = [tuple(mean_around(x.mean(-1, keepdims=True), 3) for x in (current, previous))]
    while len(pairs) <= levels and min(pairs[-1][0].shape[1:3]) >= 2 * _SMALLEST:
        pairs.append(tuple(map(_halved, pairs[-1])))
    flow = jnp.zeros((*pairs[-1][0].shape[:3], 2), current.dtype)
    for finer, (now, before) in zip(pairs[-2::-1], pairs[:0:-1], strict=True):
        flow = _doubled(_corrected(flow, now, before), finer[0].shape[1:3])
    return flow


def sample(x: Array, flow: Array) -> Array:
    """Sample an array at ``position + flow`` by cubic convolution; positions outside are moved to the border.

    Args:
        x: ``[batch, height, width, channels]``.
        flow: displacement in pixels, rows first, ``[batch, height, width, 2]``.

    Returns:
        ``[batch, height, width, channels]``.

    Reference:
        Keys, Cubic convolution interpolation for digital image processing, IEEE TASSP 1981, with ``a = -0.75``.

    Example:
        >>> x = jnp.arange(6.0).reshape(1, 1, 6, 1)
        >>> sample(x, jnp.broadcast_to(jnp.array([0.0, 1.0]), (1, 1, 6, 2)))[0, 0, :, 0].tolist()
        [1.0, 2.0, 3.0, 4.0, 5.0, 5.0]
    """
    batch, height, width, channels = x.shape
    sides = jnp.array([height - 1, width - 1]).reshape(1, 1, 1, 2)
    place = jnp.clip(places_along(flow), 0, sides)
    whole = jnp.floor(place)
    weights, whole = _cubic(place - whole), whole.astype(int)
    rows = x.reshape(batch * height * width, channels)
    first = (jnp.arange(batch) * height * width).reshape(-1, 1, 1)
    taps = []
    for down in range(4):
        row = first + jnp.clip(whole[..., 0] + down - 1, 0, height - 1) * width
        for right in range(4):
            column = jnp.clip(whole[..., 1] + right - 1, 0, width - 1)
            weight = weights[down][..., :1] * weights[right][..., 1:]
            taps.append(weight * rows[row + column])
    return functools.reduce(jnp.add, taps)


def mean_around(x: Array, side: int) -> Array:
    """Average every pixel of ``[batch, height, width, channels]`` over a window of odd side; borders are repeated."""
    around = side // 2
    x = jnp.pad(x, ((0, 0), (around, around), (around, around), (0, 0)), mode="edge")
    height, width = (length - 2 * around for length in x.shape[1:3])
    x = functools.reduce(jnp.add, (x[:, i : i + height] for i in range(side)))
    return functools.reduce(jnp.add, (x[:, :, i : i + width] for i in range(side))) / side**2


def _corrected(flow: Array, now: Array, before: Array) -> Array:
    """Refine the motion at one scale."""
    down = jnp.pad(before[:, 2:] - before[:, :-2], ((0, 0), (1, 1), (0, 0), (0, 0))) / 2
    right = jnp.pad(before[:, :, 2:] - before[:, :, :-2], ((0, 0), (0, 0), (1, 1), (0, 0))) / 2
    parts = jnp.concatenate([before, down, right], -1)
    for _ in range(_STEPS):
        seen, y, x = jnp.split(warp(parts, flow), 3, -1)
        change = now - seen
        products = jnp.concatenate([y * y, x * x, x * y, y * change, x * change], -1)
        yy, xx, xy, vertical, horizontal = jnp.moveaxis(mean_around(products, _WINDOW), -1, 0)
        yy, xx = yy + _DAMPING, xx + _DAMPING
        correction = jnp.stack([xx * vertical - xy * horizontal, yy * horizontal - xy * vertical], -1)
        correction = correction / (yy * xx - xy * xy)[..., None]
        flow = mean_around(flow + jnp.clip(correction, -1, 1), 5)
    still, moved = (mean_around((now - seen) ** 2, _WINDOW) for seen in (before, warp(before, flow)))
    return jnp.where(still < _STILL * moved, 0, flow)


def _halved(x: Array) -> Array:
    """Halve the resolution with binomial weights; odd sides lose their last pixel."""
    x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    height, width = ((length - 2) // 2 * 2 for length in x.shape[1:3])
    x = functools.reduce(jnp.add, (weight * x[:, i : i + height : 2] for i, weight in enumerate(_BINOMIAL)))
    return functools.reduce(jnp.add, (weight * x[:, :, i : i + width : 2] for i, weight in enumerate(_BINOMIAL))) / 64


def _doubled(flow: Array, size: tuple[int, ...]) -> Array:
    """Double the resolution and the lengths of a motion, by repetition."""
    flow = 2 * flow.repeat(2, 1).repeat(2, 2)
    pads = ((0, 0), *((0, full - length) for full, length in zip(size, flow.shape[1:3], strict=True)), (0, 0))
    return mean_around(jnp.pad(flow, pads, mode="edge"), 3)


def _cubic(t: Array) -> tuple[Array, ...]:
    """Return the weights of the four neighbours at a fraction of a pixel."""
    a = _KEYS
    return (
        a * (t**3 - 2 * t**2 + t),
        (a + 2) * t**3 - (a + 3) * t**2 + 1,
        -(a + 2) * t**3 + (2 * a + 3) * t**2 - a * t,
        a * (t**2 - t**3),
    )
