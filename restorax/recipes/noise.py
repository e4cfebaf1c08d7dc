"""Recipes against noise: Gaussian, impulses, photons and avalanches."""

from ..recipe import Recipe, stages
from .common import GAUSSIAN_NOISE, OTHER_NOISE, RESUNET, direct

_LEVEL = "gaussian_noise(sigma={}/255, with_level=True)"
_BLIND = "gaussian_noise(sigma=uniform(0, 55/255))"

RECIPES = {
    # 474 minutes on 1 to 4 CPU cores; BSD68, sigma 15 / 25 / 50: 31.54 / 29.10 / 26.18 dB.
    "resunet_s-gray-noise": Recipe(
        architecture="resunet_s",
        config={"channels": 1, "residual": True},
        evaluation=GAUSSIAN_NOISE,
        ood_degradations=("gaussian_noise(sigma=75/255)", *OTHER_NOISE),
        stages=(
            *stages(30_000, 14_000, 16_000, degradation=_BLIND, later={"patch": 128}),
            *stages(8_500, degradation=_BLIND, patch=128, loss="log_mse", learning_rate=2.5e-4),
            *stages(14_000, degradation=_BLIND, patch=128, batch=24, loss="log_mse", learning_rate=5e-4),
        ),
        dtype="bfloat16",
        limits=(
            "Trained on white Gaussian noise up to sigma 55/255 only. Stronger, spatially correlated, impulsive or "
            "signal-dependent noise, as in most camera files, is only partly removed. Fine texture weaker than the "
            "noise is smoothed away, because the output approximates the mean of all plausible images. Not for "
            "measurements or evidence."
        ),
        paper=RESUNET,
    ),
    # 282 minutes on 2 CPU cores; CBSD68, sigma 15 / 25 / 50: 33.70 / 31.06 / 27.83 dB.
    "resunet_s-color-noise": Recipe(
        architecture="resunet_s",
        config={"channels": 3, "residual": True},
        evaluation=GAUSSIAN_NOISE,
        ood_degradations=("gaussian_noise(sigma=75/255)", *OTHER_NOISE),
        stages=(
            *stages(4_000, degradation=_BLIND, patch=128),
            *stages(6_000, degradation=_BLIND, patch=128, loss="log_mse", learning_rate=1e-3),
            *stages(9_000, degradation=_BLIND, patch=128, loss="log_mse", learning_rate=1.2e-3),
        ),
        dtype="bfloat16",
        limits=(
            "Trained on white Gaussian noise up to sigma 55/255, independent between pixels and channels. Stronger "
            "noise, correlated noise (for example after demosaicking), and impulsive or signal-dependent noise are "
            "only partly removed. Fine texture weaker than the noise is smoothed away. Not for measurements or "
            "evidence."
        ),
        paper=RESUNET,
    ),
    # 31 minutes on 2 CPU cores; CBSD68, sigma 15 / 25 / 50: 33.71 / 31.07 / 27.88 dB.
    "resunet_s-color-noise-level": Recipe(
        architecture="resunet_s",
        config={"channels": 3, "condition": "noise_level", "residual": True},
        evaluation=tuple(_LEVEL.format(s) for s in (15, 25, 50)),
        ood_degradations=(_LEVEL.format(2.55), _LEVEL.format(75), _LEVEL.format(100)),
        stages=stages(
            4_000,
            degradation="gaussian_noise(sigma=uniform(0, 75/255), with_level=True)",
            patch=128,
            loss="log_mse",
            learning_rate=8e-4,
        ),
        start="resunet_s-color-noise",
        dtype="bfloat16",
        limits=(
            "Requires the noise level; trained on white Gaussian noise up to sigma 75/255, independent between pixels "
            "and channels. Too low a level leaves noise, too high a level oversmooths. Fine texture weaker than the "
            "noise is smoothed away. Not for measurements or evidence."
        ),
        paper=RESUNET,
    ),
    # 39 minutes on 1 CPU core; BSD68, sigma 15 / 25 / 50: 31.28 / 28.85 / 25.97 dB.
    "ffdnet-gray-noise": Recipe(
        architecture="ffdnet",
        config={"channels": 1, "condition": "noise_level", "residual": True},
        evaluation=tuple(_LEVEL.format(s) for s in (15, 25, 50)),
        ood_degradations=(_LEVEL.format(100),),
        stages=stages(
            15_000,
            degradation="gaussian_noise(sigma=uniform(0, 75/255), with_level=True)",
            patch=64,
            batch=16,
            learning_rate=1e-3,
        ),
        dtype="bfloat16",
        limits=(
            "Requires the noise level; trained on white Gaussian noise up to sigma 75/255 only. Too low a level leaves "
            "noise, too high a level oversmooths. The level may vary from pixel to pixel. Fine texture weaker than the "
            "noise is smoothed away. Not for measurements or evidence."
        ),
        paper="Zhang et al., FFDNet: Toward a fast and flexible solution for CNN-based image denoising, TIP 2018",
    ),
    # 41 minutes on 1 CPU core; BSD68 29.04 dB, Set12 30.17 dB.
    "dncnn-gray-noise25": Recipe(
        architecture="dncnn",
        config={"channels": 1, "residual": True},
        evaluation=("gaussian_noise(sigma=25/255)",),
        ood_degradations=("gaussian_noise(sigma=15/255)", "gaussian_noise(sigma=35/255)", *OTHER_NOISE),
        stages=stages(15_000, degradation="gaussian_noise(sigma=25/255)", patch=48, learning_rate=1e-3),
        dtype="bfloat16",
        limits=(
            "Trained on white Gaussian noise of sigma 25/255 only. Leaves much of any stronger noise, and removes "
            "texture where the noise is weaker. Not for measurements or evidence."
        ),
        paper="Zhang et al., Beyond a Gaussian denoiser: Residual learning of deep CNN for image denoising, TIP 2017",
    ),
    # 25 minutes on 4 CPU cores; Set12, salt and pepper 30 / 70 %, random values 20 / 40 %:
    # 34.56 / 27.73 / 32.40 / 28.22 dB.
    "resunet_s-gray-impulse": Recipe(
        architecture="resunet_s",
        config={"channels": 1, "residual": True},
        evaluation=(
            "salt_and_pepper_noise(amount=0.3)",
            "salt_and_pepper_noise(amount=0.7)",
            "impulse_noise(amount=0.2)",
            "impulse_noise(amount=0.4)",
        ),
        ood_degradations=(
            "salt_and_pepper_noise(amount=0.9)",
            "gaussian_noise(sigma=15/255) + salt_and_pepper_noise(amount=0.3)",
            "gaussian_noise(sigma=25/255)",
            "identity()",
        ),
        stages=stages(
            12_000,
            degradation=(
                "one_of(salt_and_pepper_noise(amount=uniform(0.05, 0.7)), impulse_noise(amount=uniform(0.05, 0.5)))"
            ),
        ),
        dtype="bfloat16",
        limits=(
            "Trained on salt-and-pepper noise on 5 to 70 % of the pixels and random-valued impulses on 5 to 50 %, in "
            "otherwise clean images. Other noise is mistaken for detail and kept; genuine black or white points are "
            "removed as if they were noise. Not for measurements or evidence."
        ),
        paper=RESUNET,
    ),
    # 54 minutes on 1 to 4 CPU cores; Set12, photons 10 / EMCCD 10 / APD 20: 26.52 / 25.17 / 25.29 dB.
    "resunet_s-gray-avalanche": Recipe(
        architecture="resunet_s",
        config={"channels": 1, "residual": True},
        evaluation=("shot_noise(peak=10)", "emccd_noise(peak=10)", "apd_noise(peak=20)"),
        ood_degradations=(
            "shot_noise(peak=1)",
            "gaussian_noise(sigma=25/255)",
            "camera_noise(shot=0.01, read=0.02)",
            "identity()",
        ),
        stages=stages(
            12_000,
            4_500,
            degradation=(
                "one_of(shot_noise(peak=log_uniform(2, 200)), emccd_noise(peak=log_uniform(2, 200)), "
                "apd_noise(peak=log_uniform(4, 400)))"
            ),
            later={"patch": 128, "loss": "log_mse"},
        ),
        dtype="bfloat16",
        limits=(
            "Trained on photon-counting noise with 2 to 400 photons at white, without multiplication or through an "
            "EMCCD (gain 300, 40 electrons of read noise) or an avalanche photodiode (gain 100, ionisation ratio "
            "0.02), on linear intensities scaled to [0, 1]. Gamma-corrected images and clock-induced charge are not "
            "covered. Photons must not be counted in the output."
        ),
        paper=RESUNET,
    ),
}
# 43 minutes on 1 CPU core; Set12 29.94 dB.
RECIPES["dncnn-gray-noise25-direct"] = direct(RECIPES["dncnn-gray-noise25"])
