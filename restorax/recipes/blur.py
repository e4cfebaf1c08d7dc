"""Recipes against blur."""

from dataclasses import replace

from ..recipe import Recipe, stages
from .common import RESUNET, ROW_LSTM, ROW_LSTM_LIMITS, SCANUNET, direct

_WIENER = (
    "Filters before a network after Dong et al., Deep Wiener deconvolution, NeurIPS 2020; the kernel from the cepstrum "
    "after Cannon, IEEE TASSP 1976"
)
_BLUR = (
    "one_of(gaussian_blur(sigma=uniform(0.4, 2.5), radius=8), "
    "motion_blur(length=uniform(1, 15), angle=uniform(0, 180), radius=8), "
    "defocus_blur(blur_radius=uniform(0.5, 5), radius=5)) + gaussian_noise(sigma=uniform(0, 5/255))"
)
# The gradient of log_mse is far larger than that of L1, so the auxiliary loss has to weigh more.
_LATE_SCAN = {"patch": 192, "batch": 4, "loss": "log_mse", "auxiliary_loss": 5.0}

RECIPES = {}
# 42 minutes on 3 CPU cores; Set12, Gaussian 1.6 / motion 15 / defocus 3: 29.10 / 27.18 / 29.31 dB.
RECIPES["wiener_unet-gray-blur"] = Recipe(
    architecture="wiener_unet",
    config={"channels": 1, "residual": True},
    evaluation=(
        "gaussian_blur(sigma=1.6) + gaussian_noise(sigma=2.55/255)",
        "motion_blur(length=15) + gaussian_noise(sigma=2.55/255)",
        "defocus_blur(blur_radius=3) + gaussian_noise(sigma=2.55/255)",
    ),
    ood_degradations=(
        "gaussian_blur(sigma=3)",
        "gaussian_blur(sigma=1.6) + gaussian_noise(sigma=10/255)",
        "shake_blur(length=15) + gaussian_noise(sigma=2.55/255)",
        "identity()",
    ),
    dtype="bfloat16",
    # A short stage first: the U-Net learns to trust kernels only once they are estimated well.
    stages=stages(3_000, 10_000, degradation=_BLUR, patch=128, auxiliary_loss=0.1, later={"patch": 160, "batch": 6}),
    limits=(
        "Trained on uniform blur: Gaussian up to sigma 2.5, straight motion up to 15 pixels, or defocus up to 5 "
        "pixels, with noise up to 5/255. Estimates one point-symmetric kernel per image: camera shake along a curve "
        "comes out 0.4 to 0.6 dB worse than the input; spatially varying blur and moving objects are restored partly "
        "or not at all. A wrong kernel estimate, more likely at 128 than at 256 pixels, causes ringing at edges. The "
        "blur of smooth brick walls is overestimated, so they come out worse than the input. Not for measurements or "
        "evidence."
    ),
    paper=f"{_WIENER}; {RESUNET}",
)
# 108 minutes on 1 CPU core; Set12, Gaussian 1.6 / motion 15 / defocus 3: 29.02 / 26.72 / 29.16 dB.
RECIPES["scanunet_s-gray-blur"] = replace(
    RECIPES["wiener_unet-gray-blur"],
    architecture="scanunet_s",
    config={"channels": 1, "widths": (32, 64, 128), "residual": True, "filters": 4},
    stages=stages(3_000, 9_500, degradation=_BLUR, patch=128, auxiliary_loss=0.1, later=_LATE_SCAN),
    paper=f"{_WIENER}; {SCANUNET}",
)
# 64 minutes on 1 CPU core; Set12, Gaussian 1.6 / motion 15 / defocus 3: 28.91 / 26.91 / 29.03 dB.
RECIPES["scanunet_s-gray-blur-direct"] = direct(
    RECIPES["scanunet_s-gray-blur"],
    stages=stages(3_000, 6_000, degradation=_BLUR, patch=128, auxiliary_loss=0.1, later=_LATE_SCAN),
)
# 69 minutes on 1 CPU core; Set12, Gaussian 1.6 / motion 15 / defocus 3: 27.99 / 22.05 / 27.27 dB.
RECIPES["prenet-gray-blur"] = replace(
    RECIPES["wiener_unet-gray-blur"],
    architecture="prenet",
    stages=stages(8_000, degradation=_BLUR, batch=4, patch=64, learning_rate=1e-3),
    limits=(
        "Six passes of one small recurrent network. Trained on uniform blur: Gaussian up to sigma 2.5, straight "
        "motion, or defocus up to 5 pixels, with noise up to 5/255. Camera shake along a curve, spatially varying blur "
        "and moving objects are restored partly or not at all. Not for measurements or evidence."
    ),
    paper="Ren et al., Progressive image deraining networks: A better and simpler baseline, CVPR 2019",
)
# 7 minutes on 1 CPU core; Set12, Gaussian 1.6 / motion 15 / defocus 3: 26.47 / 22.06 / 25.78 dB.
RECIPES["row_lstm-gray-blur"] = replace(
    RECIPES["wiener_unet-gray-blur"],
    architecture="row_lstm",
    stages=stages(20_000, degradation=_BLUR, batch=16, patch=64, learning_rate=5e-3),
    dtype="float32",
    limits=ROW_LSTM_LIMITS,
    paper=ROW_LSTM,
)
