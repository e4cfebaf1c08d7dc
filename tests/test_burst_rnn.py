"""BurstRNN: bursts of any number of frames, and streams."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import restorax
from restorax import degrade, metrics
from restorax.models import BurstRNN
from restorax.types import Condition


def _model(**config):
    return BurstRNN(**{"width": 8, "blocks": 1} | config)


def _init(model, burst, condition=None):
    """Draw nonzero parameters without compiling."""
    shapes, draw = jax.eval_shape(model.init, jax.random.key(1), burst, condition), np.random.default_rng(0)
    return jax.tree.map(lambda p: jnp.asarray(draw.normal(scale=0.1, size=p.shape), jnp.float32), shapes)


def _apply(model, *arguments, method="__call__"):
    return jax.jit(lambda *a: model.apply(*a, method=method))(*arguments)


def _burst(*shape):
    return jax.random.uniform(jax.random.key(0), shape)


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (3, 5, 4, 1), (2, 4, 6, 7, 1), (2, 1, 2, 3, 2, 1)])
def test_any_number_of_frames_size_and_batch(shape):
    model, burst = _model(), _burst(*shape)
    out = jax.jit(model.apply)(_init(model, burst), burst)
    assert out.shape == (*shape[:-4], *shape[-3:])
    assert np.isfinite(out).all()


def test_call_restores_the_last_frame():
    model, burst = _model(), _burst(5, 6, 7, 1)
    variables = _init(model, burst)
    every = _apply(model, variables, burst, method="frames")
    np.testing.assert_allclose(_apply(model, variables, burst), every[-1], atol=1e-5)


@pytest.mark.parametrize("conditioned", [False, True])
def test_stream_equals_the_whole_sequence(conditioned):
    model = _model(condition=Condition.MASK if conditioned else Condition.NONE)
    burst = _burst(2, 4, 5, 6, 1)  # two bursts of four frames
    mask = (burst > 0.4).astype(jnp.float32) if conditioned else None
    variables = _init(model, burst, mask)
    every = _apply(model, variables, burst, mask, method="frames")
    step = jax.jit(lambda *a: model.apply(variables, *a, method="step"))
    carry = model.apply(variables, burst[:, 0], method="start")
    for t in range(4):
        carry, restored = step(carry, burst[:, t], mask[:, t] if conditioned else None)
        np.testing.assert_allclose(restored, every[:, t], atol=1e-5)


def test_gradient_reaches_every_parameter_and_every_frame():
    model, burst = _model(), _burst(3, 6, 6, 1)
    variables = _init(model, burst)
    by_parameter, by_frame = jax.jit(jax.grad(lambda v, x: (model.apply(v, x) ** 2).sum(), (0, 1)))(variables, burst)
    for path, gradient in jax.tree_util.tree_leaves_with_path(by_parameter):
        assert np.isfinite(gradient).all(), path
        assert np.abs(gradient).sum() > 0, path
    assert (np.abs(by_frame).sum((1, 2, 3)) > 0).all()


def test_residual_differs_from_direct_by_the_last_frame():
    burst = _burst(3, 6, 6, 1)
    direct, residual = (_model(residual=r) for r in (False, True))
    variables = _init(direct, burst)
    difference = _apply(residual, variables, burst) - _apply(direct, variables, burst)
    np.testing.assert_allclose(difference, burst[-1], atol=1e-5)


def test_bfloat16_is_close_to_float32():
    burst = _burst(5, 12, 12, 1)
    model = _model()
    variables = _init(model, burst)
    out, exact = (_apply(network, variables, burst) for network in (model.clone(dtype=jnp.bfloat16), model))
    assert out.dtype == jnp.float32
    np.testing.assert_allclose(out, exact, atol=0.03 * float(jnp.abs(exact).max()))


@pytest.mark.slow
def test_more_frames_reduce_the_error(photograph):
    """Trained on four noisy frames, it averages over more than one frame."""
    clean = jnp.asarray(photograph[None, 100:116, 150:166])
    model, adam = _model(width=12), optax.adam(3e-3)

    def burst(key):
        return clean + 0.2 * jax.random.normal(key, (4, *clean.shape[1:]))

    params = jax.jit(model.init)(jax.random.key(0), burst(jax.random.key(0)))

    def loss(params, key):
        return ((model.apply(params, burst(key)) - clean[0]) ** 2).mean()

    @jax.jit
    def train(params):
        def step(carry, key):
            params, state = carry
            updates, state = adam.update(jax.grad(loss)(params, key), state)
            return (optax.apply_updates(params, updates), state), None

        return jax.lax.scan(step, (params, adam.init(params)), jax.random.split(jax.random.key(1), 150))[0][0]

    params = train(params)
    assert float(loss(params, jax.random.key(9))) < 0.04 / 2.5


@pytest.mark.usefixtures("unchecked")
def test_invalid_input_is_refused():
    model, burst = _model(), _burst(3, 6, 6, 1)
    variables = _init(model, burst)
    with pytest.raises(ValueError, match="a burst"):
        model.apply(variables, burst[0])
    with pytest.raises(ValueError, match="a burst"):
        model.apply(variables, burst[:0])
    carry = model.apply(variables, burst[0], method="start")
    with pytest.raises(ValueError, match=r"must have shape .* for this frame"):
        model.apply(variables, carry, burst[0, :3], method="step")


@pytest.mark.slow
def test_quality_of_a_burst_is_that_of_its_last_frame(photograph):
    clean, text = photograph[:16, :16], "burst(frames=3, shift=0) + gaussian_noise(sigma=0.1)"
    result = restorax.evaluate(lambda burst, _: burst.mean(0), {"a": clean}, text, dataset="one")
    burst = degrade.parse(text)(jax.random.fold_in(jax.random.key(0), 0), clean).image
    assert result.input_psnr == pytest.approx(float(metrics.psnr(burst[-1], clean)), abs=1e-3)
    assert result.psnr > result.input_psnr + 3
