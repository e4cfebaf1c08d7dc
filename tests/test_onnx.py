"""Restorers as ONNX files, and onnxruntime in place of JAX."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import onnx
import onnxruntime
import pytest

import restorax
from restorax import zoo
from restorax.exporting import export_folder, export_onnx
from restorax.files import image
from restorax.onnx_backend import OnnxRuntime

SMALL = "arcnn-gray-jpeg"


def _fits_any_size(name):
    return not any(part in name for part in ("missing", "row_lstm", "wiener_unet", "scanunet_s-gray-blur", "video_rnn"))


def _run(model, *inputs):
    session = onnxruntime.InferenceSession(model.SerializeToString())
    names = [one.name for one in session.get_inputs()]
    return session.run(None, dict(zip(names, map(np.asarray, inputs), strict=True)))[0]


def _observed(restorer, height, width):
    frames = (3,) if restorer.model.takes_frames else ()
    picture = jax.random.uniform(jax.random.key(0), (1, *frames, height, width, restorer.card.channels))
    known = jax.random.bernoulli(jax.random.key(1), 0.5, (1, height, width, 1)).astype(jnp.float32)
    return (picture, known) if restorer.model.required_condition.channels else (picture,)


def _restored(restorer, *inputs):
    return np.clip(jax.jit(lambda *x: restorer(*x))(*inputs), 0, 1)


def _made(architecture, **config):
    """An entry of one network with fresh parameters."""
    model, params = restorax.create(architecture, **config)
    card = dataclasses.replace(zoo.Card.read(zoo.find(SMALL)), name=architecture, channels=model.channels)
    return zoo.Restorer(params, model, card)


def test_one_file_for_any_size():
    restorer = _made("resunet_s", widths=(4, 8), blocks=1)
    model = export_onnx(restorer)
    for height, width in ((21, 13), (1, 3)):
        inputs = _observed(restorer, height, width)
        np.testing.assert_allclose(_run(model, *inputs), _restored(restorer, *inputs), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", zoo.list_models())
def test_every_entry(name):
    restorer = restorax.load(name)
    if _fits_any_size(name):
        model, sizes = export_onnx(restorer), ((37, 50), (8, 8))
    else:
        with pytest.raises(ValueError, match=f"{name} cannot be exported for any size; give one"):
            export_onnx(restorer)
        model, sizes = export_onnx(restorer, size=(37, 50)), ((37, 50),)
    for size in sizes:
        inputs = _observed(restorer, *size)
        np.testing.assert_allclose(_run(model, *inputs), _restored(restorer, *inputs), atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["fbcnn", "ircnn", "mimo_unet", "nafnet_s", "renet", "spatial_rnn", "srn_s", "stageunet"]
)
def test_other_architectures(name):
    restorer = _made(name)
    inputs = _observed(restorer, 32, 48)
    model = export_onnx(restorer, size=(32, 48))
    np.testing.assert_allclose(_run(model, *inputs), _restored(restorer, *inputs), atol=1e-4)


def test_the_file_describes_itself():
    restorer = restorax.load(SMALL)
    model = export_onnx(restorer, size=(24, 32))
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert [metadata[key] for key in ("name", "channels", "condition", "size")] == [SMALL, "1", "none", "24x32"]
    assert metadata["licence"] == restorer.card.weights_licence
    assert json.loads(metadata["card"])["sha256"] == restorer.card.sha256
    assert model.opset_import[0].version == 18
    (dims,) = [[d.dim_value for d in one.type.tensor_type.shape.dim] for one in model.graph.input]
    assert dims == [1, 24, 32, 1]
    # Parameters that are stored in float16 stay in it.
    assert len(model.SerializeToString()) < 2.3 * restorer.card.parameters
    onnx.checker.check_model(model, full_check=True)


def test_half_precision():
    whole, half = (restorax.load(SMALL, dtype=dtype) for dtype in (jnp.float32, jnp.float16))
    inputs = _observed(whole, 16, 24)
    model = export_onnx(half)
    assert {constant.data_type for constant in model.graph.initializer if np.prod(constant.dims) > 8} == {10}
    restored = _run(model, *inputs)
    assert restored.dtype == np.float32
    np.testing.assert_allclose(restored, _restored(whole, *inputs), atol=5e-3)
    with pytest.raises(ValueError, match=r"arcnn-gray-jpeg cannot be exported to ONNX: .*bfloat16"):
        export_onnx(restorax.load(SMALL, dtype=jnp.bfloat16))


def test_a_folder_with_an_index(tmp_path):
    index = export_folder([SMALL], tmp_path / "all", size=(16, 24))
    assert json.loads((tmp_path / "all" / "index.json").read_text()) == {"opset": 18, "entries": index}
    (entry,) = index
    content = (tmp_path / "all" / entry["file"]).read_bytes()
    assert (entry["size"], entry["bytes"]) == ("any", len(content))


def test_restore_runs_onnxruntime(tmp_path, photograph, monkeypatch):
    restorer = restorax.load(SMALL)
    fast = restorer.replace(runtime=OnnxRuntime(tmp_path))
    color = np.repeat(photograph[:130, :160], 3, axis=-1) * np.float32([1, 0.8, 0.5])
    images = (color, photograph[:9, :11])
    expected = [restorax.restore(restorer, x, tile=144) for x in images]
    monkeypatch.setattr("restorax.inference._apply", None)  # JAX is not asked
    results = [restorax.restore(fast, x, tile=144) for x in images]
    for result, wanted in zip(results, expected, strict=True):
        np.testing.assert_allclose(result, wanted, atol=1e-5)
    assert [path.suffix for path in tmp_path.iterdir()] == [".onnx"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["scanunet_s-gray-blur", "ffdnet-gray-noise", "scanunet_s-gray-missing"])
def test_restore_runs_every_kind_of_network(name, tmp_path, photograph):
    restorer = restorax.load(name)
    picture = np.repeat(photograph[:150, :180], 3, axis=-1) * np.float32([1, 0.8, 0.5])
    condition = {"noise_level": 0.1, "mask": np.random.default_rng(0).random((150, 180)) < 0.5}.get(
        restorer.model.condition
    )
    fast = restorer.replace(runtime=OnnxRuntime(tmp_path))
    for tile in (None, 144):
        expected = restorax.restore(restorer, picture, condition, tile=tile)
        np.testing.assert_allclose(restorax.restore(fast, picture, condition, tile=tile), expected, atol=1e-4)


@pytest.fixture
def picture(tmp_path, photograph, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    image.write(tmp_path / "in.png", image.Picture(photograph[:40, :48]))
    return tmp_path / "in.png"


def test_commands(run_cli, picture, tmp_path):
    exported = tmp_path / "arcnn.onnx"
    code, out, _ = run_cli("export", SMALL, exported)
    assert code == 0
    assert "arcnn.onnx: 0.2 MB, for onnxruntime, opset 18" in out
    for target, options in (
        ("jax.png", ("--model", SMALL)),
        ("name.png", ("--model", SMALL, "--backend", "onnxruntime")),
        ("file.png", ("--model", exported)),
    ):
        assert run_cli("restore", picture, tmp_path / target, *options)[0] == 0
    expected = image.read(tmp_path / "jax.png").pixels
    for name in ("name.png", "file.png"):
        assert np.abs(image.read(tmp_path / name).pixels - expected).max() <= 1.01 / 255
    assert len(list((tmp_path / "cache" / "restorax" / "onnx").glob("*.onnx"))) == 1


def test_messages(run_cli, picture, tmp_path):
    fixed, other, text = tmp_path / "fixed.onnx", tmp_path / "other.onnx", tmp_path / "text.onnx"
    assert run_cli("export", SMALL, fixed, "--size", "16x24")[0] == 0
    stripped = onnx.load(fixed)
    del stripped.metadata_props[:]
    onnx.save(stripped, other)
    text.write_text("no model")
    for arguments, message in (
        (("export", SMALL), "export needs NAME and OUT, or --all DIR"),
        (("export", SMALL, tmp_path / "a.onnx", "--platform", "cpu"), "an ONNX file runs on every platform"),
        (("export", SMALL, tmp_path / "a.onnx", "--dtype", "int8"), "dtype 'int8' is not known"),
        (("export", SMALL, "--all", tmp_path), "omit NAME, OUT and --platform"),
        (("restore", picture, tmp_path / "o.png", "--model", SMALL, "--backend", "torch"), "give jax or onnxruntime"),
        (("restore", picture, tmp_path / "o.png", "--backend", "onnxruntime"), "--backend requires --model"),
        (("restore", picture, tmp_path / "o.png", "--model", fixed, "--backend", "jax"), "runs in onnxruntime"),
        (("restore", picture, tmp_path / "o.png", "--model", fixed), "restores images of 16x24 pixels, got 40x48"),
        (("restore", picture, tmp_path / "o.png", "--model", other), "it holds no model card"),
        (("restore", picture, tmp_path / "o.png", "--model", text), "is not an ONNX model"),
        (("restore", picture, tmp_path / "o.png", "--model", "missing.onnx"), "there is no file missing.onnx"),
        (
            ("restore", picture, tmp_path / "o.png", "--model", "burst_rnn-gray-noise", "--backend", "onnxruntime"),
            "burst_rnn-gray-noise restores videos with JAX alone",
        ),
    ):
        code, _, err = run_cli(*arguments)
        assert (code, message in err) == (2, True), err
    assert not (tmp_path / "o.png").exists()


def test_a_page_that_is_not_built(refused, tmp_path):
    assert "holds no built page; run 'npm ci && npm run build'" in refused("web", tmp_path)
