"""Recipes for sequences of frames."""

from dataclasses import replace
from typing import Any

from ..recipe import Recipe, stages
from .common import GAUSSIAN_NOISE, direct

_SCENE = (
    "moving_scene(frames={frames}, speed=uniform(0, 5), rotation=uniform(0, 1), zoom=uniform(0, 0.01), "
    "perspective=uniform(0, 0.2), shake=uniform(0, 1), rolling=uniform(0, 1), objects=2, object_speed=uniform(0, 5), "
    "margin={margin})"
)
_STILL = "moving_scene(frames=8, speed=0)"
_SLOW = "moving_scene(frames=8, speed=1, objects=1, margin=8)"
_FAST = "moving_scene(frames=8, speed=4, rotation=0.5, objects=2, object_speed=4, margin=24)"
_VIDEO_RNN = (
    "Sajjadi et al., Frame-recurrent video super-resolution, CVPR 2018; Dosovitskiy et al., FlowNet: Learning optical "
    "flow with convolutional networks, ICCV 2015"
)
_HOLES = (
    "one_of(missing_pixels(missing=uniform(0.2, 0.9)), missing_strokes(thickness=uniform(0.2, 1)), "
    "missing_blocks(side=uniform(0.02, 0.2), blocks=4), missing_lines(lines=5, thickness=uniform(1, 5)))"
)


def _trained(damage: str, *, motion: bool = False) -> tuple:
    """Stages of videos of moving scenes, longer ones at the end; ``motion`` trains its estimate, too."""
    short, long = (_SCENE.format(frames=frames, margin=24) for frames in (6, 10))
    weights = (0.5, 5.0) if motion else (0.0, 0.0)  # the gradient of log_mse is far larger than that of L1
    fields: dict[str, Any] = {"patch": 64, "batch": 4}
    return (
        *stages(6_000, degradation=f"{short} + {damage}", auxiliary_loss=weights[0], **fields),
        *stages(
            3_000,
            degradation=f"{long} + {damage}",
            learning_rate=1e-3,
            loss="log_mse",
            auxiliary_loss=weights[1],
            **fields,
        ),
    )


RECIPES = {
    # 21 minutes on 2 CPU cores; Set12, sigma 15 / 25 / 50: 33.45 / 31.50 / 28.28 dB.
    "burst_rnn-gray-noise": Recipe(
        architecture="burst_rnn",
        config={"channels": 1, "width": 32, "residual": True},
        evaluation=tuple(f"burst(frames=8, shift=2) + {noise}" for noise in GAUSSIAN_NOISE),
        ood_degradations=(
            "burst(frames=8, shift=4) + gaussian_noise(sigma=25/255)",
            "burst(frames=4, shift=2) + gaussian_noise(sigma=25/255)",
            "burst(frames=8, shift=2) + shot_noise(peak=10)",
        ),
        stages=stages(
            6_000, degradation="burst(frames=8, shift=2) + gaussian_noise(sigma=uniform(0, 55/255))", patch=64
        ),
        dtype="bfloat16",
        limits=(
            "Trained on bursts of 8 frames with global shifts of at most 2 pixels and independent white Gaussian noise "
            "up to sigma 55/255, its level drawn per frame; restores the last frame. With fewer frames, as at the "
            "start of a stream, most of the noise remains. Moving objects, rotation of the camera and larger shifts "
            "gain less or smear. Not for measurements or evidence."
        ),
        paper="Ballas et al., Delving deeper into convolutional networks for learning video representations, ICLR 2016",
    ),
}
# 80 minutes on 2 CPU cores shared with other work; McMaster, slow motion, sigma 15 / 25 / 50: 35.06 / 32.85 / 29.73 dB.
RECIPES["video_rnn-color-noise"] = Recipe(
    architecture="video_rnn",
    config={"channels": 3, "residual": True},
    evaluation=tuple(f"{_SLOW} + {noise}" for noise in GAUSSIAN_NOISE),
    ood_degradations=(
        f"{_STILL} + gaussian_noise(sigma=25/255)",
        f"{_FAST} + gaussian_noise(sigma=25/255)",
        f"{_SLOW} + shot_noise(peak=10)",
    ),
    stages=_trained("gaussian_noise(sigma=uniform(0, 50/255))", motion=True),
    dtype="bfloat16",
    limits=(
        "Trained on synthetic motion of photographs, up to about 10 pixels per frame, with independent white Gaussian "
        "noise of one level up to sigma 50/255 per video. The first frame, and videos out of focus, come out below "
        "`resunet_s-color-noise`. Changes of exposure gain less, and motion of more than 16 pixels per frame leaves "
        "faint traces. Compressed video has correlated noise, of which it removes less. Not for measurements or "
        "evidence."
    ),
    paper=_VIDEO_RNN,
)
# Not trained yet.
RECIPES["video_rnn-gray-noise"] = replace(RECIPES["video_rnn-color-noise"], config={"channels": 1, "residual": True})
# Not trained yet.
RECIPES["video_rnn-gray-noise-direct"] = direct(RECIPES["video_rnn-gray-noise"])
# Not trained yet.
RECIPES["video_rnn-gray-missing"] = replace(
    RECIPES["video_rnn-gray-noise"],
    config={"channels": 1, "residual": True, "condition": "mask"},
    evaluation=(
        f"{_SLOW} + missing_pixels(missing=0.5)",
        f"{_SLOW} + missing_pixels(missing=0.8)",
        f"{_SLOW} + missing_lines(lines=5, thickness=3)",
    ),
    ood_degradations=(
        f"{_STILL} + missing_pixels(missing=0.8)",
        f"{_FAST} + missing_pixels(missing=0.8)",
        f"{_SLOW} + missing_pixels(missing=0.95)",
    ),
    stages=_trained(_HOLES),
    limits=(
        "Trained on holes that differ from frame to frame, such as dust, scratches and dropped lines, with an exact "
        "mask and clean known pixels. A hole that stays at one place of a still video is filled as in one image. "
        "Filled pixels are plausible, not the true content. Not for measurements or evidence."
    ),
)
