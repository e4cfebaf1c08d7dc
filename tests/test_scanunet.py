"""ScanUNet: the scan against its formula, and the sizes of the network."""

import jax
import jax.numpy as jnp
import numpy as np

from restorax.models import MODELS
from restorax.models.scanunet import QuadrantScan

SIZES = ["scanunet_s", "scanunet_m", "scanunet_l"]


def _count(module, *shape):
    variables = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros(shape))
    return sum(p.size for p in jax.tree.leaves(variables))


def _loop(params, x):
    """Compute the block's formula pixel by pixel, one quarter of the channels after the other."""
    height, width = x.shape[1:3]
    projected = x @ params["project"]["kernel"][0, 0] + params["project"]["bias"]
    value, gate, input_gate, row_gate, column_gate = np.split(projected, 5, axis=-1)
    sigmoid = lambda v: 1 / (1 + np.exp(-v))  # noqa: E731
    hidden = value * sigmoid(input_gate)
    state_width = hidden.shape[-1]
    sweeps = ((row_gate, 2, (0, 0, 1, 1)), (column_gate, 1, (0, 1, 0, 1)))
    for sweep, (gates, axis, backward) in enumerate(sweeps):
        a = np.exp(-8 * np.log1p(np.exp(params["rate"][sweep])) * sigmoid(gates))
        weighted, states = np.sqrt(1 - a**2 + 1e-6) * hidden, np.zeros_like(hidden)
        for quarter in range(4):
            part = (..., slice(quarter * state_width // 4, (quarter + 1) * state_width // 4))
            order = range((height, width)[axis - 1])
            state = 0
            for t in reversed(order) if backward[quarter] else order:
                here = (slice(None),) * axis + (t,)
                state = a[here][part] * state + weighted[here][part]
                states[here][part] = state
        hidden = states
    return x + (hidden * gate * sigmoid(gate)) @ params["out"]["kernel"][0, 0] + params["out"]["bias"]


def test_scan_equals_its_formula():
    block, x = QuadrantScan(6, 8), jax.random.normal(jax.random.key(0), (2, 3, 5, 6))
    shapes, draw = jax.eval_shape(block.init, jax.random.key(1), x)["params"], np.random.default_rng(0)
    params = jax.tree.map(lambda p: draw.normal(scale=0.5, size=p.shape).astype(np.float32), shapes)
    out = jax.jit(block.apply)({"params": params}, x)
    np.testing.assert_allclose(out, _loop(params, np.asarray(x, np.float64)), atol=1e-4)


def test_sizes_grow():
    counts = [_count(MODELS[name](), 1, 16, 16, 1) for name in SIZES]
    assert counts == sorted(counts)
    assert counts[0] == 2_570_068  # of the published entries, without a mask
