"""Motion-compensated averaging of noisy frames, and temporal inpainting from earlier frames."""

import jax
import jax.numpy as jnp

from .layers.motion import places_along, warp
from .layers.resample import pull_push
from .layers.tracking import mean_around, sample, track
from .types import Array, ConditionLike, Image, check_condition

State = tuple[Array, Array, Array]

_UNKNOWN = 1e3  # variance of what no earlier frame shows
_WINDOW = 11  # pixels over which the prediction is compared with the frame
_DISTRUST = 4.0  # of the variance that neither noise nor average explains
_SHIFT = 40.0  # of the squared mean difference: a denoiser removes noise, but not what shifts its input
_SHIFT_FLOOR = 3.0  # squared mean differences of noise, in what noise alone has on average
_DRIFT = 0.05  # variance that a step adds, in those of the noise
_ROUGH = 0.6  # variance of a hole's restoration, in mean squared differences of neighbours, for each pixel of depth
_SHALLOW = 0.7  # pixels of depth that restoration bridges
_DEEP = 8  # pixels; depths beyond count as this

_once = jax.lax.optimization_barrier  # what is fused into windows and gathers is computed again for each of their taps


def start(frame: Image) -> State:
    """Return the state before the first frame.

    Args:
        frame: ``[*batch, height, width, channels]``; only the shape is used.

    Returns:
        Average, variance of its error ``[*batch, height, width, 1]``, and last restored frame.
    """
    nothing = jnp.zeros_like(frame, jnp.float32)
    return nothing, jnp.full_like(nothing[..., :1], _UNKNOWN), nothing


def average(state: State, frame: Image, noise: ConditionLike) -> tuple[Array, Array]:
    r"""Add a frame to the average of those before it: a Kalman filter of every pixel along the motion.

    The average is moved along the motion that :func:`restorax.layers.tracking.track` finds from the frame to the last
    restored one. With the variance :math:`v` of its error, moved alike, and :math:`\sigma^2` of the noise,

    .. math::

        v' &= v + 0.05\,\sigma^2 + 4 \max(0, \overline{(y - \hat x)^2} - \sigma^2)
            + 40 \max(0, \overline{y - \hat x}^2 - 3 \sigma^2 / 121) \\
        k &= \frac{v'}{v' + \sigma^2}, \quad m \leftarrow m + k (y - m), \quad v \leftarrow k\,\sigma^2

    where means over 11 x 11 pixels compare the frame :math:`y` with the moved restored one :math:`\hat x`. The last
    term finds small changes of smooth areas, which no denoiser removes from the average. Where the motion does not
    explain the frame, at cuts and at what comes into view, :math:`k` is nearly 1.

    Args:
        state: from :func:`start`, or average and variance of the previous call and what was restored from them.
        frame: ``[*batch, height, width, channels]``, with white noise.
        noise: standard deviation of the noise, as :func:`restorax.types.check_condition` expands it.

    Returns:
        The average, of the shape of ``frame``, and the variance of its error, ``[*batch, height, width, 1]``. A
        denoiser restores the former with the root of the latter as noise level; its result completes the next state.

    Raises:
        ValueError: if the frame has another size than the previous ones, or the noise does not fit it.

    Reference:
        Kalman, A new approach to linear filtering and prediction problems, 1960.

    Example:
        >>> frame = jnp.full((4, 4, 1), 0.5)
        >>> mean, variance = average(start(frame), frame, 0.1)
        >>> [round(float(x[0, 0, 0]), 3) for x in (mean, variance)]
        [0.5, 0.01]
    """
    level = check_condition(noise, frame).astype(jnp.float32)
    mean, variance, restored, y, floor = _flat(state, frame, level**2)
    mean, predicted, variance, inside = _along(track(y, restored), mean, restored, variance)
    difference = y - predicted
    squares = (difference**2).mean(-1, keepdims=True)
    means = mean_around(_once(jnp.concatenate([squares, difference], -1)), _WINDOW)
    spread = means[..., :1] - floor
    shift = (means[..., 1:] ** 2).mean(-1, keepdims=True) - _SHIFT_FLOOR * floor / _WINDOW**2
    variance = variance + _DRIFT * floor + _DISTRUST * jnp.maximum(spread, 0) + _SHIFT * jnp.maximum(shift, 0)
    variance = jnp.where(inside, variance, _UNKNOWN)
    gain = jnp.where(floor > 0, variance / jnp.where(floor > 0, variance + floor, 1), 1)
    mean = mean + gain * (y - mean)
    return mean.reshape(frame.shape), (gain * floor).reshape(*frame.shape[:-1], 1)


