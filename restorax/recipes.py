"""How every published entry was trained: one frozen recipe per zoo name."""

from dataclasses import replace
from typing import Any

from .recipe import Recipe

_RESUNET = (
    "U-Net after DRUNet: Zhang et al., Plug-and-play image restoration with deep denoiser prior, TPAMI 2022; "
    "pixel unshuffle after FFDNet: Zhang et al., TIP 2018"
)
_SCANUNET = f"{_RESUNET}; recurrence after Griffin: De et al., 2024"
_WIENER = (
    "Filters before a network after Dong et al., Deep Wiener deconvolution, NeurIPS 2020; the kernel from the cepstrum "
    "after Cannon, IEEE TASSP 1976"
)
_NOISE = tuple(f"gaussian_noise(sigma={s}/255)" for s in (15, 25, 50))
_OTHER_NOISE = ("correlated_noise(sigma=25/255)", "shot_noise(peak=10)", "salt_and_pepper_noise(amount=0.05)")
_JPEG = tuple(f"jpeg(quality={q})" for q in (10, 20, 30, 40))
_OTHER_JPEG = (
    "jpeg(quality=3)",
    "double_jpeg(first=30, second=60)",
    "gaussian_noise(sigma=10/255) + jpeg(quality=40)",
)

_SEVERAL = (
    "shuffle(maybe(gaussian_noise(sigma=uniform(0, 50/255))), maybe(gaussian_blur(sigma=uniform(0.4, 2.5), "
    "radius=8)), maybe(jpeg(quality=uniform(10, 95))), maybe(dead_pixels(amount=uniform(0, 0.8), hot=0)))"
)
_ONE = (
    "one_of(gaussian_noise(sigma=uniform(0, 50/255)), gaussian_blur(sigma=uniform(0.4, 2.5), radius=8) + "
    "gaussian_noise(sigma=uniform(0, 5/255)), jpeg(quality=uniform(10, 95)), dead_pixels(amount=uniform(0, 0.8), "
    "hot=0))"
)


def _direct(recipe: Recipe, **changes: Any) -> Recipe:
    """The same network, predicting the image in place of the difference."""
    return replace(recipe, config=recipe.config | {"residual": False}, **changes)


