"""PReNet: published size, and stages against a Python loop."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from restorax.models import MODELS
from restorax.models.count import flops_per_megapixel
from restorax.models.prenet import PReNet, _Stage


def test_parameters_are_the_published_ones():
    variables = jax.eval_shape(PReNet(channels=3).init, jax.random.key(0), jnp.zeros((1, 8, 8, 3)))
    assert sum(p.size for p in jax.tree.leaves(variables)) == 168_963


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.slow
def test_scan_over_stages_equals_a_loop_in_values_and_gradients(residual):
    model = PReNet(width=8, blocks=1, stages=4, residual=residual)
    image = jax.random.uniform(jax.random.key(0), (1, 7, 6, 1))
    params = jax.jit(model.init)(jax.random.key(1), image)["params"]

    def loop(params):
        stage = _Stage(1, 8, 1, residual)
        carry = (jnp.zeros_like(image) if residual else image, (jnp.zeros((1, 7, 6, 8)),) * 2)
        for _ in range(4):
            carry, _ = stage.apply({"params": params["stage"]}, carry, image)
        return image + carry[0] if residual else carry[0]

    whole = lambda params: model.apply({"params": params}, image)  # noqa: E731

    def gradients_and_values(run):
        return jax.jit(jax.grad(lambda p: (((out := run(p)) ** 2).sum(), out), has_aux=True))(params)

    pairs = (gradients_and_values(run) for run in (whole, loop))
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, atol=1e-4), *pairs)


@pytest.mark.parametrize("name", ["prenet", "stageunet"])
def test_flops_count_every_stage(name):
    one, six = (flops_per_megapixel(MODELS[name](stages=stages)) for stages in (1, 6))
    assert six == 6 * one
