"""Recipes against several kinds of damage with one network."""

from ..recipe import Recipe, stages
from .common import RESUNET

_SEVERAL = (
    "shuffle(maybe(gaussian_noise(sigma=uniform(0, 50/255))), maybe(gaussian_blur(sigma=uniform(0.4, 2.5), "
    "radius=8)), maybe(jpeg(quality=uniform(10, 95))), maybe(dead_pixels(amount=uniform(0, 0.8), hot=0)))"
)
_ONE = (
    "one_of(gaussian_noise(sigma=uniform(0, 50/255)), gaussian_blur(sigma=uniform(0.4, 2.5), radius=8) + "
    "gaussian_noise(sigma=uniform(0, 5/255)), jpeg(quality=uniform(10, 95)), dead_pixels(amount=uniform(0, 0.8), "
    "hot=0))"
)

RECIPES = {
    # 333 minutes on 1 to 2 CPU cores; CBSD68, noise 25 / blur 1.6 / JPEG 20 / half the pixels black / three at once:
    # 30.48 / 27.78 / 28.90 / 29.92 / 26.81 dB.
    "resunet_s-color-any": Recipe(
        architecture="resunet_s",
        config={"channels": 3, "residual": True},
        evaluation=(
            "gaussian_noise(sigma=25/255)",
            "gaussian_blur(sigma=1.6) + gaussian_noise(sigma=2.55/255)",
            "jpeg(quality=20)",
            "dead_pixels(amount=0.5, hot=0)",
            "gaussian_blur(sigma=1) + gaussian_noise(sigma=10/255) + jpeg(quality=40)",
        ),
        ood_degradations=(
            "motion_blur(length=15) + gaussian_noise(sigma=2.55/255)",
            "salt_and_pepper_noise(amount=0.3)",
            "gaussian_noise(sigma=75/255)",
            "jpeg(quality=5)",
            "identity()",
        ),
        stages=(
            *stages(12_000, degradation=_SEVERAL),
            # After chains alone, the network harms images with one light damage: most later patches have one.
            *stages(24_000, 16_000, degradation=f"one_of({_SEVERAL}, {_ONE})", learning_rate=1e-3),
            *stages(5_000, degradation=f"one_of({_SEVERAL}, {_ONE})", loss="log_mse", learning_rate=2.5e-4),
            *stages(
                8_500,
                degradation=f"one_of({_SEVERAL}, {_ONE}, gaussian_noise(sigma=uniform(0, 50/255)))",
                loss="log_mse",
                learning_rate=1.25e-4,
            ),
        ),
        dtype="bfloat16",
        limits=(
            "Trained on Gaussian noise up to sigma 50/255, Gaussian blur up to sigma 2.5, JPEG quality 10 to 95 and "
            "black pixels on up to 80 % of the image, some of them combined in any order. Where the degradation is "
            "known, a specialist is better: by 0.7 dB for noise, 0.6 dB for JPEG, and 2 dB where a mask marks the "
            "missing pixels. Motion blur, holes of many pixels and non-white noise are not covered. Not for "
            "measurements or evidence."
        ),
        paper=RESUNET,
    ),
}
