"""Degradations as pure functions: key in, arrays out; under jit, vmap and grad alike."""

from .blur import gaussian_blur
from .chain import chain, stage, uniform
from .compression import jpeg
from .missing import missing_pixels
from .noise import gaussian_noise
from .parse import OPERATORS, parse

__all__ = [
    "OPERATORS",
    "chain",
    "gaussian_blur",
    "gaussian_noise",
    "jpeg",
    "missing_pixels",
    "parse",
    "stage",
    "uniform",
]
