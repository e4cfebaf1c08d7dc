"""VideoRNN: every frame restored, from a state that follows the motion and ends at cuts."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.ndimage

from restorax import video, zoo
from restorax.layers.motion import correlate, displacements, is_cut, warp
from restorax.models import VideoRNN
from restorax.models.count import flops_per_megapixel
from restorax.types import Condition


def _model(**config):
    return VideoRNN(**{"widths": (4, 4, 4), "radius": 1} | config)


def _init(model, frames, condition=None):
    """Draw nonzero parameters without compiling."""
    shapes, draw = jax.eval_shape(model.init, jax.random.key(1), frames, condition), np.random.default_rng(0)
    return jax.tree.map(lambda p: jnp.asarray(draw.normal(scale=0.15, size=p.shape), jnp.float32), shapes)


def _frames(*shape):
    return np.random.default_rng(0).random(shape, np.float32) * 0.1 + np.linspace(0, 1, shape[-2])[:, None]


@pytest.fixture(scope="module")
def masked():
    """A network with a mask, its parameters, two videos of three frames, their masks, and every frame restored."""
    model, frames = _model(condition=Condition.MASK), _frames(2, 3, 9, 10, 1).astype(np.float32)
    mask = (np.random.default_rng(1).random(frames.shape) > 0.4).astype(np.float32)
    variables = _init(model, frames, mask)
    return model, variables, frames, mask, jax.jit(model.apply)(variables, frames, mask)


@pytest.mark.slow
def test_a_stream_of_several_videos_equals_the_whole_videos(masked):
    model, variables, frames, mask, whole = masked
    assert whole.shape == frames.shape
    np.testing.assert_array_equal(np.asarray(whole)[mask > 0], frames[mask > 0])
    step = jax.jit(lambda *inputs: model.apply(variables, *inputs, method="step"))
    state = model.apply(variables, frames[:, 0], method="start")
    for t in range(3):
        state, restored = step(state, frames[:, t], mask[:, t])
        np.testing.assert_allclose(restored, whole[:, t], atol=1e-5)
    assert np.abs(state[0]).max() <= 1


@pytest.mark.slow
def test_gradient_reaches_every_parameter_and_earlier_frames_alone():
    model, frames = _model(), _frames(3, 8, 16, 1).astype(np.float32)
    variables = _init(model, frames)

    def middle(variables, frames):
        return (model.apply(variables, frames)[1] ** 2).sum()

    by_parameter, by_frame = jax.jit(jax.grad(middle, (0, 1)))(variables, frames)
    for path, gradient in jax.tree_util.tree_leaves_with_path(by_parameter):
        assert np.isfinite(gradient).all(), path
        assert np.abs(gradient).sum() > 0, path
    assert (np.abs(by_frame).sum((1, 2, 3)) > 0).tolist() == [True, True, False]


@pytest.mark.slow
def test_the_auxiliary_loss_trains_the_motion(photograph):
    """Steps on a shifted photograph lower it; untrained, no motion is found in a still video, and none in one frame."""
    model, x = _model(widths=(8, 16, 8), radius=2), photograph[64:160, 128:224]
    frames = jnp.stack([x[16 + 4 * t : 80 + 4 * t, 16:80] for t in range(3)])
    variables = jax.jit(model.init)(jax.random.key(0), frames)
    loss = jax.jit(jax.value_and_grad(lambda v, f: model.apply(v, f, f, method="auxiliary_loss")))
    still = loss(variables, jnp.stack([x[:64, :64]] * 3))[0]
    assert loss(variables, frames[:1])[0] == 0
    values, adam = [], optax.adam(3e-3)
    state, update = adam.init(variables), jax.jit(adam.update)
    for _ in range(30):
        value, gradient = loss(variables, frames)
        values.append(float(value))
        updates, state = update(gradient, state)
        variables = optax.apply_updates(variables, updates)
    assert still < 0.3 * values[0]
    assert values[-1] < 0.7 * values[0], values
    with pytest.raises(ValueError, match="estimates no motion"):
        model.clone(memory="fixed").apply(variables, frames, frames, method="auxiliary_loss")


def test_the_state_ends_at_a_cut():
    """What follows a cut is restored as if the video began there."""
    model = _model()
    before, after = _frames(2, 40, 8, 1).astype(np.float32), 1 - _frames(2, 40, 8, 1).astype(np.float32)
    variables = _init(model, before)
    apply = jax.jit(model.apply)
    cut = apply(variables, np.concatenate([before, after]))
    fresh = apply(variables, np.concatenate([after, after]))
    np.testing.assert_allclose(cut[2:], fresh[:2], atol=1e-5)
    assert np.abs(fresh[2] - fresh[0]).max() > 1e-4  # without a cut, the state counts
    alone = jax.jit(model.clone(memory="none").apply)(variables, np.concatenate([after, after]))
    np.testing.assert_allclose(alone[2:], alone[:2], atol=1e-6)
    np.testing.assert_allclose(alone[0], fresh[0], atol=1e-5)


def test_the_state_ends_where_the_motion_does_not_explain_the_frame():
    """An object that vanishes leaves no state where it was."""
    model, frames = _model(), _frames(2, 16, 128, 1).astype(np.float32)
    frames[0, :, 112:] -= 0.6

    def known(model, x):
        encoded = model._encode(x, 2)
        return model._guide(encoded, tuple(jnp.roll(part, 1, 0) for part in encoded[2:]))[2]

    found = jax.jit(functools.partial(model.apply, method=known))(_init(model, frames), frames)[1, 0, :, :, 0]
    assert found.shape == (8, 64)
    assert (found[:, :48] == 1).all()
    assert (found[:, 60:] == 0).all()


def test_correlation_finds_the_displacement_and_warping_follows_it(key):
    features = jax.random.normal(key, (1, 12, 13, 64))
    moved = jnp.roll(features, (1, -2), (1, 2))
    found = displacements(2)[correlate(moved, features, 2).argmax(-1)]
    np.testing.assert_array_equal(found[:, 2:-2, 2:-2], np.broadcast_to([-1.0, 2.0], (1, 8, 9, 2)))
    np.testing.assert_allclose(warp(features, found)[:, 2:-2, 2:-2], moved[:, 2:-2, 2:-2], atol=1e-6)
    flow = jnp.broadcast_to(jnp.float32([0.3, -0.6]), (1, 12, 13, 2))
    place = np.indices((12, 13)) + np.float32([0.3, -0.6]).reshape(2, 1, 1)
    expected = scipy.ndimage.map_coordinates(features[0, ..., 0], place, order=1, mode="nearest")
    np.testing.assert_allclose(warp(features, flow)[0, ..., 0], expected, atol=1e-5)


def test_cuts_are_told_from_noise_and_motion(photograph):
    def blocks(image):
        return jnp.asarray(image[:96, :96]).reshape(12, 8, 12, 8, 1).mean((1, 3))

    noise = np.random.default_rng(0).normal(scale=0.2, size=(96, 96, 1)).astype(np.float32)
    frame, moved, other = photograph, np.roll(photograph, (5, 6), (0, 1))[:96, :96] + noise, photograph[200:, 100:]
    current = jnp.stack([blocks(moved), blocks(other)])
    assert is_cut(current, jnp.stack([blocks(frame)] * 2)).tolist() == [False, True]


@pytest.mark.parametrize("channels", [1, 3])
def test_size_and_cost_are_below_half_of_resunet(channels):
    model = VideoRNN(channels=channels)
    shapes = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 16, 16, channels)))
    assert sum(p.size for p in jax.tree.leaves(shapes)) < 1e6
    assert flops_per_megapixel(model) < 233e9 / 2


@pytest.mark.usefixtures("unchecked")
def test_invalid_input_is_refused(masked):
    model, variables, frames, mask, _ = masked
    with pytest.raises(ValueError, match="a video must have shape"):
        model.apply(variables, frames[0, 0], mask[0, 0])
    with pytest.raises(ValueError, match="a video must have shape"):
        model.apply(variables, frames[:, :0], mask[:, :0])
    state = model.apply(variables, frames[:, 0], method="start")
    with pytest.raises(ValueError, match=r"must have shapes .* for this frame"):
        model.apply(variables, state, frames[:, 0, :8, :8], mask[:, 0, :8, :8], method="step")


def _restorer(model, params, name="video"):
    card = zoo.Card.read(zoo.find("burst_rnn-gray-noise"))
    return zoo.Restorer(params, model, dataclasses.replace(card, name=name))


@pytest.mark.slow
def test_streams_are_saved_resumed_and_spread_over_devices(tmp_path):
    model, frames = _model(), _frames(8, 2, 8, 8, 1).astype(np.float32)
    restorer = _restorer(model, _init(model, frames[0])["params"])
    mesh = jax.make_mesh((8,), ("streams",), axis_types=(jax.sharding.AxisType.Auto,))
    spread = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("streams"))
    state = jax.device_put(video.start(restorer, frames[:, 0]), spread)
    for t in (0, 1):
        state, restored = video.step(restorer, state, jax.device_put(frames[:, t], spread))
    assert len(restored.sharding.device_set) == len(state[0].sharding.device_set) == 8
    first = video.Stream(restorer)
    first(frames[5, 0])
    first.save(tmp_path / "state.safetensors")
    again = video.Stream.resume(restorer, tmp_path / "state.safetensors")
    np.testing.assert_allclose(again(frames[5, 1]), restored[5], atol=1e-5)
    with pytest.raises(ValueError, match="is the state of video, not of other"):
        video.Stream.resume(_restorer(model, restorer.params, "other"), tmp_path / "state.safetensors")
