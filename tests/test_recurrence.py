"""Linear recurrences of every kind against a Python loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from restorax.layers.recurrence import linear_recurrence

KINDS = ("scan", "associative", "auto")


def _normal(seed, *shape, dtype=jnp.float32):
    return jax.random.normal(jax.random.key(seed), shape).astype(dtype)


def _inputs(shape, dtype=jnp.float32):
    """Decay and input."""
    return jax.nn.sigmoid(_normal(0, *shape)).astype(dtype), _normal(1, *shape, dtype=dtype)


def _loop(a, b, reverse):
    """The definition, along the first axis."""
    a, b = a.astype(jnp.float32), b.astype(jnp.float32)
    order = range(a.shape[0])[::-1] if reverse else range(a.shape[0])
    h, states = jnp.zeros_like(b[0]), [None] * a.shape[0]
    for t in order:
        h = a[t] * h + b[t]
        states[t] = h
    return jnp.stack(states)


def _weighted(states):
    """A scalar in which every state has another weight."""
    return (states * _normal(9, *states.shape)).sum()


def _close(x, y, dtype=jnp.float32):
    tolerance = {"rtol": 2e-2, "atol": 1e-2} if dtype == jnp.bfloat16 else {"atol": 1e-5, "rtol": 1e-5}
    np.testing.assert_allclose(np.asarray(x, np.float32), np.asarray(y, np.float32), **tolerance)


@pytest.mark.parametrize(("length", "reverse"), [(1, False), (2, True), (7, False), (7, True)])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_every_kind_equals_a_loop_in_values_and_gradients(length, reverse, dtype):
    a, b = _inputs((length, 3, 2), dtype)

    def gradients_and_states(run):
        weighted = lambda *x: (_weighted(states := run(*x)), states)  # noqa: E731
        return jax.jit(jax.grad(weighted, (0, 1), has_aux=True))(a, b)

    expected_gradients, expected = gradients_and_states(lambda *x: _loop(*x, reverse))
    for kind in KINDS:
        run = lambda a, b, kind=kind: linear_recurrence(a, b, axis=0, reverse=reverse, kind=kind)  # noqa: E731
        gradients, states = gradients_and_states(run)
        _close(states, expected)
        for gradient, expected_gradient in zip(gradients, expected_gradients, strict=True):
            assert gradient.dtype == dtype
            _close(gradient, expected_gradient, dtype)


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
@pytest.mark.parametrize("kind", KINDS)
def test_runs_along_any_axis(axis, kind):
    a, b = _inputs((4, 5, 6))
    expected = jnp.moveaxis(_loop(jnp.moveaxis(a, axis, 0), jnp.moveaxis(b, axis, 0), False), 0, axis)
    _close(jax.jit(lambda a, b: linear_recurrence(a, b, axis=axis, kind=kind))(a, b), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_runs_under_jit_vmap_and_grad(kind):
    a, b = _inputs((3, 5, 2))  # three sequences of five steps

    def gradient(a, b):
        return jax.grad(lambda a: _weighted(linear_recurrence(a, b, axis=0, kind=kind)))(a)

    one = jax.jit(gradient)
    _close(jax.jit(jax.vmap(gradient))(a, b), jnp.stack([one(a[i], b[i]) for i in range(3)]))


@pytest.mark.parametrize("kind", KINDS)
def test_runs_inside_shard_map(kind):
    mesh = jax.make_mesh((8,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    _, b = _inputs((5, 8))
    rate = jnp.array([0.3, -0.2, 0.5, 1.0, 2.0])  # one for all devices

    def loss(rate, b):
        a = jnp.broadcast_to(jax.nn.sigmoid(rate)[:, None], b.shape)
        return (linear_recurrence(a, b, axis=0, kind=kind) ** 2).sum()

    def parallel(rate, b):
        return jax.grad(lambda rate: jax.lax.psum(loss(rate, b), "data"))(rate)

    specs = {"in_specs": (jax.P(), jax.P(None, "data")), "out_specs": jax.P()}
    run = jax.jit(jax.shard_map(parallel, mesh=mesh, check_vma=True, **specs))
    _close(run(rate, b), jax.grad(loss)(rate, b))


@pytest.mark.parametrize("kind", KINDS)
def test_carry_has_the_requested_precision(kind):
    a, b = jnp.full(1000, 0.999), jnp.full(1000, 0.01)
    run = jax.jit(linear_recurrence, static_argnames=("axis", "kind", "dtype"))
    exact, coarse = (run(a, b, axis=0, kind=kind, dtype=dtype)[-1] for dtype in (jnp.float32, jnp.bfloat16))
    np.testing.assert_allclose(exact, 10 * (1 - 0.999**1000), rtol=1e-4)
    assert exact.dtype == jnp.float32
    assert coarse.dtype == jnp.bfloat16
    assert abs(float(coarse) - float(exact)) > 1


@pytest.mark.parametrize(("platform", "loops"), [("cpu", True), ("tpu", True), ("cuda", False), ("rocm", False)])
def test_auto_scans_where_steps_are_cheap(platform, loops):
    a, b = _inputs((64, 2))
    traced = jax.jit(lambda a, b: linear_recurrence(a, b, axis=0)).trace(a, b)
    program = traced.lower(lowering_platforms=(platform,)).as_text()
    assert ("stablehlo.while" in program) == loops


def test_backward_pass_stores_only_decay_and_states():
    a, b = _inputs((50, 4))
    kept = jax.tree.leaves(jax.vjp(lambda a, b: linear_recurrence(a, b, axis=0, kind="scan"), a, b)[1])
    assert sum(x.size for x in kept) <= 2 * a.size


@pytest.mark.usefixtures("unchecked")
def test_invalid_input_is_refused():
    one, other = jnp.ones(3), jnp.ones(4)
    with pytest.raises(ValueError, match="the same shape"):
        linear_recurrence(one, other, axis=0)
    with pytest.raises(ValueError, match="`kind` must be 'scan'"):
        linear_recurrence(one, one, axis=0, kind="loop")
