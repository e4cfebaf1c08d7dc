"""Degradations as pure functions: key in, arrays out; under jit, vmap and grad alike."""

# ruff: noqa: F403 -- every family names its operators in its own __all__

from . import blur, compression, missing, noise, photometric, resample, sensor, video
from .blur import *
from .compose import Chain, Expression, Maybe, OneOf, Op, Shuffle
from .compression import *
from .grammar import parse
from .missing import *
from .noise import *
from .photometric import *
from .presets import DEGRADATIONS
from .registry import OPERATORS, REGISTRATIONS, Choice, Count, Range, register
from .resample import *
from .sensor import *
from .strengths import LogUniform, Uniform
from .video import *

__all__ = [
    # degradations as data and as text
    "Chain",
    "Expression",
    "LogUniform",
    "Maybe",
    "OneOf",
    "Op",
    "Shuffle",
    "Uniform",
    "parse",
    # what there is, and how to add to it
    "DEGRADATIONS",
    "OPERATORS",
    "REGISTRATIONS",
    "Choice",
    "Count",
    "Range",
    "register",
]
# Every family lists its operators.
__all__ += noise.__all__
__all__ += sensor.__all__
__all__ += missing.__all__
__all__ += blur.__all__
__all__ += compression.__all__
__all__ += resample.__all__
__all__ += photometric.__all__
__all__ += video.__all__
