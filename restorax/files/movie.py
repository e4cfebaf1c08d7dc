"""Video files, read and written frame by frame, with their sound and metadata."""

import os
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from .atomic import is_remote, written_beside

WRITTEN = (".mp4", ".mov", ".mkv", ".webm")
READ = (*WRITTEN, ".m4v", ".avi")

_HDR = {16: "PQ", 18: "HLG"}  # transfer characteristics of ITU-T H.273
_FULL_RANGE = 2
_PRECISE = 0x4 | 0x2000 | 0x40000  # swscale: bicubic, every chroma sample, accurate rounding


def is_movie(path: str | os.PathLike) -> bool:
    """Return whether the suffix of a path is that of a video file.

    Example:
        >>> is_movie("clip.MP4"), is_movie("clip.gif")
        (True, False)
    """
    return Path(path).suffix.lower() in READ


def read_movie(path: str | os.PathLike, *, max_pixels: int | None = None) -> Iterator[np.ndarray]:
    """Read the frames of a video file, one at a time.

    Args:
        path: video file.
        max_pixels: largest number of pixels of a frame.

    Yields:
        ``[height, width, 3]`` in [0, 1], float32, as stored, without rotation; one channel if the video is gray.

    Raises:
        FileNotFoundError: if there is no such file.
        ImportError: if PyAV is not installed.
        ValueError: if it is not a video, or interlaced, HDR or transparent.
    """
    with _opened(Path(path)) as movie:
        yield from movie.pixels(max_pixels)


