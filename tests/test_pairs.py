"""Pairs of degraded and clean images: matching by name, and measuring from the command line."""

import json
import re
import shutil

import numpy as np
import pytest

from restorax import zoo
from restorax.files import image
from restorax.pairs import match_pairs, read_pair
from restorax.typed_json import to_json

SMALL = "arcnn-gray-jpeg"


@pytest.fixture
def folder(tmp_path, photograph):
    """Two pairs, and files that belong to none."""
    folder = tmp_path / "shots"
    folder.mkdir()
    clean = photograph[64:112, 128:176]
    noise = np.random.default_rng(0).standard_normal(clean.shape) / 20
    for name in ("b_1", "a_2"):
        image.write(folder / f"{name}_mean.png", image.Picture(clean))
        image.write(folder / f"{name}_real.png", image.Picture(np.float32(clean + noise).clip(0, 1)))
    (folder / "a_2_real.txt").write_text("not an image")
    (folder / ".a_3_real.png").write_text("hidden")
    return folder


def test_pairs_share_the_text_of_every_star(folder):
    names = [(pair.degraded.name, pair.clean.name) for pair in match_pairs(folder, "*_real*", "*_mean*")]
    assert names == [("a_2_real.png", "a_2_mean.png"), ("b_1_real.png", "b_1_mean.png")]
    (folder / "noisy[1]").mkdir()
    (folder / "noisy[1]" / "a_2_mean.png").write_bytes((folder / "a_2_real.png").read_bytes())
    (pair,) = match_pairs(folder, "noisy[1]/*_2_mean.png", "*_2_mean.png")
    assert pair.degraded.parent.name == "noisy[1]"
    assert pair.clean.name == "a_2_mean.png"


def test_what_is_no_pair_is_named(folder, tmp_path, photograph):
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        match_pairs(tmp_path / "nowhere", "*_real*", "*_mean*")
    with pytest.raises(ValueError, match=r"'\*_real\*' and '\*_mean' must have the same number of \*"):
        match_pairs(folder, "*_real*", "*_mean")
    with pytest.raises(ValueError, match=r"contains no images .* that match '\*_gt\*'"):
        match_pairs(folder, "*_real*", "*_gt*")
    with pytest.raises(ValueError, match=r"a_2_mean.png matches both '\*an.png' and '\*_mean.png'"):
        match_pairs(folder, "*an.png", "*_mean.png")
    image.write(folder / "b_1_mean.png", image.Picture(photograph[:48, :32]))
    first, second = match_pairs(folder, "*_real*", "*_mean*")
    assert [one.shape for one in read_pair(first, 1)] == [(48, 48, 1)] * 2
    assert [one.shape for one in read_pair(first, 3)] == [(48, 48, 3)] * 2
    named = re.escape(f"{second.degraded} and {second.clean} must have the same size, got 48 x 48 and 32 x 48 pixels")
    with pytest.raises(ValueError, match=named):
        read_pair(second, 1)
    (folder / "b_1_mean.png").unlink()
    with pytest.raises(ValueError, match=r"b_1_real.png has no clean counterpart that matches '\*_mean\*'"):
        match_pairs(folder, "*_real*", "*_mean*")
    with pytest.raises(ValueError, match=r"b_1_real.png has no degraded counterpart that matches '\*_mean\*'"):
        match_pairs(folder, "*_mean*", "*_real*")


def test_eval_measures_pairs_and_stores_them(run_cli, folder, tmp_path):
    entry = shutil.copytree(zoo.ZOO / SMALL, tmp_path / "entry")
    card = zoo.Card.read(entry)
    pairs = ("--pairs", folder, "--noisy", "*_real*", "--clean", "*_mean*")
    sheet = tmp_path / "sheet.png"
    code, out, err = run_cli("eval", entry, *pairs, "--label", "sensor noise", "--write", "--sheet", sheet, width=80)
    assert code == 0
    gains = [float(line.rpartition("(")[2].rstrip(")")) for line in err.splitlines() if "_real.png" in line]
    assert gains == sorted(gains)
    assert image.read(sheet).pixels.shape == (2 * 48, 3 * 48, 1)
    assert out.split("\n")[2] == "sensor noise"
    assert max(map(len, out.splitlines())) <= 80
    stored = zoo.Card.read(entry)
    (result,) = stored.pair_results
    assert (result.dataset, result.degradation, result.images) == ("shots", "sensor noise", 2)
    assert (stored.results, stored.ood_results) == (card.results, card.ood_results)
    assert out.split()[-2:] == [str(result.worse), f"{result.worst_gain:+.2f}"]
    assert gains[0] == pytest.approx(result.worst_gain, abs=0.006)
    for kind, name in (("real", "input"), ("mean", "target")):
        (folder / name).mkdir()
        for path in folder.glob(f"*_{kind}.png"):
            shutil.copy(path, folder / name / path.name.replace(f"_{kind}", ""))
    run_cli("eval", entry, "--pairs", folder, "--label", "sensor noise", "--write")
    assert zoo.Card.read(entry).pair_results == [result]
    code, out, _ = run_cli("eval", entry, *pairs, "--limit", "1", "--json", width=80)
    assert [r["images"] for r in json.loads(out)[0]["pair_results"]] == [2, 1]
    assert "pairs" in run_cli("info", entry, width=80)[1]


def test_eval_measures_clean_images(run_cli, folder, tmp_path):
    entry = shutil.copytree(zoo.ZOO / SMALL, tmp_path / "entry")
    card = zoo.Card.read(entry)
    options = ("--data", folder, "--with", "identity()", "--with", card.evaluation[0])
    shutil.copy(folder / "b_1_mean.png", folder / "a_2_real.png")
    (folder / "b_1_real.png").unlink()
    code, out, _ = run_cli("eval", entry, *options, "--write", width=80)
    assert code == 0
    assert [line.split()[2] for line in out.splitlines() if line.startswith("  shots")][1] == "clean"
    stored = zoo.Card.read(entry)
    assert stored.results[:-1] == card.results
    assert stored.ood_results[:-1] == card.ood_results
    assert (stored.results[-1].degradation, stored.ood_results[-1].degradation) == (card.evaluation[0], "identity()")
    code, out, _ = run_cli("eval", entry, *options, "--json", width=80)
    assert json.loads(out, parse_constant=pytest.fail) == json.loads(json.dumps([to_json(stored)]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "give clean test images by --data, or pairs of images by --pairs"),
        (("--data", "a", "--pairs", "b"), "give clean test images by --data, or pairs of images by --pairs"),
        (("--pairs", "a", "--noisy", "*_real*"), "--noisy and --clean belong together"),
        (("--pairs", "a", "--noisy", "*", "--clean", "*", "--with", "identity()"), "--pairs excludes --with"),
        (("--data", "a", "--noisy", "*_real*"), "--noisy, --clean and --sheet require --pairs"),
        (("--data", "a", "--sheet", "a.png"), "--noisy, --clean and --sheet require --pairs"),
        (("--data", "a", "--limit", "2", "--write"), "--write stores results of whole test sets"),
    ],
)
def test_options_that_do_not_go_together_are_refused(refused, options, message):
    assert message in refused("eval", SMALL, *options)
