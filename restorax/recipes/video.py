"""Recipes for sequences of frames."""

from ..recipe import Recipe, stages
from .common import GAUSSIAN_NOISE

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
