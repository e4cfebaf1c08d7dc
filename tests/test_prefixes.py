"""Tensor names with the prefixes of training programs."""

import jax
import numpy as np
import pytest

from restorax.convert import CONVERTERS
from restorax.convert.layouts import FIRST_TENSORS, to_params
from restorax.convert.prefixes import PREFIXES, strip_prefixes

RANDOM = np.random.default_rng(0)
SIDES = (1, 4, 4, 1)
TENSORS = {f"model.{2 * i}.weight": RANDOM.random((SIDES[i + 1], SIDES[i], 3, 3), np.float32) for i in range(3)}
TENSORS |= {f"model.{2 * i}.bias": RANDOM.random(SIDES[i + 1], np.float32) for i in range(3)}


def test_every_converter_knows_its_first_tensor():
    assert set(FIRST_TENSORS) == set(CONVERTERS)


def test_prefixes_go_in_any_combination():
    expected = to_params(TENSORS, "dncnn", "plain")
    for prefix in ("module._orig_mod.", "net_g.module.", "model.", *PREFIXES):
        config, params = to_params({f"{prefix}{name}": value for name, value in TENSORS.items()}, "dncnn", "prefixed")
        assert config == expected[0]
        jax.tree.map(np.testing.assert_array_equal, params, expected[1])


def test_of_copies_the_average_is_taken():
    copies = {f"{prefix}.{name}": prefix for prefix in ("params", "params_ema") for name in TENSORS}
    assert strip_prefixes(copies, "model.0.weight", "x", "dncnn") == dict.fromkeys(TENSORS, "params_ema")
    more = copies | {"params.step": "kept, and refused by the layout"}
    assert "params.step" in strip_prefixes(more, "model.0.weight", "x", "dncnn")


def test_unknown_names_are_told_with_those_that_are_wanted():
    names = {f"denoiser.{name}": 0 for name in TENSORS}
    with pytest.raises(ValueError, match=r"x.pth lacks the tensor model\.0\.weight of dncnn; it holds denoiser\.model"):
        strip_prefixes(names, "model.0.weight", "x.pth", "dncnn")
