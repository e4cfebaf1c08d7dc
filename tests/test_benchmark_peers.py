"""Peers of solve and adapt: equal problems, and a sentence where a package is missing."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import convolve

from benchmarks import adapt, solve_speed
from restorax.degrade import Op, motion_blur


@pytest.fixture(scope="module")
def scene():
    return jax.random.uniform(jax.random.key(0), (40, 40, 1))


def _blur(border):
    return Op(motion_blur, length=5, angle=30, border=border)


def test_the_kernel_of_a_blur_is_that_of_the_operator(scene):
    blur = _blur("circular")
    kernel = solve_speed.kernel_of(blur)
    assert kernel.shape == (2 * blur.border + 1,) * 2
    expected = convolve(np.asarray(scene[..., 0], np.float64), kernel, mode="wrap")
    np.testing.assert_allclose(blur(jax.random.key(0), scene).image[..., 0], expected, atol=1e-5)


def test_images_are_cropped_or_reflected_to_a_size():
    ramp = np.arange(6.0, dtype=np.float32).reshape(3, 2, 1)
    np.testing.assert_array_equal(solve_speed.enlarged(ramp, 2), ramp[:2])
    np.testing.assert_array_equal(
        solve_speed.enlarged(ramp, 4)[..., 0], jnp.pad(ramp[..., 0], ((0, 1), (0, 2)), "reflect")
    )


@pytest.mark.parametrize("border", ["reflect", "circular"])
def test_deepinv_has_the_same_operator(scene, border):
    pytest.importorskip("deepinv")
    from benchmarks import deepinv_peer, peer

    blur = _blur(border)
    rim = 0 if border == "circular" else blur.border
    physics = deepinv_peer.physics(solve_speed.kernel_of(blur), (40, 40), 4, circular=border == "circular")
    ours = blur(jax.random.key(0), scene).image[rim : 40 - rim, rim : 40 - rim]
    np.testing.assert_allclose(peer.array(physics.A(peer.tensor(scene[None])))[0], ours, atol=1e-5)


def test_adapt_names_the_package_that_is_missing(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "careamics", None)
    monkeypatch.delitem(sys.modules, "benchmarks.careamics_peer", raising=False)
    assert adapt.noise2void_row([], [], 1.0) == {}
    assert "careamics is left out" in capsys.readouterr().out


def test_solve_speed_runs_without_deepinv(monkeypatch, capsys):
    monkeypatch.setattr(solve_speed, "find_spec", lambda _: None)
    monkeypatch.setattr(solve_speed, "measure", lambda *_, **__: [{"method": "restorax", "psnr": "30"}])
    solve_speed.main(quick=True)
    assert "deepinv is left out" in capsys.readouterr().out
