"""Video files: what they carry is preserved, and what cannot be is refused."""

import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

from restorax import video
from restorax.files.movie import convert_movie, read_movie

av = pytest.importorskip("av")

SIDES = (32, 48)


def _write(path, count=6, *, kind="yuv420p", sound="aac", rate=Fraction(30000, 1001), times=None, size=SIDES, **colour):
    """A moving gradient, with a tone as long."""
    height, width = size
    with av.open(str(path), "w") as file:
        file.metadata["title"] = "a clip"
        codec = "libvpx-vp9" if path.suffix == ".webm" else "libx264"
        shown = file.add_stream(codec, rate=rate, options={"crf": "4", "preset": "ultrafast", "deadline": "realtime"})
        shown.width, shown.height, shown.pix_fmt = width, height, kind
        for name, value in colour.get("context", {}).items():
            setattr(shown.codec_context, name, value)
        if "matrix" in colour:
            shown.set_display_rotation(colour["matrix"])
        heard = file.add_stream(sound, rate=48000, layout="mono") if sound else None
        if heard:
            heard.metadata["language"] = "deu"
        ramp = np.add.outer(np.arange(height), np.arange(width))
        for number in range(count):
            pixels = np.stack([(ramp * 2 + 9 * number) % 256, ramp, 255 - ramp], -1).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, "rgb24")
            frame.pts = number if times is None else times[number]
            frame.time_base = 1 / rate
            file.mux(shown.encode(frame))
        file.mux(shown.encode(None))
        for number in range(round(count / rate * 48000 / 960) if heard else 0):
            tone = np.sin(np.arange(960) * 0.1 + number).astype(np.float32)[None] / 2
            frame = av.AudioFrame.from_ndarray(tone, "fltp", "mono")
            frame.sample_rate, frame.pts, frame.time_base = 48000, 960 * number, Fraction(1, 48000)
            file.mux(heard.encode(frame))
        if heard:
            file.mux(heard.encode(None))
    return path


def _content(path):
    """Return what a player would use of a file."""
    with av.open(str(path)) as file:
        shown = file.streams.video[0]
        context = shown.codec_context
        sound = [bytes(packet) for stream in file.streams.audio for packet in file.demux(stream) if packet.size]
        languages = [stream.language for stream in file.streams.audio]
    with av.open(str(path)) as file:
        shown = file.streams.video[0]
        frames = list(file.decode(shown))
        return {
            "size": (shown.width, shown.height),
            "rate": shown.average_rate,
            "times": [float(frame.pts * frame.time_base) for frame in frames],
            "format": context.pix_fmt,
            "colour": [getattr(context, n) for n in ("color_range", "colorspace", "color_primaries", "color_trc")],
            "rotation": frames[0].rotation,
            "sound": sound,
            "languages": languages,
            "title": file.metadata.get("title"),
        }


def _unchanged(frames):
    yield from frames


BT709 = {"color_range": 1, "colorspace": 1, "color_primaries": 1, "color_trc": 1}
FULL_BT601 = {"color_range": 2, "colorspace": 5, "color_primaries": 6, "color_trc": 6}


@pytest.mark.parametrize(
    ("suffix", "made"),
    [
        (".mp4", {"context": BT709, "matrix": 90}),
        (".mov", {"context": FULL_BT601, "times": [0, 1, 3, 4, 9, 10]}),
        (".mkv", {"kind": "yuv444p10le", "sound": "flac", "size": (31, 33)}),
        (".webm", {"sound": "libopus", "context": BT709}),
    ],
)
def test_everything_but_the_frames_is_preserved(tmp_path, suffix, made):
    source, target = _write(tmp_path / f"in{suffix}", **made), tmp_path / f"out{suffix}"
    assert convert_movie(source, target, _unchanged, crf=4) == 6
    before, after = _content(source), _content(target)
    assert before["sound"]
    if "times" in made:
        before["rate"] = after["rate"]  # the mean of a variable rate counts the unknown duration of the last frame
    assert after == before | {"times": pytest.approx(before["times"], abs=2e-3)}
    difference = [np.abs(a - b).mean() for a, b in zip(read_movie(source), read_movie(target), strict=True)]
    assert max(difference) < 2 / 255


