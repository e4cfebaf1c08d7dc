"""The command line, run as a user runs it: in process for speed, exit codes and messages as they come."""

import dataclasses

import numpy as np
import pytest

from restorax.diagnosis import measure_noise_level
from restorax.files import image

BLIND = "resunet_s-gray-noise"


@pytest.fixture
def picture(tmp_path, photograph):
    path = tmp_path / "in.png"
    image.write(path, image.Picture(photograph[:48, :64]))
    return path


def test_degrade_then_restore_a_file(run_cli, picture, tmp_path, photograph):
    assert run_cli("degrade", picture, tmp_path / "noisy.png", "--with", "gaussian_noise(sigma=25/255)")[0] == 0
    assert run_cli("restore", tmp_path / "noisy.png", tmp_path / "out.png", "--model", BLIND)[0] == 0
    errors = [
        float(np.mean((image.read(tmp_path / name).pixels - photograph[:48, :64]) ** 2))
        for name in ("noisy.png", "out.png")
    ]
    assert errors[1] < errors[0] / 3


def test_a_folder_and_a_mask(run_cli, tmp_path, photograph):
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.jpg"):
        image.write(tmp_path / "in" / name, image.Picture(np.repeat(photograph[:40, :40], 3, axis=2)))
    code, out, _ = run_cli("restore", tmp_path / "in", tmp_path / "out", "--model", BLIND)
    assert code == 0
    assert "restores each channel separately" in out
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.png", "b.jpg"]
    holes = tmp_path / "holes.png"
    assert run_cli("degrade", tmp_path / "in" / "a.png", holes, "--with", "missing_pixels(missing=0.5)")[0] == 0
    mask = image.read(tmp_path / "holes-mask.png").pixels
    assert mask.mean() == 0.5
    assert set(np.unique(mask)) == {0, 1}
    model = ("--model", "row_lstm-gray-missing")
    assert run_cli("restore", holes, tmp_path / "o.png", *model, "--mask", tmp_path / "holes-mask.png")[0] == 0


def test_converted_weights_restore_at_a_given_strength(run_cli, refused, picture, tmp_path, photograph):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    sides = (5, 8, 8, 4)
    tensors = {f"model.{2 * i}.weight": 0.1 * torch.randn(sides[i + 1], sides[i], 3, 3) for i in range(3)}
    tensors |= {f"model.{2 * i}.bias": torch.zeros(sides[i + 1]) for i in range(3)}
    torch.save(tensors, tmp_path / "ffdnet.pth")
    entry, out = tmp_path / "ffdnet-gray", tmp_path / "out.png"
    code, said, _ = run_cli("convert", tmp_path / "ffdnet.pth", "--as", "ffdnet", "--out", entry, "--licence", "MIT")
    assert code == 0
    assert "ffdnet with 1,244 parameters" in said
    assert "MIT" in run_cli("info", entry)[1]
    restored = []
    for strength in (0.0, 0.9):
        assert run_cli("restore", picture, out, "--model", entry, "--strength", strength)[0] == 0
        restored.append(image.read(out).pixels)
    assert np.abs(restored[0] - restored[1]).max() > 0.01
    for arguments, message in (
        (("restore", picture, out, "--model", entry), "no noise is found in the image; give its noise level"),
        (("restore", picture, out, "--model", entry, "--strength", 25), "`strength` must be in [0, 1], got 25.0"),
        (("restore", picture, out, "--model", entry, "--mask", picture), "takes no mask"),
        (("restore", picture, out, "--model", BLIND, "--strength", 0.1), "takes no strength"),
        (("convert", picture, "--as", "ffdnet", "--out", entry), "unknown suffix '.png'"),
        (("convert", tmp_path / "ffdnet.pth", "--as", "dncnn", "--out", entry), "this dncnn expects"),
        (
            ("convert", picture, "--as", "dncnn", "--out", entry, "--degradation", "noise(1)"),
            "unknown operator 'noise'",
        ),
    ):
        assert message in refused(*arguments)