def convert_movie(
    source: str | os.PathLike,
    target: str | os.PathLike,
    function: Callable[[Iterator[np.ndarray]], Iterator[np.ndarray]],
    *,
    crf: int | None = None,
    max_pixels: int | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> int:
    """Write a video file with other frames; memory does not grow with its length.

    Sound, subtitles, metadata, chapters, time stamps, rotation, pixel aspect ratio, colour space and colour range are
    those of the source. The video is encoded as H.264, for WebM as VP9, with the chroma subsampling of the source and 8
    or 10 bits. When a ``KeyboardInterrupt`` arrives, the file is finished with the frames so far before it is raised.

    Args:
        source: video file.
        target: file to write, ``.mp4``, ``.mov``, ``.mkv`` or ``.webm``.
        function: maps a stream of frames, as :func:`read_movie` yields them, one for one.
        crf: constant rate factor of the encoder, 0 (best) to 51, for WebM to 63; by default 16, for WebM 24.
        max_pixels: largest number of pixels of a frame.
        progress: called after every frame with the number of frames done and, if known, of all.

    Returns:
        Number of frames written.

    Raises:
        FileNotFoundError: if the source or the folder of the target does not exist.
        ImportError: if PyAV is not installed.
        ValueError: if ``crf`` is out of range, the source is refused as by :func:`read_movie`, its frames differ in
            size, or the format of the target does not take its sound.
    """
    source, target = Path(source), Path(target)
    if is_remote(target) or target.suffix.lower() not in WRITTEN:
        raise ValueError(f"{target}: a video is written to a local file of the suffix {', '.join(WRITTEN)}")
    largest = 63 if target.suffix.lower() == ".webm" else 51
    if crf is not None and not 0 <= crf <= largest:
        raise ValueError(f"`crf` must be in [0, {largest}] for {target.suffix}, got {crf}")
    stopped = None
    with _opened(source) as movie, written_beside(target) as beside:
        writer = _Writer(movie, beside, crf, target.name)
        try:
            for pixels in function(movie.pixels(max_pixels, writer.copy)):
                writer.write(pixels)
                if progress:
                    progress(writer.count, movie.total)
        except KeyboardInterrupt as interrupt:
            if not writer.count:
                raise
            stopped = interrupt
        finally:
            writer.close()
        if not writer.count:
            raise ValueError(f"{source} holds no frame that can be read")
    if stopped:
        raise stopped
    return writer.count


@contextmanager
def _opened(path: Path) -> Iterator["_Movie"]:
    try:
        import av
        from av.error import FFmpegError
    except ImportError:
        raise ImportError(f"{path} is a video; pip install 'restorax[video]'") from None
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        container = av.open(str(path))
    except FFmpegError as error:
        raise ValueError(f"{path} is not a video that can be read: {error.strerror}") from None
    with container:
        yield _Movie(container, path)


class _Movie:
    """A video file that is being read: its frames, and the streams beside them."""

    def __init__(self, container: Any, path: Path) -> None:
        from av.stream import Disposition

        self.container, self.path = container, path
        shown = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
        if not shown:
            raise ValueError(f"{path} holds no video")
        self.video = shown[0]
        self.video.thread_type = "AUTO"
        self.copied = [s for s in container.streams if s.type in ("audio", "subtitle")]
        self.times: deque = deque()  # time stamps of the frames that were read and not yet written
        self.matrix: bytes | None = None
        self._check()

    @property
    def total(self) -> int | None:
        """Number of frames according to the file."""
        rate, duration = self.video.average_rate, self.container.duration
        return self.video.frames or (round(duration / 1e6 * rate) if rate and duration else None)

    @property
    def bits(self) -> int:
        """Bits per value."""
        return max(component.bits for component in self.video.format.components)

    @property
    def is_gray(self) -> bool:
        """Whether there is one channel."""
        return len(self.video.format.components) == 1 and not self.video.format.has_palette

    def pixels(self, max_pixels: int | None = None, copy: Callable[[Any], None] | None = None) -> Iterator[np.ndarray]:
        """Yield the frames, and pass the packets of the other streams on."""
        from av.error import InvalidDataError
        from av.sidedata.sidedata import Type

        size, damaged = (self.video.height, self.video.width), 0
        if max_pixels is not None and size[0] * size[1] > max_pixels:
            raise ValueError(f"{self.path} has frames of {size[1]} x {size[0]} pixels, more than {max_pixels}")
        wanted = [self.video, *self.copied] if copy else [self.video]
        for packet in self.container.demux(wanted):
            if packet.stream is not self.video:
                if copy and packet.dts is not None:
                    copy(packet)
                continue
            try:
                frames = packet.decode()
            except InvalidDataError:
                damaged += 1
                continue
            for frame in frames:
                if frame.interlaced_frame:
                    raise ValueError(f"{self.path} is interlaced; deinterlace it first: ffmpeg -i IN -vf bwdif OUT")
                if (frame.height, frame.width) != size:
                    raise ValueError(
                        f"{self.path}: all frames must be of one size: the first has {size[1]} x {size[0]} pixels, got "
                        f"{frame.width} x {frame.height}"
                    )
                if copy:
                    self.times.append((frame.pts, frame.duration, frame.time_base))
                    matrix = frame.side_data.get(Type.DISPLAYMATRIX)
                    self.matrix = None if matrix is None else bytes(matrix)
                yield self._values(frame)
        if damaged:
            warnings.warn(f"{self.path}: {damaged} damaged packets were passed over", stacklevel=2)

    def _values(self, frame: Any) -> np.ndarray:
        kind = "gray16le" if self.is_gray else "rgb48le"
        values = frame.to_ndarray(format=kind, interpolation=_PRECISE).astype(np.float32) / 65535
        return values.reshape(frame.height, frame.width, -1)

    def _check(self) -> None:
        kind, context = self.video.format, self.video.codec_context
        if kind is None:
            raise ValueError(f"{self.path} holds a video that cannot be decoded ({context.name})")
        if context.color_trc in _HDR:
            raise ValueError(f"{self.path} is HDR ({_HDR[context.color_trc]}), which is not supported; make it SDR")
        if any(component.is_alpha for component in kind.components):
            raise ValueError(f"{self.path} is transparent, which is not supported; flatten it first")
        if left_out := [s.type for s in self.container.streams if s not in (self.video, *self.copied)]:
            warnings.warn(f"{self.path}: left out other streams: {', '.join(map(str, left_out))}", stacklevel=4)
        if self.bits > 10:
            warnings.warn(f"{self.path} holds {self.bits} bits per value; 10 are written", stacklevel=4)


class _Writer:
    """A video file that is being written."""

    def __init__(self, movie: _Movie, path: Path, crf: int | None, name: str) -> None:
        import av

        self._movie, self.count = movie, 0
        self._held: list[Any] = []  # packets of other streams before the first frame, which has the rotation
        self._output: Any = av.open(str(path), "w")
        webm = path.suffix.lower() == ".webm"
        known = self._output.supported_codecs
        for stream in movie.copied:
            if stream.codec_context.name not in known and stream.codec_context.codec.canonical_name not in known:
                self._output.close()
                raise ValueError(
                    f"{name}: {path.suffix} takes no {stream.type} of the kind {stream.codec_context.name}; write .mkv"
                )
        self._video = self._add_video("libvpx-vp9" if webm else "libx264", (24 if webm else 16) if crf is None else crf)
        self._copies = {stream: self._output.add_stream_from_template(stream) for stream in movie.copied}
        self._output.metadata.update(movie.container.metadata)
        for stream, copied in ((movie.video, self._video), *self._copies.items()):
            copied.metadata.update(stream.metadata)
            copied.disposition = stream.disposition
        if chapters := movie.container.chapters():
            self._output.set_chapters(chapters)

    def _add_video(self, codec: str, crf: int) -> Any:
        from av.codec.context import Flags

        source = self._movie.video
        options = {"crf": str(crf), "preset": "medium"} if codec == "libx264" else {"crf": str(crf), "row-mt": "1"}
        video = self._output.add_stream(codec, rate=source.average_rate or source.guessed_rate, options=options)
        video.width, video.height = source.width, source.height
        video.pix_fmt = self._pixel_format()
        context = video.codec_context
        context.time_base = source.time_base
        context.flags |= Flags.frame_duration
        if codec != "libx264":
            context.bit_rate = 0  # constant quality
        if source.sample_aspect_ratio:
            context.sample_aspect_ratio = source.sample_aspect_ratio
        for name in ("color_range", "colorspace", "color_primaries", "color_trc"):
            setattr(context, name, getattr(source.codec_context, name))
        if source.format.is_rgb:  # stored as Y'CbCr of BT.709
            context.colorspace = 1
        elif source.format.name.startswith("yuvj"):
            context.color_range = _FULL_RANGE
        return video

    def _pixel_format(self) -> str:
        """Return the format nearest to that of the source that the encoders know."""
        movie = self._movie
        deep = "10le" if movie.bits > 8 else ""
        if movie.is_gray:
            return f"gray{deep}"
        components = movie.video.format.components
        # Chroma planes of half the width, and of half the height.
        narrow, low = (2 * getattr(components[1], side) <= getattr(components[0], side) for side in ("width", "height"))
        odd = movie.video.width % 2 or movie.video.height % 2
        subsampling = "444" if movie.video.format.is_rgb or odd or not narrow else "420" if low else "422"
        return f"yuv{subsampling}p{deep}"

    def copy(self, packet: Any) -> None:
        """Write a packet of another stream as it is."""
        packet.stream = self._copies[packet.stream]
        if self.count:
            self._output.mux(packet)
        else:
            self._held.append(packet)

    def write(self, pixels: np.ndarray) -> None:
        """Encode a frame, clipped to [0, 1]."""
        import av

        if not self.count:
            if self._movie.matrix is not None:
                self._video.set_display_matrix(np.frombuffer(self._movie.matrix, np.int32).tolist())
            self._output.start_encoding()
            self._output.mux(self._held)
        values = np.ascontiguousarray((np.clip(pixels, 0, 1) * 65535).round().astype(np.uint16))
        gray = values.shape[-1] == 1
        frame = av.VideoFrame.from_ndarray(values[..., 0] if gray else values, "gray16le" if gray else "rgb48le")
        context = self._video.codec_context
        frame = frame.reformat(
            format=context.pix_fmt,
            interpolation=_PRECISE,
            dst_colorspace=context.colorspace,
            dst_color_range=context.color_range or None,
        )
        frame.pts, frame.duration, frame.time_base = self._movie.times.popleft()
        self._output.mux(self._video.encode(frame))
        self.count += 1

    def close(self) -> None:
        """Write what the encoder holds back, and finish the file."""
        if self.count:
            self._output.mux(self._video.encode(None))
        self._output.close()
