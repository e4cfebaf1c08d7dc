"""Videos: streams, folders and animated files, with a small network of frames made for the test."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image as PillowImage

from restorax import video, zoo
from restorax.files import image
from restorax.files.frames import Frames, read_frames, write_frames
from restorax.models.create import build


def _save(folder, channels=1, condition="none", **config):
    """An entry with parameters at random."""
    config = {"channels": channels, "width": 4, "blocks": 1, "condition": condition, **config}
    model, draw = build("burst_rnn", config), np.random.default_rng(0)
    shapes = jax.eval_shape(
        model.init,
        jax.random.key(0),
        jnp.zeros((1, 4, 4, channels)),
        jnp.zeros((1, 4, 4, 1)) if model.condition.channels else None,
    )
    params = jax.tree.map(lambda p: draw.normal(scale=0.1, size=p.shape).astype(np.float32), shapes["params"])
    blank = {
        "data": "",
        "data_licence": "",
        "weights_licence": "",
        "hardware": "",
        "commit": "",
        "limits": "",
        "paper": "",
    }
    card = zoo.Card(
        name="burst",
        architecture="burst_rnn",
        config=config,
        channels=channels,
        condition=model.condition,
        degradation="gaussian_noise(sigma=0.1)",
        evaluation=[],
        steps=0,
        seconds=0,
        versions={},
        parameters=0,
        parameter_dtype="float32",
        flops_per_megapixel=0.0,
        receptive_field=None,
        **blank,
    )
    zoo.save(folder, card, params)
    return zoo.load(folder)


def _frames(count=3, height=6, width=5, channels=1):
    values = np.random.default_rng(1).random((count, height, width, channels))
    return np.round(values * 255).astype(np.float32) / 255


def _expected(restorer, frames, mask=None):
    """All frames at once."""
    known = None if mask is None else jnp.broadcast_to(mask, (*frames.shape[:-1], 1))
    every = jax.jit(lambda params, *x: restorer.model.apply({"params": params}, *x, method="frames"))
    return np.clip(every(restorer.params, jnp.asarray(frames), known), 0, 1)


@pytest.fixture(scope="module")
def restorer(tmp_path_factory):
    return _save(tmp_path_factory.mktemp("entry"))


def test_an_entry_of_frames_passes_the_zoo(restorer):
    assert restorer.model.takes_frames
    burst = jnp.asarray(_frames())
    assert restorer(burst).shape == burst.shape[1:]


def test_stream_gives_every_frame_as_soon_as_it_comes(restorer):
    frames, taken = _frames(4), []
    stream = video.restore_stream(restorer, (taken.append(i) or frame for i, frame in enumerate(frames)))
    expected = _expected(restorer, frames)
    for t, restored in enumerate(stream):
        assert taken == list(range(t + 1))
        np.testing.assert_allclose(restored, expected[t], atol=1e-5)
    assert t == 3
    assert list(video.restore_stream(restorer, iter([]))) == []


def test_gray_restorer_works_on_each_channel(restorer):
    frames = _frames(channels=3)
    restored = np.stack(list(video.restore_stream(restorer, frames)))
    for c in range(3):
        np.testing.assert_allclose(restored[..., c : c + 1], _expected(restorer, frames[..., c : c + 1]), atol=1e-5)


def test_colour_restorer_takes_gray_frames(tmp_path):
    colour = _save(tmp_path / "entry", channels=3)
    frames = _frames()
    restored = np.stack(list(video.restore_stream(colour, frames)))
    expected = _expected(colour, np.repeat(frames, 3, axis=-1)).mean(-1, keepdims=True)
    np.testing.assert_allclose(restored, expected, atol=1e-5)


def test_folder_of_frames_with_a_mask(tmp_path):
    masked = _save(tmp_path / "entry", condition="mask")
    frames, mask = _frames(), (np.random.default_rng(2).random((6, 5, 1)) > 0.5).astype(np.float32)
    (tmp_path / "in").mkdir()
    for i, frame in enumerate(frames):
        image.write(tmp_path / "in" / f"{i}.png", image.Picture(frame * mask))
    image.write(tmp_path / "mask.png", image.Picture(mask))
    shares = []
    options = {"mask": tmp_path / "mask.png", "progress": shares.append}
    video.restore_video(masked, tmp_path / "in", tmp_path / "out", **options)
    restored = np.stack([image.read(tmp_path / "out" / f"{i}.png").pixels for i in range(3)])
    np.testing.assert_allclose(restored, _expected(masked, frames * mask, mask), atol=0.51 / 255)
    np.testing.assert_allclose(shares, [1 / 3, 2 / 3, 1])


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp"])
@pytest.mark.parametrize("channels", [1, 3])
def test_animated_files_keep_their_timing(restorer, tmp_path, suffix, channels):
    frames = [image.Picture(frame) for frame in _frames(4, 16, 16, channels)]
    animation = Frames(frames, [40.0, 80.0, 40.0, 200.0], loop=0)
    write_frames(tmp_path / f"in{suffix}", animation)
    video.restore_video(restorer, tmp_path / f"in{suffix}", tmp_path / f"out{suffix}")
    given, result = (read_frames(tmp_path / f"{name}{suffix}") for name in ("in", "out"))
    assert result.milliseconds == animation.milliseconds
    assert result.loop == 0
    assert len(result.pictures) == 4
    expected = list(video.restore_stream(restorer, (frame.pixels for frame in given.pictures)))
    difference = np.abs(np.stack([f.pixels for f in result.pictures]) - np.stack(expected))
    assert difference.mean() < {".png": 0.5 / 255, ".gif": 0.06, ".webp": 0.15}[suffix]
    if suffix == ".png":
        assert difference.max() < 0.51 / 255


def test_animation_keeps_what_is_see_through(restorer, tmp_path):
    alpha = np.ones((8, 8, 1), np.float32)
    alpha[2:4] = 0
    frames = [image.Picture(frame, alpha) for frame in _frames(2, 8, 8, 3)]
    write_frames(tmp_path / "in.png", Frames(frames, [50.0, 50.0]))
    video.restore_video(restorer, tmp_path / "in.png", tmp_path / "out.png")
    for frame in read_frames(tmp_path / "out.png").pictures:
        np.testing.assert_array_equal(frame.alpha, alpha)


def test_a_still_picture_is_a_video_of_one_frame(restorer, tmp_path):
    image.write(tmp_path / "in.png", image.Picture(_frames(1)[0]))
    video.restore_video(restorer, tmp_path / "in.png", tmp_path / "out.png")
    assert len(read_frames(tmp_path / "out.png").pictures) == 1
    np.testing.assert_allclose(
        image.read(tmp_path / "out.png").pixels, _expected(restorer, _frames(1))[0], atol=0.51 / 255
    )


def test_a_still_picture_keeps_bits_and_place(tmp_path):
    raw = (_frames(1, 6, 4)[0, ..., 0] * 65535).astype(np.uint16)
    PillowImage.fromarray(raw).save(tmp_path / "16.png")
    still = read_frames(tmp_path / "16.png")
    write_frames(tmp_path / "again.png", still)
    np.testing.assert_array_equal(np.round(image.read(tmp_path / "again.png").pixels[..., 0] * 65535), raw)
    exif = PillowImage.Exif()
    exif[274] = 6  # turned by 90 degrees
    PillowImage.fromarray((raw >> 8).astype(np.uint8)).save(tmp_path / "turned.png", exif=exif)
    assert read_frames(tmp_path / "turned.png").pictures[0].pixels.shape == (4, 6, 1)


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp"])
def test_what_a_frame_has_shown_is_gone_in_the_next(tmp_path, suffix):
    alphas = np.zeros((3, 12, 12, 1), np.float32)
    for i, alpha in enumerate(alphas):
        alpha[4 + i :] = 1
    frames = [image.Picture(pixels, alpha) for pixels, alpha in zip(_frames(3, 12, 12, 3), alphas, strict=True)]
    write_frames(tmp_path / f"a{suffix}", Frames(frames, [50.0] * 3))
    shown = np.stack([frame.alpha for frame in read_frames(tmp_path / f"a{suffix}").pictures])
    np.testing.assert_array_equal(shown, alphas)


@pytest.mark.usefixtures("unchecked")
def test_mistakes_are_refused_in_a_sentence_and_leave_nothing(restorer, tmp_path):
    import restorax

    (tmp_path / "mixed").mkdir()
    for i, side in enumerate((6, 8)):
        image.write(tmp_path / "mixed" / f"{i}.png", image.Picture(_frames(1, side)[0]))
    (tmp_path / "text.gif").write_text("not a picture")
    before = sorted(p.name for p in tmp_path.iterdir())
    for source, target, options, error, message in (
        ("mixed", "mixed", {}, ValueError, "all frames must be of one size"),
        ("text.gif", "out.gif", {}, ValueError, "not an image"),
        ("absent.gif", "out.gif", {}, FileNotFoundError, "no such file"),
        ("mixed/0.png", "out.jpg", {}, ValueError, "animations are written as"),
        ("mixed/0.png", "absent/out.gif", {}, FileNotFoundError, "no such folder"),
        ("mixed", "mixed", {"mask": tmp_path / "mixed" / "0.png"}, ValueError, "takes no mask"),
    ):
        with pytest.raises(error, match=message):
            video.restore_video(restorer, tmp_path / source, tmp_path / target, **options)
    assert sorted(p.name for p in tmp_path.iterdir()) == before
    broken = _frames(2)
    broken[1, 0, 0] = np.nan
    with pytest.raises(ValueError, match="frames must be finite, got NaN"):
        list(video.restore_stream(restorer, broken))
    with pytest.raises(ValueError, match="at least one frame"):
        write_frames(tmp_path / "out.gif", Frames([], []))
    with pytest.raises(ValueError, match="restores single images"):
        video.restore_stream(restorax.load("resunet_s-gray-noise"), _frames())
