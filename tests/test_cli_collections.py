"""The commands restore and degrade on folders, patterns and several files."""

import numpy as np
import pytest

from restorax.cli import compilation
from restorax.errors import one_sentence
from restorax.files import image

MODEL = ("--model", "arcnn-gray-jpeg")


@pytest.fixture
def folder(tmp_path, photograph):
    """Three images, one of them in a subfolder, a damaged one and a file of another kind."""
    images = tmp_path / "in"
    (images / "deep").mkdir(parents=True)
    for i, name in enumerate(("a.png", "deep/b.png", "c.png")):
        image.write(images / name, image.Picture(photograph[160 + 16 * i : 176 + 16 * i, 150:174]))
    (images / "broken.png").write_text("no")
    (images / "notes.txt").write_text("no")
    return images


def _names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_damaged_file_is_reported_and_the_rest_is_restored(run_cli, folder, tmp_path):
    out = tmp_path / "out"
    code, said, err = run_cli("restore", folder, out, *MODEL)
    assert code == 1
    assert _names(out) == ["a.png", "c.png"]
    assert "passed over 1 file that is no image of a known kind: notes.txt" in said
    assert "did not enter 1 folder, for which --recursive is needed: deep" in said
    assert err.splitlines() == [
        "restorax: 1 of 3 images failed:",
        f"  {folder / 'broken.png'} is not an image that can be read",
    ]
    (folder / "broken.png").unlink()
    before = (out / "a.png").stat().st_mtime_ns
    code, said, _ = run_cli("restore", folder, out, *MODEL, "--recursive", "--skip-existing")
    assert code == 0
    assert "skipped 2 of 3 images, whose results exist" in said
    assert _names(out) == ["a.png", "c.png", "deep/b.png"]
    assert (out / "a.png").stat().st_mtime_ns == before


def test_amount_blends_and_compare_shows_both(run_cli, folder, tmp_path):
    results = {}
    for amount in (0, 0.5, 1):
        out = tmp_path / str(amount)
        arguments = ("restore", folder / "a.png", folder / "c.png", out, *MODEL, "--amount", amount, "--compare")
        assert run_cli(*arguments, "--suffix", "-new")[0] == 0
        assert _names(out) == ["a-new-compare.png", "a-new.png", "c-new-compare.png", "c-new.png"]
        results[amount] = image.read(out / "a-new.png").pixels
        strip = image.read(out / "a-new-compare.png").pixels
        np.testing.assert_array_equal(strip, np.concatenate([results.get(0, strip[:, :24]), results[amount]], axis=1))
    np.testing.assert_array_equal(results[0], image.read(folder / "a.png").pixels)
    np.testing.assert_allclose(results[0.5], (results[0] + results[1]) / 2, atol=1.01 / 255)
    assert np.abs(results[1] - results[0]).max() > 2 / 255


def test_shares_make_up_the_whole_and_keep_the_randomness(run_cli, refused, folder, tmp_path):
    (folder / "broken.png").unlink()
    degradation = ("--with", "gaussian_noise(sigma=25/255)", "--recursive")
    assert run_cli("degrade", folder, tmp_path / "whole", *degradation)[0] == 0
    for share in ("1/2", "2/2"):
        code, said, _ = run_cli("degrade", folder, tmp_path / "shares", *degradation, "--share", share)
        assert code == 0
        assert f"share {share[0]} of 2: {3 - int(share[0])} of 3 images" in said
    assert _names(tmp_path / "shares") == [*_names(folder)[:-2], "deep/b.png"]
    for name in ("a.png", "c.png", "deep/b.png"):
        whole, shared = (image.read(tmp_path / kind / name).pixels for kind in ("whole", "shares"))
        np.testing.assert_array_equal(whole, shared)
    assert "such as 2/8, got '3/2'" in refused("degrade", folder, tmp_path / "o", *degradation, "--share", "3/2")


def test_what_cannot_be_done_is_found_before_anything_is_computed(refused, folder, tmp_path):
    out = tmp_path / "out"
    for arguments, message in (
        ((folder, out, "--mask", folder, "--model", "row_lstm-gray-missing"), "a-mask.png: no such file"),
        ((folder, out, *MODEL, "--strength", 0.5), "takes no strength"),
        ((folder, out, *MODEL, "--tile", 5), "`tile` must be at least 129"),
        ((folder / "a.png", folder / "x*", out, *MODEL), "x*: no file matches"),
        ((folder / "a.png", folder / "b.png", out, *MODEL), "b.png: no such file"),
        ((folder, folder, *MODEL), "a.png is an input file; give another OUT, or --force"),
    ):
        assert message in refused("restore", *arguments)
        assert not out.exists()


def test_compiled_programs_are_kept_where_the_system_keeps_caches(monkeypatch, tmp_path):
    import jax

    pytest.importorskip("filelock")
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    seen = {}
    monkeypatch.setattr(jax.config, "update", seen.__setitem__)
    assert compilation.use_cache() == tmp_path / "restorax"
    assert (tmp_path / "restorax").is_dir()
    assert seen["jax_compilation_cache_dir"] == str(tmp_path / "restorax")
    assert 0 < seen["jax_compilation_cache_max_size"] <= 2**30
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "elsewhere")
    assert str(compilation.use_cache()) == "elsewhere"


def test_an_absent_device_is_said_in_a_sentence(monkeypatch):
    import jax

    def fail():
        raise RuntimeError("Unable to initialize backend 'cuda'")

    assert one_sentence(AssertionError()) is None
    monkeypatch.setenv("JAX_PLATFORMS", "cuda")
    monkeypatch.setattr(jax, "devices", fail)
    assert one_sentence(AssertionError()) == (
        "JAX_PLATFORMS=cuda: JAX finds no such device here; unset the variable, or set it to cpu"
    )
