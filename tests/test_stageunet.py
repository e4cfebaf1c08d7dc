"""StageUNet: stages and memory."""

import jax
import jax.numpy as jnp
import numpy as np

from restorax.models import StageUNet


def _model(**config):
    return StageUNet(**{"widths": (8, 12), "blocks": 1, "stages": 3} | config)


def _init(model, image):
    shapes, draw = jax.eval_shape(model.init, jax.random.key(1), image)["params"], np.random.default_rng(0)
    return jax.tree.map(lambda p: jnp.asarray(draw.normal(scale=0.1, size=p.shape), jnp.float32), shapes)


def test_memory_changes_the_result():
    image = jax.random.uniform(jax.random.key(0), (8, 12, 1))
    model = _model()
    params = _init(model, image)
    restore = jax.jit(lambda p: model.apply({"params": p}, image))
    without = jax.tree_util.tree_map_with_path(
        lambda path, p: 0 * p if any(getattr(part, "key", "") == "hidden" for part in path) else p, params
    )
    assert float(jnp.abs(restore(params) - restore(without)).max()) > 0


def test_number_of_stages_does_not_change_the_parameters():
    image = jax.random.uniform(jax.random.key(0), (8, 12, 1))
    params = _init(_model(), image)
    outputs = [jax.jit(_model(stages=stages).apply)({"params": params}, image) for stages in (1, 2)]
    assert float(jnp.abs(outputs[0] - outputs[1]).max()) > 0
