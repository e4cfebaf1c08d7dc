"""Recipes for missing pixels, given the mask of known ones."""

from dataclasses import replace

from ..recipe import Recipe, stages
from .common import ROW_LSTM, ROW_LSTM_LIMITS, SCANUNET, direct

_MASKED = {"residual": True, "condition": "mask", "sparse": 40}
_PIXELS = "missing_pixels(missing=uniform(0.3, 0.9))"
_SHAPES = (
    "one_of(missing_pixels(missing=uniform(0.2, 0.9)), missing_strokes(thickness=uniform(0.2, 1)), "
    "missing_blocks(side=uniform(0.05, 0.3), blocks=4), missing_lines(lines=5, thickness=uniform(1, 5)))"
)
_LATE_GRAY = {"degradation": _PIXELS, "patch": 192, "batch": 2}
_LATE_COLOR = {"degradation": _SHAPES, "patch": 128, "batch": 6}

RECIPES = {
    # 151 minutes on 1 to 4 CPU cores; Set12, 50 / 80 % missing: 34.26 / 28.53 dB.
    "scanunet_s-gray-missing": Recipe(
        architecture="scanunet_s",
        config={"channels": 1, **_MASKED},
        evaluation=("missing_pixels(missing=0.5)", "missing_pixels(missing=0.8)"),
        ood_degradations=(
            "missing_pixels(missing=0.95)",
            "missing_strokes(thickness=0.4)",
            "gaussian_noise(sigma=15/255) + missing_pixels(missing=0.5)",
        ),
        stages=(
            *stages(20_000, degradation=_PIXELS),
            *stages(5_000, **_LATE_GRAY, learning_rate=1e-3),
            *stages(7_500, **_LATE_GRAY, learning_rate=5e-4, loss="log_mse"),
        ),
        dtype="bfloat16",
        limits=(
            "Trained on single pixels missing at random, 30 to 90 % of them, with an exact mask and clean known "
            "pixels. Large holes are filled smoothly and look blurred; noise in known pixels is kept. Filled pixels "
            "are plausible, not the true content. Not for measurements or evidence."
        ),
        paper=SCANUNET,
    ),
    # 99 minutes on 1 to 2 CPU cores; CBSD68, 50 / 80 % of the pixels, strokes, squares missing:
    # 31.95 / 27.00 / 35.11 / 38.31 dB.
    "unet-color-missing": Recipe(
        architecture="unet",
        config={"channels": 3, "widths": (32, 64, 128), **_MASKED},
        evaluation=(
            "missing_pixels(missing=0.5)",
            "missing_pixels(missing=0.8)",
            "missing_strokes(thickness=0.4)",
            "missing_blocks(side=0.07, blocks=8)",
        ),
        ood_degradations=(
            "missing_pixels(missing=0.95)",
            "missing_blocks(side=0.4)",
            "gaussian_noise(sigma=15/255) + missing_pixels(missing=0.5)",
        ),
        stages=(
            *stages(6_000, degradation=_SHAPES),
            *stages(5_600, **_LATE_COLOR, learning_rate=1e-3),
            *stages(5_500, **_LATE_COLOR, learning_rate=5e-4, loss="log_mse"),
        ),
        dtype="bfloat16",
        limits=(
            "Trained on missing single pixels, free-form strokes up to 15 pixels, squares up to 28 pixels and lines up "
            "to 5 pixels, with an exact mask and clean known pixels. Larger holes are filled smoothly, without objects "
            "or texture. Filled pixels are plausible, not the true content. Not for measurements or evidence."
        ),
        paper="Ronneberger et al., U-Net: Convolutional networks for biomedical image segmentation, MICCAI 2015",
    ),
}
# 96 minutes on 1 to 2 CPU cores; CBSD68: 31.84 / 26.93 / 34.98 / 38.20 dB.
RECIPES["unet-color-missing-direct"] = direct(
    RECIPES["unet-color-missing"],
    stages=(
        *stages(6_000, degradation=_SHAPES),
        *stages(4_500, **_LATE_COLOR, learning_rate=1e-3, loss="log_mse"),
    ),
)
# 94 minutes on 1 CPU core; Set12, 50 / 80 % missing: 34.00 / 28.34 dB.
RECIPES["scanunet_s-gray-missing-direct"] = direct(
    RECIPES["scanunet_s-gray-missing"],
    stages=(
        *stages(10_000, degradation=_PIXELS),
        *stages(6_000, **_LATE_GRAY, learning_rate=1e-3, loss="log_mse"),
    ),
)
# 7 minutes on 1 CPU core; Set12, 50 / 80 % missing: 29.44 / 25.03 dB.
RECIPES["row_lstm-gray-missing"] = replace(
    RECIPES["scanunet_s-gray-missing"],
    architecture="row_lstm",
    config={"channels": 1, "residual": True, "condition": "mask"},
    stages=stages(20_000, degradation=_PIXELS, batch=16, patch=64, learning_rate=5e-3),
    dtype="float32",
    limits=ROW_LSTM_LIMITS,
    paper=ROW_LSTM,
)
