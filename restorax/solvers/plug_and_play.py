"""Restoration of images with a known linear degradation by a denoiser of the zoo."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ..degrade import Expression
from ..degrade.quantisation_intervals import JpegIntervals
from ..tiling import GRID, OVERLAP, Window, in_tiles
from ..types import Array, Float, Image, Observation, Strength, check_count, check_range
from ..zoo import Restorer
from .iteration import Schedule
from .linear import Linear
from .observation import Observed, interpret
from .priors import Denoiser, check_denoiser
from .programs import METHODS, Program, run

_ALWAYS_WHOLE = 3 * 2**19  # pixels
_TILE = 768


def solve(
    degradation: str | Expression | JpegIntervals | Linear,
    observed: Image | Observation | Float[Array | np.ndarray, "..."],
    denoiser: str | Restorer | Denoiser | None = None,
    *,
    noise: Strength | None = None,
    iterations: int = 8,
    method: str = "hqs",
    shape: tuple[int, int, int] | None = None,
    schedule: Schedule | None = None,
    tile: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> Array:
    """Restore an image with a known linear degradation and Gaussian noise, by a denoiser as the prior.

    The degradation is any chain of linear operators; no network is trained for it. Where it blurs, the scene is taken
    to go on beyond the image, and the unknown rim is solved for too, unless the border is ``"circular"``. Compiled,
    and differentiable in the observation, the noise, the schedule and what a function closes over.

    Args:
        degradation: text such as ``"motion_blur(length=15, angle=30)"``, a parsed degradation, or a linear function of
            one image ``[height, width, channel]`` that returns an array of any shape, or the intervals that the
            quantisation of a JPEG file leaves (:func:`read_intervals`). Gaussian noise at the end of a text is the
            noise of the observation.
        observed: ``[*batch, height, width, channel]`` in [0, 1], or ``[*batch, ...]`` of the shape that a function
            returns; an ``Observation`` with the mask of known pixels where pixels are missing at random.
        denoiser: non-blind entry, or its name, or a function ``(image, level) -> image``.
            By default the best entry of the zoo for the channels. A gray entry denoises the mean and the differences
            of the channels of colour images.
        noise: standard deviation of the noise in [0, 1], a scalar or one per image; 0 for none.
        iterations: number of iterations; the proximal gradient method needs 50 and more.
        method: ``"hqs"``, ``"admm"``, ``"red"`` or ``"pg"`` (proximal gradient).
        shape: shape of one restored image, by default that of the observation.
        schedule: noise levels and weights of the iterations, instead of those that follow from the noise.
        tile: side of the tiles in pixels, rounded up to a multiple of 16. By default, images above 1.5 megapixels are
            solved in tiles of 768 where the degradation allows it: blur whose border is not circular, masks and JPEG.
        progress: called with the fraction done, after every tile.

    Returns:
        Restored images ``[*batch, *shape]``, clipped to [0, 1].

    Raises:
        FileNotFoundError: if there is no such entry.
        TypeError: if the observation is not floating point.
        ValueError: if the degradation is not linear, which names the operator; if the observation contains NaN or has
            another shape; if the noise is negative or missing; if the denoiser takes no noise level; if the
            method is unknown.

    Reference:
        Venkatakrishnan et al., Plug-and-play priors for model based reconstruction, GlobalSIP 2013; Zhang et al.,
        Plug-and-play image restoration with deep denoiser prior, TPAMI 2022.

    Example:
        >>> import restorax
        >>> blurred = restorax.degrade.gaussian_blur(jnp.full((20, 24, 1), 0.5), sigma=0.6)
        >>> restored = solve("gaussian_blur(sigma=0.6)", blurred, noise=1 / 255, iterations=1)
        >>> restored.shape, bool(abs(restored - 0.5).max() < 0.05)
        ((20, 24, 1), True)
    """
    check_count(iterations, "iterations")
    if method not in METHODS:
        raise ValueError(f"`method` must be one of {', '.join(map(repr, METHODS))}, got {method!r}")
    if noise is not None:
        check_range(noise, "noise", 0, 1, hint="divide by 255 for 8-bit units")
    found = interpret(degradation, observed, shape)
    noise = found.noise if noise is None else noise
    if noise is None:
        raise ValueError("`noise`, the standard deviation of the noise in [0, 1], is required; 0 for none")
    levels = _per_image(noise, found.batch)
    prior = check_denoiser(denoiser, found.forward.shape[-1])
    restorer, function = (prior, None) if isinstance(prior, Restorer) else (None, prior)
    program = Program(found.forward, method, iterations, function)
    side = _tile_side(found, tile, schedule, levels)
    if side is None:
        restored = run(program, restorer, found.image, found.known, levels, schedule)
        if progress:
            progress(1.0)
    else:
        restored = _in_tiles(program, restorer, found, levels, schedule, side, progress)
    return restored.reshape(*found.batch, *restored.shape[1:])


def _per_image(noise: Strength, batch: tuple[int, ...]) -> Array:
    values = noise if isinstance(noise, jax.Array) else np.asarray(noise, np.float32)
    if values.shape not in ((), batch):
        raise ValueError(f"`noise` must be a number or one per image {batch}, got shape {values.shape}")
    library = jnp if isinstance(values, jax.Array) else np
    return jnp.asarray(library.broadcast_to(values, batch).reshape(-1), jnp.float32)


def _tile_side(found: Observed, tile: int | None, *others: object) -> int | None:
    """Return the side of the tiles, or ``None`` to solve the image whole."""
    height, width = found.image.shape[1:3]
    if tile is None:
        large = found.image.ndim == 4 and height * width > _ALWAYS_WHOLE
        tile = _TILE if large and found.tileable and not isinstance(found.image, Tracer) else None
    else:
        check_count(tile, "tile", 2 * OVERLAP + 1)
        if not found.tileable:
            raise ValueError("`tile` is for blur with other than circular borders, for masks and for JPEG; omit it")
        if isinstance(found.image, Tracer):
            raise ValueError("tiles are solved one after another, which jit and vmap do not support; omit `tile` there")
    return None if tile is None or tile >= max(height, width) else tile


def _in_tiles(
    program: Program,
    restorer: Restorer | None,
    found: Observed,
    levels: Array,
    schedule: Schedule | None,
    side: int,
    progress: Callable[[float], None] | None,
) -> Array:
    """Solve an image in tiles, beyond each of which the scene goes on."""
    image, known, rim = np.asarray(found.image), found.known, found.forward.rim
    height, width, channels = image.shape[1:]
    pads = ((0, 0), (0, -height % GRID), (0, -width % GRID), (0, 0))
    if known is None:
        known = np.ones((1, height, width, 1), np.float32)
    if not isinstance(known, JpegIntervals):
        known = np.pad(np.asarray(known), pads)  # unknown beyond the border
    image = np.pad(image, pads, mode="edge")

    def compute(window: Window) -> np.ndarray:
        rows, columns = window
        part, size = image[:, rows, columns], (rows.stop - rows.start, columns.stop - columns.start)
        here = known.cut(rows, columns) if isinstance(known, JpegIntervals) else jnp.asarray(known[:, rows, columns])
        outer = (size[0] + 2 * rim, size[1] + 2 * rim, channels)
        tiled = program._replace(forward=program.forward._replace(shape=outer))
        return np.asarray(run(tiled, restorer, jnp.asarray(part), here, levels, schedule))

    return jnp.asarray(in_tiles((image.shape[1], image.shape[2]), side, compute, progress)[:, :height, :width])
