"""Video denoising: PSNR by frame, flicker and speed: ``python -m benchmarks video``.

Gaussian noise is added to the middle of every clip. The warping error follows the optical flow of the clean clip (DIS),
where that agrees forwards and backwards; for synthetic clips, the known motion. Entries with a noise level input
get the true level. So does OpenCV's non-local means, which also sees two later frames.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice, pairwise
from pathlib import Path
from typing import Annotated, Any

import cv2
import jax
import jax.numpy as jnp
import numpy as np

import restorax
from restorax import data, degrade, metrics, video, zoo
from restorax.degrade import Motion
from restorax.files.movie import is_movie, read_movie
from restorax.files.picture import to_channels

from . import networks
from .crops import central
from .options import Publish, Quick, option
from .record import record, table
from .timing import interleaved

ENTRIES = (
    "resunet_s-color-noise",
    "resunet_s-color-noise-level",
    "video_rnn-color-noise",
    "burst_rnn-gray-noise",
)
FILLERS = ("scanunet_s-gray-missing", "unet-color-missing")
SIGMAS = (10, 25, 50)
HOLES = (
    "missing_lines(lines=5, thickness=3)",
    "missing_blocks(side=0.15, blocks=4)",
    "missing_pixels(missing=0.5)",
)
FRAMES = (1, 2, 5, 20)
SIZES = ((256, 256), (360, 640), (720, 1280))
SYNTHETIC = "moving_scene(frames=20, speed=1, rotation=0.2, objects=2, object_speed=3, shake=0.5, margin=16)"
OPENCV = "OpenCV fastNlMeansDenoisingColoredMulti"

Video = np.ndarray
"""``[frames, height, width, 3]`` in [0, 1], float32."""


def clips(folder: str, side: int, frames: int) -> Iterator[tuple[str, Video, Motion]]:
    """Yield name, the middle of every clip with an even number of pixels, and its motion."""
    if not folder:
        for number, (name, image) in enumerate(data.sample_images(3).items()):
            made, key = degrade.parse(SYNTHETIC).replace(frames=frames), jax.random.key(number)
            image = image[: side + 32, : side + 32]
            yield name, np.clip(np.asarray(jax.jit(made.observe)(key, image)[1]), 0, 1), made.known_motion(key, image)
        return
    paths = sorted(path for path in Path(folder).rglob("*") if is_movie(path))
    if not paths:
        raise SystemExit(f"{folder} holds no videos")
    for path in paths:
        taken = [frame for frame, _ in zip(read_movie(path), range(frames), strict=False)]
        clip = central(np.stack(taken), side)
        clip = np.broadcast_to(clip, (*clip.shape[:3], 3))
        yield path.name, clip, flow_of(clip)


def flow_of(clip: Video) -> Motion:
    """Estimate the motion of a clean clip to the previous frames."""
    gray = [cv2.cvtColor((frame * 255).round().astype(np.uint8), cv2.COLOR_RGB2GRAY) for frame in clip]
    estimator = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    place = np.stack(np.meshgrid(*(np.arange(n, dtype=np.float32) for n in gray[0].shape[::-1])), -1)
    flows, visible = [np.zeros_like(place)], [np.zeros_like(place[..., :1])]
    for previous, current in pairwise(gray):
        back, forth = estimator.calc(current, previous, None), estimator.calc(previous, current, None)
        before = place + back
        returned = back + cv2.remap(forth, before[..., 0], before[..., 1], cv2.INTER_LINEAR)
        inside = ((before >= 0) & (before <= place[-1, -1])).all(-1, keepdims=True)
        flows.append(back)
        visible.append((inside & (np.linalg.norm(returned, axis=-1, keepdims=True) < 0.5)).astype(np.float32))
    return Motion(jnp.asarray(np.stack(flows)[..., ::-1]), jnp.asarray(np.stack(visible)))


def method_of(name: str) -> Callable[[Video, float], Video]:
    """Return ``(noisy, sigma) -> restored`` of an entry, of OpenCV or of the input."""
    if name == "input":
        return lambda noisy, _: np.clip(noisy, 0, 1)
    if name == OPENCV:
        return _opencv
    restorer = zoo.load(name)
    if video.uses_earlier_frames(restorer):
        return lambda noisy, sigma: np.stack(list(video.restore_stream(restorer, noisy, sigma)))
    if restorer.model.takes_frames:
        return lambda noisy, _: np.stack(list(video.restore_stream(restorer, noisy)))
    return lambda noisy, _: np.stack([np.asarray(restorax.restore(restorer, frame)) for frame in noisy])


def _opencv(noisy: Video, sigma: float) -> Video:
    stored = list((np.clip(noisy, 0, 1) * 255).round().astype(np.uint8)[..., ::-1])

    def one(index: int, h: float) -> np.ndarray:
        window = min(2, index, len(stored) - 1 - index)
        restored = cv2.fastNlMeansDenoisingColoredMulti(stored, index, 2 * window + 1, None, h, h, 7, 21)
        return restored[..., ::-1].astype(np.float32) / 255

    return np.stack([one(index, 255 * sigma) for index in range(len(stored))])


def quality(
    methods: dict[str, Callable[[Video, float], Video]], name: str, clip: Video, motion: Motion, sigma: int
) -> list[dict[str, Any]]:
    """Return one row per method, for a clip and a noise level in units of 8 bits."""
    noise = np.random.default_rng(sigma).normal(scale=sigma / 255, size=clip.shape).astype(np.float32)
    rows = []
    for method, restore in methods.items():
        restored = restore(clip + noise, sigma / 255)
        psnr = np.asarray(metrics.psnr(restored, clip))
        by_frame = {f"psnr_{n}": f"{psnr[n - 1]:.2f}" for n in FRAMES if n <= len(psnr)}
        error, floor = (float(metrics.warping_error(jnp.asarray(v), *motion)) for v in (restored, clip))
        rows.append(
            {"method": method, "clip": name, "size": f"{clip.shape[1]}x{clip.shape[2]}", "sigma": sigma}
            | {"frames": len(psnr), **by_frame, "psnr_mean": f"{psnr.mean():.2f}"}
            | {"warping_error": f"{error:.3g}", "warping_error_clean": f"{floor:.3g}"}
        )
    return rows


def holes(name: str, clip_name: str, clip: Video, text: str) -> list[dict[str, Any]]:
    """Return a row with and one without the earlier frames, for a clip of which every frame has other holes."""
    restorer, make = zoo.load(name), jax.jit(degrade.parse(text))
    clip = np.stack([to_channels(frame, restorer.card.channels) for frame in clip])
    seen = [make(jax.random.key(number), frame) for number, frame in enumerate(clip)]
    ways = {
        "frame by frame": (restorax.restore(restorer, frame.image, frame.condition) for frame in seen),
        "with earlier frames": video.restore_stream(
            restorer, (np.asarray(frame.image) for frame in seen), conditions=(frame.condition for frame in seen)
        ),
    }
    rows = []
    for way, restored in ways.items():
        psnr = np.asarray(metrics.psnr(np.stack(list(restored)), clip))
        by_frame = {f"psnr_{n}": f"{psnr[n - 1]:.2f}" for n in FRAMES if n <= len(psnr)}
        columns = {"method": name, "way": way, "clip": clip_name, "size": f"{clip.shape[1]}x{clip.shape[2]}"}
        rows.append(columns | {"holes": text, "frames": len(psnr), **by_frame, "psnr_mean": f"{psnr.mean():.2f}"})
    return rows


def still(name: str, image: np.ndarray, sigma: int, frames: int) -> list[dict[str, Any]]:
    """Return the PSNR of every frame of a camera that stands still, beside the mean of the noisy frames so far."""
    noise = np.random.default_rng(0).normal(scale=sigma / 255, size=(frames, *image.shape)).astype(np.float32)
    noisy = image + noise
    means = np.cumsum(noisy, 0) / np.arange(1, frames + 1, dtype=np.float32).reshape(-1, 1, 1, 1)
    restored = {"mean of the noisy frames": means, name: method_of(name)(noisy, sigma / 255)}
    return [
        {"method": method, "sigma": sigma, "frame": n + 1, "psnr": f"{float(metrics.psnr(frame, image)):.2f}"}
        for method, video_ in restored.items()
        for n, frame in enumerate(video_)
    ]


def speed(names: Sequence[str], size: tuple[int, int], seconds: float) -> list[dict[str, Any]]:
    """Return the frames per second of entries, or of architectures with random parameters, one frame at a time."""
    frame = np.random.default_rng(0).random((*size, 3), np.float32)
    functions = []
    for name in names:
        restorer = networks.load(name, **({} if name in zoo.list_models() else {"channels": 3}))
        if video.uses_earlier_frames(restorer):
            functions.append(video.Stream(restorer, 25 / 255))
        else:
            frames = restorer.model.takes_frames
            functions.append(video.Stream(restorer) if frames else partial(restorax.restore, restorer))
    timings = interleaved(functions, [(frame,)], rounds=100, seconds=seconds)
    return [
        {"method": name, "size": f"{size[0]}x{size[1]}", **timing.columns(), "frames_per_s": 1 / timing.median}
        for name, timing in zip(names, timings, strict=True)
    ]


def main(
    entry: Annotated[list[str] | None, option("Entry, repeatable [those of the suite].")] = None,
    folder: Annotated[str, option("Folder of clean videos [videos made of scikit-image's images].")] = "",
    side: Annotated[int, option("Side of the part of the clips, in pixels.")] = 256,
    timed: Annotated[list[str] | None, option("Entry or architecture to time, repeatable [all of both].")] = None,
    seconds: Annotated[float, option("Time per size of frames.")] = 20,
    opencv: Annotated[bool, option("Compare with OpenCV, which takes seconds per frame.")] = True,
    only: Annotated[
        list[str] | None, option("video, video_holes, video_still or video_speed, repeatable [all].")
    ] = None,
    quick: Quick = False,
    publish: Publish = False,
) -> None:
    """Measure PSNR by frame, the warping error, holes that move, a camera that stands still, and frames per second."""
    names, frames = [name for name in entry or ENTRIES if name not in FILLERS], max(FRAMES)
    fillers = [name for name in entry or FILLERS if name in FILLERS]
    if quick:
        names, side, frames, opencv = names[1:], 32, 2, False

    def of_clips() -> Iterator[dict[str, Any]]:
        methods = {name: method_of(name) for name in ("input", *names, *([OPENCV] if opencv else ()))}
        for clip in islice(clips(folder, side, frames), 1 if quick else None):
            for sigma in SIGMAS[:1] if quick else SIGMAS:
                yield from quality(methods, *clip, sigma)

    def of_holes() -> Iterator[dict[str, Any]]:
        for name, clip, _ in islice(clips(folder, side, frames), 1 if quick else None):
            for filler in fillers[:1] if quick else fillers:
                for text in HOLES[:1] if quick else HOLES:
                    yield from holes(filler, name, clip, text)

    def of_rest() -> Iterator[dict[str, Any]]:
        image = data.sample_images(3)["astronaut"][:side, :side]
        for name in names:
            restorer = zoo.load(name)
            if restorer.model.takes_frames or video.uses_earlier_frames(restorer):
                yield from still(name, image, 25, 2 if quick else 32)

    def of_speed() -> Iterator[dict[str, Any]]:
        for size in ((32, 32),) if quick else SIZES:
            yield from speed(timed or names, size, 0.1 if quick else seconds)

    parts = {"video": of_clips, "video_holes": of_holes, "video_still": of_rest, "video_speed": of_speed}
    for part, measure in parts.items():
        if not only or part in only:
            if not (rows := list(measure())):
                continue  # a still camera, and entries of single images alone
            print(table(rows))
            if not quick:
                record(part, rows, publish=publish)


if __name__ == "__main__":
    import typer

    typer.run(main)
