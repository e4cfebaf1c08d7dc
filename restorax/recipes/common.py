"""What recipes of several tasks share: papers, evaluations, the direct form of a residual network."""

from dataclasses import replace
from typing import Any

from ..recipe import Recipe

RESUNET = (
    "U-Net after DRUNet: Zhang et al., Plug-and-play image restoration with deep denoiser prior, TPAMI 2022; "
    "pixel unshuffle after FFDNet: Zhang et al., TIP 2018"
)
SCANUNET = f"{RESUNET}; recurrence after Griffin: De et al., 2024"
ROW_LSTM = (
    "Hochreiter and Schmidhuber, Long short-term memory, Neural Computation 1997; Graves, Generating sequences with "
    "recurrent neural networks, 2013"
)
ROW_LSTM_LIMITS = (
    "A baseline: a textbook LSTM on the rows of 32 x 32 patches. It shows what a plain LSTM reaches in milliseconds "
    "and is not recommended for use. Not for measurements or evidence."
)
GAUSSIAN_NOISE = tuple(f"gaussian_noise(sigma={s}/255)" for s in (15, 25, 50))
OTHER_NOISE = (
    "correlated_noise(sigma=25/255)",
    "shot_noise(peak=10)",
    "salt_and_pepper_noise(amount=0.05)",
    "identity()",
)


def direct(recipe: Recipe, **changes: Any) -> Recipe:
    """The same network, predicting the image instead of the difference."""
    return replace(recipe, config=recipe.config | {"residual": False}, **changes)
