"""Restoring photographs: originals are safe, masks of both conventions work, and long work shows progress."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from rich.progress import Progress

import restorax
from restorax import demo, zoo
from restorax.files import image

CASES = Path(__file__).parent.parent / "cases"
DENOISE = ("--model", "arcnn-gray-jpeg")
INPAINT = ("--model", "unet-color-missing")


@pytest.fixture
def folder(tmp_path, monkeypatch, photograph):
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    image.write("photos/a.png", image.Picture(photograph[:40, :48]))
    for file in CASES.iterdir():
        shutil.copy(file, file.name)
    return tmp_path


def test_an_original_is_replaced_only_by_force(run_cli, refused, folder):
    original = Path("photos/a.png").read_bytes()
    os.symlink("photos/a.png", "symbolic.png")
    os.link("photos/a.png", "hard.png")
    noise = ("--with", "gaussian_noise(sigma=25/255)")
    for target in ("photos/a.png", "photos/../photos/a.png", "symbolic.png", "hard.png", "photos"):
        for command in (("restore", "photos/a.png", target, *DENOISE), ("degrade", "photos/a.png", target, *noise)):
            assert "is an input file" in refused(*command)
    assert "--force" in refused("restore", "photos", "photos", *DENOISE)
    assert "--force" in refused("degrade", "photos", "photos", *noise)
    assert "hole_mask.png is an input file" in refused(
        "restore", "hole.png", "hole_mask.png", "--mask", "hole_mask.png", *INPAINT
    )
    shutil.copy("photos/a.png", "b-mask.png")
    holes = ("--with", "missing_pixels(missing=0.5)")
    assert "b-mask.png is an input" in refused("degrade", "b-mask.png", "b.png", *holes)
    assert Path("photos/a.png").read_bytes() == original == Path("b-mask.png").read_bytes()
    assert run_cli("degrade", "photos", "photos", *noise, "--force")[0] == 0
    noisy = Path("photos/a.png").read_bytes()
    assert noisy != original
    assert run_cli("restore", "photos/a.png", "photos/a.png", *DENOISE, "--force")[0] == 0
    assert Path("photos/a.png").read_bytes() not in (noisy, original)


def test_frames_are_replaced_only_by_force(run_cli, refused, folder):
    from tests.test_video import _frames, _save

    _save(folder / "entry")
    for number, frame in enumerate(_frames()):
        image.write(folder / "photos" / f"{number}.png", image.Picture(frame))
    (folder / "photos" / "a.png").unlink()
    command = ("restore", "photos", "photos", "--model", "entry")
    assert "0.png is an input file" in refused(*command)
    assert run_cli(*command, "--force")[0] == 0


def test_a_mask_painted_the_other_way_round_is_asked_about(run_cli, refused, folder):
    def restore(mask, *more):
        return ("restore", "hole.png", "out.png", *INPAINT, "--mask", mask, *more)

    asked = refused(*restore("hole_mask_inv.png"))
    assert "hole_mask_inv.png marks only 6.5% of the pixels as known" in asked
    assert "--mask-marks damaged" in asked
    assert "marks all pixels as damaged" in refused(*restore("mask_none_known.png", "--mask-marks", "known"))
    assert "must be 'known' or 'damaged', got 'holes'" in refused(*restore("hole_mask.png", "--mask-marks", "holes"))
    assert not Path("out.png").exists()
    results = []
    for arguments in (("hole_mask.png",), ("hole_mask_inv.png", "--mask-marks", "damaged")):
        assert run_cli(*restore(*arguments))[0] == 0
        results.append(image.read("out.png").pixels)
    np.testing.assert_array_equal(*results)
    clean, damaged = (image.read(name).pixels for name in ("clean.png", "hole.png"))
    assert restorax.metrics.psnr(results[0], clean) > restorax.metrics.psnr(damaged, clean) + 10


def test_the_bar_moves_within_a_picture(run_cli, folder, photograph, monkeypatch):
    shares, update = [], Progress.update

    def watched(self, *arguments, **fields):
        shares.append(fields.get("completed"))
        update(self, *arguments, **fields)

    monkeypatch.setattr(Progress, "update", watched)
    image.write("large.png", image.Picture(photograph[:140, :340]))
    assert run_cli("restore", "large.png", "out.png", *DENOISE, "--tile", 144)[0] == 0
    shares = [share for share in shares if share is not None]
    assert shares == sorted(shares)
    assert len({share for share in shares if 0 < share < 1}) >= 2


def test_the_demonstration_says_what_it_does(run_cli, folder, photograph, monkeypatch):
    monkeypatch.setattr(zoo, "list_models", lambda: ["arcnn-gray-jpeg"])
    monkeypatch.setattr(demo, "sample_images", lambda channels: {"a": photograph[:32, :48]})
    code, out, err = run_cli("demo")
    assert code == 0
    assert "Restoring photographs with 1 published restorers" in err
    assert "[1/1] arcnn-gray-jpeg: jpeg(quality=" in err
    assert str(folder / "demo" / "index.html") in out


def test_shells_complete_commands(run_cli):
    code, out, _ = run_cli("--help")
    assert code == 0
    assert "--install-completion" in out