def test_frames_are_those_that_ffmpeg_decodes(tmp_path):
    with av.open(str(_write(tmp_path / "a.mp4", 2))) as file:
        expected = [frame.to_ndarray(format="rgb24") for frame in file.decode(video=0)]
    for frame, pixels in zip(read_movie(tmp_path / "a.mp4"), expected, strict=True):
        assert np.abs(frame * 255 - pixels).mean() < 2  # swscale is less accurate by default


def test_an_interruption_leaves_a_file_with_the_frames_so_far(tmp_path):
    def interrupted(frames):
        for number, frame in enumerate(frames):
            if number == 4:
                raise KeyboardInterrupt
            yield frame

    source = _write(tmp_path / "in.mp4", 8)
    with pytest.raises(KeyboardInterrupt):
        convert_movie(source, tmp_path / "out.mp4", interrupted)
    assert len(list(read_movie(tmp_path / "out.mp4"))) == 4
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.mp4", "out.mp4"]


def _fail(frames):
    next(frames)
    raise RuntimeError("the network")


def test_what_cannot_be_read_or_kept_is_refused_and_nothing_is_written(tmp_path):
    (tmp_path / "text.mp4").write_text("not a video")
    _write(tmp_path / "good.mp4")
    _write(tmp_path / "hdr.mkv", sound=None, context={"color_trc": 16})
    with av.open(str(tmp_path / "sound.mp4"), "w") as file:
        file.mux(file.add_stream("aac", rate=48000, layout="mono").encode(None))
    before = sorted(tmp_path.iterdir())
    for source, target, options, message in (
        ("absent.mp4", "out.mp4", {}, "no such file"),
        ("text.mp4", "out.mp4", {}, "is not a video that can be read"),
        ("good.mp4", "out.avi", {}, r"of the suffix .mp4, .mov, .mkv, .webm"),
        ("good.mp4", "out.webm", {}, "takes no audio of the kind aac; write .mkv"),
        ("good.mp4", "absent/out.mp4", {}, "no such folder"),
        ("good.mp4", "out.mp4", {"crf": 60}, r"`crf` must be in \[0, 51\]"),
        ("good.mp4", "out.mp4", {"max_pixels": 100}, "more than 100"),
        ("hdr.mkv", "out.mkv", {}, r"is HDR \(PQ\)"),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            convert_movie(tmp_path / source, tmp_path / target, _unchanged, **options)
    with pytest.raises(RuntimeError, match="the network"):
        convert_movie(tmp_path / "good.mp4", tmp_path / "out.mp4", _fail)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("name", "level"), [("arcnn-gray-jpeg", None), ("burst_rnn-gray-noise", None), ("ffdnet-gray-noise", 0.05)]
)
def test_a_video_is_restored_by_the_command(tmp_path, run_cli, name, level):
    import restorax

    source, target = _write(tmp_path / "in.mp4", 3), tmp_path / "out.mkv"
    strength = ("--strength", level) if level else ()
    code, out, _ = run_cli("restore", source, target, "--model", name, "--crf", 0, *strength)
    assert code == 0
    assert "3 of 3" in out
    restorer, frames = restorax.load(name), list(read_movie(source))
    if restorer.model.takes_frames or level:
        expected = list(video.restore_stream(restorer, frames, level))
    else:
        expected = [np.asarray(restorax.restore(restorer, frame)) for frame in frames]
    for restored, frame in zip(read_movie(target), expected, strict=True):
        assert np.abs(restored - frame).mean() < 4 / 255  # chroma is subsampled


def test_a_noise_level_may_be_measured(tmp_path, refused):
    import restorax

    source, seen = _write(tmp_path / "in.mp4", 10), []
    restorer = restorax.load("ffdnet-gray-noise")

    def measure(frame):
        seen.append(frame)
        if len(seen) == 1:
            raise ValueError("no noise")
        return 0.05

    assert video.restore_movie(restorer, source, tmp_path / "out.mkv", strength=measure, crf=0) == 10
    frames = list(read_movie(source))
    np.testing.assert_array_equal(seen, [frames[0], frames[8]])
    expected = video.restore_stream(restorer, frames, conditions=8 * [0.0] + 2 * [0.05])
    for restored, frame in zip(read_movie(tmp_path / "out.mkv"), expected, strict=True):
        assert np.abs(restored - frame).mean() < 4 / 255  # chroma is subsampled
    clean = ("restore", source, tmp_path / "clean.mkv", "--model", restorer.card.name)
    assert "no noise is found in the video; give its noise level" in refused(*clean)
    assert not (tmp_path / "clean.mkv").exists()


