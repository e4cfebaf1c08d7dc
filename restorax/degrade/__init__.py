"""Image degradations: pure functions that work under jit, vmap and grad, composed in Python or as text.

An operator takes ``(image, *, ...)``, or ``(key, image, *, ...)`` if it is random. Images are float32 or float64,
``[*batch, height, width, channel]`` in [0, 1]. Strengths are keyword-only; numbers may be traced and may differ between
images.
"""

# ruff: noqa: F403 -- every module lists its operators in __all__

from . import (
    blur,
    camera,
    compression,
    enhancement,
    missing,
    mosaic,
    noise,
    photo,
    photometric,
    resample,
    sensor,
    video,
)
from .blur import *
from .camera import *
from .compose import Chain, Expression, Maybe, OneOf, Op, Shuffle, crop_border
from .compression import *
from .enhancement import *
from .grammar import parse
from .missing import *
from .mosaic import *
from .motion import Motion
from .noise import *
from .photo import *
from .photometric import *
from .presets import DEGRADATIONS
from .registry import OPERATORS, REGISTRATIONS, Choice, Count, Range, register
from .resample import *
from .sensor import *
from .strengths import LogUniform, Uniform
from .video import *

__all__ = [
    # composition and parsing
    "Chain",
    "Expression",
    "LogUniform",
    "Maybe",
    "Motion",
    "OneOf",
    "Op",
    "Shuffle",
    "Uniform",
    "crop_border",
    "parse",
    # presets and registry
    "DEGRADATIONS",
    "OPERATORS",
    "REGISTRATIONS",
    "Choice",
    "Count",
    "Range",
    "register",
]
__all__ += noise.__all__
__all__ += sensor.__all__
__all__ += camera.__all__
__all__ += mosaic.__all__
__all__ += photo.__all__
__all__ += enhancement.__all__
__all__ += missing.__all__
__all__ += blur.__all__
__all__ += compression.__all__
__all__ += resample.__all__
__all__ += photometric.__all__
__all__ += video.__all__
