"""The command ``restorax solve``, and ``restorax restore --consistent``."""

import jax
import numpy as np
import pytest
from PIL import Image

import restorax
from restorax import solvers
from restorax.degrade import Op, kernel_blur
from restorax.files import image
from restorax.files.kernel import read_kernel
from restorax.solvers import pictures


@pytest.fixture
def recorded(monkeypatch):
    """The arguments of ``solve``, which returns the observation."""
    calls = []

    def solve(degradation, observed, **options):
        calls.append((str(degradation), options))
        options["progress"](1.0)
        return observed

    monkeypatch.setattr(pictures, "solve", solve)
    return calls


@pytest.fixture
def photo(tmp_path, photograph):
    path = tmp_path / "in.png"
    alpha = np.ones((24, 20, 1), np.float32)
    alpha[0] = 0.5
    pixels = photograph[:24, :20].repeat(3, -1)
    image.write(path, image.Picture(pixels, alpha, bits=16))
    return path


def test_solve_passes_on_what_is_known_and_preserves_the_file(recorded, photo, tmp_path, run_cli):
    Image.fromarray(np.array([[0, 255, 0]] * 3, np.uint8)).save(tmp_path / "kernel.png")
    known = ("--kernel", tmp_path / "kernel.png", "--known", "gaussian_blur(sigma=0.5)", "--noise", "2.55/255")
    code, out, err = run_cli("solve", photo, tmp_path / "out.png", *known, "--method", "red", "--iterations", 3)
    assert (code, err) == (0, "")
    assert "100%" in out
    ((text, options),) = recorded
    assert text == "kernel_blur(kernel=<array [3, 3]>) + gaussian_blur(sigma=0.5)"
    assert options["noise"] == pytest.approx(0.01)
    assert (options["method"], options["iterations"]) == ("red", 3)
    before, after = image.read(photo), image.read(tmp_path / "out.png")
    assert after.bits == 16
    np.testing.assert_array_equal(after.pixels, before.pixels)
    np.testing.assert_array_equal(after.alpha, before.alpha)


def test_solve_fills_the_pixels_of_a_mask(recorded, photo, tmp_path, run_cli):
    mask = np.full((24, 20), 255, np.uint8)
    mask[:4] = 0
    Image.fromarray(mask).save(tmp_path / "mask.png")
    code, _, err = run_cli("solve", photo, tmp_path / "out.png", "--mask", tmp_path / "mask.png", "--noise", 0)
    assert (code, err) == (0, "")
    assert recorded[0][0] == "missing_overlay(mask=<array [24, 20, 1]>)"
    assert image.read(tmp_path / "out.png").alpha is None or image.read(tmp_path / "out.png").alpha.min() == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "give what is known"),
        (("--known", "jpeg(quality=30)", "--noise", "0"), "jpeg is not linear"),
        (("--known", "gaussian_blur(sigma=1)"), "--noise, the standard deviation of the noise"),
        (("--known", "gaussian_blur(sigma=1)", "--noise", "much"), "--noise must be a number such as 0.01"),
        (("--known", "gaussian_blur(sigma=1)", "--noise", "0", "--denoiser", "arcnn-gray-jpeg"), "takes no noise"),
        (("--jpeg",), "is not a JPEG file"),
        (("--jpeg", "--blind", "--noise", "0"), "give a degradation or a mask"),
        (("--kernel", "in.png", "--noise", "0"), "must have odd sides"),
    ],
)
def test_solve_explains_errors_in_one_line(options, message, photo, tmp_path, run_cli, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = run_cli("solve", photo, tmp_path / "out.png", *options)
    assert code == 2
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out.png").exists()


def test_kernels_are_read_with_unit_sum(tmp_path):
    Image.fromarray(np.array([[0, 50, 0], [100, 0, 50]] * 2 + [[0, 0, 0]], np.uint8)).save(tmp_path / "kernel.png")
    kernel = read_kernel(tmp_path / "kernel.png")
    assert kernel.shape == (5, 3)
    np.testing.assert_allclose(kernel[:2], [[0, 0.125, 0], [0.25, 0, 0.125]], atol=1e-6)
    Image.new("L", (3, 3)).save(tmp_path / "black.png")
    with pytest.raises(ValueError, match="is black"):
        read_kernel(tmp_path / "black.png")


def test_consistent_results_keep_to_the_file(photograph, tmp_path, run_cli):
    scene = np.round(60 + 120 * photograph[100:148, 100:148, 0]).astype(np.uint8)
    Image.fromarray(scene).save(tmp_path / "in.jpg", quality=30)
    intervals = solvers.read_intervals(tmp_path / "in.jpg")
    command = ("restore", tmp_path / "in.jpg", tmp_path / "out.tif", "--model", "arcnn-gray-jpeg", "--no-cache")
    code, _, err = run_cli(*command, "--consistent")
    assert (code, err) == (0, "")
    restored = image.read(tmp_path / "out.tif").pixels
    np.testing.assert_allclose(intervals.project(restored), restored, atol=1 / 255)
    wrong = image.read(tmp_path / "in.jpg").pixels[::-1]
    with pytest.raises(ValueError, match="orientation or its colour profile"):
        intervals.check_decoded(wrong)
    with pytest.raises(ValueError, match="size of the JPEG file"):
        restorax.restore(restorax.load("arcnn-gray-jpeg"), np.zeros((80, 8, 1), np.float32), consistent=intervals)


@pytest.mark.slow  # kernel estimation and FFDNet are compiled
def test_blind_deblurring_finds_the_kernel_or_warns(photograph):
    kernel = restorax.degrade.blur.kernels.motion_kernel(length=9.0, angle=30.0, radius=6)
    blur = Op(kernel_blur, kernel=np.asarray(kernel))
    observed, clean = blur.observe(jax.random.key(0), photograph[100:260, 100:260])
    error = lambda x: float(((x - clean) ** 2).mean())  # noqa: E731
    restored, estimate = solvers.deblur(observed.image, noise=0.004)
    assert estimate.confidence == 1
    assert error(restored) < 0.7 * error(observed.image)
    with pytest.warns(UserWarning, match=r"cannot be read reliably \(confidence 0%\); the image is left as it is"):
        solvers.deblur(np.full((64, 64, 1), 0.5, np.float32), noise=0.01)
