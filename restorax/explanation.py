"""Which pixels influenced the output, and how far to trust it, without ground truth.

For one image ``[height, width, channel]`` or one burst ``[frames, height, width, channel]``,
:func:`effective_receptive_field` and :func:`attribution` return a map of its shape without the channels.
:func:`disagreement` also takes batches and returns a map of the shape of the restored image. ``jax.vmap`` works.
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
        condition: what the restorer's card asks for, ``[height, width, k]``.
        at: row and column of the pixel of the output.

    Returns:
        ``[height, width]``: absolute derivatives of the mean over the channels of the output, added over the channels
        of the input.

    Raises:
        ValueError: if the pixel is not in the image, or there are several images.

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
    """How far one looks from a pixel to see a share of its influence.

    Args:
        influence: from :func:`effective_receptive_field`, ``[height, width]``.
        at: row and column of the pixel.
        share: of the sum of the influence, above 0 and at most 1.

    Returns:
        The smallest distance in pixels, along rows or columns, within which that share lies.

    Example:
        >>> reach(jnp.zeros((9, 9)).at[4, 6].set(1.0), at=(4, 4))
        2
    """
    values = np.asarray(influence, np.float64)
    rows, columns = (np.abs(np.arange(length) - place) for length, place in zip(values.shape, at, strict=True))
    within = np.bincount(np.maximum(rows[:, None], columns).ravel(), values.ravel()).cumsum()
    return int(np.searchsorted(within, share * within[-1] * (1 - 1e-12)))


def attribution(
    restorer: Restorer,
    image: Image,
    condition: ConditionMap | None = None,
    *,
    window: tuple[int, int, int, int],
    sigma: float = 4.0,
    steps: int = 32,
) -> Array:
    """Which pixels of the input the detail inside a window of the output came from: a local attribution map.

    The input is sharpened from a blurred picture to the real one; what the magnitude of the gradient inside the
    window gains on the way is shared out among the pixels (integrated gradients).

    Args:
        restorer: from :func:`restorax.load`.
        image: ``[height, width, channel]`` in [0, 1].
        condition: what the restorer's card asks for, ``[height, width, k]``; it is not blurred.
        window: top, left, height and width, of at least 2 pixels a side.
        sigma: standard deviation of the blur at the start, in pixels.
        steps: pictures on the way.

    Returns:
        ``[height, width]``, positive where a pixel added detail. The sum is the detail of the output for the image
        less that for the blurred image, the more exactly the more steps.

    Raises:
        ValueError: if the window does not lie inside the image, or there are several images.

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
    """How evenly the pixels of a map take part: 0 if one pixel does all, towards 100 if all do the same.

    Args:
        attribution: ``[*batch, height, width]``, from :func:`attribution` or
            :func:`effective_receptive_field`; signs are ignored.

    Returns:
        ``[*batch]``: 100 times one minus the Gini coefficient; 100 where no pixel takes part.

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
    """Where the restored picture is uncertain: how much it depends on which way up the input was.

    Eight times the time of :func:`restorax.restore`, in the same tiles.

    Args:
        restorer: from :func:`restorax.load`.
        image: ``[*batch, height, width, channel]``.
        condition: what the restorer's card asks for, ``[*batch, height, width, k]``.

    Returns:
        Standard deviation over the eight flips and quarter turns, of the shape of the restored picture, in its unit. It
        ranks pixels; it is no error bar, because what all eight get wrong it does not see.

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
    """Mean squared error of a denoiser, estimated without the clean picture (Stein's unbiased risk estimate).

    Holds for white Gaussian noise of a known level on a picture that was not clipped or rounded. One picture of
    256 x 256 gives it to within 0.6 % of the noise's variance (standard deviation), four times as many pixels to half
    of that; where the restorer is good, that may be a tenth of its error, and of a tiny picture it may be negative.

    Args:
        key: of the random probe that measures the divergence.
        restorer: any function of image and condition, such as a :class:`restorax.Restorer`.
        noisy: ``[*batch, height, width, channel]``.
        condition: what the restorer's card asks for.
        sigma: standard deviation of the noise, a scalar or one per image.

    Returns:
        ``[*batch]``: PSNR is ``-10 * log10`` of it.

    Reference:
        Stein, Estimation of the mean of a multivariate normal distribution, Annals of Statistics 1981; Ramani et al.,
        Monte-Carlo SURE, IEEE TIP 2008 (here with an exact derivative in place of a difference).

    Example:
        >>> left_as_it_is = lambda noisy, _: noisy
        >>> noisy = 0.5 + 0.1 * jax.random.normal(jax.random.key(0), (64, 64, 1))
        >>> round(float(sure(jax.random.key(1), left_as_it_is, noisy, sigma=0.1)), 6)
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
        raise ValueError(f"{height} x {width} pixels at ({top}, {left}) are not inside a picture of {rows} x {columns}")


def _single(restored: Array) -> Array:
    """What was restored, unless it is a batch, whose first axis would be taken for rows."""
    if restored.ndim != 3:
        raise ValueError(
            f"a batch of shape {restored.shape[:-3]} is given; one picture is needed (jax.vmap for several)"
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

    def on_the_way(i):
        return gaussian_blur(image, sigma=sigma * (1 - i / steps), radius=radius)

    def step(carry, i):
        total, before = carry
        after = on_the_way(i)
        return (total + jax.grad(detail)((before + after) / 2) * (after - before), after), None

    start = jnp.zeros_like(image), on_the_way(0)
    return jax.lax.scan(step, start, jnp.arange(1, steps + 1))[0][0].sum(-1)