RECIPES: dict[str, Recipe] = {
    # restorax train resunet_s-gray-noise --data bsd432: 474 minutes on 1 to 4 CPU cores (convolutions through oneDNN);
    # BSD68, sigma 15 / 25 / 50: 31.54 / 29.10 / 26.18 dB (one cycle: 0.1 dB less). The loss was L1 until the last
    # but one cycle, the batch 8 until the last.
    "resunet_s-gray-noise": Recipe(
        architecture="resunet_s",
        config={"channels": 1, "residual": True},
        degradation="gaussian_noise(sigma=uniform(0, 55/255))",
        evaluation=_NOISE,
        beyond=("gaussian_noise(sigma=75/255)", *_OTHER_NOISE),
        cycles=(30_000, 14_000, 16_000, 8_500, 14_000),
        later={"patch": 128, "batch": 24, "loss": "log_mse"},
        dtype="bfloat16",
        limits=(
            "Knows white Gaussian noise up to sigma 55/255 only: noise that is stronger, correlated between pixels, "
            "impulsive or signal-dependent, as in most camera files, is left in part. Fine texture below the noise is "
            "smoothed away, as the mean of all plausible images must be. Not for measurements or evidence."
        ),
        paper=_RESUNET,
    ),
    # restorax train ffdnet-gray-noise --data bsd432: 39 minutes on 1 CPU core (convolutions through oneDNN);
    # BSD68, sigma 15 / 25 / 50: 31.28 / 28.85 / 25.97 dB.
    "ffdnet-gray-noise": Recipe(
        architecture="ffdnet",
        config={"channels": 1, "condition": "noise_level", "residual": True},
        degradation="gaussian_noise(sigma=uniform(0, 75/255), with_level=True)",
        evaluation=tuple(f"gaussian_noise(sigma={s}/255, with_level=True)" for s in (15, 25, 50)),
        beyond=("gaussian_noise(sigma=100/255, with_level=True)",),
        cycles=(15_000,),
        patch=64,
        batch=16,
        learning_rate=1e-3,
        dtype="bfloat16",
        limits=(
            "Must be told the noise level, and knows white Gaussian noise up to sigma 75/255 only: told too little it "
            "leaves noise, told too much it smooths. A level of its own may be given for every pixel. Fine texture "
            "below the noise is smoothed away. Not for measurements or evidence."
        ),
        paper="Zhang et al., FFDNet: Toward a fast and flexible solution for CNN-based image denoising, TIP 2018",
    ),
    # restorax train dncnn-gray-noise25 --data bsd432: 41 minutes on 1 CPU core (convolutions through oneDNN);
    # BSD68 29.04 dB, Set12 30.17 dB.
    "dncnn-gray-noise25": Recipe(
        architecture="dncnn",
        config={"channels": 1, "residual": True},
        degradation="gaussian_noise(sigma=25/255)",
        evaluation=("gaussian_noise(sigma=25/255)",),
        beyond=("gaussian_noise(sigma=15/255)", "gaussian_noise(sigma=35/255)", *_OTHER_NOISE),
        cycles=(15_000,),
        patch=48,
        learning_rate=1e-3,
        dtype="bfloat16",
        limits=(
            "Knows white Gaussian noise of sigma 25/255 and no other: of stronger noise it leaves much, and with "
            "weaker noise it takes texture away. Not for measurements or evidence."
        ),
        paper="Zhang et al., Beyond a Gaussian denoiser: Residual learning of deep CNN for image denoising, TIP 2017",
    ),
    # restorax train scanunet_s-gray-missing --data bsd432: 151 minutes on 1 to 4 CPU cores, 29 of them paused
    # (convolutions through oneDNN); Set12, 50 / 80 % missing: 34.26 / 28.53 dB. The first two cycles filled smoothly
    # only, and lowered L1.
    "scanunet_s-gray-missing": Recipe(
        architecture="scanunet_s",
        config={"channels": 1, "residual": True, "condition": "mask", "sparse": 40},
        degradation="missing_pixels(missing=uniform(0.3, 0.9))",
        evaluation=("missing_pixels(missing=0.5)", "missing_pixels(missing=0.8)"),
        beyond=(
            "missing_pixels(missing=0.95)",
            "missing_strokes(thickness=0.4)",
            "gaussian_noise(sigma=15/255) + missing_pixels(missing=0.5)",
        ),
        cycles=(20_000, 5_000, 7_500),
        later={"patch": 192, "batch": 2, "loss": "log_mse"},
        dtype="bfloat16",
        limits=(
            "Knows single pixels missing at random, 30 to 90 % of them, with an exact mask and clean known pixels: "
            "large holes are filled smoothly and blurred, noise in known pixels is copied through. What it writes into "
            "holes is plausible, not what was there. Not for measurements or evidence."
        ),
        paper=_SCANUNET,
    ),
    # restorax train resunet_s-gray-jpeg --data bsd432: 92 minutes on 2 CPU cores (convolutions through oneDNN);
    # Classic5, quality 10 / 20 / 30 / 40: 29.54 / 31.73 / 32.98 / 33.83 dB. From fresh parameters, 36,000 steps of 8
    # patches came to 29.35 / 31.64 / 32.95 / 33.82 dB in 141 minutes.
    "resunet_s-gray-jpeg": Recipe(
        architecture="resunet_s",
        config={"channels": 1, "residual": True},
        degradation="jpeg(quality=log_uniform(5, 95))",
        evaluation=_JPEG,
        beyond=_OTHER_JPEG,
        cycles=(6_200,),
        start="resunet_s-gray-noise",
        batch=24,
        patch=128,
        learning_rate=1e-3,
        loss="log_mse",
        dtype="bfloat16",
        limits=(
            "Knows one pass of baseline JPEG at quality 5 to 95 on gray pictures with the standard tables: pictures "
            "compressed twice, shifted against the 8 x 8 grid, resized afterwards or written by a codec with "
            "other tables are restored in part. Texture that the quantisation removed is not brought back. Not for "
            "measurements or evidence."
        ),
        paper=_RESUNET,
    ),
    # restorax train arcnn-gray-jpeg --data bsd432: 32 minutes on 1 to 2 CPU cores (convolutions through oneDNN);
    # Classic5, quality 10 / 20 / 30 / 40: 28.90 / 31.19 / 32.52 / 33.41 dB. The first cycle lowered L1 for qualities
    # drawn uniformly, and the second had the peak of the first.
    "arcnn-gray-jpeg": Recipe(
        architecture="arcnn",
        config={"channels": 1, "residual": True},
        degradation="jpeg(quality=log_uniform(5, 95))",
        evaluation=_JPEG,
        beyond=_OTHER_JPEG,
        cycles=(10_000, 5_000),
        batch=16,
        patch=48,
        learning_rate=1e-3,
        loss="log_mse",
        dtype="bfloat16",
        limits=(
            "Knows one pass of baseline JPEG at quality 5 to 95 on gray pictures with the standard tables. Sees 19 "
            "pixels only: it smooths blocks and ringing where they are, and knows nothing of what surrounds them. Not "
            "for measurements or evidence."
        ),
        paper="Dong et al., Compression artifacts reduction by a deep convolutional network, ICCV 2015",
    ),
    # restorax train resunet_s-color-jpeg --data bsd432: 27 minutes on 2 CPU cores (convolutions through oneDNN);
    # CBSD68, quality 10 / 20 / 30 / 40: 27.18 / 29.49 / 30.81 / 31.75 dB.
    "resunet_s-color-jpeg": Recipe(
        architecture="resunet_s",
        config={"channels": 3, "residual": True},
        degradation="jpeg(quality=uniform(5, 95))",
        evaluation=_JPEG,
        beyond=_OTHER_JPEG,
        cycles=(12_000,),
        start="resunet_s-color-any",
        learning_rate=1e-3,
        dtype="bfloat16",
        limits=(
            "Knows one pass of baseline JPEG at quality 5 to 95 with the standard tables and 4:2:0 chroma: pictures "
            "compressed twice, shifted against the grid of blocks, resized afterwards or written by a codec with "
            "other tables are restored in part. Texture that the quantisation removed is not brought back. Not for "
            "measurements or evidence."
        ),
        paper=_RESUNET,
    ),
    # restorax train resunet_s-color-noise --data bsd432: 42 minutes on 4 CPU cores (convolutions through oneDNN);
    # CBSD68, sigma 15 / 25 / 50: 33.79 / 31.14 / 27.89 dB.
    "resunet_s-color-noise": Recipe(
        architecture="resunet_s",
        config={"channels": 3, "residual": True},
        degradation="gaussian_noise(sigma=uniform(0, 55/255))",
        evaluation=_NOISE,
        beyond=("gaussian_noise(sigma=75/255)", *_OTHER_NOISE),
        cycles=(20_000,),
        dtype="bfloat16",
        limits=(
            "Knows white Gaussian noise up to sigma 55/255, independent between pixels and channels: noise that is "
            "stronger, correlated as after demosaicking, impulsive or signal-dependent is left in part. Fine texture "
            "below the noise is smoothed away. Not for measurements or evidence."
        ),
        paper=_RESUNET,
    ),
    # restorax train resunet_s-gray-impulse --data bsd432: 25 minutes on 4 CPU cores (convolutions through oneDNN);
    # Set12, salt and pepper 30 / 70 %, random values 20 / 40 %: 34.56 / 27.73 / 32.40 / 28.22 dB.
    "resunet_s-gray-impulse": Recipe(
        architecture="resunet_s",
        config={"channels": 1, "residual": True},
        degradation=(
            "one_of(salt_and_pepper_noise(amount=uniform(0.05, 0.7)), impulse_noise(amount=uniform(0.05, 0.5)))"
        ),
        evaluation=(
            "salt_and_pepper_noise(amount=0.3)",
            "salt_and_pepper_noise(amount=0.7)",
            "impulse_noise(amount=0.2)",
            "impulse_noise(amount=0.4)",
        ),
        beyond=(
            "salt_and_pepper_noise(amount=0.9)",
            "gaussian_noise(sigma=15/255) + salt_and_pepper_noise(amount=0.3)",
            "gaussian_noise(sigma=25/255)",
        ),
        cycles=(12_000,),
        dtype="bfloat16",
        limits=(
            "Knows salt and pepper on 5 to 70 % of the pixels and random values on 5 to 50 %, on otherwise clean "
            "pictures: other noise is taken for detail and kept, and real black or white points are removed as salt "
            "and pepper. Not for measurements or evidence."
        ),
        paper=_RESUNET,
    ),
    # restorax train resunet_s-gray-avalanche --data bsd432: 54 minutes on 1 to 4 CPU cores (convolutions by oneDNN);
    # Set12, photons 10 / EMCCD 10 / APD 20: 26.52 / 25.17 / 25.29 dB.
    "resunet_s-gray-avalanche": Recipe(
        architecture="resunet_s",
        config={"channels": 1, "residual": True},
        degradation=(
            "one_of(shot_noise(peak=log_uniform(2, 200)), emccd_noise(peak=log_uniform(2, 200)), "
            "apd_noise(peak=log_uniform(4, 400)))"
        ),
        evaluation=("shot_noise(peak=10)", "emccd_noise(peak=10)", "apd_noise(peak=20)"),
        beyond=("shot_noise(peak=1)", "gaussian_noise(sigma=25/255)", "camera_noise(shot=0.01, read=0.02)"),
        cycles=(12_000, 4_500),
        later={"patch": 128, "loss": "log_mse"},
        dtype="bfloat16",
        limits=(
            "Knows the noise of counted photons with 2 to 400 of them at white, through no register, that of an EMCCD "
            "(gain 300, 40 electrons of read noise) or an avalanche photodiode (gain 100, ionisation ratio 0.02), on "
            "linear intensities scaled to [0, 1]: gamma-corrected pictures and clock-induced charge are not covered. "
            "Counting photons in its output is not valid."
        ),
        paper=_RESUNET,
    ),
    # restorax train resunet_s-gray-blur --data bsd432: 83 minutes on 2 CPU cores, 20 of them paused (convolutions
    # through oneDNN); Set12, Gaussian 1.6 / motion 15 / defocus 3: 28.35 / 22.45 / 27.74 dB. Step 20,000 of the 26,000
    # validated best and was published.
    "resunet_s-gray-blur": Recipe(
        architecture="resunet_s",
        config={"channels": 1, "residual": True},
        degradation=(
            "one_of(gaussian_blur(sigma=uniform(0.4, 2.5), radius=8), "
            "motion_blur(length=uniform(1, 15), angle=uniform(0, 180), radius=8), "
            "defocus_blur(blur_radius=uniform(0.5, 5), radius=5)) + gaussian_noise(sigma=uniform(0, 5/255))"
        ),
        evaluation=(
            "gaussian_blur(sigma=1.6) + gaussian_noise(sigma=2.55/255)",
            "motion_blur(length=15) + gaussian_noise(sigma=2.55/255)",
            "defocus_blur(blur_radius=3) + gaussian_noise(sigma=2.55/255)",
        ),
        beyond=(
            "gaussian_blur(sigma=3)",
            "gaussian_blur(sigma=1.6) + gaussian_noise(sigma=10/255)",
            "shake_blur(length=15) + gaussian_noise(sigma=2.55/255)",
        ),
        cycles=(20_000, 6_000),
        later={"patch": 192, "batch": 2},
        dtype="bfloat16",
        limits=(
            "Sees the blurred picture alone, where others see it through inverse filters too. Knows one blur over the "
            "whole picture, Gaussian to sigma 2.5, straight motion or defocus to 5 pixels, with noise to 5/255. Motion "
            "of 15 pixels it hardly undoes. Camera shake along a curve, blur that varies over the picture, and "
            "moving objects are restored in part or not at all. Not for measurements or evidence."
        ),
        paper=_RESUNET,
    ),
    # restorax train unet-color-missing --data bsd432: 99 minutes on 1 to 2 CPU cores (convolutions through oneDNN);
    # CBSD68, 50 / 80 % of the pixels, strokes, squares missing: 31.95 / 27.00 / 35.11 / 38.31 dB. The first two cycles
    # filled smoothly only, and lowered L1.
    "unet-color-missing": Recipe(
        architecture="unet",
        config={
            "channels": 3,
            "widths": (32, 64, 128),
            "residual": True,
            "condition": "mask",
            "sparse": 40,
        },
        degradation=(
            "one_of(missing_pixels(missing=uniform(0.2, 0.9)), missing_strokes(thickness=uniform(0.2, 1)), "
            "missing_blocks(side=uniform(0.05, 0.3), blocks=4), missing_lines(lines=5, thickness=uniform(1, 5)))"
        ),
        evaluation=(
            "missing_pixels(missing=0.5)",
            "missing_pixels(missing=0.8)",
            "missing_strokes(thickness=0.4)",
            "missing_blocks(side=0.07, blocks=8)",
        ),
        beyond=(
            "missing_pixels(missing=0.95)",
            "missing_blocks(side=0.4)",
            "gaussian_noise(sigma=15/255) + missing_pixels(missing=0.5)",
        ),
        cycles=(6_000, 5_600, 5_500),
        later={"patch": 128, "batch": 6, "loss": "log_mse"},
        dtype="bfloat16",
        limits=(
            "Knows single pixels, free-form strokes to 15 pixels, squares to 28 pixels and lines to 5 pixels missing, "
            "with an exact mask and clean known pixels: larger holes are filled smoothly, without objects or texture. "
            "What it writes into holes is plausible, not what was there. Not for measurements or evidence."
        ),
        paper="Ronneberger et al., U-Net: Convolutional networks for biomedical image segmentation, MICCAI 2015",
    ),
    # restorax train burst_rnn-gray-noise --data bsd432: 21 minutes on 2 CPU cores (convolutions through oneDNN);
    # Set12, sigma 15 / 25 / 50: 33.45 / 31.50 / 28.28 dB; trained alike on burst(frames=1, shift=0), the same network
    # reaches 32.08 / 29.79 / 26.67 dB on one frame.
    "burst_rnn-gray-noise": Recipe(
        architecture="burst_rnn",
        config={"channels": 1, "width": 32, "residual": True},
        degradation="burst(frames=8, shift=2) + gaussian_noise(sigma=uniform(0, 55/255))",
        evaluation=tuple(f"burst(frames=8, shift=2) + {noise}" for noise in _NOISE),
        beyond=(
            "burst(frames=8, shift=4) + gaussian_noise(sigma=25/255)",
            "burst(frames=4, shift=2) + gaussian_noise(sigma=25/255)",
            "burst(frames=8, shift=2) + shot_noise(peak=10)",
        ),
        cycles=(6_000,),
        patch=64,
        dtype="bfloat16",
        limits=(
            "Knows bursts of 8 frames that differ by shifts of the whole picture of at most 2 pixels and by "
            "independent white Gaussian noise up to sigma 55/255, of a level drawn for each frame; restores the last "
            "one. With fewer frames, hence at the start of a stream, most of the noise stays. Objects that move, "
            "turning cameras and larger shifts gain less or smear. Not for measurements or evidence."
        ),
        paper="Ballas et al., Delving deeper into convolutional networks for learning video representations, ICLR 2016",
    ),
    # restorax train resunet_s-color-any --data bsd432: 333 minutes, 1 to 2 CPU cores (convolutions by oneDNN); CBSD68,
    # noise 25 / blur 1.6 / JPEG 20 / half the pixels black / three at once: 30.48 / 27.78 / 28.90 / 29.92 / 26.81 dB.
    # Until the last but one cycle, the loss was L1; until the last, no third of the patches had noise alone. The third
    # cycle validated best after 16,000 of its 20,000 steps; that step was published, and the others went on from it.
    "resunet_s-color-any": Recipe(
        architecture="resunet_s",
        config={"channels": 3, "residual": True},
        degradation=_SEVERAL,
        evaluation=(
            "gaussian_noise(sigma=25/255)",
            "gaussian_blur(sigma=1.6) + gaussian_noise(sigma=2.55/255)",
            "jpeg(quality=20)",
            "dead_pixels(amount=0.5, hot=0)",
            "gaussian_blur(sigma=1) + gaussian_noise(sigma=10/255) + jpeg(quality=40)",
        ),
        beyond=(
            "motion_blur(length=15) + gaussian_noise(sigma=2.55/255)",
            "salt_and_pepper_noise(amount=0.3)",
            "gaussian_noise(sigma=75/255)",
            "jpeg(quality=5)",
        ),
        cycles=(12_000, 24_000, 20_000, 5_000, 8_500),
        # After chains alone, the network harms pictures with one light damage: most of the last patches have one.
        later={
            "degradation": f"one_of({_SEVERAL}, {_ONE}, gaussian_noise(sigma=uniform(0, 50/255)))",
            "loss": "log_mse",
        },
        dtype="bfloat16",
        limits=(
            "Knows Gaussian noise to sigma 50/255, Gaussian blur to sigma 2.5, JPEG of quality 10 to 95 and black "
            "pixels on up to 80 % of the picture, some of them one after the other in any order. A specialist does "
            "better wherever the damage is known, by 0.7 dB against noise, 0.6 dB against JPEG, and 2 dB where a mask "
            "tells which pixels are missing. Does not know motion blur, holes of many pixels, or noise that is not "
            "white. Not for measurements or evidence."
        ),
        paper=_RESUNET,
    ),
}
"""Recipes by zoo name. ``restorax train NAME --data DIR`` runs one."""