def test_a_missing_noise_level_is_measured(run_cli, tmp_path, photograph):
    noisy, out, level = photograph[:96, :96].copy(), tmp_path / "out.png", 20 / 255
    noisy += np.random.default_rng(0).normal(0, level, noisy.shape).astype(np.float32)
    image.write(tmp_path / "noisy.png", image.Picture(noisy))
    model = ("--model", "ffdnet-gray-noise")
    code, printed, _ = run_cli("restore", tmp_path / "noisy.png", out, *model)
    assert code == 0
    measured = measure_noise_level(image.read(tmp_path / "noisy.png").pixels)
    assert abs(measured / level - 1) < 0.15
    assert f"noisy.png: noise level {measured:.3f}" in printed
    assert run_cli("restore", tmp_path / "noisy.png", tmp_path / "same.png", *model, "--strength", measured)[0] == 0
    np.testing.assert_array_equal(image.read(out).pixels, image.read(tmp_path / "same.png").pixels)


def test_a_folder_of_masks(run_cli, tmp_path, photograph):
    (tmp_path / "clean").mkdir()
    for name, left in (("a", 0), ("b", 40)):
        image.write(tmp_path / "clean" / f"{name}.png", image.Picture(photograph[:40, left : left + 40]))
    holes, out = tmp_path / "holes", tmp_path / "out"
    assert run_cli("degrade", tmp_path / "clean", holes, "--with", "missing_pixels(missing=0.5)")[0] == 0
    assert run_cli("restore", holes, out, "--mask", holes, "--model", "row_lstm-gray-missing")[0] == 0
    assert sorted(p.name for p in out.iterdir()) == ["a.png", "b.png"]
    for name in ("a.png", "b.png"):
        known = image.read(holes / name.replace(".", "-mask.")).pixels > 0.5
        np.testing.assert_array_equal(
            image.read(out / name).pixels[known], image.read(tmp_path / "clean" / name).pixels[known]
        )


def test_nothing_is_written_twice_and_masks_alone_are_not_restored(run_cli, refused, tmp_path, photograph):
    (tmp_path / "in").mkdir()
    for name in ("a.png", "a.bmp"):
        image.write(tmp_path / "in" / name, image.Picture(photograph[:40, :40]))
    out = tmp_path / "out"
    code, _, err = run_cli("degrade", tmp_path / "in", out, "--with", "missing_pixels(missing=0.5)")
    assert (code, out.exists()) == (2, False)
    assert "a-mask.png would be written twice" in err
    assert run_cli("degrade", tmp_path / "in", out, "--with", "gaussian_blur(sigma=1)")[0] == 0
    assert len(list(out.iterdir())) == 2
    (tmp_path / "in" / "a.bmp").unlink()
    (tmp_path / "in" / "a.png").rename(tmp_path / "in" / "a-mask.png")
    masks = ("--mask", tmp_path / "in", "--model", "row_lstm-gray-missing")
    assert "contains only masks" in refused("restore", tmp_path / "in", out, *masks)


def test_data_prepare_and_check(run_cli, tmp_path, photograph):
    (tmp_path / "in").mkdir()
    image.write(tmp_path / "in" / "a.png", image.Picture(photograph[:48, :64]))
    (tmp_path / "in" / "broken.png").write_text("no")
    code, out, _ = run_cli("data", "prepare", tmp_path / "in", "--name", "one", "--data-dir", tmp_path)
    assert code == 0
    assert "skipped: broken.png" in out
    assert "1 in train, 1 skipped" in out
    code, out, _ = run_cli("data", "check", "one", "--data-dir", tmp_path)
    assert code == 0
    assert "3 files match their checksums" in out


