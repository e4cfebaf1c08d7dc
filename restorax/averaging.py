"""Motion-compensated averaging of noisy frames, ahead of a denoiser that takes the remaining noise level as input."""

import jax
import jax.numpy as jnp

from .layers.motion import places_along, warp
from .layers.tracking import mean_around, sample, track
from .types import Array, ConditionLike, Image, check_condition

State = tuple[Array, Array, Array]

_UNKNOWN = 1e3  # variance of what no earlier frame shows
_WINDOW = 11  # pixels over which the prediction is compared with the frame
_DISTRUST = 4.0  # of the variance that neither noise nor average explains
_DRIFT = 0.05  # variance that a step adds, in those of the noise

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

        v' = v + 0.05\,\sigma^2 + 4 \max(0, \overline{(y - \hat x)^2} - \sigma^2), \quad
        k = \frac{v'}{v' + \sigma^2}, \quad m \leftarrow m + k (y - m), \quad v \leftarrow k\,\sigma^2

    where the mean over 11 x 11 pixels compares the frame :math:`y` with the moved restored one :math:`\hat x`. Where
    the motion does not explain the frame, at cuts and at what comes into view, :math:`k` is nearly 1.

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
    if state[0].shape != frame.shape:
        raise ValueError(f"the frame must have shape {state[0].shape}, as those before it, got {frame.shape}")
    height, width, channels = frame.shape[-3:]
    level = check_condition(noise, frame).astype(jnp.float32)
    flat = (x.reshape(-1, height, width, x.shape[-1]) for x in (*state, jnp.asarray(frame, jnp.float32), level**2))
    mean, variance, restored, y, floor = flat
    flow = _once(track(y, restored))
    moved = _once(sample(_once(jnp.concatenate([mean, restored], -1)), flow))
    mean, predicted = moved[..., :channels], moved[..., channels:]
    unexplained = mean_around(((y - predicted) ** 2).mean(-1, keepdims=True), _WINDOW) - floor
    variance = warp(variance, flow) + _DRIFT * floor + _DISTRUST * jnp.maximum(unexplained, 0)
    variance = jnp.where(_inside(flow), variance, _UNKNOWN)
    gain = jnp.where(floor > 0, variance / jnp.where(floor > 0, variance + floor, 1), 1)
    mean = mean + gain * (y - mean)
    return mean.reshape(frame.shape), (gain * floor).reshape(*frame.shape[:-1], 1)


def _inside(flow: Array) -> Array:
    """Tell which pixels were within the previous frame."""
    height, width = flow.shape[1:3]
    place, last = places_along(flow), jnp.array([height - 1, width - 1]).reshape(1, 1, 1, 2)
    return ((place >= -0.5) & (place <= last + 0.5)).all(-1, keepdims=True)
