"""Statistics of a square crop from which the network reads the damage."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from ..types import Array
from .codec import BLOCK, block_coefficients, comb_scores, step_profiles, to_ycc

WINDOW = 64  # side of the windows of the spectrum
ANGLES, RADII = 36, 20
_QUANTILES = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98)
_FREQUENCY = (np.add.outer(np.arange(BLOCK), np.arange(BLOCK)).reshape(-1, 1) + 1) // 2
_GROUPS = np.equal(_FREQUENCY, np.arange(1, 8)).astype(np.float32)
_GROUPS /= _GROUPS.sum(0)

# Batcher's network that sorts eight values, in layers.
_SORT = (
    ((0, 1), (2, 3), (4, 5), (6, 7)),
    ((0, 2), (1, 3), (4, 6), (5, 7)),
    ((1, 2), (5, 6), (0, 4), (3, 7)),
    ((1, 5), (2, 6)),
    ((1, 4), (3, 6)),
    ((2, 4), (3, 5)),
    ((3, 4),),
)


def read_statistics(crop: Array) -> tuple[Array, Array]:
    """Compute the statistics of a crop.

    Args:
        crop: ``[side, side, 3]`` in [0, 1], side a multiple of 16 and at least 64.

    Returns:
        A vector ``[n]``, and the logarithm of the power spectrum of luma by angle and frequency,
        ``[ANGLES, RADII]``.

    Example:
        >>> vector, spectrum = read_statistics(jnp.full((64, 64, 3), 0.5))
        >>> bool(jnp.isfinite(vector).all()), spectrum.shape
        (True, (36, 20))
    """
    crop = jnp.clip(crop, 0, 1)
    ycc = to_ycc(crop)
    luma = ycc[..., 0]
    spectrum, radial = _spectrum(luma)
    parts = (_roughness(crop, ycc), _compression(luma), _outliers(crop), _moments(crop, luma), radial)
    return jnp.concatenate(parts), spectrum


def mixed_difference(plane: Array) -> Array:
    """Filter with the mixed second difference, scaled so that white noise keeps its variance.

    Reference:
        Immerkær, Fast noise variance estimation, CVIU 1996.
    """
    return _second(_second(plane, 0), 1) / 6


def block_energies(plane: Array) -> Array:
    """Average the squares of a plane over blocks of 8 x 8, ``[blocks]``."""
    rows, columns = (side // BLOCK for side in plane.shape)
    whole = plane[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK)
    return (whole**2).mean((1, 3)).reshape(-1)


def outlier_distance(plane: Array) -> tuple[Array, Array, Array]:
    """Measure how far pixels lie from the median of their eight neighbours.

    Args:
        plane: ``[height, width, *rest]``.

    Returns:
        Distance to the median, the range of the six middle neighbours, and the median; of the shape of ``plane``.
    """
    wide = jnp.pad(plane, ((1, 1), (1, 1), *[(0, 0)] * (plane.ndim - 2)), mode="reflect")
    height, width = plane.shape[:2]
    near = [wide[y : y + height, x : x + width] for y in range(3) for x in range(3) if (y, x) != (1, 1)]
    for layer in _SORT:
        for i, j in layer:
            near[i], near[j] = jnp.minimum(near[i], near[j]), jnp.maximum(near[i], near[j])
        near = jax.lax.optimization_barrier(near)  # fused, the layers would be computed again for each other
    median = (near[3] + near[4]) / 2
    return jnp.abs(plane - median), near[6] - near[1], median


def _second(plane: Array, axis: int) -> Array:
    return jnp.diff(plane, n=2, axis=axis)


def _halved(plane: Array) -> Array:
    height, width = (side // 2 for side in plane.shape)
    return plane[: 2 * height, : 2 * width].reshape(height, 2, width, 2).mean((1, 3))


def _roughness(crop: Array, ycc: Array) -> Array:
    """Quantiles over blocks of the energy of high-pass filters, and the energy of quiet blocks by brightness."""
    luma = ycc[..., 0]
    half = _halved(luma)
    energies = [block_energies(mixed_difference(plane)) for plane in (luma, half, _halved(half), ycc[..., 1])]
    energies.append(block_energies(mixed_difference(ycc[..., 2])))
    energies.append(block_energies(mixed_difference(_halved(ycc[..., 1]))))
    energies += [block_energies(_second(luma, axis) / np.sqrt(6)) for axis in (0, 1)]
    green_red = 255 * (crop[..., 0] - crop[..., 1])
    energies.append(block_energies(mixed_difference(green_red)))
    sizes = sorted({energy.shape[0] for energy in energies})
    rows = [_quantiles(jnp.log(jnp.stack([e for e in energies if e.shape[0] == n]) + 0.02)) for n in sizes]
    whole = luma[: luma.shape[0] // BLOCK * BLOCK, : luma.shape[1] // BLOCK * BLOCK]
    means = whole.reshape(whole.shape[0] // BLOCK, BLOCK, -1, BLOCK).mean((1, 3)).reshape(-1)
    _, quiet = quiet_energies(block_energies(jnp.pad(mixed_difference(luma), 1)), means)
    return jnp.concatenate([*(row.reshape(-1) for row in rows), quiet])


def quiet_energies(energies: Array, means: Array) -> tuple[Array, Array]:
    """Take a low quantile of the energy of blocks in each quarter of brightness.

    Args:
        energies: of high-pass filtered blocks, ``[blocks]``.
        means: of the blocks in 8-bit units, ``[blocks]``.

    Returns:
        The number of blocks and the logarithm of the energy, -5 for less than eight blocks, ``[4]`` each.
    """
    there = (means // 64).astype(jnp.int32)[None] == jnp.arange(4)[:, None]
    number = there.sum(1)
    ordered = jnp.sort(jnp.where(there, energies[None], 1e5), axis=1)
    chosen = jnp.take_along_axis(ordered, number[:, None] // 8, 1)[:, 0]
    return number, jnp.where(number >= 8, jnp.log(chosen + 0.02), -5)


def _quantiles(values: Array) -> Array:
    """Quantiles of rows, ``[rows, 7]``."""
    ordered = jnp.sort(values, axis=1)
    return ordered[:, np.array([int(q * (values.shape[1] - 1)) for q in _QUANTILES])]


def find_grid(luma: Array) -> tuple[Array, Array, Array, Array]:
    """Find the grid of 8 x 8 blocks, and how well the coefficients on it match each JPEG quality.

    The candidates are the strongest row and column of block borders, and the grid at the top left corner.

    Args:
        luma: ``[height, width]`` in 8-bit units.

    Returns:
        First row and column of a block, each from 0 to 7, ``[2]``; scores ``[100]`` and number of coefficients of
        :func:`restorax.diagnosis.codec.comb_scores` there; the two profiles of steps, sorted, ``[2, 8]``.
    """
    profiles = jnp.stack(step_profiles(luma))
    strongest = profiles.argmax(1).astype(jnp.int32)
    corner = jnp.zeros(2, jnp.int32)
    scores, numbers = jax.vmap(lambda start: comb_scores(_on_grid(luma, start)))(jnp.stack([strongest, corner]))
    first = scores[0].max() > scores[1].max() + 0.02
    chosen = jax.tree.map(
        lambda a, b: jnp.where(first, a, b), (strongest, scores[0], numbers[0]), (corner, scores[1], numbers[1])
    )
    return *chosen, jnp.sort(profiles, axis=1)


def _on_grid(luma: Array, start: Array) -> Array:
    """Coefficients of the whole blocks of a grid; the block that ``roll`` wraps around is left out."""
    moved = jnp.roll(luma, -start, (0, 1))
    return block_coefficients(moved[: luma.shape[0] - BLOCK, : luma.shape[1] - BLOCK])


def _compression(luma: Array) -> Array:
    start, scores, numbers, profiles = find_grid(luma)
    best = scores.argmax()
    bands = scores.reshape(10, 10).max(1)
    facts = [best / 100, scores.max(), jnp.log1p(numbers[best]) / 5]
    on, off = _on_grid(luma, start), _on_grid(luma, (start + 4) % BLOCK)
    rows = []
    for coefficients in (on, off):
        values = jnp.abs(coefficients.reshape(-1, BLOCK * BLOCK))
        shares, means = (jnp.tensordot(row, _GROUPS, 1) for row in ((values < 0.6).mean(0), values.mean(0)))
        rows += [shares, jnp.log(means + 0.05) / 3]
    tops = jnp.stack([profiles[:, 7], profiles[:, 6], profiles[:, 4]]).reshape(-1)
    return jnp.concatenate([jnp.stack(facts), bands, *rows, tops, jnp.log(jnp.abs(tops) + 0.02)])


def _outliers(crop: Array) -> Array:
    distance, spread, _ = outlier_distance(crop)
    extreme = (crop < 0.5 / 255) | (crop > 254.5 / 255)
    shares = [(distance > level).mean() for level in (0.08, 0.16, 0.32)]
    shares += [((distance > level) & (distance > 2 * spread)).mean() for level in (0.04, 0.08, 0.16)]
    lonely = extreme & (distance > 0.12)
    joint = lonely.all(-1)
    shares += [extreme.mean(), (extreme & (distance < 0.02)).mean(), lonely.mean(), joint.mean()]
    shares += [(lonely & (distance > spread)).mean(), (extreme.any(-1) & ~extreme.all(-1)).mean()]
    rough = jnp.log(jnp.stack([jnp.sqrt((d**2).mean()) for d in (distance, spread)]) + 0.002)
    values = jnp.stack(shares)
    return jnp.concatenate([values, jnp.log(values + 1e-4) / 4, rough])


def _moments(crop: Array, luma: Array) -> Array:
    flat = jnp.abs(jnp.diff(luma, axis=1))
    chroma = jnp.abs(crop - crop.mean(-1, keepdims=True)).mean()
    facts = [luma.mean() / 255, luma.std() / 64, (flat < 0.3).mean(), (luma < 8).mean(), (luma > 247).mean()]
    return jnp.stack([*facts, (chroma < 1e-3).astype(luma.dtype), 10 * chroma, jnp.log(jnp.float32(luma.shape[0])) - 5])


@functools.cache
def _polar() -> tuple[np.ndarray, np.ndarray]:
    """Indices and weights of the four bins around each angle and radius, ``[ANGLES, RADII, 4]``."""
    angle = np.pi * np.arange(ANGLES) / ANGLES
    radius = np.linspace(2, WINDOW / 2 - 1, RADII)
    # The angle counts from the columns towards the top, as that of motion_blur; rows count downward.
    row = -np.sin(angle)[:, None] * radius
    column = np.cos(angle)[:, None] * radius
    top, left = np.floor(row).astype(int), np.floor(column).astype(int)
    down, right = row - top, column - left
    corners = [
        (top + i, left + j, (down if i else 1 - down) * (right if j else 1 - right)) for i in (0, 1) for j in (0, 1)
    ]
    index = np.stack([(y % WINDOW) * WINDOW + x % WINDOW for y, x, _ in corners], -1)
    return index, np.stack([w for *_, w in corners], -1).astype(np.float32)


def log_spectrum(luma: Array) -> Array:
    """Average the logarithm of the power spectrum over windows, in which blur is additive.

    Args:
        luma: ``[height, width]`` in 8-bit units, at least ``WINDOW`` pixels on both sides.

    Returns:
        ``[WINDOW, WINDOW]``, zero frequency first.

    Reference:
        Stockham, Cannon and Ingebretsen, Blind deconvolution through digital signal processing, Proc. IEEE 1975.
    """
    hann = np.hanning(WINDOW + 2)[1:-1].astype(np.float32)
    window = jnp.asarray(np.outer(hann, hann))
    step = WINDOW // 2
    rows, columns = (side // step for side in luma.shape)
    parts = luma[: rows * step, : columns * step].reshape(rows, step, columns, step)
    parts = jnp.concatenate([parts[:-1], parts[1:]], 1)
    parts = jnp.concatenate([parts[:, :, :-1], parts[:, :, 1:]], 3)
    parts = parts.transpose(0, 2, 1, 3).reshape(-1, WINDOW, WINDOW)
    parts = parts - parts.mean((1, 2), keepdims=True)
    power = jnp.abs(jnp.fft.fft2(parts * window[None])) ** 2 / (window**2).sum()
    contrast = parts.var((1, 2))
    weight = contrast / (contrast + 16) + 1e-3
    return jnp.tensordot(weight / weight.sum(), jnp.log(power + 0.05), 1)


def _spectrum(luma: Array) -> tuple[Array, Array]:
    index, weight = _polar()
    spectrum = (log_spectrum(luma).reshape(-1)[index] * weight).sum(-1) / 4
    return spectrum, spectrum.mean(0)