def test_an_entry_is_chosen_for_a_video(refused, tmp_path):
    import jax

    import restorax
    from restorax.data import sample_images
    from restorax.diagnosis.videos import choose_for_video

    rng, colour = np.random.default_rng(0), sample_images(3)["astronaut"][200:328, 200:328]
    gray, black = colour.mean(-1, keepdims=True), np.zeros_like(colour)
    for clean, entry in ((colour, "resunet_s-color-noise-level"), (gray, "ffdnet-gray-noise")):
        noisy = (clean + rng.normal(0, 25 / 255, (3, *clean.shape))).astype(np.float32)
        diagnosis, choice = choose_for_video([black[..., : clean.shape[-1]], *noisy])
        assert (choice.entries, diagnosis.damages) == ((entry,), ("noise",))
        assert choose_for_video([clean])[1].entries == ()
    correlated = restorax.degrade.correlated_noise(jax.random.key(0), colour, sigma=25 / 255)
    assert choose_for_video([correlated])[1].entries == ("resunet_s-color-noise-level",)
    source = _write(tmp_path / "in.mp4", 3)
    assert "give --model to restore it anyway" in refused("restore", source, tmp_path / "out.mkv")
    for strength in (0, 0.1):
        assert "--strength requires --model" in refused("restore", source, tmp_path / "out.mkv", "--strength", strength)
    with pytest.raises(ValueError, match="the video has no frames"):
        choose_for_video([])


def test_every_frame_has_its_mask(tmp_path, run_cli, refused):
    import restorax
    from restorax.files import image

    name, source, masks = "scanunet_s-gray-missing", _write(tmp_path / "in.mp4", 3), tmp_path / "masks"
    masks.mkdir()
    known = np.ones((3, *SIDES, 1), np.float32)
    for number in range(3):
        known[number, 8 * number : 8 * number + 10, 10:20] = number == 1  # the second one marks no damage
        image.write(masks / f"{number}.png", image.Picture(known[number]))
    arguments = ("restore", source, tmp_path / "out.mkv", "--model", name, "--mask", masks, "--crf", 0)
    code, _, err = run_cli(*arguments)
    assert (code, err) == (0, "")
    frames = list(read_movie(source))
    expected = video.restore_stream(restorax.load(name), frames, conditions=known)
    for restored, frame in zip(read_movie(tmp_path / "out.mkv"), expected, strict=True):
        assert np.abs(restored - frame).mean() < 4 / 255

    image.write(masks / "3.png", image.Picture(known[0]))
    assert "has 4 masks for the 3 frames of the video" in refused(*arguments[:2], tmp_path / "b.mkv", *arguments[3:])
    for number in (2, 3):
        (masks / f"{number}.png").unlink()
    assert "has only 2 masks, fewer than the video has frames" in refused(
        *arguments[:2], tmp_path / "b.mkv", *arguments[3:]
    )
    assert not (tmp_path / "b.mkv").exists()


def test_the_command_refuses_what_a_video_does_not_take(tmp_path, refused):
    source = _write(tmp_path / "in.mp4", 1, sound=None)
    for arguments, message in (
        ((source, tmp_path / "out.mp4"), "give --model"),
        ((source, tmp_path / "out.mp4", "--model", "arcnn-gray-jpeg", "--compare"), "omit --compare"),
        ((source, source, "--model", "arcnn-gray-jpeg"), "is an input file"),
        ((tmp_path / "a.png", tmp_path / "b.png", "--model", "arcnn-gray-jpeg", "--crf", 20), "quality of videos"),
    ):
        assert message in refused("restore", *arguments)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_length(tmp_path):
    """The peak memory of 2,000 frames is that of 200."""
    script = """
import resource, sys
from restorax.files.movie import convert_movie
count = convert_movie(sys.argv[1], sys.argv[2], lambda frames: (1 - frame for frame in frames))
print(count, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    peaks = []
    for count in (200, 2000):
        source = _write(tmp_path / f"{count}.mp4", count, size=(64, 64))
        command = [sys.executable, "-c", script, source, tmp_path / "out.mp4"]
        written, peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        assert int(written) == count
        peaks.append(int(peak))
    assert peaks[1] < 1.1 * peaks[0]
