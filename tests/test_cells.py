"""LSTM and GRU layers against a Python loop over steps, and against PyTorch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from restorax.layers.cells import GRU, LSTM, ConvGRU, ConvLSTM

CELLS = [LSTM, GRU, ConvLSTM, ConvGRU]


def _sequence(cell, length, dtype=jnp.float32):
    shape = (length, 2, 4) if not cell.size else (length, 2, 3, 5, 4)
    return jax.random.normal(jax.random.key(0), shape).astype(dtype)


def _draw(cell, xs):
    """Draw parameters without compiling."""
    shapes, draw = jax.eval_shape(cell.init, jax.random.key(1), xs), np.random.default_rng(0)
    return jax.tree.map(lambda p: jnp.asarray(draw.normal(scale=0.3, size=p.shape), jnp.float32), shapes)


def _loop(cell, params, xs, reverse=False):
    """Compute hidden states and the last state step by step."""
    state, hidden = cell.apply(params, xs[0], method="start"), [None] * len(xs)
    for t in range(len(xs))[:: -1 if reverse else 1]:
        state = cell.apply(params, state, xs[t], method="step")
        hidden[t] = state[0]
    return jnp.stack(hidden), state


def _weighted(states):
    leaves = enumerate(jax.tree.leaves(states))
    return sum((h * jax.random.normal(jax.random.key(i), h.shape)).sum() for i, h in leaves)


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize(("length", "reverse"), [(1, False), (3, True)])
def test_sequence_equals_steps_in_values_and_gradients(kind, length, reverse):
    cell, xs = kind(3), _sequence(kind, length)
    params = _draw(cell, xs)
    whole = lambda p, xs: cell.apply(p, xs, reverse=reverse)  # noqa: E731
    steps = lambda p, xs: _loop(cell, p, xs, reverse)  # noqa: E731

    def gradients_and_values(f):
        weighted = lambda p, xs: (_weighted(states := f(p, xs)), states)  # noqa: E731
        return jax.jit(jax.grad(weighted, (0, 1), has_aux=True))(params, xs)

    pairs = (gradients_and_values(f) for f in (whole, steps))
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=2e-5), *pairs)


@pytest.mark.parametrize("kind", CELLS)
def test_bfloat16_is_close_and_carries_float32(kind):
    cell, xs = kind(3), _sequence(kind, 7)
    params = _draw(cell, xs)
    exact, half = (jax.jit(cell.apply)(params, xs.astype(dtype)) for dtype in (jnp.float32, jnp.bfloat16))
    assert half[0].dtype == jnp.bfloat16
    assert all(part.dtype == jnp.float32 for part in half[1])
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y.astype(jnp.float32), atol=0.05), exact, half)


def test_backward_pass_stores_only_inputs_and_states():
    xs = _sequence(LSTM, 50)
    params = LSTM(3).init(jax.random.key(1), xs)
    kept = jax.tree.leaves(jax.vjp(lambda p, xs: LSTM(3).apply(p, xs)[0], params, xs)[1])
    states = 2 * 50 * 2 * 3
    assert sum(x.size for x in kept) < xs.size + states + 400  # kernels, but no gates


@pytest.mark.parametrize("kind", [GRU, ConvLSTM])
def test_runs_inside_shard_map(kind):
    mesh = jax.make_mesh((2,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    cell, xs = kind(3), _sequence(kind, 3)
    params = _draw(cell, xs)
    loss = lambda p, xs: _weighted_by_time(cell.apply(p, xs))  # noqa: E731

    def parallel(p, xs):
        return jax.grad(lambda p: jax.lax.psum(loss(p, xs), "data"))(p)

    specs = {"in_specs": (jax.P(), jax.P(None, "data")), "out_specs": jax.P()}
    run = jax.jit(jax.shard_map(parallel, mesh=mesh, check_vma=True, **specs))
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, atol=1e-4), run(params, xs), jax.jit(jax.grad(loss))(params, xs)
    )


def _weighted_by_time(states):
    hidden, last = states
    by_time = (hidden.reshape(len(hidden), -1).sum(1) * jnp.arange(1.0, 1 + len(hidden))).sum()
    return by_time + sum(part.sum() for part in last)


@pytest.mark.parametrize("kind", CELLS)
def test_a_state_continues_a_sequence(kind):
    cell, xs = kind(3), _sequence(kind, 5)
    params = _draw(cell, xs)
    run = jax.jit(cell.apply)
    first, state = run(params, xs[:2])
    rest, state = run(params, xs[2:], state)
    jax.tree.map(
        lambda x, y: np.testing.assert_allclose(x, y, atol=1e-6),
        run(params, xs),
        (jnp.concatenate([first, rest]), state),
    )


@pytest.mark.parametrize("kind", [LSTM, GRU])
def test_equals_pytorch(kind):
    torch = pytest.importorskip("torch")
    cell, xs = kind(3), _sequence(kind, 6)
    params = cell.init(jax.random.key(1), xs)["params"]
    peer = getattr(torch.nn, kind.__name__)(4, 3)
    bias = np.array(params["bias"])
    if kind is LSTM:
        bias[3:6] += 1  # the forget-gate bias
    with torch.no_grad():
        for name, value in (
            ("weight_ih_l0", params["entering"].T),
            ("weight_hh_l0", params["hidden"].T),
            ("bias_ih_l0", bias),
            ("bias_hh_l0", np.zeros_like(bias)),
        ):
            getattr(peer, name).copy_(torch.tensor(np.array(value)))
        expected = peer(torch.tensor(np.array(xs)))[0].numpy()
    np.testing.assert_allclose(cell.apply({"params": params}, xs)[0], expected, atol=1e-5)
