"""SRN: published sizes, transposed convolutions, memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from restorax.models import MODELS, SRN
from restorax.models.srn import _Grow


@pytest.mark.parametrize(
    ("config", "parameters"),
    [
        ({"channels": 1}, 8_056_609),  # 8.06 M in its paper
        ({"channels": 3, "recurrent": False}, 6_881_251),  # 6.88 M, the "color" model of its authors
    ],
)
def test_parameters_are_the_published_ones(config, parameters):
    model = SRN(**config)
    variables = jax.eval_shape(model.init, jax.random.key(0), jnp.zeros((1, 16, 16, model.channels)))
    assert sum(p.size for p in jax.tree.leaves(variables)) == parameters


def test_half_width_has_about_a_quarter_of_the_parameters():
    assert MODELS["srn_s"]().widths == tuple(width // 2 for width in SRN().widths)


@pytest.mark.parametrize("size", [(1, 1), (5, 4)])
def test_growing_is_a_transposed_convolution(size):
    x = jax.random.normal(jax.random.key(0), (2, *size, 3))
    grow = _Grow(4)
    params = grow.init(jax.random.key(1), x)["params"]
    order = ("NHWC", "HWIO", "NHWC")
    # The gradient of a convolution with stride 2 is what frameworks call a transposed convolution.
    strided = lambda y: jax.lax.conv_general_dilated(  # noqa: E731
        y, params["kernel"].transpose(0, 1, 3, 2), (2, 2), "SAME", dimension_numbers=order
    )
    fine = jnp.zeros((2, 2 * size[0], 2 * size[1], 4))
    expected = jax.nn.relu(jax.vjp(strided, fine)[1](x)[0])
    np.testing.assert_allclose(grow.apply({"params": params}, x), expected, atol=1e-4)


@pytest.mark.slow
def test_memory_links_the_scales():
    model, image = SRN(widths=(4, 8), blocks=1, scales=2), jax.random.uniform(jax.random.key(0), (8, 8, 1))
    params = jax.jit(model.init)(jax.random.key(1), image)["params"]
    forgetful = jax.tree_util.tree_map_with_path(
        lambda path, p: 0 * p if any(getattr(part, "key", "") == "hidden" for part in path) else p, params
    )
    restore = jax.jit(model.apply)
    difference = restore({"params": params}, image) - restore({"params": forgetful}, image)
    assert float(jnp.abs(difference).max()) > 0