def test_mistakes_end_in_one_line_and_exit_code_2(refused, picture, tmp_path):
    (tmp_path / "text.png").write_text("not a picture")
    (tmp_path / "empty").mkdir()
    content = picture.read_bytes()
    (tmp_path / "cut.png").write_bytes(content[: len(content) // 2])
    out, model, before = tmp_path / "out.png", ("--model", BLIND), sorted(p.name for p in tmp_path.iterdir())
    for arguments, message in (
        (("restore", tmp_path / "absent.png", out, *model), "no such file"),
        (("restore", tmp_path / "text.png", out, *model), "not an image"),
        (("restore", tmp_path / "cut.png", out, *model), "damaged"),
        (("restore", tmp_path / "empty", tmp_path / "o", *model), "contains no images"),
        (("restore", picture, tmp_path / "absent" / "out.png", *model), "no such folder"),
        (("restore", picture, tmp_path / "out.xyz", *model), "unknown suffix"),
        (("restore", picture, out, "--model", "resunet_s-gray-nois"), f"did you mean {BLIND}"),
        (("restore", picture, out, *model, "--tile", "5"), "`tile` must be at least 129"),
        (("restore", picture, out, "--model", "scanunet_s-gray-missing"), "requires a mask"),
        (("degrade", picture, out, "--with", "noise(1)"), "unknown operator 'noise'"),
        (("degrade", picture, out, "--with", "gaussian_noise(sigma=25/0)"), "division by zero"),
        (("degrade", picture, out, "--with", "gaussian_noise(sigma=25)"), "`sigma` must be in [0, 1], got 25"),
        (("degrade", picture, out, "--with", "shuffle()"), "at least one degradation"),
        (("degrade", picture, out, "--with", "burst(frames=2)"), "returns several images"),
        (("restore", tmp_path, out, "--model", "burst_rnn-gray-noise", "--strength", "0.5"), "takes no strength"),
        (("info", "nothing-like-it"), "no model named"),
        (("eval", "--data", tmp_path), "--all"),
        (("eval", BLIND, "--data", tmp_path / "empty", "--data", tmp_path / "more" / "empty"), "two have one name"),
        (
            ("degrade", picture, out, "--with", "gaussian_noise(sigma=0)", "--seed", 2**63),
            "2**63 - 1, got 9223372036854775808",
        ),
        (
            ("train", BLIND, "--data", tmp_path, "--learning-rate", "0"),
            "`learning_rate` must be positive and finite, got 0.0",
        ),
        (("train", "resunet_s-gray-nose", "--data", tmp_path), "did you mean resunet_s-gray-noise"),
        (("train", BLIND, "--data", tmp_path / "absent", "--workdir", tmp_path / "w"), "no such folder"),
        (
            ("train", BLIND, "--data", tmp_path, "--dtype", "int8"),
            "`dtype` must be 'float32' or 'bfloat16', got 'int8'",
        ),
        (("train", BLIND, "--data", tmp_path, "--resume", "maybe"), "`resume` must be 'auto' or 'never', got 'maybe'"),
        (("train", BLIND, "--data", tmp_path, "--num-processes", "2"), "give all or none"),
        (("train", BLIND, "--data", "tfds:none", "--data-dir", tmp_path), "no dataset 'none'"),
        (("train", BLIND, "--data", tmp_path, "--shards", "3"), "do not split into groups of 3"),
        (("data", "prepare", tmp_path / "empty", "--name", "x", "--data-dir", tmp_path), "contains no images"),
        (("data", "check", "x", "--data-dir", tmp_path), "has no data_card.json"),
    ):
        assert message in refused(*arguments)
    assert sorted(p.name for p in tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("options", "stages"),
    [
        ((), [(20_000, 8, 2e-3), (5_000, 2, 1e-3), (7_500, 2, 5e-4)]),
        (("--batch", "64"), [(20_000, 64, 2e-3), (5_000, 64, 1e-3), (7_500, 64, 5e-4)]),
        (("--learning-rate", "1e-3"), [(20_000, 8, 1e-3), (5_000, 2, 5e-4), (7_500, 2, 2.5e-4)]),
        (("--steps", "7"), [(7, 8, 2e-3)]),
    ],
)
def test_options_of_train_hold_in_all_stages(options, stages, run_cli, monkeypatch, tmp_path):
    from restorax.train import loop

    seen = []
    monkeypatch.setattr(loop, "train", lambda name, recipe, *_: seen.append(recipe) or "entry")
    assert run_cli("train", "scanunet_s-gray-missing", "--data", tmp_path, *options)[0] == 0
    assert [(s.steps, s.batch, s.learning_rate) for s in seen[0].stages] == stages


def test_train_takes_every_option_of_the_library_and_its_defaults(run_cli, monkeypatch, tmp_path):
    from restorax.train import loop
    from restorax.train.options import Options

    seen = []
    monkeypatch.setattr(loop, "train", lambda name, recipe, options, _: seen.append(options) or "entry")
    assert run_cli("train", "dncnn-gray-noise25", "--data", tmp_path)[0] == 0
    assert seen == [Options(data=[str(tmp_path)], workdir="runs/dncnn-gray-noise25")]
    tested_elsewhere = ("data", "workdir", "resume", "value_range", "hold_out")
    given = {f.name: f.type for f in dataclasses.fields(Options) if f.name not in tested_elsewhere}
    flags = [x for name, kind in given.items() for x in (f"--{name.replace('_', '-')}", *["3"] * (kind is not bool))]
    assert run_cli("train", "dncnn-gray-noise25", "--data", tmp_path, *flags)[0] == 0
    assert all(getattr(seen[1], name) in (3, "3", True) for name in given)


def test_train_reads_a_recipe_of_ones_own(run_cli, monkeypatch, tmp_path):
    from restorax import zoo
    from restorax.recipe import write_recipe
    from restorax.recipes import RECIPES
    from restorax.train import loop

    seen = []
    monkeypatch.setattr(loop, "train", lambda name, recipe, *_: seen.append((name, recipe)) or "entry")
    own, name = tmp_path / "own.json", "arcnn-gray-jpeg"
    own.write_text(write_recipe(RECIPES[name], validation=["camera"]))  # as in a training directory
    for path in (own, zoo.ZOO / name / "card.json"):
        assert run_cli("train", "mine", "--data", tmp_path, "--recipe", path)[0] == 0
    assert seen == [("mine", RECIPES[name])] * 2
    own.write_text('{"architecture": "arcnn", "evaluation": [], "stages": [{"steps": "many", "degradation": ""}]}')
    code, _, err = run_cli("train", "mine", "--data", tmp_path, "--recipe", own)
    assert (code, "own.json: Expected `int`, got `str` - at `$.stages[0].steps`" in err) == (2, True)


def test_an_empty_start_means_fresh_parameters(run_cli, monkeypatch, tmp_path):
    from restorax.recipes import RECIPES
    from restorax.train import loop

    seen = []
    monkeypatch.setattr(loop, "train", lambda name, recipe, *_: seen.append(recipe.start) or "entry")
    name = next(name for name, recipe in RECIPES.items() if recipe.start)
    for options in ((), ("--start", "")):
        assert run_cli("train", name, "--data", tmp_path, *options)[0] == 0
    assert seen == [RECIPES[name].start, ""]


def test_restore_runs_a_network_of_frames_over_folders_and_animations(run_cli, refused, tmp_path):
    from tests.test_video import _frames, _save

    _save(tmp_path / "entry")
    (tmp_path / "in").mkdir()
    for i, frame in enumerate(_frames()):
        image.write(tmp_path / "in" / f"{i}.png", image.Picture(frame))
    model = ("--model", tmp_path / "entry")
    assert run_cli("restore", tmp_path / "in", tmp_path / "out", *model)[0] == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["0.png", "1.png", "2.png"]
    from restorax.files.frames import Frames, read_frames, write_frames

    write_frames(tmp_path / "in.gif", Frames([image.Picture(f) for f in _frames(height=16)], [40.0] * 3))
    assert run_cli("restore", tmp_path / "in.gif", tmp_path / "out.webp", *model)[0] == 0
    assert len(read_frames(tmp_path / "out.webp").pictures) == 3
    assert "omit --ensemble" in refused("restore", tmp_path / "in", tmp_path / "out", *model, "--ensemble")
