"""Converted PyTorch and MatConvNet weights against the original networks."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import restorax
from restorax.convert import CONVERTERS, convert
from restorax.types import Condition

torch = pytest.importorskip("torch")
twins = pytest.importorskip("benchmarks.torch_twins")

SMALL = {
    "dncnn": lambda c: twins.Chain(c, 8, [1] * 5),
    "dncnn with batch norm": lambda c: twins.Chain(c, 8, [1] * 5, norm=True),
    "drunet": lambda c: twins.DRUNet(c, (4, 6, 8, 10), 2),
    "fbcnn": lambda c: twins.FBCNN(c, (4, 6, 8, 10), 2, embedding=12),
    "ffdnet": lambda c: twins.FFDNet(c, 8, 4),
    "ircnn": lambda c: twins.Chain(c, 8, [1, 2, 3, 4, 3, 2, 1]),
    "ircnn with batch norm": lambda c: twins.Chain(c, 8, [1, 2, 3, 4, 3, 2, 1], norm=True),
    "mimo_unet": lambda c: twins.MIMOUNet(c, 16, 2),
    "nafnet": lambda c: twins.NAFNet(c, 4, [1, 2], 1, [2, 1]),
}


def _twin(kind, channels=1):
    twin = SMALL[kind](channels).eval()
    twins.randomise(twin)
    return twin


def _nchw(x):
    return torch.tensor(np.moveaxis(np.asarray(x), -1, 1).copy())


def _of_twin(twin, image, condition=None, multiple=1):
    """Run the twin on an image reflected to a multiple, as our networks do."""
    height, width = image.shape[1:3]
    pads = ((0, 0), (0, -height % multiple), (0, -width % multiple), (0, 0))
    observed = [_nchw(np.pad(x, pads, mode="reflect")) for x in (image, condition) if x is not None]
    with torch.no_grad():
        out = twin(*observed)
    return np.moveaxis(out.numpy(), 1, -1)[:, :height, :width]


def test_every_converter_is_tested():
    assert {kind.split()[0] for kind in SMALL} == set(CONVERTERS)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", SMALL)
def test_converted_networks_equal_their_twins(kind, channels, tmp_path):
    twin, architecture = _twin(kind, channels), kind.split()[0]
    torch.save(twin.state_dict(), tmp_path / "weights.pth")
    card = convert(tmp_path / "weights.pth", architecture, tmp_path / "entry", licence="MIT")
    restorer = restorax.load(tmp_path / "entry")
    assert card == restorer.card
    assert restorer.model.channels == channels
    multiple = {"drunet": 8, "fbcnn": 8, "ffdnet": 2, "mimo_unet": 4, "nafnet": 4}.get(architecture, 1)
    for height, width in ((16, 24), (17, 13)):
        image = np.random.default_rng(height).random((2, height, width, channels), np.float32)
        level = np.full((2, height, width, 1), 0.1, np.float32) if architecture in ("ffdnet", "drunet") else None
        expected = _of_twin(twin, image, level, multiple)
        restored = jax.jit(restorer.__call__)(jnp.asarray(image), level)
        assert np.abs(expected - image).max() > 0.01
        np.testing.assert_allclose(restored, expected, atol=1e-4, rtol=1e-4)


def test_noise_levels_that_differ_between_pixels_average_over_squares(tmp_path):
    twin = _twin("ffdnet")
    torch.save(twin.state_dict(), tmp_path / "weights.pth")
    convert(tmp_path / "weights.pth", "ffdnet", tmp_path / "entry")
    image, level = np.random.default_rng(0).random((2, 1, 8, 8, 1), np.float32)
    restored = restorax.load(tmp_path / "entry")(image, level)
    np.testing.assert_allclose(restored, _of_twin(twin, image, level), atol=1e-4)


def test_quality_may_be_set_or_estimated(tmp_path):
    from restorax.models.fbcnn import estimate_quality

    twin = _twin("fbcnn")
    torch.save(twin.state_dict(), tmp_path / "weights.pth")
    convert(tmp_path / "weights.pth", "fbcnn", tmp_path / "entry")
    restorer = restorax.load(tmp_path / "entry")
    image = np.random.default_rng(0).random((2, 16, 16, 1), np.float32)
    with torch.no_grad():
        expected = np.moveaxis(twin(_nchw(image), torch.full((2, 1), 1 - 0.3)).numpy(), 1, -1)
        bottom = twin.m_body_encoder(twin.m_down3(twin.m_down2(twin.m_down1(twin.m_head(_nchw(image))))))
        quality = 1 - twin.qf_pred(bottom).numpy()[:, 0]
    conditioned = restorer(image, np.full((2, 16, 16, 1), 0.3, np.float32))
    np.testing.assert_allclose(conditioned, expected, atol=1e-4, rtol=1e-4)
    assert np.abs(conditioned - restorer(image)).max() > 1e-3
    np.testing.assert_allclose(estimate_quality(restorer.model, restorer.params, image), quality, atol=1e-4)


def _save_mat(path, twin, order=(0, 1, 2, 3), first=(), last=()):
    """What MatConvNet would save; sub-pixels go column by column."""
    from scipy.io import savemat

    layers, convolutions = [*first], [m for m in twin.model if isinstance(m, torch.nn.Conv2d)]
    for module in twin.model:
        if isinstance(module, torch.nn.Conv2d):
            kernel = module.weight.detach().numpy().transpose(2, 3, 1, 0)
            bias = module.bias.detach().numpy()[:, None]
            if module is convolutions[0] and first:
                inner = kernel.shape[2] // 4 * 4
                swapped = np.concatenate([np.arange(i, i + 4)[list(order)] for i in range(0, inner, 4)])
                kernel = kernel[:, :, [*swapped, *range(inner, kernel.shape[2])]]
            if module is convolutions[-1] and last:
                swapped = np.concatenate([np.arange(i, i + 4)[list(order)] for i in range(0, kernel.shape[3], 4)])
                kernel, bias = kernel[..., swapped], bias[swapped]
            layers.append(
                {"type": "conv", "weights": _cell(kernel.squeeze(3) if kernel.shape[3] == 1 else kernel, bias)}
            )
        elif isinstance(module, torch.nn.BatchNorm2d):
            deviation = (module.running_var + module.eps).sqrt()
            moments = torch.stack([module.running_mean, deviation], 1).numpy()
            scale, shift = (p.detach().numpy()[:, None] for p in (module.weight, module.bias))
            layers.append({"type": "bnorm", "weights": _cell(scale, shift, moments)})
        else:
            layers.append({"type": "relu"})
    savemat(path, {"net": {"layers": _cell(*layers, *last, {"type": "loss"})}})


def _cell(*parts):
    cell = np.empty((1, len(parts)), object)
    cell[0, :] = [*parts, None][:-1]
    return cell


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", ["dncnn", "dncnn with batch norm", "ffdnet"])
def test_matconvnet_networks_equal_their_twins(kind, channels, tmp_path):
    pytest.importorskip("scipy")
    twin = _twin(kind, channels)
    image = np.random.default_rng(0).random((1, 17, 12, channels), np.float32)
    level = None
    if kind == "ffdnet":
        ends = [{"type": "SubP", "scale": scale} for scale in (0.5, 2.0)]
        _save_mat(tmp_path / "net.mat", twin, (0, 2, 1, 3), (ends[0], {"type": "concat"}), (ends[1],))
        level = np.full((1, 17, 12, 1), 0.1, np.float32)
    else:
        _save_mat(tmp_path / "net.mat", twin)
    convert(tmp_path / "net.mat", kind.split()[0], tmp_path / "entry")
    restored = restorax.load(tmp_path / "entry")(image, level)
    np.testing.assert_allclose(
        restored, _of_twin(twin, image, level, 2 if level is not None else 1), atol=1e-4, rtol=1e-4
    )


def test_safetensors_wrappers_and_members(tmp_path):
    import safetensors.torch

    twin = _twin("ircnn")
    weights = twin.state_dict()
    safetensors.torch.save_file(weights, tmp_path / "a.safetensors")
    torch.save({"params": {f"module.{k}": v for k, v in weights.items()}, "iter": 5}, tmp_path / "b.pth")
    torch.save({str(i): {k: (i + 1) * v for k, v in weights.items()} for i in range(3)}, tmp_path / "c.pth")
    cards = [convert(tmp_path / name, "ircnn", tmp_path / name[0]) for name in ("a.safetensors", "b.pth")]
    cards.append(convert(tmp_path / "c.pth", "ircnn", tmp_path / "c", member="0"))
    assert len({card.sha256 for card in cards}) == 1
    assert convert(tmp_path / "c.pth", "ircnn", tmp_path / "d", member="1").sha256 != cards[0].sha256
    for member, message in ((None, "`member` must be one of 0, 1, 2"), ("7", "holds several networks")):
        with pytest.raises(ValueError, match=message):
            convert(tmp_path / "c.pth", "ircnn", tmp_path / "e", member=member)
    with pytest.raises(ValueError, match="holds one network; omit `member`"):
        convert(tmp_path / "a.safetensors", "ircnn", tmp_path / "e", member="0")


def test_card_says_where_the_weights_come_from(tmp_path):
    import hashlib

    torch.save(_twin("ffdnet", 3).state_dict(), tmp_path / "ffdnet_color.pth")
    noise = "gaussian_noise(sigma=uniform(0, 75/255))"
    card = convert(tmp_path / "ffdnet_color.pth", "ffdnet", tmp_path / "mine", licence="MIT", degradation=noise)
    content = json.loads((tmp_path / "mine" / "card.json").read_text())
    digest = hashlib.sha256((tmp_path / "ffdnet_color.pth").read_bytes()).hexdigest()
    assert content["commit"] == f"converted from ffdnet_color.pth, SHA-256 {digest}"
    assert (card.name, card.weights_licence, card.degradation, card.evaluation) == ("mine", "MIT", noise, [noise])
    assert card.paper.startswith("Zhang et al., FFDNet")
    assert card.config == {"channels": 3, "depth": 4, "width": 8, "condition": "noise_level"}
    assert card.condition is Condition.NOISE_LEVEL


class _Code:
    def __reduce__(self):
        return (print, ("executed",))


def test_what_is_no_network_is_refused_in_a_sentence(tmp_path, capsys):
    dncnn, drunet, whole = (tmp_path / name for name in ("dncnn.pth", "drunet.pth", "whole.pth"))
    torch.save(_twin("dncnn").state_dict(), dncnn)
    torch.save(_twin("drunet").state_dict(), drunet)
    torch.save({"model.0.weight": _Code()}, whole)
    weights = _twin("dncnn").state_dict()
    for name, changes in (
        ("wide.pth", {"model.4.weight": torch.zeros(8, 8, 5, 5)}),
        ("narrow.pth", {"model.4.weight": torch.zeros(8, 7, 3, 3)}),
        ("more.pth", {"tail.weight": torch.zeros(3)}),
        ("flat.pth", {"model.4.weight": torch.zeros(8)}),
    ):
        torch.save({**weights, **changes}, tmp_path / name)
    torch.save({k: v for k, v in weights.items() if k != "model.4.bias"}, tmp_path / "less.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    torch.save({"epoch": 1}, tmp_path / "epoch.pth")
    (tmp_path / "cut.pth").write_bytes(dncnn.read_bytes()[:-500])
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00{")
    (tmp_path / "text.mat").write_text("no network")
    (tmp_path / "weights.onnx").write_text("")
    for name, architecture, message in (
        ("absent.pth", "dncnn", "no such file"),
        ("weights.onnx", "dncnn", r"unknown suffix '.onnx'; expected one of .safetensors"),
        ("dncnn.pth", "dncn", "no converter named 'dncn'; did you mean dncnn"),
        ("dncnn.pth", "drunet", "lacks the tensor m_head.weight of drunet"),
        ("drunet.pth", "dncnn", "lacks the tensor model.0.weight of dncnn"),
        ("dncnn.pth", "ircnn", "ircnn must have 7 convolutions, got 5"),
        ("dncnn.pth", "ffdnet", "4 input channels per image channel plus 1 in ffdnet, got 1"),
        (
            "wide.pth",
            "dncnn",
            r"conv2/kernel must have shape \(3, 3, 8, 8\) in this dncnn, got \(5, 5, 8, 8\) from model.4.weight",
        ),
        ("narrow.pth", "dncnn", r"conv2/kernel .* got \(3, 3, 7, 8\) from model.4.weight"),
        ("flat.pth", "dncnn", r"model.4.weight must have 4 axes, got shape \(8,\)"),
        ("more.pth", "dncnn", r"tail.weight \(3,\) has no counterpart in dncnn"),
        ("less.pth", "dncnn", "lacks the tensor model.4.bias"),
        ("list.pth", "dncnn", "must hold a dictionary of tensors, got list"),
        ("epoch.pth", "dncnn", "holds no tensors"),
        ("whole.pth", "dncnn", "are not executed"),
        ("cut.pth", "dncnn", "is damaged"),
        ("cut.safetensors", "dncnn", "is damaged"),
        ("text.mat", "dncnn", "is damaged or not a MATLAB file"),
    ):
        with pytest.raises((ValueError, FileNotFoundError), match=message) as error:
            convert(tmp_path / name, architecture, tmp_path / "entry")
        assert "\n" not in str(error.value)
    assert not (tmp_path / "entry").exists()
    assert "executed" not in capsys.readouterr().out


def test_mat_files_without_a_network_are_refused(tmp_path):
    from scipy.io import savemat

    savemat(tmp_path / "other.mat", {"x": np.zeros(3)})
    with pytest.raises(ValueError, match="holds no MatConvNet network"):
        convert(tmp_path / "other.mat", "dncnn", tmp_path / "entry")
