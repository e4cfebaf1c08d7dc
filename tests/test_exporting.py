"""Restorers as files that need JAX alone."""

import dataclasses
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export as jax_export

import restorax
from restorax import zoo
from restorax.models import BurstRNN
from restorax.models.create import build
from restorax.types import Condition

FIXED = ("missing", "row_lstm", "wiener_unet", "scanunet_s-gray-blur")  # in names of entries that want a size


def _inputs(restorer, batch, height, width):
    frames = (3,) if restorer.model.takes_frames else ()
    image = jax.random.uniform(jax.random.key(0), (batch, *frames, height, width, restorer.card.channels))
    known = jax.random.bernoulli(jax.random.key(1), 0.5, (batch, height, width, 1)).astype(jnp.float32)
    return (image, known) if restorer.model.required_condition.channels else (image,)


def _clipped(restorer, *inputs):
    return np.clip(jax.jit(lambda *given: restorer(*given))(*inputs), 0, 1)


def _names(fast):
    return [n if n in fast else pytest.param(n, marks=pytest.mark.slow) for n in zoo.list_models()]


@pytest.mark.parametrize("name", _names(["arcnn-gray-jpeg"]))
def test_any_batch_and_size_by_one_file(name):
    restorer = restorax.load(name)
    if any(part in name for part in FIXED):
        with pytest.raises(ValueError, match=f"{name} cannot be exported for any size; give one"):
            restorax.export(restorer)
        return
    _check_any_batch_and_size(restorer)


def test_any_batch_and_size_of_a_network_that_pads():
    _check_any_batch_and_size(_made("resunet_s", widths=(4, 8), blocks=1))


def _check_any_batch_and_size(restorer):
    exported = jax_export.deserialize(restorax.export(restorer).serialize())
    assert exported.platforms == ("cpu", "cuda", "tpu")
    for batch, height, width in ((3, 32, 16), (1, 37, 21), (1, 1, 3)):
        inputs = _inputs(restorer, batch, height, width)
        np.testing.assert_allclose(exported.call(*inputs), _clipped(restorer, *inputs), atol=1e-5)


@pytest.mark.parametrize("name", _names(["row_lstm-gray-missing"]))
@pytest.mark.slow
def test_a_size_that_is_given(name):
    restorer = restorax.load(name)
    exported = restorax.export(restorer, size=(37, 50), platforms=["cpu"])
    inputs = _inputs(restorer, 2, 37, 50)
    np.testing.assert_allclose(exported.call(*inputs), _clipped(restorer, *inputs), atol=1e-4)
    with pytest.raises(ValueError, match="37"):
        exported.call(*_inputs(restorer, 2, 32, 50))


def test_a_file_runs_where_there_is_no_restorax(tmp_path):
    restorer = restorax.load("arcnn-gray-jpeg")
    (tmp_path / "arcnn.jax").write_bytes(restorax.export(restorer, platforms=["cpu"]).serialize())
    (image,) = _inputs(restorer, 1, 32, 48)
    np.save(tmp_path / "in.npy", image)
    program = (
        "import sys, numpy, jax.export; from pathlib import Path; "
        "restore = jax.export.deserialize(Path('arcnn.jax').read_bytes()).call; "
        "numpy.save('out.npy', restore(numpy.load('in.npy'))); "
        "assert not {'restorax', 'flax'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), _clipped(restorer, image), atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": (0, 4)}, r"`size` must be \(height, width\) of at least 1 pixel each, got \(0, 4\)"),
        ({"platforms": ()}, "`platforms` must be of cpu, cuda, rocm and tpu, got none"),
        ({"platforms": ("cpu", "npu")}, "`platforms` must be of .*, got npu"),
    ],
)
def test_what_cannot_be_exported_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        restorax.export(restorax.load("arcnn-gray-jpeg"), **options)


def _made(architecture, **fields):
    """A restorer with parameters that nothing has to be compiled for."""
    model, draw = build(architecture, {"channels": 1, **fields}), np.random.default_rng(0)
    shapes = jax.eval_shape(model.init, jax.random.key(0), *model.input_shapes(16, 16))["params"]
    params = jax.tree.map(lambda p: jnp.asarray(draw.normal(scale=0.1, size=p.shape), jnp.float32), shapes)
    card = zoo.Card.read(zoo.ZOO / "arcnn-gray-jpeg")
    return zoo.Restorer(params, model, dataclasses.replace(card, name="mine", architecture=architecture))


def test_a_condition_that_may_be_left_out_is_no_input():
    restorer = _made("fbcnn", widths=(4, 8), blocks=1, embedding=8, condition="jpeg_quality")
    exported = restorax.export(restorer, platforms=["cpu"])
    image = jax.random.uniform(jax.random.key(0), (2, 12, 10, 1))
    np.testing.assert_allclose(exported.call(image), _clipped(restorer, image), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("size", [None, (12, 10)])
def test_the_condition_of_a_burst_has_frames(size):
    model = BurstRNN(width=4, blocks=1, condition=Condition.NOISE_LEVEL)
    burst, known = jax.random.uniform(jax.random.key(0), (2, 1, 3, 12, 10, 1))
    card = zoo.Card.read(zoo.ZOO / "burst_rnn-gray-noise")
    restorer = zoo.Restorer(jax.jit(model.init)(jax.random.key(1), burst, known)["params"], model, card)
    exported = restorax.export(restorer, size=size, platforms=["cpu"])
    np.testing.assert_allclose(exported.call(burst, known), _clipped(restorer, burst, known), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["row_lstm", "scanunet_s", "wiener_unet", "unet_gated"])
def test_networks_that_want_a_size_say_so(architecture):
    with pytest.raises(ValueError, match="mine cannot be exported for any size; give one, such as 512 x 512"):
        restorax.export(_made(architecture))
