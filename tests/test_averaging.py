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
    with pytest.raises(ValueError, match=f"{FFDNET} requires the noise level of the frames"):
        video.Stream(restorer)
    with pytest.raises(ValueError, match=r"must be in \[0, 1\], got 25"):
        video.Stream(restorer, 25)
