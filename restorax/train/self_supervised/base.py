"""What the losses for noisy images share."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from ...types import Array

Restore = Callable[[Array], Array]

_FAR = 2.5  # standard deviations
_NEAR = 5  # side of the square whose mean estimates the intensity


def masked_error(restored: Array, target: Array, hidden: Array) -> Array:
    """Return the mean squared difference of images ``[batch, height, width, channel]`` over a mask without channels."""
    squares = jnp.where(hidden[..., None], (restored - target) ** 2, 0)
    return squares.sum() / jnp.maximum(hidden.sum() * target.shape[-1], 1)


def draw_noise(
    keys: Array,
    noisy: Array,
    sample: Callable,
    *,
    sigma: float,
    shot: float = 0.0,
    gain: float = 0.0,
    rows: float = 0.0,
    columns: float = 0.0,
) -> Array:
    """Draw noise with the covariance of that of an image.

    Args:
        keys: random keys, one per image.
        noisy: noisy images ``[batch, height, width, channel]``, whose local mean stands for the clean intensity ``x``.
        sample: random values of mean zero and variance one, ``(key, shape, dtype) -> array``.
        sigma: standard deviation of the noise that does not depend on the image.
        shot: variance of photon noise per intensity; the whole variance is ``sigma**2 + shot x + (gain x)**2``.
        gain: standard deviation of multiplicative noise.
        rows: standard deviation of further noise that is constant along each row.
        columns: standard deviation of further noise that is constant along each column.

    Returns:
        Noise of the shape of ``noisy``.
    """
    height, width, channels = noisy.shape[1:]
    spread = jnp.full((1, 1, 1, 1), sigma, noisy.dtype)
    if shot or gain:
        mean = jnp.clip(_local_mean(noisy), 0, 1)
        spread = jnp.sqrt(sigma**2 + shot * mean + (gain * mean) ** 2)
    parts = jax.vmap(lambda key: jax.random.split(key, 3), out_axes=1)(keys)
    shapes = ((height, width, channels), (height, 1, 1), (1, width, 1))
    white, along_rows, along_columns = (
        jax.vmap(lambda key, shape=shape: sample(key, shape, noisy.dtype))(part)
        for part, shape in zip(parts, shapes, strict=True)
    )
    return spread * white + rows * along_rows + columns * along_columns


def is_unclipped(noisy: Array, *, sigma: float, shot: float = 0.0, gain: float = 0.0, **lines: float) -> Array:
    """Return where noise hardly exceeds [0, 1], so that files do not clip it: a mask of the shape of ``noisy``.

    Photon noise does not go below black; the other arguments are those of :func:`draw_noise`, of which ``rows`` and
    ``columns`` do not count.
    """
    mean = _local_mean(noisy)
    spread = jnp.sqrt(sigma**2 + shot * mean.clip(0) + (gain * mean) ** 2)
    return (mean + _FAR * spread < 1) & (mean - _FAR * sigma > 0)


def _local_mean(image: Array) -> Array:
    height, width = image.shape[1:3]
    near, reach = range(_NEAR), _NEAR // 2
    wide = jnp.pad(image, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="reflect")
    down = jnp.stack([wide[:, i : i + height] for i in near]).mean(0)
    return jnp.stack([down[:, :, i : i + width] for i in near]).mean(0)