_ROW_LSTM = (
    "Hochreiter and Schmidhuber, Long short-term memory, Neural Computation 1997; Graves, Generating sequences with "
    "recurrent neural networks, 2013"
)

# The same degradations, for other networks.
# restorax train wiener_unet-gray-blur --data bsd432: 42 minutes on 3 CPU cores (convolutions through oneDNN); Set12,
# Gaussian 1.6 / motion 15 / defocus 3: 29.08 / 27.79 / 29.37 dB.
RECIPES["wiener_unet-gray-blur"] = replace(
    RECIPES["resunet_s-gray-blur"],
    architecture="wiener_unet",
    # A short cycle first: the U-Net learns to trust kernels only once they are read well.
    cycles=(3_000, 10_000),
    later={"patch": 160, "batch": 6},
    patch=128,
    guide=0.1,
    limits=(
        "Knows one blur over the whole picture, Gaussian to sigma 2.5, straight motion to 15 pixels or defocus to 5 "
        "pixels, with noise to 5/255. It reads one kernel, its own mirror image, off each picture: camera shake along "
        "a curve comes out of it 0.4 to 0.6 dB worse, blur that varies over the picture and moving objects are "
        "restored in part or not at all. A kernel that was read wrongly, as it is sooner off pictures of 128 than of "
        "256 pixels, leaves ringing at edges; smooth walls of bricks are read as more blurred than they are, and come "
        "out worse than they were. Not for measurements or evidence."
    ),
    paper=f"{_WIENER}; {_RESUNET}",
)
# restorax train scanunet_s-gray-blur --data bsd432: 108 minutes on 1 CPU core, 25 of them paused (convolutions through
# oneDNN); Set12, Gaussian 1.6 / motion 15 / defocus 3: 29.06 / 27.34 / 29.25 dB.
RECIPES["scanunet_s-gray-blur"] = replace(
    RECIPES["wiener_unet-gray-blur"],
    architecture="scanunet_s",
    config={"channels": 1, "widths": (32, 64, 128), "residual": True, "filters": 4},
    cycles=(3_000, 9_500),
    # The gradient of log_mse is far larger than that of L1, so the guide has to weigh more.
    later={"patch": 192, "batch": 4, "loss": "log_mse", "guide": 5.0},
    paper=f"{_WIENER}; {_SCANUNET}",
)
# restorax train row_lstm-gray-missing --data bsd432: 7 minutes on 1 CPU core; Set12, 50 / 80 %: 29.44 / 25.03 dB.
# restorax train row_lstm-gray-blur --data bsd432: 7 minutes on 1 CPU core;
# Set12, Gaussian 1.6 / motion 15 / defocus 3: 26.36 / 22.20 / 25.67 dB.
# restorax train scanunet_s-color-missing --data bsd432: 58 minutes on 1 CPU core (convolutions through oneDNN);
# CBSD68, 50 / 80 % of the pixels, strokes, squares missing: 31.61 / 26.77 / 34.74 / 37.87 dB. As narrow as the
# convolutional network beside it, hence half the size of other entries of size s.
RECIPES["scanunet_s-color-missing"] = replace(
    RECIPES["unet-color-missing"],
    architecture="scanunet_s",
    cycles=(6_000, 2_500),
    later={"patch": 192, "batch": 2, "loss": "log_mse"},
    paper=_SCANUNET,
)
# restorax train prenet-gray-blur --data bsd432: 69 minutes on 1 CPU core (convolutions through oneDNN); Set12,
# Gaussian 1.6 / motion 15 / defocus 3: 27.83 / 22.19 / 27.11 dB.
RECIPES["prenet-gray-blur"] = replace(
    RECIPES["resunet_s-gray-blur"],
    architecture="prenet",
    cycles=(8_000,),
    later={},
    batch=4,
    patch=64,
    learning_rate=1e-3,
    limits=(
        "Six passes of one small network, whose hidden state is carried from one to the next. Knows one blur over the "
        "whole picture, Gaussian to sigma 2.5, straight motion or defocus to 5 pixels, with noise to 5/255. Camera "
        "shake along a curve, blur that varies over the picture, and moving objects are restored in part or not at "
        "all. Not for measurements or evidence."
    ),
    paper="Ren et al., Progressive image deraining networks: A better and simpler baseline, CVPR 2019",
)
for _task, _other, _told in (
    ("missing", "scanunet_s", {"condition": "mask"}),
    ("blur", "resunet_s", {}),
):
    RECIPES[f"row_lstm-gray-{_task}"] = replace(
        RECIPES[f"{_other}-gray-{_task}"],
        architecture="row_lstm",
        config={"channels": 1, "residual": True} | _told,
        cycles=(20_000,),
        later={},
        batch=16,
        patch=64,
        learning_rate=5e-3,
        dtype="float32",
        limits=(
            "A baseline, the textbook's recurrent network on the rows of patches of 32 x 32: it shows what plain "
            "LSTMs reach in milliseconds, not what to use. Not for measurements or evidence."
        ),
        paper=_ROW_LSTM,
    )

