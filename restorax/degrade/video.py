"""Synthetic bursts and videos from one image."""

import functools

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
    """Repeat an image as a burst of frames with random subpixel shifts.

    The last frame is not shifted; it is the one to restore. Subsequent operators treat frames as a batch and draw
    independent noise for each: ``burst(frames=8) + gaussian_noise(sigma=25/255)`` is a noisy burst. Samplers such as
    ``uniform`` draw a strength for each frame.

    Args:
        key: random key.
        image: ``[*batch, height, width, channel]``.
        frames: number of frames, at least 1.
        shift: maximum vertical and horizontal shift in pixels, uniformly distributed; a scalar or one per image.

    Returns:
        ``[*batch, frames, height, width, channel]``, by bicubic interpolation with mirrored borders, not clipped.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if a shape does not match, or a strength is out of range.

    Reference:
        Mildenhall et al., Burst denoising with kernel prediction networks, CVPR 2018, section 4; Keys, Cubic
        convolution interpolation, TASSP 1981.

    Example:
        >>> burst(jax.random.key(0), jnp.ones((8, 8, 1)), frames=5).shape
        (5, 8, 8, 1)
    """
    *batch, height, width, _ = image.shape
    largest = jnp.broadcast_to(per_image(shift, image)[..., 0, 0, 0], batch)[..., None]
    shifts = jax.random.uniform(key, (2, *batch, frames), image.dtype, -1, 1) * largest[None]
    shifts = shifts.at[..., -1].set(0)
    return _crop_subpixel(image, shifts[0], shifts[1], height, width)


def moving_window(
    key: PRNGKeyArray, image: Image, *, frames: int, height: int, width: int, speed: Strength = 2.0
) -> Float[Array, "*batch frames window_height window_width channel"]:
    """Make a video of one image by moving a window over it in a straight line at constant speed.

    The window stops at the border of the image.

    Args:
        key: random key of the start and the direction.
        image: ``[*batch, old_height, old_width, channel]``.
        frames: number of frames, at least 1.
        height: rows of the window, at most those of the image.
        width: columns of the window, at most those of the image.
        speed: pixels per frame, at least 0, a scalar or one per image.

    Returns:
        ``[*batch, frames, height, width, channel]``, by bicubic interpolation, not clipped.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if a shape does not match, a number is out of range, or the window is larger than the image.

    Reference:
        Keys, Cubic convolution interpolation, TASSP 1981.

    Example:
        >>> moving_window(jax.random.key(0), jnp.ones((16, 16, 1)), frames=3, height=8, width=8).shape
        (3, 8, 8, 1)
    """
    image = check_image(image, full_precision=True)
    *batch, rows, columns, _ = image.shape
    check_count(frames, "frames")
    if not (0 < height <= rows and 0 < width <= columns):
        raise ValueError(f"The window must be between 1 x 1 and {rows} x {columns}, got {height} x {width}.")
    NON_NEGATIVE.check(speed, "speed")
    start_key, direction_key = jax.random.split(key)
    start = jax.random.uniform(start_key, (2, *batch, 1), image.dtype)
    angle = jax.random.uniform(direction_key, (*batch, 1), image.dtype, maxval=2 * jnp.pi)
    speed = jnp.broadcast_to(per_image(speed, image)[..., 0, 0, 0], batch)[..., None]
    distance = speed * jnp.arange(frames, dtype=image.dtype).reshape((1,) * len(batch) + (-1,))
    top = jnp.clip(start[0] * (rows - height) + jnp.sin(angle) * distance, 0, rows - height)
    left = jnp.clip(start[1] * (columns - width) + jnp.cos(angle) * distance, 0, columns - width)
    return _crop_subpixel(image, top, left, height, width)


def _crop_subpixel(image: Image, top: jax.Array, left: jax.Array, height: int, width: int) -> jax.Array:
    """Crop ``[*batch, frames, height, width, channel]`` from an image at real corners ``[*batch, frames]``."""
    frames = jnp.broadcast_to(image[..., None, :, :, :], (*top.shape, *image.shape[-3:]))
    for axis, start, size in ((frames.ndim - 3, top, height), (frames.ndim - 2, left, width)):
        whole = jnp.floor(start)
        fraction = (start - whole)[..., None, None, None]
        shape = [1] * frames.ndim
        shape[axis] = size
        first = whole[..., None, None, None].astype(int) + jnp.arange(size).reshape(shape)
        side = frames.shape[axis]
        taps = []
        for tap, weight in zip(range(-1, 3), _bicubic_weights(fraction), strict=True):
            # Reflect about the edge pixel, repeatedly for large shifts.
            index = jnp.abs((first + tap) % max(2 * side - 2, 1))
            index = jnp.where(index < side, index, 2 * side - 2 - index)
            taps.append(weight * jnp.take_along_axis(frames, index, axis))
        frames = functools.reduce(jnp.add, taps)
    return frames


def _bicubic_weights(t: jax.Array) -> tuple[jax.Array, ...]:
    """Compute Keys' weights (a = -0.5) of four neighbours at fraction ``t`` between the middle two."""
    return (
        ((-0.5 * t + 1) * t - 0.5) * t,
        (1.5 * t - 2.5) * t**2 + 1,
        ((-1.5 * t + 2) * t + 0.5) * t,
        (0.5 * t - 0.5) * t**2,
    )
