"""Motion between frames, averages along it, and streams of restorers that are told the noise level."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import restorax
from restorax import averaging, metrics, video
from restorax.layers.tracking import mean_around, sample, track

SIGMA = 0.1
FFDNET = "ffdnet-gray-noise"
advance = jax.jit(averaging.average)


@pytest.fixture(scope="module")
def picture():
    return restorax.data.sample_images(1)["camera"][60:132, 180:260]


def _noisy(image, count, sigma=SIGMA):
    return image + np.random.default_rng(0).normal(scale=sigma, size=(count, *image.shape)).astype(np.float32)


def test_motion_is_found_to_a_fraction_of_a_pixel(picture):
    image, inner = jnp.asarray(picture)[None], (slice(None), slice(8, -8), slice(8, -8))
    shift = jnp.broadcast_to(jnp.array([2.4, -3.3]), (1, *picture.shape[:2], 2))
    current, previous = sample(image, shift)[inner], image[inner]
    found = jax.jit(track)(current + _noisy(np.zeros_like(current[0]), 1, 0.03), previous)
    assert np.median(np.abs(found - shift[inner])[inner]) < 0.15
    assert np.abs(track(current[:, :15], previous[:, :15])).max() == 0  # too small to tell


def test_samples_at_whole_pixels_are_exact_and_constants_stay(picture):
    image = jnp.asarray(picture)[None]
    flow = jnp.broadcast_to(jnp.array([1.0, -2.0]), (1, *picture.shape[:2], 2))
    np.testing.assert_allclose(sample(image, flow)[0, :-1, 2:], picture[1:, :-2], atol=1e-6)
    np.testing.assert_allclose(sample(jnp.full((1, 5, 6, 1), 0.3), flow[:, :5, :6] * 0.37), 0.3, atol=1e-6)
    windows = np.lib.stride_tricks.sliding_window_view(picture[..., 0], (3, 3))
    np.testing.assert_allclose(mean_around(image, 3)[0, 1:-1, 1:-1, 0], windows.mean((-1, -2)), atol=1e-6)


def test_a_camera_that_stands_still_averages_and_knows_what_noise_is_left(picture):
    state, errors = averaging.start(picture), []
    for frame in _noisy(picture, 12):
        mean, variance = advance(state, frame, SIGMA)
        state = (mean, variance, jnp.asarray(picture))
        errors.append(float(((mean - picture) ** 2).mean() / variance.mean()))
    np.testing.assert_allclose(errors[0], 1, atol=0.1)
    assert float(variance.mean()) < 0.4 * SIGMA**2  # without motion and drift, 1 / 12
    assert 0.5 < errors[-1] < 1.1


def test_what_earlier_frames_do_not_show_is_not_averaged(picture):
    first, second = jnp.asarray(picture), 1 - jnp.asarray(picture)[::-1]
    mean, variance = advance(averaging.start(first), first, SIGMA)
    mean, variance = advance((mean, variance, first), second, SIGMA)  # a cut
    assert float(jnp.abs(mean - second).mean()) < 0.02
    assert float(variance.mean()) > 0.8 * SIGMA**2
    mean, variance = advance((mean, variance, second), first, 0.0)
    np.testing.assert_allclose(mean, first, atol=1e-6)  # without noise, the frame itself
    assert float(jnp.abs(variance).max()) == 0
    with pytest.raises(ValueError, match="the frame must have shape"):
        averaging.average(averaging.start(first), first[1:], SIGMA)


def test_a_stream_of_a_told_denoiser_gains_and_can_be_resumed(picture, tmp_path):
    restorer, frames = restorax.load(FFDNET), _noisy(picture, 6)
    stream = video.Stream(restorer, SIGMA)
    restored = [stream(frame) for frame in frames[:5]]
    alone = restorax.restore(restorer, frames[4], SIGMA)
    assert metrics.psnr(restored[4], picture) > metrics.psnr(alone, picture) + 1
    np.testing.assert_allclose(restored[0], restorax.restore(restorer, frames[0], SIGMA), atol=1e-4)
    stream.save(tmp_path / "state.safetensors")
    again = video.Stream.resume(restorer, tmp_path / "state.safetensors", SIGMA)
    last = stream(frames[5])
    np.testing.assert_array_equal(again(frames[5]), last)

    state = video.start(restorer, frames[:1])
    for frame, expected in zip(frames, [*restored, last], strict=True):
        state, outputs = video.step(restorer, state, frame[None], SIGMA)
        np.testing.assert_allclose(outputs[0], expected, atol=1e-4)


def test_a_stream_of_a_told_denoiser_needs_its_level():
    restorer = restorax.load(FFDNET)
    with pytest.raises(ValueError, match=f"{FFDNET} requires of every frame"):
        video.Stream(restorer)(np.zeros((8, 8, 1), np.float32))
    with pytest.raises(ValueError, match=r"must be in \[0, 1\], got 25"):
        video.Stream(restorer, 25)


complete = jax.jit(averaging.fill)


def _with_hole(picture, row, side=12):
    mask = np.ones((*picture.shape[:2], 1), np.float32)
    mask[row : row + side, 20 : 20 + side] = 0
    return picture * mask, mask


def test_holes_are_filled_with_what_earlier_frames_show(picture):
    first, mask = _with_hole(picture, 40)
    mean, variance, known = complete(averaging.start(first), first, mask)
    np.testing.assert_array_equal(known, mask)
    assert float(variance[mask > 0].max()) == 0
    moved, moved_mask = _with_hole(np.roll(picture, (1, -2), (0, 1)), 10)
    filled, _, known = complete((mean, variance, jnp.asarray(picture)), moved, moved_mask)
    inner = np.s_[10:22, 20:32]
    assert known[inner].mean() > 0.7
    error = jnp.abs(filled - np.roll(picture, (1, -2), (0, 1)))[inner]
    assert float(jnp.where(known[inner] > 0, error, 0).mean()) < 0.012
    np.testing.assert_array_equal(jnp.where(moved_mask > 0, filled, 0), moved)


@pytest.mark.parametrize("after", ["cut", "flicker"])
def test_holes_that_a_restorer_fills_better_are_left_to_it(picture, after):
    whole = mean_around(jnp.asarray(picture)[None], 9)[0]
    state = (whole, jnp.zeros_like(whole), whole)
    if after == "cut":
        frame, mask = _with_hole(1 - whole[::-1], 10)
    else:  # single pixels, whose neighbours tell more
        mask = np.ones_like(picture)
        mask[3::5, 2::5] = 0
        frame = mask * (whole + 0.03)
    _, _, known = complete(state, frame, mask)
    assert float((known - mask).sum()) == 0


def test_a_stream_takes_a_mask_for_every_frame(picture):
    restorer = restorax.load("scanunet_s-gray-missing")
    frames, masks = zip(*(_with_hole(picture, row) for row in (40, 20)), strict=True)
    restored = list(video.restore_stream(restorer, frames, conditions=masks))
    alone = restorax.restore(restorer, frames[1], masks[1])
    assert metrics.psnr(restored[1], picture) > metrics.psnr(alone, picture) + 3
    state = video.start(restorer, picture[None])
    for frame, mask, expected in zip(frames, masks, restored, strict=True):
        state, out = video.step(restorer, state, frame[None], mask[None])
        np.testing.assert_allclose(out[0], expected, atol=1e-3)
    with pytest.raises(ValueError, match="requires of every frame the mask"):
        next(video.restore_stream(restorer, frames))
    with pytest.raises(ValueError, match="`condition` must have the size of the frames"):
        next(video.restore_stream(restorer, frames, masks[0][1:]))