# Twins that predict the image where the others predict the difference.
# restorax train resunet_s-gray-jpeg-direct --data bsd432: 54 minutes on 2 busy CPU cores (convolutions through oneDNN);
# Classic5, quality 10 / 20 / 30 / 40: 29.24 / 31.42 / 32.68 / 33.54 dB. It was broken off after 900 steps at the peak
# and went on with a fresh optimiser, in float32.
# restorax train dncnn-gray-noise25-direct --data bsd432: 43 minutes on 1 CPU core (convolutions through oneDNN);
# Set12 29.94 dB.
RECIPES["dncnn-gray-noise25-direct"] = _direct(RECIPES["dncnn-gray-noise25"])
RECIPES["resunet_s-gray-jpeg-direct"] = _direct(
    RECIPES["resunet_s-gray-jpeg"], cycles=(1_900,), start="resunet_s-gray-jpeg", batch=8
)
# As those that they are twins of, they filled smoothly only, and lowered L1, before their last cycle.
# restorax train unet-color-missing-direct --data bsd432: 96 minutes on 1 to 2 CPU cores, 17 of them paused
# (convolutions by oneDNN); CBSD68, 50 / 80 % of the pixels, strokes, squares missing: 31.84 / 26.93 / 34.98 / 38.20 dB.
RECIPES["unet-color-missing-direct"] = _direct(RECIPES["unet-color-missing"], cycles=(6_000, 4_500))
# restorax train scanunet_s-gray-missing-direct --data bsd432: 94 minutes on 1 CPU core (convolutions by oneDNN);
# Set12, 50 / 80 % missing: 34.00 / 28.34 dB.
RECIPES["scanunet_s-gray-missing-direct"] = _direct(RECIPES["scanunet_s-gray-missing"], cycles=(10_000, 6_000))
# restorax train scanunet_s-gray-blur-direct --data bsd432: 64 minutes on 1 CPU core (convolutions through oneDNN);
# Set12, Gaussian 1.6 / motion 15 / defocus 3: 28.95 / 27.59 / 29.06 dB.
RECIPES["scanunet_s-gray-blur-direct"] = _direct(RECIPES["scanunet_s-gray-blur"], cycles=(3_000, 6_000))
