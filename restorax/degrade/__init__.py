"""Degradations as pure functions: key in, arrays out; under jit, vmap and grad alike."""

from .blur import anisotropic_blur, defocus_blur, gaussian_blur, kernel_blur, motion_blur, shake_blur, sinc_filter
from .chain import chain, log_uniform, maybe, one_of, shuffle, stage, uniform
from .compression import chroma_subsampling, double_jpeg, jpeg, jpeg_straight_through
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
from .photometric import fade, gamma_change, haze, low_light, palette, quantisation
from .presets import DEGRADATIONS
from .resample import low_resolution, rescale, resize
from .sensor import apd_noise, camera_noise, emccd_noise, shot_noise
from .video import burst, moving_window

__all__ = [
    "DEGRADATIONS",
    "OPERATORS",
    "anisotropic_blur",
    "apd_noise",
    "bayer_mosaic",
    "burst",
    "camera_noise",
    "chain",
    "chroma_subsampling",
    "correlated_noise",
    "dead_pixels",
    "defocus_blur",
    "double_jpeg",
    "emccd_noise",
    "fade",
    "gamma_change",
    "gaussian_blur",
    "gaussian_noise",
    "haze",
    "impulse_noise",
    "jpeg",
    "jpeg_straight_through",
    "kernel_blur",
    "log_uniform",
    "low_light",
    "low_resolution",
    "maybe",
    "missing_blocks",
    "missing_border",
    "missing_lines",
    "missing_overlay",
    "missing_pixels",
    "missing_strokes",
    "motion_blur",
    "moving_window",
    "one_of",
    "palette",
    "parse",
    "quantisation",
    "rescale",
    "resize",
    "salt_and_pepper_noise",
    "shake_blur",
    "shot_noise",
    "shuffle",
    "sinc_filter",
    "speckle_noise",
    "stage",
    "stripe_noise",
    "uniform",
    "uniform_noise",
]
