"""PyTorch twins compute the same outputs as the JAX networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from restorax.models import ARCNN, ConvAutoencoder, FFDNet, ResUNet, UNet
from restorax.types import Condition

torch = pytest.importorskip("torch")
twins = pytest.importorskip("benchmarks.torch_twins")


@pytest.mark.parametrize(
    "model",
    [
        ARCNN(channels=3, widths=(6, 5, 4)),
        ConvAutoencoder(channels=3, patch=16, widths=(4, 6), code=10),
        ResUNet(channels=3, widths=(4, 6, 8), blocks=2),
        UNet(channels=3, widths=(4, 6, 8)),
    ],
    ids=lambda model: type(model).__name__,
)
def test_twins_with_equal_parameters_give_equal_outputs(model):
    image = jax.random.uniform(jax.random.key(0), (2, 16, 24, 3))
    params = jax.jit(model.init)(jax.random.key(1), image)["params"]
    params = jax.tree.map(lambda p: p + 0.05 * jax.random.normal(jax.random.key(2), p.shape), params)
    twin = twins.build(model)
    twins.copy_params(twin, params)
    with torch.no_grad():
        expected = twin(torch.tensor(np.moveaxis(np.asarray(image), -1, 1).copy()))
    out = jax.jit(model.apply)({"params": params}, image)
    np.testing.assert_allclose(out, np.moveaxis(expected.numpy(), 1, -1), atol=1e-4, rtol=1e-4)
    assert float(jnp.abs(out - image).max()) > 0.05


@pytest.mark.parametrize(
    "model",
    [
        ARCNN(widths=(6, 5, 4), residual=True),
        FFDNet(depth=3, width=4, residual=True),
        pytest.param(FFDNet(depth=3, width=4), marks=pytest.mark.slow),
        ResUNet(widths=(4, 6, 8), blocks=1, condition=Condition.NOISE_LEVEL),
    ],
    ids=lambda model: type(model).__name__,
)
def test_matched_twins_take_the_noise_level_and_add_the_input(model):
    observed = [jax.random.uniform(jax.random.key(i), (2, 16, 24, 1)) for i in range(1 + model.condition.channels)]
    params = jax.jit(model.init)(jax.random.key(3), *observed)["params"]
    params = jax.tree.map(lambda p: p + 0.05 * jax.random.normal(jax.random.key(4), p.shape), params)
    same, twin = twins.matched(model, params)
    with torch.no_grad():
        expected = twin(*(torch.tensor(np.moveaxis(np.asarray(x), -1, 1).copy()) for x in observed))
    out = jax.jit(model.apply)({"params": params}, *observed)
    np.testing.assert_allclose(out, np.moveaxis(expected.numpy(), 1, -1), atol=1e-4, rtol=1e-4)
    assert same is params


def test_networks_without_a_twin_are_rejected():
    with pytest.raises(ValueError, match="UNet gated has no twin"):
        twins.build(UNet(kind="gated"))
    for other in ({"residual": False}, {"condition": Condition.MASK}):
        with pytest.raises(ValueError, match=f"with a non-default `{next(iter(other))}` has no twin"):
            twins.matched(ResUNet(**other), {})
