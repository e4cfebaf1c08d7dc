"""RowLSTM: parameters, arithmetic, and overlapping patches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from restorax.models import RowLSTM
from restorax.models.count import flops_per_megapixel
from restorax.models.row_lstm import _averaged, _overlapping


def _lstm(inputs, units):
    return 4 * units * (inputs + units + 1)


def test_parameters_follow_the_formula():
    variables = jax.eval_shape(RowLSTM().init, jax.random.key(0), jnp.zeros((32, 32, 1)))
    assert sum(p.size for p in jax.tree.leaves(variables)) == _lstm(32, 64) + _lstm(64, 64) + 65 * 32


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("side", [2, 4, 12])
def test_overlapping_pieces_average_to_the_original(axis, side):
    x = jax.random.normal(jax.random.key(0), (2, 12, 24, 3))
    pieces = _overlapping(x, axis, side)
    assert pieces.shape[axis : axis + 2] == (2 * x.shape[axis] // side - 1, side)
    np.testing.assert_array_equal(
        jnp.take(pieces, 0, axis), jax.lax.slice_in_dim(x, 0, side, axis=axis), "the first piece is the first pixels"
    )
    np.testing.assert_allclose(_averaged(pieces, axis), x, atol=1e-6)


@pytest.mark.slow
def test_one_patch_is_the_plain_network():
    model, image = RowLSTM(patch=8, width=6, residual=False), jax.random.uniform(jax.random.key(0), (8, 8, 1))
    params = model.init(jax.random.key(1), image)["params"]
    from restorax.layers.cells import LSTM

    rows = image.reshape(8, 1, 8)
    for name in ("lstm0", "lstm1"):
        rows = LSTM(6).apply({"params": params[name]}, rows)[0]
    expected = rows @ params["dense"]["kernel"] + params["dense"]["bias"].reshape(1, 1, -1)
    np.testing.assert_allclose(model.apply({"params": params}, image)[..., 0], expected[:, 0], atol=1e-5)


def test_flops_count_every_step_and_patch():
    patches = (2 * 1024 // 32 - 1) ** 2
    products = 32 * (4 * 64 * (32 + 64) + 4 * 64 * (64 + 64) + 64 * 32)
    assert flops_per_megapixel(RowLSTM()) == 2 * patches * products


@pytest.mark.usefixtures("unchecked")
def test_odd_patches_are_refused():
    with pytest.raises(ValueError, match="must be even"):
        RowLSTM(patch=7).init(jax.random.key(0), jnp.zeros((8, 8, 1)))
