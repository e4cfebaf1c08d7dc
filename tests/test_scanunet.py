"""The U-Net with scans: what rotation is, what stands in for a scan, and the size of both."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from restorax.models import MODELS, ScanUNet
from restorax.models.scanunet import ConvolutionalStandIn, QuadrantScan

SIZES = ["scanunet_s", "scanunet_m", "scanunet_l"]


def _count(module, *shape):
    variables = jax.eval_shape(module.init, jax.random.key(0), jnp.zeros(shape))
    return sum(p.size for p in jax.tree.leaves(variables))


def _loop(params, x, rotate):
    """The block's formula, pixel by pixel, for one quarter of the channels after the other."""
    height, width = x.shape[1:3]
    projected = x @ params["project"]["kernel"][0, 0] + params["project"]["bias"]
    value, gate, entry, in_row, in_column = np.split(projected, 5, axis=-1)
    sigmoid = lambda v: 1 / (1 + np.exp(-v))  # noqa: E731
    hidden = value * sigmoid(entry)
    if rotate:
        hidden = hidden[..., : hidden.shape[-1] // 2] + 1j * hidden[..., hidden.shape[-1] // 2 :]
    lanes = hidden.shape[-1]
    for way, (gates, axis, backward) in enumerate(((in_row, 2, (0, 0, 1, 1)), (in_column, 1, (0, 1, 0, 1)))):
        a = np.exp(-8 * np.log1p(np.exp(params["rate"][way])) * sigmoid(gates[..., :lanes]))
        turn = np.exp(1j * (params["angle"][way] + 0.1 * gates[..., lanes:])) if rotate else np.ones_like(a)
        entering, states = np.sqrt(1 - a**2 + 1e-6) * hidden, np.zeros_like(hidden)
        for quarter in range(4):
            part = (..., slice(quarter * lanes // 4, (quarter + 1) * lanes // 4))
            order = range((height, width)[axis - 1])
            state = 0
            for t in reversed(order) if backward[quarter] else order:
                here = (slice(None),) * axis + (t,)
                state = (a * turn)[here][part] * state + entering[here][part]
                states[here][part] = state
        hidden = states
    out = np.concatenate([hidden.real, hidden.imag], axis=-1) if rotate else hidden
    return x + (out * gate * sigmoid(gate)) @ params["out"]["kernel"][0, 0] + params["out"]["bias"]


@pytest.mark.parametrize("rotate", [False, True])
def test_scan_equals_its_formula(rotate):
    block, x = QuadrantScan(6, 8, rotate), jax.random.normal(jax.random.key(0), (2, 3, 5, 6))
    shapes, draw = jax.eval_shape(block.init, jax.random.key(1), x)["params"], np.random.default_rng(0)
    params = jax.tree.map(lambda p: draw.normal(scale=0.5, size=p.shape).astype(np.float32), shapes)
    out = jax.jit(block.apply)({"params": params}, x)
    np.testing.assert_allclose(out, _loop(params, np.asarray(x, np.float64), rotate), atol=1e-4)


@pytest.mark.parametrize("features", [8, 48, 192])
def test_rotation_costs_no_parameter_and_the_stand_in_has_as_many(features):
    shape, state = (1, 8, 8, features), 8 * max(1, features // 16)
    scan = _count(QuadrantScan(features, state), *shape)
    assert _count(QuadrantScan(features, state, rotate=True), *shape) == scan
    # Its width is a whole number, so that up to half a channel is missing.
    assert abs(_count(ConvolutionalStandIn(features, state), *shape) - scan) <= 9 * features + 1


@pytest.mark.parametrize("levels", [(2,), (1, 2), (0, 1, 2)])
def test_variants_of_scanunet_s_have_its_size(levels):
    recurrent = _count(ScanUNet(scan_levels=levels), 1, 16, 16, 1)
    assert _count(ScanUNet(scan_levels=levels, rotate=True), 1, 16, 16, 1) == recurrent
    assert _count(ScanUNet(scan_levels=levels, recurrent=False), 1, 16, 16, 1) == pytest.approx(recurrent, rel=0.01)


def test_sizes_grow():
    counts = [_count(MODELS[name](), 1, 16, 16, 1) for name in SIZES]
    assert counts == sorted(counts)
    assert counts[0] == 2_570_068  # of the published entries, without a mask


@pytest.mark.parametrize("levels", [(), (0, 1), (1,)])
def test_convolutional_variant_sees_what_its_receptive_field_says(levels):
    model = ScanUNet(widths=(4, 8), blocks=1, scan_levels=levels, recurrent=False)
    image = jnp.full((16, 256, 1), 0.5)
    shapes = jax.eval_shape(model.init, jax.random.key(0), image)
    # Positive kernels of unit sum and no biases: nothing cancels, no ReLU is shut.
    params = jax.tree.map(lambda p: jnp.full(p.shape, 1 / math.prod(p.shape[:3]) if p.ndim == 4 else 0.0), shapes)
    gradient = jax.jit(jax.grad(lambda x, column: model.apply(params, x)[8, column, 0]))
    seen = [np.flatnonzero(np.abs(gradient(image, column)[..., 0]).sum(0)) for column in range(124, 128)]
    assert max(s.max() - s.min() + 1 for s in seen) == model.receptive_field
