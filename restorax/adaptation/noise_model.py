"""Model of the noise in images: its level by intensity, lines, and whether neighbouring pixels share it."""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

_BLOCK = 16
_QUIET = 8  # the share of quiet blocks is one over this
_QUIET_ENERGY = 0.75  # energy of these blocks relative to all, of white noise
_BINS, _GROUPS = 8, 4  # of intensity
_LEAST = 12  # blocks of a bin
_VISIBLE = 0.6 / 255  # twice what rounding to 8 bits leaves
_WHITE = -0.55  # correlation of neighbouring differences; -2/3 for white noise
_LINES = 0.45  # correlation at eight pixels along a line
_FAR = 8
_CUT = 0.01  # share of clipped values from which a block is not used
_CLIPPED = 0.075  # share of values that the noise takes beyond black or white
_TAILS = 4.5  # fourth moment relative to that of the variance; 3 for Gaussian noise


class NoiseModel(NamedTuple):
    """Noise of images, in units of [0, 1]; the variance at intensity ``x`` is ``sigma**2 + shot x + (gain x)**2``.

    Attributes:
        sigma: standard deviation of the part that does not depend on the image.
        shot: variance of photon noise per intensity.
        gain: standard deviation of multiplicative noise.
        rows: standard deviation of noise that is constant along each row.
        columns: standard deviation of noise that is constant along each column.
        level: standard deviation in quiet areas, without lines.
        lag: correlation of the mixed second difference of horizontal and of vertical neighbours, -2/3 for white noise.
        tails: fourth moment relative to the squared variance, 3 for Gaussian noise.
        clipped: share of values that such noise takes beyond black or white, where files cut it off.
        in_range: whether all values are in [0, 1], as if clipped.
    """

    sigma: float
    shot: float
    gain: float
    rows: float
    columns: float
    level: float
    lag: tuple[float, float]
    tails: float
    clipped: float
    in_range: bool

    @property
    def visible(self) -> bool:
        """Whether there is noise at all."""
        return max(self.level, self.rows, self.columns) >= _VISIBLE

    @property
    def obstacle(self) -> str:
        """Why one noisy image does not tell this noise from the scene, as part of a sentence; or an empty string."""
        if not self.visible:
            return (
                f"the images show no noise (standard deviation {255 * self.level:.2f}/255), and noisy images alone do "
                "not teach to remove anything else, such as blur"
            )
        if max(self.rows, self.columns) > 2 * self.level:  # the rest is hardly noise
            return ""
        if max(self.lag) > _WHITE:
            measured = " and ".join(f"{value:.2f}" for value in self.lag)
            return f"the noise of neighbouring pixels is correlated (differences by {measured} instead of -0.67)"
        if self.tails > _TAILS:
            return f"the noise is not Gaussian but has outliers (fourth moment {self.tails:.1f} instead of 3)"
        if self.clipped > _CLIPPED:
            return f"{100 * self.clipped:.0f} % of the noisy values were clipped at black or white"
        return ""

    def settings(self) -> str:
        """Return the level as settings of a loss."""
        values = {name: getattr(self, name) for name in ("sigma", "shot", "gain", "rows", "columns")}
        return ", ".join(f"{name}={value:.5f}" for name, value in values.items() if value or name == "sigma")


def measure_noise(images: Sequence[np.ndarray]) -> NoiseModel:
    """Measure the noise of images in their quiet blocks, where the image itself hardly differs between neighbours.

    Args:
        images: ``[height, width, channels]`` in [0, 1], with sides of at least 32 pixels.

    Returns:
        The noise of all images together.

    Reference:
        Immerkær, Fast noise variance estimation, CVIU 1996 (the mixed second difference).

    Example:
        >>> white = np.random.default_rng(0).normal(0.5, 0.1, (128, 128, 1))
        >>> noise = measure_noise([white])
        >>> round(noise.sigma, 1), noise.rows, noise.obstacle
        (0.1, 0.0, '')
    """
    planes = [image[..., channel] for image in images for channel in range(image.shape[-1])]
    facts = [_measure(plane) for plane in planes]
    energies, means, whole = (np.concatenate([fact[i] for fact in facts]) for i in range(3))
    whole = whole if whole.sum() >= _LEAST else whole | True
    across, down, tails, along_rows, along_columns, rows, columns, level = np.median([f[3:] for f in facts], axis=0)
    sigma, shot, gain = _fit(energies[whole], means[whole])
    clipped = _clipped_share(means, np.sqrt(sigma**2 + shot * means + (gain * means) ** 2))
    in_range = all(plane.min() >= 0 and plane.max() <= 1 for plane in planes)
    return NoiseModel(
        *(sigma, shot, gain, float(rows) if along_rows > _LINES else 0.0),
        *(float(columns) if along_columns > _LINES else 0.0, float(level)),
        *((float(across), float(down)), float(tails), clipped if in_range else 0.0, in_range),
    )


