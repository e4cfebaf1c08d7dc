"""Blur kernels of hand-held exposures from simulated readings of a gyroscope."""

import numpy as np

_RATE = 500  # readings per second
_FOCAL = 1200.0  # pixels


def shake_kernels(count: int = 8, radius: int = 12, seed: int = 0) -> np.ndarray:
    """Simulate the kernels of camera shake.

    Angular velocities are a slow drift and physiological tremor of 4 to 12 Hz, whose amplitude falls with frequency.
    They are integrated over an exposure of 1/15 to 1/3 s and projected by the focal length; a pixel receives the time
    that the path spends near it.

    Args:
        count: number of kernels.
        radius: half width in pixels; longer paths are shortened to it.
        seed: of the random numbers.

    Returns:
        ``[count, 2 radius + 1, 2 radius + 1]`` of unit sum.

    Reference:
        Joshi et al., Image deblurring using inertial measurement sensors, SIGGRAPH 2010 (kernels from readings); Köhler
        et al., Recording and playback of camera shake, ECCV 2012 (paths of hand-held exposures).
    """
    random = np.random.default_rng(seed)
    return np.stack([_kernel(_path(random, radius), radius) for _ in range(count)])


def _path(random: np.random.Generator, radius: int) -> np.ndarray:
    """Return positions in pixels, ``[readings, 2]``."""
    time = np.arange(0, random.uniform(1 / 15, 1 / 3), 1 / _RATE)[:, None, None]
    frequency = random.uniform(4, 12, (1, 2, 6))
    phase = random.uniform(0, 2 * np.pi, (1, 2, 6))
    tremor = random.normal(0, 0.12, (1, 2, 6)) / (frequency / 4) * np.cos(2 * np.pi * frequency * time + phase)
    velocity = random.normal(0, 0.03, (1, 2)) + tremor.sum(-1)  # radians per second
    path = _FOCAL * np.cumsum(velocity, 0) / _RATE
    path -= (path.max(0) + path.min(0)) / 2
    return path * min(1, (radius - 1) / np.abs(path).max())


def _kernel(path: np.ndarray, radius: int) -> np.ndarray:
    pixels = np.arange(-radius, radius + 1)[:, None]
    fine = np.stack([np.interp(np.linspace(0, len(path) - 1, 8 * len(path)), range(len(path)), c) for c in path.T], 1)
    down, right = (np.clip(1 - np.abs(fine[:, i] - pixels), 0, 1) for i in (0, 1))
    kernel = down @ right.T
    return kernel / kernel.sum()
