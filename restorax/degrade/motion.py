"""Camera paths, moving objects and their known motion: the geometry of synthetic videos.

Positions are (row, column) in pixels from the centre of the image. A pixel of a frame is mapped to the scene, which is
the image at the middle of the video; time runs in frames from there.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from ..types import Array, Float, Image

_LOBES = 3  # harmonics of the outline of an object, from the second on


class Motion(NamedTuple):
    """The known motion of a video.

    Attributes:
        flow: what a pixel shows was at ``position + flow`` in the previous frame, in pixels, rows first,
            ``[*batch, frames, height, width, 2]``; 0 in the first frame.
        visible: 1 where that position was inside the previous frame and not hidden by an object, else 0,
            ``[*batch, frames, height, width, 1]``; 0 in the first frame.
    """

    flow: Array
    visible: Array


class Path(NamedTuple):
    """A camera path: the change of the view per frame, and the shake of every frame.

    Attributes:
        velocity: of the camera, ``[2]`` in pixels per frame.
        turn: radians per frame.
        growth: logarithm of the zoom per frame.
        tilt: change of the relative scale between the centre and the border from the first to the last frame, ``[2]``.
        shake: displacement of every frame, with one more before the first and after the last, ``[frames + 2, 2]``.
    """

    velocity: Array
    turn: Array
    growth: Array
    tilt: Array
    shake: Array


class Objects(NamedTuple):
    """Objects that move over the scene and hide it, later ones above earlier ones; all have a leading axis of objects.

    Attributes:
        centre: at the middle of the video, ``[objects, 2]``.
        velocity: relative to the scene, ``[objects, 2]`` in pixels per frame.
        radius: mean radius of the outline, ``[objects]``.
        lobes: amplitude and phase of the outline at three frequencies, ``[objects, 3, 2]``.
        texture: displacement of the part of the image that an object shows, ``[objects, 2]``.
    """

    centre: Array
    velocity: Array
    radius: Array
    lobes: Array
    texture: Array


class Scene(NamedTuple):
    """A camera path and objects, for frames of a size.

    Attributes:
        path: of the camera.
        objects: that move.
        rolling: readout time of a frame, as a share of the time between frames.
    """

    path: Path
    objects: Objects
    rolling: Array


def draw_path(
    key: jax.Array, frames: int, *, speed: Array, rotation: Array, zoom: Array, perspective: Array, shake: Array
) -> Path:
    """Draw a camera path; see :func:`restorax.degrade.moving_scene` for the arguments, all scalars."""
    direction_key, signs_key, shake_key = jax.random.split(key, 3)
    angle = jax.random.uniform(direction_key, (), speed.dtype, maxval=2 * jnp.pi)
    turn, growth, *tilt = jax.random.uniform(signs_key, (4,), speed.dtype, -1, 1)
    return Path(
        speed * jnp.stack([jnp.sin(angle), jnp.cos(angle)]),
        turn * jnp.deg2rad(rotation),
        growth * jnp.log1p(zoom),
        perspective * jnp.stack(tilt),
        shake * jax.random.normal(shake_key, (frames + 2, 2), speed.dtype),
    )


def draw_objects(key: jax.Array, count: int, height: int, width: int, *, speed: Array) -> Objects:
    """Draw objects inside a frame, with speeds up to ``speed`` and radii of 0.1 to 0.3 of the shorter side."""
    keys = jax.random.split(key, 5)
    sides = jnp.array([height, width], speed.dtype)
    draw = lambda key, *shape: jax.random.uniform(key, (count, *shape), speed.dtype)  # noqa: E731
    angle, share = 2 * jnp.pi * draw(keys[0]), draw(keys[1])
    lobes = draw(keys[2], _LOBES, 2) * jnp.array([0.15, 2 * jnp.pi], speed.dtype).reshape(1, 1, 2)
    places = draw(keys[3], 2, 2) - 0.5
    return Objects(
        0.9 * places[:, 0] * sides.reshape(1, 2),
        (speed * share)[:, None] * jnp.stack([jnp.sin(angle), jnp.cos(angle)], -1),
        (0.1 + 0.2 * draw(keys[4])) * min(height, width),
        lobes,
        places[:, 1] * sides.reshape(1, 2),
    )


def render(
    scene: Scene, image: Image, shape: tuple[int, int], frames: int
) -> Float[Array, "frames rows columns channel"]:
    """Render a video of an image, by bicubic interpolation with mirrored borders.

    Args:
        scene: camera path and objects.
        image: ``[height, width, channel]``.
        shape: rows and columns of a frame.
        frames: number of frames.

    Returns:
        ``[frames, rows, columns, channel]``.
    """
    position, time = _pixels(scene, shape, frames)
    place = _to_scene(scene, position, time)
    frame = _sample(image, place)
    if not len(scene.objects.radius):
        return frame
    texture, opacity = place, jnp.zeros_like(place[..., :1])
    for index in range(len(scene.objects.radius)):
        thing = _on_object(scene, place, time, index)
        covers = _opacity(scene, thing, index)[..., None]
        texture = jnp.where(covers > 0, thing + scene.objects.texture[index].reshape(1, 1, 1, 2), texture)
        opacity = jnp.where(covers > 0, covers, opacity)
    return opacity * _sample(image, texture) + (1 - opacity) * frame


def motion_between(scene: Scene, shape: tuple[int, int], frames: int) -> Motion:
    """Compute the motion of every frame to the previous one.

    Args:
        scene: camera path and objects.
        shape: rows and columns of a frame.
        frames: number of frames.

    Returns:
        The motion, without batch axes.
    """
    position, time = _pixels(scene, shape, frames)
    place = _to_scene(scene, position, time)
    shown = _object_at(scene, place, time)
    velocity = jnp.concatenate([scene.objects.velocity, jnp.zeros((1, 2), place.dtype)])[shown]  # last: the scene
    thing = place - velocity * time
    before = position
    for _ in range(3):  # the row decides the time of exposure
        time = _time(scene, before[..., :1], jnp.arange(-1, frames - 1), shape, frames)
        before = _from_scene(scene, thing + velocity * time, time)
    inside = (jnp.abs(before) <= jnp.array([(side - 1) / 2 for side in shape]).reshape(1, 1, 1, 2)).all(-1)
    same = shown == _object_at(scene, thing + velocity * time, time)
    later = (jnp.arange(frames) > 0).reshape(-1, 1, 1, 1)
    visible = (inside & same)[..., None] & later
    return Motion(jnp.where(later, before - position, 0), visible.astype(place.dtype))


def _pixels(scene: Scene, shape: tuple[int, int], frames: int) -> tuple[Array, Array]:
    """Return position and time of exposure of every pixel, ``[frames, height, width, 2]`` and ``[..., 1]``."""
    rows, columns = (jnp.arange(side, dtype=scene.rolling.dtype) - (side - 1) / 2 for side in shape)
    position = jnp.stack(jnp.meshgrid(rows, columns, indexing="ij"), -1)
    position = jnp.broadcast_to(position[None], (frames, *position.shape))
    return position, _time(scene, position[..., :1], jnp.arange(frames), shape, frames)


def _time(scene: Scene, row: Array, frame: Array, shape: tuple[int, int], frames: int) -> Array:
    middle = frame.astype(row.dtype) - (frames - 1) / 2
    return middle.reshape(-1, 1, 1, 1) + scene.rolling * row / shape[0]


def _view(scene: Scene, time: Array) -> tuple[Array, Array, Array, Array, Array]:
    """Return scale, cosine and sine of the angle, perspective and offset of the camera at times ``[..., 1]``."""
    path = scene.path
    frames = len(path.shake) - 2
    index = jnp.clip(time + (frames - 1) / 2 + 1, 0, frames + 1)
    whole = jnp.minimum(jnp.floor(index), frames).astype(int)
    fraction = index - whole
    shake = (1 - fraction) * path.shake[whole[..., 0]] + fraction * path.shake[whole[..., 0] + 1]
    offset = path.velocity.reshape(1, 1, 1, 2) * time + shake
    tilt = path.tilt.reshape(1, 1, 1, 2) * time / max(frames - 1, 1)
    return jnp.exp(path.growth * time), jnp.cos(path.turn * time), jnp.sin(path.turn * time), tilt, offset


def _to_scene(scene: Scene, position: Array, time: Array) -> Array:
    """Map positions in frames to the scene: a homography of every time."""
    scale, cosine, sine, tilt, offset = _view(scene, time)
    depth = 1 + _inner(tilt, position) / _half(position)
    return scale / depth * _turned(position, cosine, sine) + offset


def _from_scene(scene: Scene, place: Array, time: Array) -> Array:
    """Invert :func:`_to_scene`."""
    scale, cosine, sine, tilt, offset = _view(scene, time)
    position = _turned(place - offset, cosine, -sine) / scale
    return position / (1 - _inner(tilt, position) / _half(position))


def _half(position: Array) -> float:
    return max(position.shape[1:3]) / 2


def _inner(a: Array, b: Array) -> Array:
    return (a * b).sum(-1, keepdims=True)


def _turned(position: Array, cosine: Array, sine: Array) -> Array:
    row, column = position[..., :1], position[..., 1:]
    return jnp.concatenate([cosine * row - sine * column, sine * row + cosine * column], -1)


def _on_object(scene: Scene, place: Array, time: Array, index: int) -> Array:
    """Map positions in the scene to those on an object that moves over it."""
    return place - scene.objects.velocity[index].reshape(1, 1, 1, 2) * time


def _opacity(scene: Scene, thing: Array, index: int) -> Array:
    """Return how much of a pixel an object covers, with an edge of one pixel."""
    objects = scene.objects
    relative = thing - objects.centre[index].reshape(1, 1, 1, 2)
    distance = jnp.sqrt((relative**2).sum(-1))
    sine, cosine = jnp.moveaxis(relative, -1, 0) / jnp.maximum(distance, 1e-6)[None]
    outline, harmonic = jnp.ones_like(distance), (cosine, sine)
    for amplitude, phase in objects.lobes[index]:  # of frequency 2, 3, ...
        harmonic = (harmonic[0] * cosine - harmonic[1] * sine, harmonic[0] * sine + harmonic[1] * cosine)
        outline += amplitude * (harmonic[0] * jnp.cos(phase) - harmonic[1] * jnp.sin(phase))
    return jnp.clip(objects.radius[index] * outline - distance + 0.5, 0, 1)


def _object_at(scene: Scene, place: Array, time: Array) -> Array:
    """Return the number of the object that is visible at positions in the scene, -1 for the scene."""
    shown = jnp.full(place.shape[:-1], -1)
    for index in range(len(scene.objects.radius)):
        covered = _opacity(scene, _on_object(scene, place, time, index), index) > 0.5
        shown = jnp.where(covered, index, shown)
    return shown


def _sample(image: Image, place: Array) -> Array:
    """Sample an image at positions in the scene, by Keys' cubic convolution."""
    height, width, channels = image.shape
    padded = jnp.pad(image, ((1, 2), (1, 2), (0, 0)), mode="reflect")
    # Four neighbours in a row are one read.
    columns = [padded[:, tap : tap + width] for tap in range(4)]
    rows = jnp.stack(columns, -2).reshape((height + 3) * width, 4, channels)
    (row, row_weights), (column, column_weights) = (
        _taps(place[..., axis] + (side - 1) / 2, side) for axis, side in enumerate((height, width))
    )
    column_weights = jnp.stack(column_weights, -1)[..., None]
    sampled = [
        weight[..., None] * (column_weights * rows[(row + tap) * width + column]).sum(-2)
        for tap, weight in enumerate(row_weights)
    ]
    return functools.reduce(jnp.add, sampled)


def _taps(position: Array, side: int) -> tuple[Array, tuple[Array, ...]]:
    """Reflect positions about the edge pixels, and return their whole part and the weights of four neighbours."""
    period = 2 * (side - 1)
    position = jnp.abs(position) % period if period else jnp.zeros_like(position)
    position = jnp.minimum(position, period - position)
    whole = jnp.floor(position)
    return whole.astype(int), bicubic_weights(position - whole)


def bicubic_weights(t: jax.Array) -> tuple[jax.Array, ...]:
    """Compute Keys' weights (a = -0.5) of four neighbours at fraction ``t`` between the middle two."""
    return (
        ((-0.5 * t + 1) * t - 0.5) * t,
        (1.5 * t - 2.5) * t**2 + 1,
        ((-1.5 * t + 2) * t + 0.5) * t,
        (0.5 * t - 0.5) * t**2,
    )