def _measure(plane: np.ndarray) -> tuple:
    """Return energies and means of blocks, and the other facts of one channel."""
    vertical, horizontal = np.diff(plane, n=2, axis=0), np.diff(plane, n=2, axis=1)
    mixed = np.diff(vertical, n=2, axis=1) / 6
    rows, columns = (length // _BLOCK for length in mixed.shape)
    blocks, scene = (
        x[: rows * _BLOCK, : columns * _BLOCK]
        .reshape(rows, _BLOCK, columns, _BLOCK)
        .swapaxes(1, 2)
        .reshape(-1, _BLOCK, _BLOCK)
        for x in (mixed, plane[1:-1, 1:-1])
    )
    # Where values are clipped, the noise looks weaker than it is.
    whole = ((scene <= 0) | (scene >= 1)).mean((1, 2)) <= (_CUT if plane.min() >= 0 and plane.max() <= 1 else 1)
    energies, means = (blocks**2).mean((1, 2)), scene.mean((1, 2))
    groups = np.array_split(np.argsort(means), _GROUPS)  # dark and bright ones: the noise may depend on the intensity
    quiet = blocks[[i for group in groups for i in group[np.argsort(energies[group])][: max(1, len(group) // _QUIET)]]]
    energy = (quiet**2).mean((1, 2), keepdims=True) + 1e-12
    across = (quiet[:, :, 1:] * quiet[:, :, :-1] / energy).mean()
    down = (quiet[:, 1:] * quiet[:, :-1] / energy).mean()
    tails = np.median((quiet**4 / energy**2).mean((1, 2)))
    along_rows = (vertical[:, _FAR:] * vertical[:, :-_FAR]).mean() / ((vertical**2).mean() + 1e-12)
    along_columns = (horizontal[_FAR:] * horizontal[:-_FAR]).mean() / ((horizontal**2).mean() + 1e-12)
    lines = [np.sqrt((np.diff(np.median(plane, axis=axis), n=2) ** 2).mean() / 6) for axis in (1, 0)]
    level = np.sqrt(energy.mean() / _QUIET_ENERGY)
    return energies, means, whole, across, down, tails, along_rows, along_columns, *lines, level


def _clipped_share(means: np.ndarray, spread: np.ndarray) -> float:
    """Return the share of Gaussian values outside [0, 1]."""
    beyond = np.stack([means, 1 - means]).clip(0) / (spread * 2**0.5 + 1e-9)
    return float(np.mean([(math.erfc(low) + math.erfc(high)) / 2 for low, high in beyond.T]))


def _fit(energies: np.ndarray, means: np.ndarray) -> tuple[float, float, float]:
    """Fit the variance of quiet blocks by intensity: non-negative ``sigma**2``, ``shot`` and ``gain**2``."""
    edges = np.quantile(means, np.linspace(0, 1, _BINS + 1))
    places, values = [], []
    for low, high in itertools.pairwise(edges):
        inside = (means >= low) & (means <= high)
        if inside.sum() >= _LEAST or not places:
            number = max(1, int(inside.sum()) // _QUIET)
            chosen = np.argsort(energies[inside])[:number]
            places.append(float(np.clip(means[inside][chosen].mean(), 0, 1)))
            values.append(float(energies[inside][chosen].mean()) / _QUIET_ENERGY)
    at, variance = np.array(places), np.array(values)
    weight = 1 / (variance + 1e-8)
    powers = np.stack([np.ones_like(at), at, at**2], 1)
    best, least = np.zeros(3), np.inf
    for used in ((0,), (0, 1), (0, 2), (1,), (2,)):  # at most two of them, not negative
        found = np.linalg.lstsq(powers[:, used] * weight[:, None], variance * weight, rcond=None)[0]
        error = float((((powers[:, used] @ found - variance) * weight) ** 2).sum()) * (1 + 0.1 * len(used))
        if found.min() >= 0 and error < least:
            best, least = np.zeros(3), error
            best[list(used)] = found
    return float(best[0] ** 0.5), float(best[1]), float(best[2] ** 0.5)
