"""Recipes against JPEG artifacts."""

from ..recipe import Recipe, stages
from .common import RESUNET, direct

_QUALITIES = tuple(f"jpeg(quality={q})" for q in (10, 20, 30, 40))
_OTHER = (
    "jpeg(quality=3)",
    "double_jpeg(first=30, second=60)",
    "gaussian_noise(sigma=10/255) + jpeg(quality=40)",
    "identity()",
)
_LOG_UNIFORM = "jpeg(quality=log_uniform(5, 95))"
_UNIFORM = "jpeg(quality=uniform(5, 95))"
_ONCE = (
    "one_of(jpeg(quality=log_uniform(5, 95)), jpeg(quality=log_uniform(5, 95), subsampling='4:4:4'), weights=(5, 1))"
)
_MOVED = "jpeg(quality=log_uniform(10, 95), down=uniform(0, 7), right=uniform(0, 7))"
_RESIZED = "maybe(rescale(factor=uniform(0.5, 1)))"
_AGAIN = "maybe(jpeg(quality=log_uniform(20, 95)), probability=0.8)"
_OR_ELSE = f"{_MOVED} + {_RESIZED} + {_AGAIN}, identity(), weights=(0.6, 0.32, 0.08)"
_COLOR, _GRAY = f"one_of({_ONCE}, {_OR_ELSE})", f"one_of({_LOG_UNIFORM}, {_OR_ELSE})"

RECIPES = {
    # 32 minutes on 2 CPU cores; Classic5, quality 10 / 20 / 30 / 40: 29.40 / 31.55 / 32.79 / 33.63 dB. The images
    # include seventy drawings, made by `python -m benchmarks.drawings`.
    "resunet_s-gray-jpeg": Recipe(
        architecture="resunet_s",
        config={"channels": 1, "residual": True},
        evaluation=_QUALITIES,
        ood_degradations=(*_OTHER, "jpeg(quality=30, down=3, right=3)"),
        stages=stages(3_500, degradation=_GRAY, batch=24, patch=128, learning_rate=1e-3, loss="log_mse"),
        start="resunet_s-color-jpeg",
        dtype="bfloat16",
        limits=(
            "Trained on baseline JPEG of quality 5 to 95, standard tables, grayscale, compressed once, or twice with a "
            "resizing or a moved grid between, and on clean images and drawings. Images encoded with other tables are "
            "only partly restored. Texture removed by quantisation is not recovered. Not for measurements or evidence."
        ),
        paper=RESUNET,
    ),
    # 32 minutes on 1 to 2 CPU cores; Classic5, quality 10 / 20 / 30 / 40: 28.90 / 31.19 / 32.52 / 33.41 dB.
    "arcnn-gray-jpeg": Recipe(
        architecture="arcnn",
        config={"channels": 1, "residual": True},
        evaluation=_QUALITIES,
        ood_degradations=_OTHER,
        stages=(
            *stages(10_000, degradation=_UNIFORM, batch=16, patch=48, learning_rate=1e-3),
            *stages(5_000, degradation=_LOG_UNIFORM, batch=16, patch=48, learning_rate=1e-3, loss="log_mse"),
        ),
        dtype="bfloat16",
        limits=(
            "Trained on a single pass of baseline JPEG, quality 5 to 95, standard tables, grayscale. The receptive "
            "field is only 19 pixels: blocking and ringing are smoothed locally, without wider context. Not for "
            "measurements or evidence."
        ),
        paper="Dong et al., Compression artifacts reduction by a deep convolutional network, ICCV 2015",
    ),
    # 71 minutes on 2 CPU cores; LIVE1, quality 10 / 20 / 30 / 40: 27.09 / 29.40 / 30.65 / 31.51 dB. The images include
    # seventy drawings, made by `python -m benchmarks.drawings`.
    "resunet_s-color-jpeg": Recipe(
        architecture="resunet_s",
        config={"channels": 3, "residual": True},
        evaluation=_QUALITIES,
        ood_degradations=(*_OTHER, "web", "jpeg(quality=30, down=3, right=3)"),
        stages=stages(5_000, degradation=_COLOR, batch=24, patch=128, learning_rate=1e-3, loss="log_mse"),
        start="resunet_s-color-noise",
        dtype="bfloat16",
        limits=(
            "Trained on baseline JPEG of quality 5 to 95, standard tables, 4:2:0 and 4:4:4 chroma subsampling, "
            "compressed once, or twice with a resizing or a moved grid between, and on clean images and drawings. "
            "Images encoded with other tables are only partly restored. Texture removed by quantisation is not "
            "recovered. Not for measurements or evidence."
        ),
        paper=RESUNET,
    ),
}
# 18 minutes on 2 CPU cores; Classic5, quality 10 / 20 / 30 / 40: 29.23 / 31.38 / 32.63 / 33.46 dB.
RECIPES["resunet_s-gray-jpeg-direct"] = direct(
    RECIPES["resunet_s-gray-jpeg"],
    stages=stages(2_000, degradation=_GRAY, batch=24, patch=128, learning_rate=1e-3, loss="log_mse"),
    start="resunet_s-gray-jpeg",
)
