"""Synthetic bursts and videos from one image."""

import functools
import math
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp

from ..types import Array, Float, Image, PRNGKeyArray, Strength, check_count, check_image, per_image
from .motion import Scene, bicubic_weights, draw_objects, draw_path, motion_between, render
from .registry import NON_NEGATIVE, Count, Range, register

__all__ = [
    "burst",
    "moving_scene",
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


def _scene_function(use: Callable) -> Callable:
    """Make ``(key, image, **strengths)`` of a function of scene, image, size of a frame and frames, for one image."""

    def of_image(key, image, strengths, *, shape, frames, objects):
        path_key, objects_key = jax.random.split(key)
        speed, rolling = (strengths.pop(name) for name in ("object_speed", "rolling"))
        path = draw_path(path_key, frames, **strengths)
        return use(Scene(path, draw_objects(objects_key, objects, *shape, speed=speed), rolling), image, shape, frames)

    def of_batch(key, image, *, margin, **strengths):
        *batch, height, width, _ = image.shape
        if min(height, width) <= 2 * margin:
            raise ValueError(f"The image must be larger than 2 * `margin` = {2 * margin}, got {height} x {width}.")
        count, flat = math.prod(batch), jnp.asarray(image).reshape(-1, *image.shape[-3:])
        counts = {name: strengths.pop(name) for name in ("frames", "objects")}
        values = {
            name: jnp.broadcast_to(per_image(value, image)[..., 0, 0, 0], batch).reshape(count)
            for name, value in strengths.items()
        }
        one = partial(of_image, shape=(height - 2 * margin, width - 2 * margin), **counts)
        out = jax.vmap(one)(jax.random.split(key, count), flat, values)
        return jax.tree.map(lambda x: x.reshape(*batch, *x.shape[1:]), out)

    return of_batch


_render = _scene_function(render)
_known_motion = _scene_function(lambda scene, image, shape, frames: motion_between(scene, shape, frames))


@register(
    {
        "frames": Count(),
        "speed": NON_NEGATIVE,
        "rotation": Range(0, 45),
        "zoom": Range(0, 1),
        "perspective": Range(0, 1),
        "shake": NON_NEGATIVE,
        "rolling": Range(0, 1),
        "objects": Count(0),
        "object_speed": NON_NEGATIVE,
        "margin": Count(0),
    },
    examples={"frames": 2, "speed": (1, 4, 8), "objects": 2, "object_speed": (1, 4, 8)},
    reach=lambda strengths: strengths["margin"],
    motion=_known_motion,
)
def moving_scene(
    key: PRNGKeyArray,
    image: Image,
    *,
    frames: int = 8,
    speed: Strength = 2.0,
    rotation: Strength = 0.0,
    zoom: Strength = 0.0,
    perspective: Strength = 0.0,
    shake: Strength = 0.0,
    rolling: Strength = 0.0,
    objects: int = 0,
    object_speed: Strength = 2.0,
    margin: int = 0,
) -> Float[Array, "*batch frames rows columns channel"]:
    """Make a video of one image: a moving camera, and objects that move over the scene and hide it.

    The view of every frame is a homography of the image, which the middle of the video shows unchanged. The result is
    ground truth: what follows in a chain degrades it, and ``observe`` returns it as the clean video. Subsequent
    operators draw independent noise for every frame; samplers draw one strength for the whole video. ``known_motion``
    of a degradation returns the motion.

    Args:
        key: random key of the path and the objects.
        image: ``[*batch, height, width, channel]``.
        frames: number of frames, at least 1.
        speed: translation of the camera in pixels per frame, in a random direction; a scalar or one per image, as all
            strengths but the counts.
        rotation: largest rotation in degrees per frame.
        zoom: largest relative change of scale per frame.
        perspective: largest change of the relative scale between centre and border over the whole video.
        shake: standard deviation of the displacement of every frame, in pixels.
        rolling: readout time of a rolling shutter as a share of the time between frames; every row has its own view.
        objects: number of objects, with outlines of 0.1 to 0.3 of the shorter side, each showing another part of the
            image.
        object_speed: largest speed of objects relative to the scene, in pixels per frame.
        margin: pixels of the image on every side of the frames, into which the view moves; beyond it is mirrored.

    Returns:
        ``[*batch, frames, height - 2 margin, width - 2 margin, channel]``, by bicubic interpolation, not clipped.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if a shape does not match, or a strength is out of range.

    Reference:
        Hartley and Zisserman, Multiple view geometry, 2004, section 2.3 (homographies); Keys, Cubic convolution
        interpolation, TASSP 1981; Dosovitskiy et al., FlowNet, ICCV 2015, section 4 (moving objects over an image, with
        known motion).

    Example:
        >>> video = moving_scene(jax.random.key(0), jnp.ones((16, 16, 1)), frames=3, objects=1)
        >>> video.shape
        (3, 16, 16, 1)
    """
    return _render(
        key,
        image,
        frames=frames,
        speed=speed,
        rotation=rotation,
        zoom=zoom,
        perspective=perspective,
        shake=shake,
        rolling=rolling,
        objects=objects,
        object_speed=object_speed,
        margin=margin,
    )


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
        for tap, weight in zip(range(-1, 3), bicubic_weights(fraction), strict=True):
            # Reflect about the edge pixel, repeatedly for large shifts.
            index = jnp.abs((first + tap) % max(2 * side - 2, 1))
            index = jnp.where(index < side, index, 2 * side - 2 - index)
            taps.append(weight * jnp.take_along_axis(frames, index, axis))
        frames = functools.reduce(jnp.add, taps)
    return frames
