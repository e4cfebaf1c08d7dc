"""From a name to a network with parameters, and what a network costs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import restorax
from restorax.models import MODELS, DnCNN
from restorax.models.create import build


def test_create_gives_module_and_parameters():
    model, params = restorax.create("dncnn", channels=3, depth=4, residual=False, seed=1)
    assert model == DnCNN(channels=3, depth=4, residual=False)
    again, other = (restorax.create("dncnn", channels=3, depth=4, seed=seed)[1] for seed in (1, 2))
    jax.tree.map(np.testing.assert_array_equal, params, again)
    assert np.abs(params["conv0"]["kernel"] - other["conv0"]["kernel"]).max() > 0.01
    assert model.apply({"params": params}, jnp.zeros((5, 7, 3))).shape == (5, 7, 3)


@pytest.mark.parametrize(("name", "fields"), [("dncnn", {"width": 8, "depth": 3}), ("wiener_unet", {"widths": (8,)})])
def test_parameters_are_float32_where_64_bits_are_enabled(name, fields):
    with jax.enable_x64(True):
        assert {p.dtype for p in jax.tree.leaves(restorax.create(name, **fields)[1])} == {jnp.dtype(jnp.float32)}


def test_what_is_not_given_is_as_published():
    assert build("resunet_s", {"widths": [4, 8]}).widths == (4, 8)  # as JSON has them
    model, params = restorax.create("ffdnet_color", width=8)
    assert (model.channels, model.depth, model.condition) == (3, 12, "noise_level")
    assert params["conv0"]["kernel"].shape == (3, 3, 13, 8)


@pytest.mark.parametrize(
    ("name", "fields", "message"),
    [
        ("resnet", {}, "no architecture named 'resnet'; expected one of arcnn, "),
        (
            "dncnn",
            {"widht": 8},
            "unknown field 'widht' of dncnn; expected one of channels, residual, condition, sparse, dtype, depth",
        ),
        ("dncnn", {"channels": 0}, "`channels` must be an integer >= 1, got 0"),
        ("dncnn", {"channels": "RGB"}, "`channels` must be an integer >= 1, got 'RGB'"),
        (
            "dncnn",
            {"condition": "blur"},
            "`condition` must be one of 'none', 'mask', 'noise_level', 'jpeg_quality', got 'blur'",
        ),
        ("dncnn", {"condition": 1}, "`condition` must be one of .*, got 1"),
        ("dncnn", {"sparse": 5}, "`sparse` must be 0 without condition='mask', got 5"),
        ("ffdnet", {"condition": "mask"}, "`condition` of FFDNet must be one of noise_level, none, got 'mask'"),
        (
            "wiener_unet",
            {"condition": "mask"},
            "`condition` of WienerUNet must be one of none, noise_level, jpeg_quality, got 'mask'",
        ),
        ("unet", {"kind": "gatet"}, "`kind` must be one of plain, partial, gated, got 'gatet'"),
        ("unet", {"kind": "partial"}, "`condition` must be 'mask' with partial convolutions, got 'none'"),
        (
            "fbcnn",
            {"condition": "noise_level"},
            "`condition` of FBCNN must be one of none, jpeg_quality, got 'noise_level'",
        ),
        ("nafnet", {"encoder": (1, 1), "decoder": (1,)}, "equally many scales, got 2 and 1"),
        ("conv_autoencoder", {"patch": 10}, "`patch` must be a positive multiple of 4, got 10"),
        ("resunet_s", {"widths": ()}, r"`widths` must have at least one element, got \(\)"),
        (
            "scanunet_s",
            {"widths": (8, 8)},
            r"`scan_levels` must be among \[0, 1\] with the widths \(8, 8\), got \(2,\)",
        ),
        ("scanunet_s", {"scan_levels": (-1,)}, r"`scan_levels` must be among \[0, 1, 2\] .*, got \(-1,\)"),
    ],
)
def test_invalid_arguments_are_refused(name, fields, message):
    with pytest.raises(ValueError, match=message) as error:
        restorax.create(name, **fields)
    assert "\n" not in str(error.value)


def test_summary_of_a_chain_of_convolutions():
    pixels, width = 30 * 40, 8
    cost = restorax.summary(DnCNN(depth=4, width=width), 30, 40)
    assert cost.parameters == 9 * (width + 2 * width**2 + width) + 3 * width + 1
    assert cost.multiply_adds == pixels * 9 * (width + 2 * width**2 + width)
    assert cost.receptive_field == 9
    # Input and output of an inner convolution are alive at once; every rectified output is kept, with its signs.
    assert cost.forward_bytes == 2 * pixels * width * 4
    assert cost.training_bytes == 3 * pixels * width * (4 + 1) + pixels * 4
    assert str(cost).startswith("parameters ")


@pytest.mark.slow
def test_memory_is_what_the_compiler_needs():
    model, params = restorax.create("dncnn", width=16)
    image = jnp.zeros((1, 64, 64, 1))
    program = jax.jit(model.apply).lower({"params": params}, image).compile()
    needed = program.memory_analysis().temp_size_in_bytes
    assert restorax.summary(model, 64, 64).forward_bytes == pytest.approx(needed, rel=0.2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("scanunet_s", {"widths": (48, 96), "scan_levels": (1,), "blocks": 1}),
        pytest.param("unet_partial", {"widths": (32, 64)}, marks=pytest.mark.slow),
        ("fbcnn", {"widths": (32, 64), "blocks": 1, "embedding": 8}),
        pytest.param("nafnet_s", {"encoder": (1, 1), "middle": 1, "decoder": (1, 1)}, marks=pytest.mark.slow),
    ],
)
def test_arithmetic_grows_with_the_image_and_not_with_platforms(name, fields):
    model = MODELS[name](**fields)
    small, large = (restorax.summary(model, side, side).multiply_adds for side in (64, 128))
    assert large == pytest.approx(4 * small, rel=0.01)


def test_an_empty_image_is_refused():
    with pytest.raises(ValueError, match="must be at least 1, got 0 x 5"):
        restorax.summary(DnCNN(), 0, 5)