def fill(state: State, frame: Image, mask: ConditionLike) -> tuple[Array, Array, Array]:
    r"""Fill missing pixels of a frame from earlier frames, along the motion.

    What is known moves along the motion, as in :func:`average`. Its error grows by four times the mean square over
    11 x 11 pixels of the difference between the frame's known pixels and the moved restored ones. It fills a hole where
    its error is below that of a restoration from the frame alone: 0.6 times the mean squared difference of neighbours
    nearby, for each pixel of depth in the hole beyond 0.7.

    Args:
        state: from :func:`start`, or mean and variance of the previous call and what was restored from them.
        frame: ``[*batch, height, width, channels]``, without noise where it is known.
        mask: 1 where the frame is known, 0 where not, as :func:`restorax.types.check_condition` expands it.

    Returns:
        The frame with some of its holes filled; the variance of its error, and 1 where it is known or filled, both
        ``[*batch, height, width, 1]``. A restorer of missing pixels gets the first and the last; its result completes
        the next state.

    Raises:
        ValueError: if the frame has another size than the previous ones, or the mask does not fit it.

    Example:
        >>> frame, mask = jnp.full((4, 4, 1), 0.5), jnp.ones((4, 4, 1)).at[1, 1].set(0)
        >>> filled, variance, known = fill(start(frame), frame, mask)
        >>> float(known.sum())
        15.0
    """
    known = jnp.round(check_condition(mask, frame, mask=True).astype(jnp.float32))
    mean, variance, restored, y, known = _flat(state, frame, known)
    now = track(pull_push(y, known), restored)
    mean, predicted, variance, inside = _along(now, mean, restored, variance)
    variance = variance + _DISTRUST * _mean_where(known, ((y - predicted) ** 2).mean(-1, keepdims=True))
    variance = jnp.where(inside, jnp.minimum(variance, _UNKNOWN), _UNKNOWN)
    mean, variance = jnp.where(known > 0, y, mean), jnp.where(known > 0, 0, variance)
    filled = jnp.maximum(known, variance < _ROUGH * _roughness(y, known) * (_depth(known) - _SHALLOW))
    shape = (*frame.shape[:-1], 1)
    return mean.reshape(frame.shape), variance.reshape(shape), filled.reshape(shape)


def _flat(state: State, frame: Image, condition: Array) -> list[Array]:
    """Return state, frame and condition with a single batch axis."""
    if state[0].shape != frame.shape:
        raise ValueError(f"the frame must have shape {state[0].shape}, as those before it, got {frame.shape}")
    parts = (*state, jnp.asarray(frame, jnp.float32), condition)
    return [x.reshape(-1, *x.shape[-3:]) for x in parts]


def _along(flow: Array, mean: Array, restored: Array, variance: Array) -> tuple[Array, ...]:
    """Move the three along a motion; tell which pixels were within the previous frame."""
    flow = _once(flow)
    moved = _once(sample(_once(jnp.concatenate([mean, restored], -1)), flow))
    return *jnp.split(moved, 2, -1), warp(variance, flow), _inside(flow)


def _roughness(image: Array, known: Array) -> Array:
    """Average the squared differences of known neighbours nearby."""
    squares, pairs = jnp.zeros_like(known), jnp.zeros_like(known)
    for axis in (1, 2):
        pad = [(int(i == axis), 0) for i in range(4)]
        before, was_known = (jnp.pad(x, pad)[:, : x.shape[1], : x.shape[2]] for x in (image, known))
        both = known * was_known
        squares = squares + both * ((image - before) ** 2).mean(-1, keepdims=True)
        pairs = pairs + both
    return _mean_where(pairs, squares / jnp.maximum(pairs, 1))


def _mean_where(weights: Array, values: Array) -> Array:
    """Average values over the window with weights; where all are zero, take the average from around there."""
    total, least = mean_around(weights, _WINDOW), 0.5 / _WINDOW**2
    mean = mean_around(weights * values, _WINDOW) / jnp.maximum(total, least)
    return pull_push(mean, (total > least).astype(mean.dtype))


def _depth(known: Array) -> Array:
    """Count the pixels to the nearest known one, in steps to any of the eight neighbours."""
    depth = 1 - known
    for _ in range(_DEEP - 1):
        known = (mean_around(known, 3) > 0.5 / 9).astype(known.dtype)
        depth = depth + 1 - known
    return depth


def _inside(flow: Array) -> Array:
    """Tell which pixels were within the previous frame."""
    height, width = flow.shape[1:3]
    place, last = places_along(flow), jnp.array([height - 1, width - 1]).reshape(1, 1, 1, 2)
    return ((place >= -0.5) & (place <= last + 0.5)).all(-1, keepdims=True)
