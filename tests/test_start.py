import jax
import jax.numpy as jnp
import numpy as np
import pytest

import restorax
from restorax.models.create import create
from restorax.train.start import starting_params


@pytest.mark.slow
def test_parameters_of_a_colour_entry_are_folded_for_a_gray_network():
    entry = restorax.load("resunet_s-color-noise")
    gray, _ = create("resunet_s", channels=1)
    x = jax.random.uniform(jax.random.key(0), (1, 16, 16, 1))
    start = jax.tree.map(jnp.asarray, starting_params("resunet_s-color-noise", gray))
    folded = gray.apply({"params": start}, x)
    colour = entry.model.apply({"params": entry.params}, jnp.repeat(x, 3, axis=-1))
    np.testing.assert_allclose(folded[..., 0], colour.mean(-1), atol=1e-5)
    with pytest.raises(ValueError, match=r"resunet_s-color-noise: parameter .* has .*; this architecture expects"):
        starting_params("resunet_s-color-noise", create("dncnn", channels=1)[0])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("architecture", "entry"), [("resunet_s", "resunet_s-color-noise"), ("dncnn", "dncnn-gray-noise25")]
)
def test_parameters_of_a_blind_entry_are_widened_for_a_condition(architecture, entry):
    blind = restorax.load(entry)
    config = {**blind.card.config, "condition": "noise_level"}
    conditioned, _ = create(architecture, **config)
    x = jax.random.uniform(jax.random.key(0), (1, 16, 16, blind.card.channels))
    start = jax.tree.map(jnp.asarray, starting_params(entry, conditioned))
    np.testing.assert_allclose(conditioned.apply({"params": start}, x, 0.1), blind(x), atol=1e-5)
