"""Effective receptive field, attribution, uncertainty and error estimates of restorers, without ground truth.

For one image ``[height, width, channel]`` or one burst ``[frames, height, width, channel]``,
:func:`effective_receptive_field` and :func:`attribution` return a map without the channel axis.
:func:`disagreement` also takes batches and returns a map in the shape of the restored image. ``jax.vmap`` works.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from .degrade import gaussian_blur
from .inference import dihedral_outputs
from .types import Array, ConditionMap, Image, PRNGKeyArray, check_image
from .zoo import Restorer


def effective_receptive_field(
    restorer: Restorer, image: Image, condition: ConditionMap | None = None, *, at: tuple[int, int]
) -> Array:
    """Compute the effective receptive field: how strongly each input pixel influences one output pixel.

    Args:
        restorer: from :func:`restorax.load`.
        image: ``[height, width, channel]`` in [0, 1].
        condition: condition named on the restorer's card, ``[height, width, k]``.
        at: row and column of the output pixel.

    Returns:
        ``[height, width]``: absolute derivatives of the mean of the output channels, summed over the input channels.

    Raises:
        ValueError: if the pixel lies outside the image, or a batch is given.

    Reference:
        Luo et al., Understanding the effective receptive field in deep convolutional neural networks, NeurIPS 2016.

    Example:
        >>> import restorax
        >>> effective_receptive_field(restorax.load("arcnn-gray-jpeg"), jnp.full((32, 32, 1), 0.5), at=(16, 16)).shape
        (32, 32)
    """
    image = check_image(image)
    _check_window(image, (*at, 1, 1))
    return _effective_receptive_field(restorer, image, condition, jnp.asarray(at))


def reach(influence: Array | np.ndarray, *, at: tuple[int, int], share: float = 0.9) -> int:
    """Compute the distance from a pixel within which a share of its total influence lies.

    Args:
        influence: from :func:`effective_receptive_field`, ``[height, width]``.
        at: row and column of the pixel.
        share: share of the total influence, in (0, 1].

    Returns:
        The smallest half side in pixels of a centred square that holds this share.

    Example:
        >>> reach(jnp.zeros((9, 9)).at[4, 6].set(1.0), at=(4, 4))
        2
    """
    values = np.asarray(influence, np.float64)
    rows, columns = (np.abs(np.arange(length) - center) for length, center in zip(values.shape, at, strict=True))
    cumulative = np.bincount(np.maximum(rows[:, None], columns).ravel(), values.ravel()).cumsum()
    return int(np.searchsorted(cumulative, share * cumulative[-1] * (1 - 1e-12)))


def attribution(
    restorer: Restorer,
    image: Image,
    condition: ConditionMap | None = None,
    *,
    window: tuple[int, int, int, int],
    sigma: float = 4.0,
    steps: int = 32,
) -> Array:
    """Attribute the detail in a window of the output to input pixels: a local attribution map.

    Integrated gradients along a path from a blurred input to the input itself; detail is the sum of gradient magnitudes
    of the output inside the window.

    Args:
        restorer: from :func:`restorax.load`.
        image: ``[height, width, channel]`` in [0, 1].
        condition: condition named on the restorer's card, ``[height, width, k]``; not blurred.
        window: top, left, height and width, of at least 2 pixels a side.
        sigma: standard deviation of the initial blur, in pixels.
        steps: number of integration steps.

    Returns:
        ``[height, width]``, positive where a pixel added detail. The sum approximates the detail of the output for the
        image minus that for the blurred image; more steps are more exact.

    Raises:
        ValueError: if the window does not lie inside the image, or a batch is given.

    Reference:
        Gu and Dong, Interpreting super-resolution networks with local attribution maps, CVPR 2021.

    Example:
        >>> import restorax
        >>> restorer = restorax.load("arcnn-gray-jpeg")
        >>> attribution(restorer, jnp.full((32, 32, 1), 0.5), window=(12, 12, 8, 8), steps=2).shape
        (32, 32)
    """
    image = check_image(image)
    _check_window(image, window, smallest=2)
    return _attribution(restorer, image, condition, jnp.asarray(window[:2]), tuple(window[2:]), sigma, steps)


def diffusion_index(attribution: Array | np.ndarray) -> Array:
    """Compute how evenly a map is spread: near 0 if one pixel holds everything, 100 if all pixels are equal.

    Args:
        attribution: ``[*batch, height, width]``, from :func:`attribution` or
            :func:`effective_receptive_field`; signs are ignored.

    Returns:
        ``[*batch]``: 100 times one minus the Gini coefficient; 100 for a map of zeros.

    Reference:
        Gu and Dong, CVPR 2021, as for :func:`attribution`.

    Example:
        >>> print(diffusion_index(jnp.ones((8, 8))))
        100.0
    """
    values = jnp.sort(jnp.abs(jnp.asarray(attribution)).reshape(*attribution.shape[:-2], -1))
    n = values.shape[-1]
    ranks = 2 * jnp.arange(1, n + 1) - n - 1
    total = values.sum(-1)
    return 100 * (1 - (values @ ranks.astype(values.dtype)) / (n * jnp.where(total > 0, total, 1)))


def disagreement(restorer: Restorer, image: Image, condition: ConditionMap | None = None) -> Array:
    """Estimate uncertainty as the standard deviation over the eight flips and rotations of the input.

    Takes eight times as long as :func:`restorax.restore`, in the same tiles.

    Args:
        restorer: from :func:`restorax.load`.
        image: ``[*batch, height, width, channel]``.
        condition: condition named on the restorer's card, ``[*batch, height, width, k]``.

    Returns:
        Standard deviation in the shape and unit of the restored image. It ranks pixels by uncertainty; it is no error
        bar, because errors common to all eight outputs do not show.

    Raises:
        TypeError: as :func:`restorax.restore`.
        ValueError: as :func:`restorax.restore`.

    Example:
        >>> import restorax
        >>> disagreement(restorax.load("arcnn-gray-jpeg"), jnp.full((32, 40, 1), 0.5)).shape
        (32, 40, 1)
    """
    return jnp.std(jnp.stack(list(dihedral_outputs(restorer, image, condition))), axis=0)


def sure(
    key: PRNGKeyArray,
    restorer: Callable[[Image, ConditionMap | None], Array],
    noisy: Image,
    condition: ConditionMap | None = None,
    *,
    sigma: float | Array,
) -> Array:
    """Estimate the mean squared error of a denoiser without ground truth, by Stein's unbiased risk estimate (SURE).

    Valid for white Gaussian noise of known level on an image that was not clipped or rounded. On 256 x 256 pixels the
    standard deviation of the estimate is 0.6 % of the noise variance, and half of that on four times as many pixels.
    This may be a tenth of the error of a good denoiser; on tiny images the estimate may be negative.

    Args:
        key: random key of the probe that estimates the divergence.
        restorer: function of image and condition, such as a :class:`restorax.Restorer`.
        noisy: ``[*batch, height, width, channel]``.
        condition: condition named on the restorer's card.
        sigma: standard deviation of the noise, a scalar or one per image.

    Returns:
        ``[*batch]``: PSNR is ``-10 * log10`` of it.

    Reference:
        Stein, Estimation of the mean of a multivariate normal distribution, Annals of Statistics 1981; Ramani et al.,
        Monte-Carlo SURE, IEEE TIP 2008 (with an exact derivative instead of a finite difference).

    Example:
        >>> identity = lambda noisy, _: noisy
        >>> noisy = 0.5 + 0.1 * jax.random.normal(jax.random.key(0), (64, 64, 1))
        >>> round(float(sure(jax.random.key(1), identity, noisy, sigma=0.1)), 6)
        0.01
    """
    noisy = check_image(noisy)
    probe = jax.random.rademacher(key, noisy.shape, noisy.dtype)
    restored, pull = jax.vjp(lambda x: restorer(x, condition), noisy)
    average = lambda x: x.mean(axis=(-3, -2, -1))  # noqa: E731
    return average((restored - noisy) ** 2) + sigma**2 * (2 * average(probe * pull(probe)[0]) - 1)


def _check_window(image: Array, window: tuple[int, int, int, int], smallest: int = 1) -> None:
    top, left, height, width = window
    rows, columns = image.shape[-3:-1]
    if min(top, left) < 0 or top + height > rows or left + width > columns or min(height, width) < smallest:
        raise ValueError(
            f"the window must lie inside the image of {rows} x {columns} pixels and have sides of at least {smallest}, "
            f"got {height} x {width} pixels at ({top}, {left})"
        )


def _single(restored: Array) -> Array:
    """Refuse a batch, whose first axis would be taken for rows."""
    if restored.ndim != 3:
        raise ValueError(
            f"a single image is required, got a batch of shape {restored.shape[:-3]}; use jax.vmap for batches"
        )
    return restored


@jax.jit
def _effective_receptive_field(restorer: Restorer, image: Array, condition: Array | None, at: Array) -> Array:
    pixel = lambda x: _single(restorer(x, condition))[at[0], at[1]].mean()  # noqa: E731
    return jnp.abs(jax.grad(pixel)(image)).sum(-1)


@functools.partial(jax.jit, static_argnames=("size", "sigma", "steps"))
def _attribution(
    restorer: Restorer,
    image: Array,
    condition: Array | None,
    corner: Array,
    size: tuple[int, int],
    sigma: float,
    steps: int,
) -> Array:
    radius = int(np.ceil(4 * sigma))

    def detail(x):
        restored = _single(restorer(x, condition))
        inside = jax.lax.dynamic_slice(restored, (corner[0], corner[1], 0), (*size, restored.shape[-1]))
        across, down = jnp.diff(inside, axis=1)[:-1], jnp.diff(inside, axis=0)[:, :-1]
        return jnp.sqrt(across**2 + down**2 + 1e-12).sum()

    def blurred(i):
        return gaussian_blur(image, sigma=sigma * (1 - i / steps), radius=radius)

    def step(carry, i):
        total, before = carry
        after = blurred(i)
        return (total + jax.grad(detail)((before + after) / 2) * (after - before), after), None

    start = jnp.zeros_like(image), blurred(0)
    return jax.lax.scan(step, start, jnp.arange(1, steps + 1))[0][0].sum(-1)
