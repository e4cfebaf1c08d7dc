"""Recipes for photographs as they are: noise of cameras, compression, and pictures that need nothing."""

from ..recipe import Recipe, Stage, stages
from .common import RESUNET

_CAMERA = (
    "camera_photo(shot=log_uniform(0.0001, 0.01), smooth=0.6, chroma=0.7) + "
    "maybe(rescale(factor=uniform(0.5, 1)), probability=0.2)"
)
_WHITE = "gaussian_noise(sigma=uniform(0, 40/255))"
_COMPRESSED = "maybe(jpeg(quality=uniform(50, 95), down=uniform(0, 7), right=uniform(0, 7)))"
_SAVED = "one_of(jpeg(quality=uniform(60, 98)), jpeg(quality=uniform(60, 98), subsampling='4:4:4'), weights=(2, 1))"
_PHOTO = f"one_of({_CAMERA}, {_WHITE}, {_COMPRESSED}, weights=(0.7, 0.12, 0.18)) + maybe({_SAVED}, probability=0.6)"
# Refined with darker scenes, more white noise and less that needs nothing.
_DARKER = (
    "camera_photo(shot=log_uniform(0.0001, 0.02), smooth=0.6, chroma=0.7) + "
    "maybe(rescale(factor=uniform(0.5, 1)), probability=0.1)"
)
_STRONGER = f"one_of({_DARKER}, {_WHITE}, {_COMPRESSED}, weights=(0.6, 0.26, 0.14)) + maybe({_SAVED}, probability=0.6)"

RECIPES = {
    "resunet_s-color-photo": Recipe(
        architecture="resunet_s",
        config={"channels": 3, "residual": True},
        evaluation=("camera_iso_high", "camera_iso_low", "gaussian_noise(sigma=15/255)"),
        ood_degradations=("phone", "web", "gaussian_noise(sigma=25/255)", "jpeg(quality=40)", "identity()"),
        stages=(
            *stages(4_000, degradation="gaussian_noise(sigma=uniform(0, 55/255))", patch=128),
            *stages(
                6_000,
                degradation="gaussian_noise(sigma=uniform(0, 55/255))",
                patch=128,
                loss="log_mse",
                learning_rate=1e-3,
            ),
            Stage(steps=4_000, degradation=_PHOTO, patch=128, learning_rate=1e-3),
            Stage(steps=3_500, degradation=_STRONGER, patch=128, learning_rate=1e-3),
            Stage(steps=1_500, degradation=_STRONGER, patch=128, learning_rate=5e-4, loss="mse"),
        ),
        dtype="bfloat16",
        limits=(
            "Trained on simulated cameras (noise in the raw data, demosaicking, noise reduction, JPEG), white noise, "
            "JPEG twice and clean images; the range of the simulation was set with the statistics of PolyU. Strong "
            "noise of very dark scenes, blur, scratches and missing pixels are not removed. Fine texture weaker than "
            "the noise is smoothed away; rendered text and screenshots with little noise lose up to 3 dB. Not for "
            "measurements or evidence."
        ),
        paper=f"{RESUNET}; raw noise after Brooks et al., Unprocessing images for learned raw denoising, CVPR 2019",
    ),
}
