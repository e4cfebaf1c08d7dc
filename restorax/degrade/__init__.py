"""Degradations as pure functions: key in, arrays out; under jit, vmap and grad alike."""

from .blur import gaussian_blur
from .chain import chain, stage, uniform
from .compression import jpeg
from .missing import (
    bayer_mosaic,
    missing_blocks,
    missing_border,
    missing_lines,
    missing_overlay,
    missing_pixels,
    missing_strokes,
)
from .noise import (
    correlated_noise,
    dead_pixels,
    gaussian_noise,
    impulse_noise,
    salt_and_pepper_noise,
    speckle_noise,
    stripe_noise,
    uniform_noise,
)
from .parse import OPERATORS, parse
from .sensor import apd_noise, camera_noise, emccd_noise, shot_noise

__all__ = [
    "OPERATORS",
    "apd_noise",
    "bayer_mosaic",
    "camera_noise",
    "chain",
    "correlated_noise",
    "dead_pixels",
    "emccd_noise",
    "gaussian_blur",
    "gaussian_noise",
    "impulse_noise",
    "jpeg",
    "missing_blocks",
    "missing_border",
    "missing_lines",
    "missing_overlay",
    "missing_pixels",
    "missing_strokes",
    "parse",
    "salt_and_pepper_noise",
    "shot_noise",
    "speckle_noise",
    "stage",
    "stripe_noise",
    "uniform",
    "uniform_noise",
]
