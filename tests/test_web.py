"""The web page in a real browser: it restores as Python does, by mouse, keys and on a phone, and explains errors."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import restorax
from restorax.files import image as files

pytestmark = pytest.mark.slow
WEB = Path(__file__).parent.parent / "web"
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """What Chromium found on the built page, and the folder of its downloads."""
    missing = None
    if BROWSER is None:
        missing = "no Chromium is installed, which the test of the web page drives"
    elif not (WEB / "dist" / "index.html").is_file() or not (WEB / "node_modules").is_dir():
        missing = "the web page is not built: run 'npm ci && npm run build' in the folder web"
    if missing:
        (pytest.fail if os.environ.get("RESTORAX_WEB") else pytest.skip)(missing)
    folder = tmp_path_factory.mktemp("web")
    random = np.random.default_rng(0)
    Image.fromarray(random.integers(0, 256, (3000, 4000), np.uint8)).save(folder / "large.png", compress_level=0)
    ramp = np.linspace(0, 1, 96, dtype=np.float32)
    deep = np.clip(
        ramp[:, None, None] * ramp[None, :, None] * [1, 0.8, 0.5] + random.normal(0, 0.05, (96, 96, 3)), 0, 1
    )
    files.write(folder / "deep.png", files.Picture(deep.astype(np.float32), bits=16))
    (folder / "text.txt").write_text("no picture")
    (folder / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
    command = [sys.executable, "-m", "restorax", "web", WEB / "dist", "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        url = server.stdout.readline().split()[0]
        run = subprocess.run(
            ["node", "test/page.mjs", url, BROWSER, folder], cwd=WEB, capture_output=True, text=True, timeout=300
        )
    finally:
        server.terminate()
        server.wait()
        server.stdout.close()
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout), folder


def _pixels(path):
    return files.read(path).pixels


def _largest_difference(a, b):
    return float(np.abs(np.asarray(a) - np.asarray(b)).max())


def test_a_sample_is_restored_as_in_python(page):
    found, folder = page
    assert found["problems"] == []
    assert found["isolated"]
    assert "WebAssembly" in found["engine"] or "WebGPU" in found["engine"]
    sample = _pixels(WEB / "dist" / "samples" / "noise.png")
    expected = restorax.restore(restorax.load("resunet_s-color-noise"), sample)
    assert _largest_difference(_pixels(folder / "noise-restored.png"), expected) <= 1.01 / 255
    assert _largest_difference(sample, expected) > 20 / 255
    assert _largest_difference(_pixels(folder / "noise-untouched.png"), sample) == 0


def test_sixteen_bits_stay(page):
    _, folder = page
    source, restored = (files.read(folder / name) for name in ("deep.png", "deep-restored.png"))
    assert restored.bits == 16
    expected = restorax.restore(restorax.load("resunet_s-color-noise"), source.pixels)
    assert _largest_difference(restored.pixels, np.clip(expected, 0, 1)) <= 2 / 65535


def test_the_divider_moves_by_mouse_and_keys(page):
    found, _ = page
    assert [found[name] for name in ("byMouse", "byKey", "byHome")] == [
        "inset(0px 0px 0px 25%)",
        "inset(0px 0px 0px 26%)",
        "inset(0px 0px 0px 0%)",
    ]
    assert found["zoomed"] == "640px"


def test_it_fits_a_phone_and_is_accessible(page):
    found, _ = page
    assert found["overflow"] <= 0
    for state in ("axeStart", "axeResult", "axePhone", "axeError"):
        assert found[state] == []


def test_large_pictures_are_tiled_and_can_be_cancelled(page):
    found, _ = page
    assert " of 63 tiles" in found["large"]
    assert found["cancelled"] == "Cancelled."


def test_errors_are_plain_sentences(page):
    found, _ = page
    assert found["text"].startswith("text.txt is not a picture that this browser can read.")
    assert found["heic"].startswith("phone.heic is a HEIC picture, which this browser cannot read.")
    assert found["noWasm"].startswith("This browser does not run WebAssembly")
