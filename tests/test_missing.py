"""Missing pixels and regions: exact fractions, shapes and masks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from restorax import degrade


@pytest.mark.parametrize("missing", [0.0, 0.3, 0.5, 0.801, 1.0])
def test_missing_fraction_is_exact(missing, key):
    image = jnp.ones((3, 31, 20, 3))
    holes, mask = degrade.missing_pixels(key, image, missing=missing)
    np.testing.assert_array_equal((mask == 0).sum((1, 2, 3)), round(missing * 31 * 20))
    np.testing.assert_array_equal(holes, image * mask)


def test_missing_fraction_is_exact_when_draws_collide(key, monkeypatch):
    monkeypatch.setattr(jax.random, "bits", lambda key, shape, dtype: jnp.zeros(shape, dtype))
    mask = degrade.missing_pixels(key, jnp.ones((10, 10, 1)), missing=0.37).condition
    assert int((mask == 0).sum()) == 37


def test_missing_pixels_are_uniformly_distributed(key):
    run = jax.jit(jax.vmap(lambda k: degrade.missing_pixels(k, jnp.ones((8, 8, 1)), missing=0.25).condition))
    masks = run(jax.random.split(key, 4000))
    share = 1 - masks.mean(0)
    assert float(jnp.abs(share - 0.25).max()) < 5 * (0.25 * 0.75 / 4000) ** 0.5


def test_missing_blocks_are_squares_of_the_given_side(key):
    run = jax.jit(degrade.missing_blocks, static_argnames="blocks")
    holes, mask = run(key, jnp.ones((20, 60, 90, 3)), side=0.25)
    np.testing.assert_array_equal((mask == 0).sum((1, 2, 3)), 15 * 15)
    rows, columns = np.nonzero(np.asarray(mask[0, :, :, 0] == 0))
    assert np.ptp(rows) == np.ptp(columns) == 14
    np.testing.assert_array_equal(holes, np.broadcast_to(mask, holes.shape))
    assert (run(key, jnp.ones((9, 9, 1)), side=1.0).condition == 0).all()
    assert int((run(key, jnp.ones((60, 60, 1)), side=0.1, blocks=4).condition == 0).sum()) > 36


@pytest.mark.slow
def test_missing_area_of_strokes_increases_with_thickness(key):
    strokes = jax.jit(jax.vmap(lambda k: degrade.missing_strokes(k, jnp.ones((64, 64, 1))).condition))
    masks = strokes(jax.random.split(key, 64))
    share = 1 - masks.mean((1, 2, 3))
    assert 0.15 < float(share.mean()) < 0.5
    assert float(share.min()) > 0.01
    painted = jax.jit(lambda t: degrade.missing_strokes(key, jnp.ones((64, 64, 1)), thickness=t).condition.mean())
    assert painted(0.3) > painted(1.0)
    with pytest.raises(ValueError, match="`strokes` must be an integer >= 1, got 0"):
        degrade.missing_strokes(key, jnp.ones((8, 8, 1)), strokes=0)


def test_missing_lines_have_the_given_thickness(key):
    run = jax.jit(degrade.missing_lines, static_argnames="lines")
    mask = run(key, jnp.ones((200, 200, 1)), lines=1, thickness=4.0).condition
    missing = np.asarray(mask[..., 0] == 0)
    length = max(np.ptp(np.nonzero(missing)[0]), np.ptp(np.nonzero(missing)[1]))
    assert length == 199
    assert 3.5 * 200 < missing.sum() < 4 * 200 * 2**0.5 * 1.1


def test_missing_border_overlay_and_bayer_mosaic():
    image = jnp.asarray(np.random.default_rng(0).random((10, 20, 3), np.float32))
    mask = degrade.missing_border(image, margin=0.2).condition
    assert mask[2:-2, 2:-2].min() == 1
    assert int(mask.sum()) == 6 * 16
    overlay = jnp.zeros((10, 20, 1)).at[3].set(1.0)
    np.testing.assert_array_equal(degrade.missing_overlay(image, mask=overlay).image, image * overlay)
    mosaic, known = degrade.bayer_mosaic(image, pattern="GRBG")
    for place, channel in (((0, 0), 1), ((0, 1), 0), ((1, 0), 2), ((1, 1), 1)):
        assert known[place].tolist() == [float(channel == c) for c in range(3)]
        assert mosaic[place].sum() == image[place][channel]
    with pytest.raises(ValueError, match=r"`pattern` must be one of 'RGGB', .*, got 'XYZ'"):
        degrade.bayer_mosaic(image, pattern="XYZ")
    with pytest.raises(ValueError, match="The image of bayer_mosaic must have 3 channels, got 1"):
        degrade.bayer_mosaic(image[..., :1])
