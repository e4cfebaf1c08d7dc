"""Video restoration: streams, video files, folders of frames and animations."""

import contextlib
import dataclasses
import os
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import repeat, tee
from pathlib import Path
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy

from . import averaging
from .files import image
from .files.atomic import write_atomically
from .files.frames import ANIMATED, PAGED, check_target, read_frames, read_single, write_frames
from .files.mask import read_mask
from .files.movie import convert_movie
from .inference import restore
from .pictures import check_file_options
from .types import Array, Condition, ConditionLike, Image, check_range
from .zoo import Restorer

SUFFIXES = (*ANIMATED, *PAGED)
_MEASURED_EVERY = 8  # frames
_MEASUREMENTS = 5  # whose median is the noise level


class Stream:
    """Restores frames as they arrive, each with a recurrent state from the preceding ones.

    A restorer with a noise level input denoises the motion-compensated average of the frames
    (:func:`restorax.averaging.average`). A restorer with a mask input fills only the pixels that earlier frames do not
    show (:func:`restorax.averaging.fill`). A gray restorer is applied to each colour channel separately. A call returns
    before the next frame is needed, so the latency is the time of one frame.

    Args:
        restorer: a multi-frame restorer, or a single-image one with a noise level or mask input.
        condition: of all frames: a mask or map ``[height, width, k]``, or the noise level as a number or map.
        state: of another stream with the same restorer and size of frames, which this one continues.
        apply: function to use instead of :func:`restorax.restore` for single images, with the same arguments.

    Attributes:
        state: a tuple of arrays; ``None`` before the first frame.

    Raises:
        ValueError: if the restorer takes single images and neither noise level nor mask; if the noise level is not in
            [0, 1]; when called, if noise level or mask are missing, or if a frame differs in size from the first, or
            contains NaN or infinity, which would persist in the state.

    Example:
        >>> from restorax import zoo
        >>> stream = Stream(zoo.load("burst_rnn-gray-noise"))
        >>> stream(np.full((8, 8, 1), 0.5, np.float32)).shape
        (8, 8, 1)
        >>> continued = Stream(stream.restorer, state=stream.state)
    """

    def __init__(
        self,
        restorer: Restorer,
        condition: ConditionLike | None = None,
        state: tuple[Array, ...] | None = None,
        *,
        apply: Callable[..., Array] = restore,
    ) -> None:
        if not (restorer.model.takes_frames or uses_earlier_frames(restorer)):
            raise ValueError(
                f"{restorer.card.name} restores single images; use a video entry such as video_rnn-color-noise, or "
                "one with a noise level or mask input, such as resunet_s-color-noise-level"
            )
        if uses_earlier_frames(restorer) and condition is not None:
            check_range(jnp.asarray(condition, float), "condition", 0, 1)
        self.restorer, self.condition, self.state, self._apply = restorer, condition, state, apply
        self._shape: tuple[int, ...] | None = None

    def __call__(self, frame: np.ndarray, condition: ConditionLike | None = None) -> np.ndarray:
        """Restore the next frame.

        Args:
            frame: ``[height, width, 1 or 3]`` in [0, 1].
            condition: of this frame, instead of that of all: holes may move.

        Returns:
            The restored frame, clipped to [0, 1], of the same shape.
        """
        condition = self.condition if condition is None else condition
        self._check(frame, condition)
        if not self.restorer.model.takes_frames:
            pixels = jnp.asarray(frame)
            state = averaging.start(pixels) if self.state is None else cast(averaging.State, self.state)
            mean, variance, remaining = _jitted_combine(self.restorer, state, pixels, condition)
            restored = self._apply(self.restorer, mean, remaining)
            self.state = (mean, variance, restored)
            return np.asarray(restored)
        planes = _planes(frame, self.restorer.card.channels)
        condition = None if condition is None else jnp.asarray(condition)
        if condition is not None:
            condition = jnp.broadcast_to(condition, (*planes.shape[:-1], condition.shape[-1]))
        state = start(self.restorer, planes) if self.state is None else self.state
        self.state, restored = step(self.restorer, state, planes, condition)
        return _frame(restored, frame.shape[-1])

    def save(self, path: str | os.PathLike) -> None:
        """Write the state to a file, from which :meth:`resume` continues.

        Raises:
            ValueError: if there was no frame yet.
        """
        if self.state is None:
            raise ValueError("there is no state before the first frame")
        arrays = {f"state{number}": np.asarray(part) for number, part in enumerate(self.state)}
        write_atomically(Path(path), safetensors.numpy.save(arrays, {"entry": self.restorer.card.name}))

    @classmethod
    def resume(cls, restorer: Restorer, path: str | os.PathLike, condition: ConditionLike | None = None) -> "Stream":
        """Continue a stream whose state was saved.

        Args:
            restorer: the restorer of that stream.
            path: file of :meth:`save`.
            condition: of all frames.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it is no state, or of another entry.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file")
        try:
            with safetensors.safe_open(str(path), "numpy") as file:
                entry = (file.metadata() or {}).get("entry")
                state = tuple(jnp.asarray(file.get_tensor(name)) for name in sorted(file.keys()))
        except safetensors.SafetensorError as error:
            raise ValueError(f"{path} is not the state of a stream: {error}") from None
        if entry != restorer.card.name:
            raise ValueError(f"{path} is the state of {entry}, not of {restorer.card.name}")
        return cls(restorer, condition, state)

    def _check(self, frame: np.ndarray, condition: ConditionLike | None) -> None:
        size, required = np.shape(condition)[:2], self.restorer.model.required_condition
        if condition is None and uses_earlier_frames(self.restorer):
            raise ValueError(f"{self.restorer.card.name} requires of every frame the {required.description}")
        if condition is not None and size not in ((), frame.shape[:2]):
            raise ValueError(f"`condition` must have the size of the frames {frame.shape[:2]}, got {size}")
        self._shape = self._shape or frame.shape
        if frame.shape != self._shape:
            raise ValueError(f"all frames must be of one size: the first has shape {self._shape}, got {frame.shape}")
        if not np.isfinite(frame).all():
            raise ValueError("frames must be finite, got NaN or infinity")


def restore_stream(
    restorer: Restorer,
    frames: Iterable[np.ndarray],
    condition: ConditionLike | None = None,
    *,
    conditions: Iterable[ConditionLike] | None = None,
    **options: Any,
) -> Iterator[np.ndarray]:
    """Restore a stream of frames with a :class:`Stream`.

    Args:
        restorer: a multi-frame restorer, or a single-image one with a noise level or mask input.
        frames: ``[height, width, 1 or 3]`` in [0, 1], all of one size; may be endless.
        condition: of all frames, as in :class:`Stream`.
        conditions: one for every frame instead, for example a mask of the holes in it.
        **options: ``apply`` of :class:`Stream`.

    Returns:
        An iterator over the restored frames, clipped to [0, 1], each in the shape of its input and computed before the
        next one is taken from ``frames``.

    Raises:
        ValueError: as :class:`Stream`.

    Example:
        >>> from restorax import zoo
        >>> restorer = zoo.load("burst_rnn-gray-noise")
        >>> restored = restore_stream(restorer, (camera.read() for _ in range(100)))  # doctest: +SKIP
    """
    return map(Stream(restorer, condition, **options), frames, repeat(None) if conditions is None else conditions)


def start(restorer: Restorer, frames: Image) -> tuple[Array, ...]:
    """Return the state of streams before their first frames: a pure function of arrays, for servers.

    Args:
        restorer: a multi-frame restorer, or a single-image one with a noise level or mask input.
        frames: one frame of every stream, ``[*streams, height, width, channels]``; only the shape is used.

    Returns:
        The state for :func:`step`; the leading axes of every array are those of the streams.
    """
    if uses_earlier_frames(restorer):
        return averaging.start(frames)
    return cast(tuple[Array, ...], restorer.model.apply({"params": restorer.params}, frames, method="start"))


@jax.jit
def step(
    restorer: Restorer, state: tuple[Array, ...], frames: Image, condition: ConditionLike | None = None
) -> tuple[tuple[Array, ...], Array]:
    """Restore the next frames of independent streams: a pure function of arrays, which can be sharded over them.

    Args:
        restorer: a multi-frame restorer, or a single-image one with a noise level or mask input.
        state: from :func:`start` or the previous call.
        frames: one frame of every stream, ``[*streams, height, width, channels]`` in [0, 1].
        condition: of these frames: a map ``[*streams, height, width, k]``, or the noise level as in
            :func:`restorax.restore`.

    Returns:
        The state for the next frames, and the restored frames, clipped to [0, 1].

    Raises:
        ValueError: if the frames have another size than the previous ones.
    """
    if uses_earlier_frames(restorer):
        mean, variance, remaining = _combine(restorer, cast(averaging.State, state), frames, condition)
        restored = jnp.clip(restorer.model.run(restorer.params, mean, remaining), 0, 1)
        return (mean, variance, restored), restored
    outputs = restorer.model.apply({"params": restorer.params}, state, frames, condition, method="step")
    state, restored = cast(tuple[tuple[Array, ...], Array], outputs)
    return state, jnp.clip(restored, 0, 1)


def uses_earlier_frames(restorer: Restorer) -> bool:
    """Return whether a stream uses earlier frames for this single-image restorer, by its noise level or mask input."""
    known = (Condition.NOISE_LEVEL, Condition.MASK)
    return not restorer.model.takes_frames and restorer.model.required_condition in known


def _combine(restorer: Restorer, state: averaging.State, frames: Image, condition: Any) -> tuple[Array, Array, Array]:
    """Combine frames with earlier ones; return the result, its error variance, and the condition for the restorer."""
    if restorer.model.required_condition is Condition.MASK:
        return averaging.fill(state, frames, condition)
    mean, variance = averaging.average(state, frames, condition)
    return mean, variance, jnp.sqrt(variance)


_jitted_combine = jax.jit(_combine)


def _planes(frame: np.ndarray, channels: int) -> Array:
    """Reshape a frame to a batch for the restorer, ``[1 or 3, height, width, channels]``."""
    pixels = jnp.asarray(frame)
    if channels == 1:
        return jnp.moveaxis(pixels, -1, 0)[..., None]
    return jnp.broadcast_to(pixels, (*pixels.shape[:-1], channels))[None]


def _frame(planes: Array, channels: int) -> np.ndarray:
    """Invert :func:`_planes`."""
    if planes.shape[-1] == 1:
        return np.moveaxis(np.asarray(planes)[..., 0], 0, -1)
    frame = np.asarray(planes)[0]
    return frame if channels > 1 else frame.mean(-1, keepdims=True)


def restore_video(
    restorer: Restorer,
    source: str | os.PathLike,
    target: str | os.PathLike,
    *,
    mask: str | os.PathLike | None = None,
    mask_marks: str | None = None,
    value_range: tuple[float, float] | None = None,
    max_pixels: int | None = None,
    quality: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> None:
    """Restore a folder of frames in order of file name, an animation, or the pages of a TIFF file.

    Args:
        restorer: a multi-frame restorer.
        source: folder of frames, animated GIF, PNG, WebP or AVIF file, or TIFF file of several pages.
        target: folder for frames of the same names, created if needed; or file.
        mask: image file, white where pixels are known, for all frames.
        mask_marks: what white in the mask marks, as in :func:`restorax.files.mask.read_mask`.
        value_range: stored values of black and white, as in :func:`restorax.files.image.read`.
        max_pixels: largest number of pixels of a frame, as in :func:`restorax.files.image.read`.
        quality: quality of a lossy output, as in :func:`restorax.files.image.write`.
        progress: called after every frame with the fraction done.

    Raises:
        FileNotFoundError: if ``source`` or the folder of ``target`` does not exist.
        ValueError: if a file is not an image, frames differ in size, or the mask is missing, unexpected or of another
            size.
    """
    source, target = Path(source), Path(target)
    _check_mask(restorer, mask)
    mask_pixels = None if mask is None else read_mask(mask, mask_marks)
    if source.is_dir():
        paths = image.list_pictures(source)
        target.mkdir(parents=True, exist_ok=True)
        pictures = (read_single(path, value_range=value_range, max_pixels=max_pixels) for path in paths)
        restored = _restored(restorer, pictures, mask_pixels)
        for done, (path, picture) in enumerate(zip(paths, restored, strict=True)):
            image.write(target / path.name, picture, quality=quality)
            if progress:
                progress((done + 1) / len(paths))
        return
    if target.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{target}: unknown suffix {target.suffix!r}; animations are written as {', '.join(SUFFIXES)}")
    frames, pictures = read_frames(source, value_range=value_range, max_pixels=max_pixels), []
    check_target(target, frames)
    for picture in _restored(restorer, frames.pictures, mask_pixels):
        pictures.append(picture)
        if progress:
            progress(len(pictures) / len(frames.pictures))
    write_frames(target, dataclasses.replace(frames, pictures=pictures), quality=quality)


def restore_movie(
    restorer: Restorer,
    source: str | os.PathLike,
    target: str | os.PathLike,
    *,
    mask: str | os.PathLike | None = None,
    mask_marks: str | None = None,
    strength: float | Callable[[Image], float] | None = None,
    tile: int | None = None,
    ensemble: bool = False,
    crf: int | None = None,
    max_pixels: int | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> int:
    """Restore a video file; all else is preserved.

    Multi-frame restorers, and single-image ones with a noise level or mask input, run as a :class:`Stream`; all others
    process each frame on its own.

    Args:
        restorer: from :func:`restorax.load`.
        source: video file.
        target: file to write; see :func:`restorax.files.movie.convert_movie`.
        mask: image file, white where pixels are known, for all frames; or folder of such files, one for each frame in
            order of name.
        mask_marks: what white in the mask marks, as in :func:`restorax.files.mask.read_mask`.
        strength: of the condition of restorers of single images, as in :func:`restorax.pictures.restore_file`; or, for
            a noise level input, a function that measures it in every eighth frame.
        tile: side of the tiles of single images.
        ensemble: average over flips and rotations of single images.
        crf: quality of the encoder, as in :func:`restorax.files.movie.convert_movie`.
        max_pixels: largest number of pixels of a frame.
        progress: called after every frame with the number of frames done and, if known, of all.

    Returns:
        Number of frames.

    Raises:
        FileNotFoundError: if a file or the folder of ``target`` does not exist.
        ImportError: if PyAV is not installed.
        ValueError: if mask or strength are missing, unexpected or of another size or range, the folder has more or
            fewer masks than the video has frames, or the video is refused by
            :func:`restorax.files.movie.convert_movie`.
    """
    model = restorer.model
    if model.takes_frames:
        _check_mask(restorer, mask)
        if strength is not None or tile is not None or ensemble:
            raise ValueError(f"{restorer.card.name} restores whole frames of a video; omit strength, tile and ensemble")
    else:
        check_file_options(restorer, has_mask=mask is not None, strength=strength, tile=tile)
    apply = partial(restore, tile=tile, ensemble=ensemble)
    one_each = mask is not None and Path(mask).is_dir()
    condition = strength if mask is None or one_each else read_mask(mask, mask_marks)

    def run(frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        if callable(condition):
            stream = Stream(restorer, apply=apply)
            return (stream(frame, level) for frame, level in _with_levels(frames, condition))
        if not (model.takes_frames or uses_earlier_frames(restorer)):
            return (np.asarray(apply(restorer, frame, condition)) for frame in frames)
        if not one_each:
            return restore_stream(restorer, frames, condition, apply=apply)
        masks = image.list_pictures(Path(cast(Any, mask)))
        conditions = _read_masks(masks, mask_marks)
        return restore_stream(restorer, _counted(frames, masks), conditions=conditions, apply=apply)

    return convert_movie(source, target, run, crf=crf, max_pixels=max_pixels, progress=progress)


def _with_levels(frames: Iterable[np.ndarray], measure: Callable[[Image], float]) -> Iterator[tuple[np.ndarray, float]]:
    """Yield each frame with the median of the last measured noise levels, 0 before the first noisy frame."""
    levels: deque[float] = deque(maxlen=_MEASUREMENTS)
    for number, frame in enumerate(frames):
        if number % _MEASURED_EVERY == 0:
            with contextlib.suppress(ValueError):  # a frame without noise, such as a black one
                levels.append(measure(frame))
        yield frame, float(np.median(levels)) if levels else 0.0
    if not levels:
        raise ValueError("no noise is found in the video; give its noise level")


def _read_masks(paths: list[Path], marks: str | None) -> Iterator[np.ndarray]:
    """Read the masks of the frames, of which most may show no damage; more frames than masks are refused."""
    for path in paths:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*nothing is filled")
            yield read_mask(path, marks)
    raise ValueError(f"{paths[0].parent} has only {len(paths)} masks, fewer than the video has frames")


def _counted(frames: Iterable[np.ndarray], paths: list[Path]) -> Iterator[np.ndarray]:
    """Yield the frames; more masks than frames are refused."""
    count = 0
    for count, frame in enumerate(frames, 1):  # noqa: B007
        yield frame
    if count < len(paths):
        raise ValueError(f"{paths[0].parent} has {len(paths)} masks for the {count} frames of the video")


def _check_mask(restorer: Restorer, mask: str | os.PathLike | None) -> None:
    required = restorer.model.required_condition
    if required.channels and mask is None:
        raise ValueError(f"{restorer.card.name} requires a mask ({required.description})")
    if mask is not None and not required.channels:
        raise ValueError(f"{restorer.card.name} takes no mask")


def _restored(
    restorer: Restorer, pictures: Iterable[image.Picture], mask: np.ndarray | None
) -> Iterator[image.Picture]:
    """Yield the pictures with restored pixels, in constant memory."""
    inputs, originals = tee(pictures)
    for picture, pixels in zip(originals, restore_stream(restorer, (p.pixels for p in inputs), mask), strict=True):
        yield picture.with_pixels(pixels)
