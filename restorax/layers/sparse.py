"""Inpainting by sparse block DCT."""

import jax
import jax.numpy as jnp
import numpy as np

from ..types import Array
from .resample import pull_push


def sparse_fill(image: Array, mask: Array, *, rounds: int, side: int = 16) -> Array:
    """Fill holes so that blocks of the image have few DCT coefficients: textures go on where smoothness would end.

    The first guess is smooth (:func:`~restorax.layers.resample.pull_push`). Every round cuts the image into blocks,
    shrinks the coefficients around a threshold and drops those below, and puts the known pixels back. The threshold
    falls from round to round, and the grid of blocks moves.

    Args:
        image: ``[batch, height, width, channel]`` in [0, 1]; values at unknown pixels are ignored.
        mask: 1 where known, 0 where not, ``[batch, height, width, 1]``.
        rounds: how often; the error falls until about 60.
        side: of the blocks, in pixels.

    Returns:
        ``[batch, height, width, channel]``, equal to ``image`` where known.

    Reference:
        Guleryuz, Nonlinear approximation based image recovery using adaptive sparse reconstructions and iterated
        denoising, IEEE TIP 2006; Coifman and Donoho, Translation-invariant de-noising, 1995 (the moving grid); Gao and
        Bruce, WaveShrink with firm shrinkage, Statistica Sinica 1997 (between keeping and dropping).

    Example:
        >>> stripes = jnp.tile(jnp.array([0.2, 0.8]), 16).reshape(1, 1, 32, 1) * jnp.ones((1, 32, 1, 1))
        >>> mask = jnp.ones((1, 32, 32, 1)).at[0, 12:20, 12:20].set(0)
        >>> filled = sparse_fill(stripes, mask, rounds=20)
        >>> bool(abs(filled - stripes).max() < 0.05)
        True
    """
    height, width = image.shape[1:3]
    # A frame of one block: the grid is moved by rolling, and blocks over the seam must not reach the image.
    frame = ((0, 0), (side, side - height % -side), (side, side - width % -side), (0, 0))
    start = pull_push(image, mask)
    image, mask, start = (jnp.pad(x, frame, mode="symmetric") for x in (image, mask, start))
    basis = jnp.asarray(_cosines(side), image.dtype)

    def one_round(x, step):
        threshold, down, right = step
        moved = jnp.roll(x, (down, right), (1, 2))
        n, h, w, c = moved.shape
        blocks = moved.reshape(n, h // side, side, w // side, side, c)
        coefficients = jnp.einsum("kh,lw,nahbwc->nakblc", basis, basis, blocks, precision="highest")
        # A hard threshold would let rounding errors decide: after 40 rounds they are as large as gray levels.
        kept = jnp.clip(jnp.abs(coefficients) / threshold - 0.5, 0, 1)
        coefficients = jnp.where(mean, coefficients, kept * coefficients)
        reconstruction = jnp.einsum("kh,lw,nakblc->nahbwc", basis, basis, coefficients, precision="highest").reshape(
            moved.shape
        )
        return jnp.where(mask > 0, image, jnp.roll(reconstruction, (-down, -right), (1, 2))), None

    first = np.arange(side) == 0
    mean = jnp.asarray(np.outer(first, first).reshape(1, 1, side, 1, side, 1))
    thresholds = jnp.asarray(np.geomspace(0.3, 0.01, rounds), image.dtype)
    # Odd strides visit every row and every column of a block before one comes again.
    moves = jnp.asarray(np.outer((5, 3), np.arange(rounds)) % side)
    filled, _ = jax.lax.scan(one_round, start, (thresholds, *moves))
    return filled[:, side : side + height, side : side + width]


def _cosines(side: int) -> np.ndarray:
    """The orthonormal DCT-II as a matrix, one cosine per row."""
    n, k = np.arange(side), np.arange(side)[:, None]
    rows = np.cos(np.pi * (2 * n + 1) * k / (2 * side)) * np.sqrt(2 / side)
    return np.where(k == 0, np.sqrt(1 / side), rows)
