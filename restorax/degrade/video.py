"""Time from one photograph: bursts of a shaken camera, and a window that travels over the picture."""

import jax
import jax.numpy as jnp

from ..types import Array, Float, Image, PRNGKeyArray, Strength, check_count, check_image, per_image
from .registry import NON_NEGATIVE, Count, register

__all__ = [
    "burst",
    "moving_window",
]


@register({"frames": Count(), "shift": NON_NEGATIVE}, examples={"frames": 2, "shift": (1, 4, 16)})
def burst(
    key: PRNGKeyArray, image: Image, *, frames: int = 8, shift: Strength = 2.0
) -> Float[Array, "*batch frames height width channel"]:
    """Repeat an image as the frames of a burst, each moved as a whole by a random part of a pixel or more.

    The last frame is not moved: it is the one to restore. Operators that follow see the frames as a batch and draw
    independent noise for each, so ``burst(frames=8) + gaussian_noise(sigma=25/255)`` is a noisy burst. Strengths that
    are drawn, as by ``uniform``, are drawn for each frame too.

    Args:
        key: random key.
        image: ``[*batch, height, width, channel]``.
        frames: number of frames, at least 1.
        shift: largest movement of a frame in pixels, down and across, drawn evenly up to it; a scalar or one per
            image.

    Returns:
        ``[*batch, frames, height, width, channel]``; borders mirrored, interpolated by Keys' cubic, not clipped.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if the shapes do not fit, or there is no frame.

    Reference:
        Mildenhall et al., Burst denoising with kernel prediction networks, CVPR 2018, section 4; Keys, Cubic
        convolution interpolation, TASSP 1981.

    Example:
        >>> burst(jax.random.key(0), jnp.ones((8, 8, 1)), frames=5).shape
        (5, 8, 8, 1)
    """
    *batch, height, width, _ = image.shape
    largest = jnp.broadcast_to(per_image(shift, image)[..., 0, 0, 0], batch)[..., None]
    moved = jax.random.uniform(key, (2, *batch, frames), image.dtype, -1, 1) * largest[None]
    moved = moved.at[..., -1].set(0)
    return _sampled(image, moved[0], moved[1], height, width)


def moving_window(
    key: PRNGKeyArray, image: Image, *, frames: int, height: int, width: int, speed: Strength = 2.0
) -> Float[Array, "*batch frames window_height window_width channel"]:
    """A video of one photograph: a window travels over it in a straight line at constant speed.

    Where the picture ends the window waits at its border.

    Args:
        key: random key, of the place where it starts and of the direction.
        image: ``[*batch, old_height, old_width, channel]``.
        frames: number of frames, at least 1.
        height: rows of the window, at most those of the image.
        width: columns of the window, at most those of the image.
        speed: pixels from one frame to the next, a scalar or one per image.

    Returns:
        ``[*batch, frames, height, width, channel]``, interpolated by Keys' cubic, not clipped.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if the shapes do not fit, there is no frame, or the window is larger than the image.

    Reference:
        Keys, Cubic convolution interpolation, TASSP 1981.

    Example:
        >>> moving_window(jax.random.key(0), jnp.ones((16, 16, 1)), frames=3, height=8, width=8).shape
        (3, 8, 8, 1)
    """
    image = check_image(image, exact=True)
    *batch, rows, columns, _ = image.shape
    check_count(frames, "frames")
    if not (0 < height <= rows and 0 < width <= columns):
        raise ValueError(f"a window of {height} x {width} does not fit into an image of {rows} x {columns}")
    start_key, way_key = jax.random.split(key)
    start = jax.random.uniform(start_key, (2, *batch, 1), image.dtype)
    angle = jax.random.uniform(way_key, (*batch, 1), image.dtype, maxval=2 * jnp.pi)
    NON_NEGATIVE.check(speed, "speed")
    speed = jnp.broadcast_to(per_image(speed, image)[..., 0, 0, 0], batch)[..., None]
    travelled = speed * jnp.arange(frames, dtype=image.dtype).reshape((1,) * len(batch) + (-1,))
    top = jnp.clip(start[0] * (rows - height) + jnp.sin(angle) * travelled, 0, rows - height)
    left = jnp.clip(start[1] * (columns - width) + jnp.cos(angle) * travelled, 0, columns - width)
    return _sampled(image, top, left, height, width)


def _sampled(image: jax.Array, top: jax.Array, left: jax.Array, height: int, width: int) -> jax.Array:
    """Windows ``[*batch, frames, height, width, channel]`` of an image from corners ``[*batch, frames]`` on."""
    frames = jnp.broadcast_to(image[..., None, :, :, :], (*top.shape, *image.shape[-3:]))
    for axis, start, size in ((frames.ndim - 3, top, height), (frames.ndim - 2, left, width)):
        whole = jnp.floor(start)
        part = (start - whole)[..., None, None, None]
        shape = [1] * frames.ndim
        shape[axis] = size
        first = whole[..., None, None, None].astype(int) + jnp.arange(size).reshape(shape)
        side = frames.shape[axis]
        taps = []
        for tap, weight in zip(range(-1, 3), _keys_weights(part), strict=True):
            # Mirrored about the edge pixel, as often as the movement needs.
            place = jnp.abs((first + tap) % max(2 * side - 2, 1))
            place = jnp.where(place < side, place, 2 * side - 2 - place)
            taps.append(weight * jnp.take_along_axis(frames, place, axis))
        frames = sum(taps)
    return frames


def _keys_weights(part: jax.Array) -> tuple[jax.Array, ...]:
    """Weights of the four neighbours at a position between the middle two, a = -0.5."""
    return (
        ((-0.5 * part + 1) * part - 0.5) * part,
        (1.5 * part - 2.5) * part**2 + 1,
        ((-1.5 * part + 2) * part + 0.5) * part,
        (0.5 * part - 0.5) * part**2,
    )
