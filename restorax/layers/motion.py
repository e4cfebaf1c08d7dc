"""Motion between the frames of a video: matching, warping and detection of cuts."""

import functools

import jax.numpy as jnp

from ..types import Array

_EXPLAINED = 0.06  # mean difference


def correlate(current: Array, previous: Array, radius: int) -> Array:
    """Correlate every feature vector of a frame with those of the previous one within a window.

    Args:
        current: ``[batch, height, width, channels]``.
        previous: of the same shape.
        radius: largest vertical and horizontal displacement in pixels.

    Returns:
        Mean products over the channels, ``[batch, height, width, (2 * radius + 1) ** 2]``: the displacements from
        ``-radius`` to ``radius``, row by row; 0 outside of the previous frame.

    Reference:
        Dosovitskiy et al., FlowNet, ICCV 2015, section 3 (the correlation layer).

    Example:
        >>> correlate(jnp.ones((1, 4, 4, 8)), jnp.ones((1, 4, 4, 8)), 1)[0, 0, 0].tolist()
        [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0]
    """
    height, width = current.shape[1:3]
    padded = jnp.pad(previous, ((0, 0), (radius, radius), (radius, radius), (0, 0)))
    steps = range(2 * radius + 1)
    rows = jnp.stack([padded[:, i : i + height] for i in steps])  # few large operations compile faster than many
    products = [(current[None] * rows[:, :, :, j : j + width]).mean(-1) for j in steps]
    return jnp.moveaxis(jnp.stack(products, -1), 0, -2).reshape(*current.shape[:3], len(steps) ** 2)


def displacements(radius: int) -> Array:
    """Return the displacements of :func:`correlate`, rows first, ``[(2 * radius + 1) ** 2, 2]``."""
    steps = jnp.arange(-radius, radius + 1, dtype=jnp.float32)
    return jnp.stack(jnp.meshgrid(steps, steps, indexing="ij"), -1).reshape(-1, 2)


def warp(x: Array, flow: Array) -> Array:
    """Sample an array at ``position + flow`` by bilinear interpolation; positions outside are moved to the border.

    Every value of the result is an average of values of ``x``, so repeated warping cannot amplify.

    Args:
        x: ``[batch, height, width, channels]``.
        flow: displacement in pixels, rows first, ``[batch, height, width, 2]``.

    Returns:
        ``[batch, height, width, channels]``, in the type of ``x``.

    Reference:
        Jaderberg et al., Spatial transformer networks, NIPS 2015, section 3.3.

    Example:
        >>> x = jnp.arange(4.0).reshape(1, 1, 4, 1)
        >>> warp(x, jnp.broadcast_to(jnp.array([0.0, 0.5]), (1, 1, 4, 2)))[0, 0, :, 0].tolist()
        [0.5, 1.5, 2.5, 3.0]
    """
    batch, height, width, channels = x.shape
    rows = x.reshape(batch * height * width, channels)
    limits = jnp.array([height - 1, width - 1], flow.dtype).reshape(1, 1, 1, 2)
    place = jnp.clip(places_along(flow), 0, limits)
    whole = jnp.minimum(jnp.floor(place), jnp.maximum(limits - 1, 0))
    fraction = (place - whole).astype(x.dtype)
    first = (jnp.arange(batch) * height * width).reshape(-1, 1, 1)
    row, column = jnp.moveaxis(whole.astype(int), -1, 0)
    taps = []
    for down in (0, 1):
        for right in (0, 1):
            # A frame of one row or column has no second tap; its weight is 0.
            index = first + jnp.minimum(row + down, height - 1) * width + jnp.minimum(column + right, width - 1)
            weights = (fraction if step else 1 - fraction for step in (down, right))
            vertical, horizontal = (weight[..., axis, None] for axis, weight in enumerate(weights))
            taps.append(vertical * horizontal * rows[index])
    return functools.reduce(jnp.add, taps)


def places_along(flow: Array) -> Array:
    """Return the position of every pixel plus its displacement, ``[batch, height, width, 2]``."""
    height, width = flow.shape[1:3]
    position = jnp.stack(jnp.meshgrid(jnp.arange(height), jnp.arange(width), indexing="ij"), -1)
    return position[None].astype(flow.dtype) + flow


def is_cut(current: Array, previous: Array) -> Array:
    """Tell whether a video was cut between two frames, from their averages over blocks of pixels.

    Args:
        current: averages of a frame, ``[batch, rows, columns, channels]``.
        previous: of the preceding frame, of the same shape.

    Returns:
        Boolean, ``[batch]``: whether the difference to the best of nine neighbouring blocks exceeds 0.4 of the
        contrast. Noise averages out, and motion of a block per frame is tolerated.

    Reference:
        Boreczky and Rowe, Comparison of video shot boundary detection techniques, 1996 (block-based comparison).

    Example:
        >>> frames = jnp.stack([jnp.eye(8), jnp.eye(8), 1 - jnp.eye(8)])[..., None]
        >>> is_cut(frames[1:], frames[:-1]).tolist()
        [False, True]
    """
    around = [jnp.abs(current - moved).mean(-1) for moved in _displaced_edges(previous)]
    difference = functools.reduce(jnp.minimum, around).mean((1, 2))
    contrast = sum(jnp.abs(x - x.mean((1, 2), keepdims=True)).mean((1, 2, 3)) for x in (current, previous)) / 2
    return difference > 0.02 + 0.4 * contrast


def is_followed(current: Array, previous: Array, flow: Array) -> Array:
    """Tell where the previous frame, warped along the motion, explains a frame, from their averages over blocks.

    Args:
        current: averages of a frame in [0, 1], ``[batch, rows, columns, channels]``.
        previous: of the preceding frame, of the same shape.
        flow: motion in blocks, ``[batch, rows, columns, 2]``.

    Returns:
        ``[batch, rows, columns, 1]``: 1 up to a mean difference of 0.06, 0 from 0.12 on, and linear between them.

    Example:
        >>> frame = jnp.zeros((1, 2, 2, 3))
        >>> is_followed(frame, frame.at[0, 0].set(0.5), jnp.zeros((1, 2, 2, 2)))[0, :, :, 0].tolist()
        [[0.0, 0.0], [1.0, 1.0]]
    """
    difference = jnp.abs(current - warp(previous, flow)).mean(-1, keepdims=True)
    return jnp.clip(2 - difference / _EXPLAINED, 0, 1)


def _displaced_edges(x: Array) -> list[Array]:
    height, width = x.shape[1:3]
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    return [padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)]
