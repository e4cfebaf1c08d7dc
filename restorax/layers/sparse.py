"""Inpainting by sparse approximation in block DCT bases."""

import jax
import jax.numpy as jnp
import numpy as np

from ..types import Array
from .resample import pull_push

_SIDE = 16  # of a block, in pixels


def sparse_fill(image: Array, mask: Array, *, rounds: int) -> Array:
    """Fill holes so that blocks of the image have few DCT coefficients, which continues textures into the holes.

    Starting from a smooth filling (:func:`~restorax.layers.resample.pull_push`), every round transforms blocks of the
    image, applies a soft cut-off at a threshold to the coefficients, and restores the known pixels. From round to round
    the threshold decreases and the grid of blocks moves.

    Args:
        image: ``[batch, height, width, channel]`` in [0, 1]; values at unknown pixels are ignored.
        mask: 1 where known, 0 where not, ``[batch, height, width, 1]``.
        rounds: number of iterations; the error decreases up to about 60.

    Returns:
        ``[batch, height, width, channel]``, equal to ``image`` where known.

    Reference:
        Guleryuz, Nonlinear approximation based image recovery using adaptive sparse reconstructions and iterated
        denoising, IEEE TIP 2006; Coifman and Donoho, Translation-invariant de-noising, 1995 (the moving grid); Gao and
        Bruce, WaveShrink with firm shrinkage, Statistica Sinica 1997 (the cut-off).

    Example:
        >>> stripes = jnp.tile(jnp.array([0.2, 0.8]), 16).reshape(1, 1, 32, 1) * jnp.ones((1, 32, 1, 1))
        >>> mask = jnp.ones((1, 32, 32, 1)).at[0, 12:20, 12:20].set(0)
        >>> filled = sparse_fill(stripes, mask, rounds=20)
        >>> bool(abs(filled - stripes).max() < 0.05)
        True
    """
    height, width = image.shape[1:3]
    # Pad by one block: the grid is moved by rolling, and blocks that wrap around must not touch the image.
    frame = ((0, 0), (_SIDE, _SIDE - height % -_SIDE), (_SIDE, _SIDE - width % -_SIDE), (0, 0))
    start = pull_push(image, mask)
    image, mask, start = (jnp.pad(x, frame, mode="symmetric") for x in (image, mask, start))
    basis = jnp.asarray(_dct_matrix(_SIDE), image.dtype)

    def one_round(x, step):
        threshold, down, right = step
        moved = jnp.roll(x, (down, right), (1, 2))
        n, h, w, c = moved.shape
        blocks = moved.reshape(n, h // _SIDE, _SIDE, w // _SIDE, _SIDE, c)
        coefficients = jnp.einsum("kh,lw,nahbwc->nakblc", basis, basis, blocks, precision="highest")
        # A hard threshold would amplify rounding errors to the size of gray levels within 40 rounds.
        kept = jnp.clip(jnp.abs(coefficients) / threshold - 0.5, 0, 1)
        coefficients = jnp.where(mean, coefficients, kept * coefficients)
        reconstruction = jnp.einsum("kh,lw,nakblc->nahbwc", basis, basis, coefficients, precision="highest").reshape(
            moved.shape
        )
        return jnp.where(mask > 0, image, jnp.roll(reconstruction, (-down, -right), (1, 2))), None

    first = np.arange(_SIDE) == 0
    mean = jnp.asarray(np.outer(first, first).reshape(1, 1, _SIDE, 1, _SIDE, 1))
    thresholds = jnp.asarray(np.geomspace(0.3, 0.01, rounds), image.dtype)
    # Odd steps visit every row and column offset of a block before one repeats.
    moves = jnp.asarray(np.outer((5, 3), np.arange(rounds)) % _SIDE)
    filled, _ = jax.lax.scan(one_round, start, (thresholds, *moves))
    return filled[:, _SIDE : _SIDE + height, _SIDE : _SIDE + width]


def _dct_matrix(side: int) -> np.ndarray:
    """Return the orthonormal DCT-II matrix, one cosine per row."""
    n, k = np.arange(side), np.arange(side)[:, None]
    rows = np.cos(np.pi * (2 * n + 1) * k / (2 * side)) * np.sqrt(2 / side)
    return np.where(k == 0, np.sqrt(1 / side), rows)
