"""Demosaicking against published definitions written as plain loops, and against the package colour-demosaicing."""

import jax.numpy as jnp
import numpy as np
import pytest

from restorax import degrade

PATTERNS = ("RGGB", "BGGR", "GRBG", "GBRG")


def _photograph(rng, height=19, width=22):
    """A smooth colour image with an edge."""
    y, x = np.mgrid[:height, :width] / 20
    image = np.stack([np.sin(2 * x + y), np.cos(x - y), np.sin(3 * y + 1)], -1) / 3 + 0.5
    return (image + 0.2 * (x > 0.6)[..., None] + 0.02 * rng.standard_normal(image.shape)).astype(np.float32)


def _mosaic(image, pattern):
    colours = np.array([["RGB".index(c) for c in pattern[:2]], ["RGB".index(c) for c in pattern[2:]]])
    site = np.tile(colours, (image.shape[0] // 2 + 1, image.shape[1] // 2 + 1))[: image.shape[0], : image.shape[1]]
    return np.take_along_axis(image, site[..., None], -1)[..., 0], site


def _mean(values):
    return sum(values) / len(values)


def _bilinear(mosaic, site, y, x, colour):
    """Mean of the nearest neighbours of a colour, within the image only."""
    around = [(y + i, x + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
    return _mean([mosaic[p] for p in around if site[p] == colour])


def _hamilton_adams(mosaic, site):
    """Green of every pixel at least two from the border."""
    green = mosaic.copy()
    for y in range(2, mosaic.shape[0] - 2):
        for x in range(2, mosaic.shape[1] - 2):
            if site[y, x] != 1:
                lines = []
                for line in (mosaic[y, x - 2 : x + 3], mosaic[y - 2 : y + 3, x]):
                    second = 2 * line[2] - line[0] - line[4]
                    lines.append((abs(line[1] - line[3]) + abs(second), (line[1] + line[3]) / 2 + second / 4))
                (gradient_h, green_h), (gradient_v, green_v) = lines
                green[y, x] = green_h if gradient_h < gradient_v else green_v
    return green


@pytest.mark.parametrize("pattern", PATTERNS)
def test_known_values_stay_and_the_mosaic_is_all_that_is_read(pattern):
    image = _photograph(np.random.default_rng(0))
    mosaic, mask = degrade.bayer_mosaic(image, pattern=pattern)
    for method in ("bilinear", "malvar", "hamilton_adams"):
        full = degrade.demosaic(image, pattern=pattern, method=method)
        np.testing.assert_allclose(degrade.demosaic(mosaic, pattern=pattern, method=method), full, atol=1e-7)
        np.testing.assert_allclose(full * mask, mosaic, atol=1e-6)
        assert np.abs(full - image)[3:-3, 3:-3].mean() < 0.05
        flat = jnp.broadcast_to(jnp.array([0.2, 0.5, 0.9]), (9, 8, 3))
        if method != "bilinear":
            flat = jnp.full((9, 8, 3), 0.4)
        np.testing.assert_allclose(degrade.demosaic(flat, pattern=pattern, method=method), flat, atol=1e-6)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_bilinear_equals_means_of_neighbours(pattern):
    image = _photograph(np.random.default_rng(1))
    mosaic, site = _mosaic(image, pattern)
    result = np.asarray(degrade.demosaic(image, pattern=pattern, method="bilinear"))
    for y in range(1, image.shape[0] - 1):
        for x in range(1, image.shape[1] - 1):
            for colour in range(3):
                if site[y, x] == colour:
                    expected = mosaic[y, x]
                elif colour == 1:
                    expected = _mean([mosaic[y - 1, x], mosaic[y + 1, x], mosaic[y, x - 1], mosaic[y, x + 1]])
                else:
                    expected = _bilinear(mosaic, site, y, x, colour)
                assert result[y, x, colour] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_hamilton_adams_equals_a_loop(pattern):
    image = _photograph(np.random.default_rng(2))
    mosaic, site = _mosaic(image, pattern)
    green = _hamilton_adams(mosaic, site)
    result = np.asarray(degrade.demosaic(image, pattern=pattern, method="hamilton_adams"))
    difference = mosaic - green
    for y in range(3, image.shape[0] - 3):
        for x in range(3, image.shape[1] - 3):
            assert result[y, x, 1] == pytest.approx(green[y, x], abs=1e-6)
            for colour in (0, 2):
                known = site[y, x] == colour
                change = difference[y, x] if known else _bilinear(difference, site, y, x, colour)
                assert result[y, x, colour] == pytest.approx(green[y, x] + change, abs=1e-6)


# Figure 2 of Malvar, He and Cutler, times 8.
_GREEN = [[0, 0, -1, 0, 0], [0, 0, 2, 0, 0], [-1, 2, 4, 2, -1], [0, 0, 2, 0, 0], [0, 0, -1, 0, 0]]
_ROW = [[0, 0, 0.5, 0, 0], [0, -1, 0, -1, 0], [-1, 4, 5, 4, -1], [0, -1, 0, -1, 0], [0, 0, 0.5, 0, 0]]
_OPPOSITE = [[0, 0, -1.5, 0, 0], [0, 2, 0, 2, 0], [-1.5, 0, 6, 0, -1.5], [0, 2, 0, 2, 0], [0, 0, -1.5, 0, 0]]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_malvar_equals_the_published_filters(pattern):
    image = _photograph(np.random.default_rng(3))
    mosaic, site = _mosaic(image, pattern)
    result = np.asarray(degrade.demosaic(image, pattern=pattern, method="malvar"))
    for y in range(2, image.shape[0] - 2):
        for x in range(2, image.shape[1] - 2):
            for colour in range(3):
                if site[y, x] == colour:
                    taps = np.zeros((5, 5))
                    taps[2, 2] = 8
                elif colour == 1:
                    taps = np.array(_GREEN)
                elif site[y, x] == 1:
                    taps = np.array(_ROW) if site[y, x - 1] == colour else np.array(_ROW).T
                else:
                    taps = np.array(_OPPOSITE)
                expected = (taps * mosaic[y - 2 : y + 3, x - 2 : x + 3]).sum() / 8
                assert result[y, x, colour] == pytest.approx(expected, abs=1e-6)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("pattern", PATTERNS)
def test_equals_colour_demosaicing(pattern):
    peer = pytest.importorskip("colour_demosaicing")
    image = _photograph(np.random.default_rng(4))
    mosaic, _ = _mosaic(image, pattern)
    for method, demosaic in (
        ("bilinear", peer.demosaicing_CFA_Bayer_bilinear),
        ("malvar", peer.demosaicing_CFA_Bayer_Malvar2004),
    ):
        result = degrade.demosaic(image, pattern=pattern, method=method)
        np.testing.assert_allclose(result[2:-2, 2:-2], demosaic(mosaic, pattern)[2:-2, 2:-2], atol=1e-6)
