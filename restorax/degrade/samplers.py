"""Counts and waiting times drawn array by array: the same distributions as ``jax.random``, without its inner loops."""

import jax
import jax.numpy as jnp

from ..types import Array, Float, PRNGKeyArray

_SUMMED = 10.0  # mean up to which the distribution function is summed term by term
_TERMS = 36  # beyond this count lies less than 1e-9 of a distribution of mean 10


def poisson(key: PRNGKeyArray, mean: Float[Array, "..."]) -> Float[Array, "..."]:
    """Draw Poisson counts by inverting the distribution function.

    Args:
        key: random key.
        mean: at least 0, any shape, floating point.

    Returns:
        Whole numbers in the shape and type of ``mean``. One uniform number of 24 bits decides each, so counts whose
        probability is below 1e-7 do not occur. There is no gradient.

    Reference:
        Giles, Algorithm 955: approximation of the inverse Poisson cumulative distribution function, TOMS 42, 2016,
        equation 5 (the expansion for large means).

    Example:
        >>> poisson(jax.random.key(0), jnp.zeros(3)).tolist()
        [0.0, 0.0, 0.0]
    """
    level = jax.random.uniform(key, mean.shape, mean.dtype)
    # Neither 0 nor 1 has a quantile.
    return poisson_quantile(jnp.clip(level, 2.0**-25, 1 - 2.0**-24), jax.lax.stop_gradient(mean))


def poisson_quantile(level: Float[Array, "..."], mean: Float[Array, "..."]) -> Float[Array, "..."]:
    """The smallest count whose distribution function reaches ``level``.

    Args:
        level: probabilities in (0, 1).
        mean: at least 0, of the same shape.

    Returns:
        Whole numbers of that shape.

    Example:
        >>> float(poisson_quantile(jnp.array(0.5), jnp.array(3.0)))
        3.0
    """
    few = jnp.minimum(mean, _SUMMED)
    term = below = jnp.exp(-few)
    count = (level > below).astype(mean.dtype)
    for k in range(1, _TERMS):
        term = term * few / k
        below = below + term
        count = count + (level > below)

    many = jnp.maximum(mean, _SUMMED)
    w = jax.scipy.special.ndtri(level)
    expansion = many + jnp.sqrt(many) * w + (1 / 3 + w**2 / 6) - (w / 36 + w**3 / 72) / jnp.sqrt(many)
    expansion = expansion + (-8 / 405 + 7 * w**2 / 810 + w**4 / 270) / many
    return jnp.where(mean < _SUMMED, count, jnp.maximum(jnp.floor(expansion), 0))


def gamma(key: PRNGKeyArray, shape: Float[Array, "..."]) -> Float[Array, "..."]:
    """Draw Gamma variables of scale 1.

    Args:
        key: random key.
        shape: shape parameter above 0 (mean and variance of the draw), any array shape, floating point.

    Returns:
        Non-negative numbers in the shape and type of ``shape``. Two proposals are made for each; fewer than 4 in
        10,000 keep the second although it should be rejected, which no moment shows. There is no gradient.

    Reference:
        Marsaglia and Tsang, A simple method for generating gamma variables, TOMS 26, 2000, with the power of a
        uniform number from its section 6, which raises the acceptance above 0.98.

    Example:
        >>> gamma(jax.random.key(0), jnp.ones(3)).shape
        (3,)
    """
    shape = jax.lax.stop_gradient(shape)
    first_key, second_key, power_key = jax.random.split(key, 3)
    first, accepted = _proposal(first_key, shape + 1)
    second, _ = _proposal(second_key, shape + 1)
    level = jax.random.uniform(power_key, shape.shape, shape.dtype, minval=1e-30)
    return jnp.where(accepted, first, second) * level ** (1 / shape)


def _proposal(key: PRNGKeyArray, shape: jax.Array) -> tuple[jax.Array, jax.Array]:
    """One cubed Gaussian, and whether it may be kept."""
    cube_key, level_key = jax.random.split(key)
    d = shape - 1 / 3
    x = jax.random.normal(cube_key, shape.shape, shape.dtype)
    level = jax.random.uniform(level_key, shape.shape, shape.dtype, minval=1e-30)
    v = jnp.maximum(1 + x / jnp.sqrt(9 * d), 1e-6) ** 3
    return d * v, jnp.log(level) < 0.5 * x**2 + d - d * v + d * jnp.log(v)
