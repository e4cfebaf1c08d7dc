import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft
import skimage.restoration

from restorax.layers.resample import pull_push
from restorax.layers.sparse import sparse_fill
from restorax.models import MODELS
from restorax.types import Condition

_fill = jax.jit(sparse_fill, static_argnames="rounds")


def _holes(shape, missing, seed=0):
    return (jax.random.uniform(jax.random.key(seed), (*shape[:-1], 1)) > missing).astype(jnp.float32)


def _psnr(a, b):
    return -10 * np.log10(np.mean((np.asarray(a) - np.asarray(b)) ** 2))


@pytest.mark.parametrize("size", [(16, 32), (37, 20), (5, 1)])
def test_rounds_equal_a_loop_over_blocks(size, photograph):
    image = photograph[100 : 100 + size[0], 50 : 50 + size[1], 0]
    mask = np.asarray(_holes((1, *size, 1), 0.5))[0, ..., 0]
    observed = tuple(jnp.asarray(x)[None, ..., None] for x in (image, mask))
    filled = _fill(*observed, rounds=3)

    frame = tuple((16, 16 + -length % 16) for length in size)
    x, y, known = (np.pad(a, frame, mode="symmetric") for a in (jax.jit(pull_push)(*observed)[0, ..., 0], image, mask))
    x = x.astype(np.float64)
    for threshold, moves in zip((0.3, np.sqrt(0.3 * 0.01), 0.01), ((0, 0), (5, 3), (10, 6)), strict=True):
        x = np.roll(x, moves, (0, 1))
        for top in range(0, x.shape[0], 16):
            for left in range(0, x.shape[1], 16):
                coefficients = scipy.fft.dctn(x[top : top + 16, left : left + 16], norm="ortho")
                mean = coefficients[0, 0]
                coefficients *= np.clip(np.abs(coefficients) / threshold - 0.5, 0, 1)
                coefficients[0, 0] = mean
                x[top : top + 16, left : left + 16] = scipy.fft.idctn(coefficients, norm="ortho")
        x = np.where(known > 0, y, np.roll(x, (-moves[0], -moves[1]), (0, 1)))
    expected = x[16 : 16 + size[0], 16 : 16 + size[1]]
    np.testing.assert_allclose(filled[0, ..., 0], expected, atol=1e-5)


def test_known_pixels_stay_and_values_in_holes_are_ignored(photograph):
    image = jnp.asarray(photograph[None, :67, :50])
    mask = _holes(image.shape, 0.7)
    fill = jax.jit(lambda image: sparse_fill(image, mask, rounds=4))
    filled = fill(jnp.where(mask > 0, image, jnp.nan))
    np.testing.assert_array_equal(jnp.where(mask > 0, filled, image), image)
    np.testing.assert_allclose(filled, fill(image), atol=1e-6)


@pytest.mark.slow
def test_sparse_filling_continues_textures_and_beats_smooth_filling(photograph):
    rows, columns = jnp.meshgrid(jnp.arange(96.0), jnp.arange(96.0), indexing="ij")
    texture = (0.5 + 0.3 * jnp.sin(1.1 * rows + 0.7 * columns))[None, ..., None]
    for clean, gain in ((texture, 6), (jnp.asarray(photograph[None, 80:208, 140:268]), 0.3)):
        mask = _holes(clean.shape, 0.8)
        filled = jax.jit(lambda c, m: sparse_fill(c, m, rounds=40))(clean, mask)
        observed, holes = np.array(clean * mask)[0, ..., 0], np.array(mask)[0, ..., 0] == 0
        smooth = skimage.restoration.inpaint_biharmonic(observed, holes)
        assert _psnr(filled, clean) > _psnr(smooth, clean[0, ..., 0]) + gain


def test_rounding_errors_do_not_grow(photograph):
    image = jnp.asarray(photograph[None, 80:208, 140:268])
    mask = _holes(image.shape, 0.8)
    fill = jax.jit(lambda image: sparse_fill(image, mask, rounds=40))
    np.testing.assert_allclose(fill(image * (1 + 1e-6)), fill(image), atol=1e-4)


@pytest.mark.slow
def test_gradient_and_vmap(photograph):
    images = jnp.asarray(photograph[:40, :20].reshape(2, 20, 20, 1))
    masks = _holes(images.shape, 0.5)
    fill = lambda image, mask: sparse_fill(image[None], mask[None], rounds=3)[0]  # noqa: E731
    batch = _fill(images, masks, rounds=3)
    np.testing.assert_allclose(jax.jit(jax.vmap(fill))(images, masks), batch, atol=1e-5)
    gradient = jax.jit(jax.grad(lambda image: fill(image, masks[0]).sum()))(images[0])
    assert np.isfinite(gradient).all()
    np.testing.assert_array_equal(gradient * (1 - masks[0]), 0)
    assert float((gradient * masks[0]).max()) > 1  # a known pixel also determines its neighbours


@pytest.mark.slow
@pytest.mark.parametrize("name", ["unet", pytest.param("scanunet_s", marks=pytest.mark.slow)])
def test_networks_fill_sparsely_before_the_body(name, photograph):
    image = jnp.asarray(photograph[:20, :18])
    mask = _holes(image.shape, 0.5)
    fields = {"widths": (8, 12), "condition": Condition.MASK, "residual": True}
    fields |= {"scan_levels": (1,)} if name == "scanunet_s" else {}
    smooth, sparse = (MODELS[name](**fields, sparse=rounds) for rounds in (0, 5))
    shapes = jax.eval_shape(smooth.init, jax.random.key(0), image, mask)
    silent = jax.tree.map(lambda p: jnp.zeros(p.shape, p.dtype), shapes)
    start = jax.jit(pull_push)(image[None], mask[None])
    np.testing.assert_array_equal(jax.jit(smooth.apply)(silent, image, mask), start[0])
    expected = _fill(image[None], mask[None], rounds=5)[0]
    np.testing.assert_allclose(jax.jit(sparse.apply)(silent, image, mask), expected, atol=1e-6)
    with pytest.raises(ValueError, match="without condition='mask'"):
        MODELS[name](sparse=5).init(jax.random.key(0), image)
