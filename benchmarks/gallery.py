"""Every operator at three strengths on one photograph: ``python -m benchmarks.gallery docs/gallery.jpg``."""

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import typer
from rich.progress import track

from restorax.data import sample_images
from restorax.degrade import parse
from restorax.files import written_beside

matplotlib.use("Agg")
import matplotlib.pyplot as plt

LADDERS: dict[str, tuple] = {
    "gaussian_noise(sigma={}/255)": (15, 25, 50),
    "correlated_noise(sigma={}/255)": (15, 25, 50),
    "uniform_noise(amplitude={})": (0.1, 0.2, 0.4),
    "speckle_noise(sigma={})": (0.15, 0.3, 0.6),
    "salt_and_pepper_noise(amount={})": (0.05, 0.2, 0.5),
    "impulse_noise(amount={})": (0.05, 0.2, 0.5),
    "stripe_noise(sigma={})": (0.02, 0.05, 0.1),
    "dead_pixels(amount={})": (0.001, 0.005, 0.02),
    "shot_noise(peak={})": (100, 20, 4),
    "camera_noise(shot={}, read=0.02)": (0.005, 0.02, 0.08),
    "emccd_noise(peak={})": (100, 20, 4),
    "apd_noise(peak={})": (100, 20, 4),
    "missing_pixels(missing={})": (0.3, 0.5, 0.8),
    "missing_blocks(side={})": (0.15, 0.3, 0.5),
    "missing_strokes(thickness={})": (0.5, 1, 1.5),
    "missing_lines(thickness={})": (1, 3, 8),
    "missing_border(margin={})": (0.05, 0.1, 0.2),
    "bayer_mosaic(pattern='{}')": ("RGGB", "BGGR", "GRBG"),
    "gaussian_blur(sigma={})": (0.8, 1.6, 3),
    "anisotropic_blur(sigma={}, ratio=0.3, angle=30)": (1, 2, 4),
    "motion_blur(length={}, angle=30)": (5, 10, 20),
    "defocus_blur(blur_radius={})": (1.5, 3, 6),
    "sinc_filter(cutoff={})": (2, 1.3, 0.8),
    "shake_blur(length={})": (8, 16, 32),
    "jpeg(quality={})": (30, 10, 5),
    "jpeg_straight_through(quality={})": (30, 10, 5),
    "double_jpeg(first={}, second=50)": (30, 10, 5),
    "chroma_subsampling()": ("",),
    "low_resolution(factor={})": (2, 3, 4),
    "rescale(factor={})": (0.7, 0.4, 0.2),
    "low_light(exposure={}, shot=0.01, read=0.01)": (0.3, 0.1, 0.03),
    "gamma_change(gamma={})": (0.5, 1.5, 3),
    "haze(transmission={})": (0.8, 0.5, 0.25),
    "fade(contrast={0}, saturation={0})": (0.8, 0.5, 0.25),
    "quantisation(levels={})": (16, 8, 4),
    "palette(colours={})": (64, 16, 6),
    "burst(frames=2, shift={})": (1, 4, 16),
    "real_esrgan": ("",),
    "bsrgan": ("",),
}
"""The strengths that fill the gap in the text of each row."""


def main(out: str, side: int = 128) -> None:
    """Draw the gallery and write it as an image file."""
    photograph = jnp.asarray(sample_images(3)["astronaut"][20 : 20 + side, 130 : 130 + side])
    columns = 3
    rows = -(-len(LADDERS) // columns)
    figure = plt.figure(figsize=(3 * columns * 1.34, rows * 1.48), dpi=100)
    place = {"left": 0.01, "bottom": 0.005, "right": 0.965, "top": 0.985, "wspace": 0.04, "hspace": 0.16}
    axes = [part.subplots(rows, 3, gridspec_kw=place) for part in figure.subfigures(1, columns)]
    for axis in np.ravel(axes):
        axis.axis("off")
    for index, (text, strengths) in enumerate(track(LADDERS.items(), "degrading")):
        column, row = divmod(index, rows)
        for i, strength in enumerate(strengths):
            degraded = jax.jit(parse(text.format(strength)))(jax.random.key(i), photograph).image
            degraded = degraded[0] if degraded.ndim > photograph.ndim else degraded
            axes[column][row, i].imshow(np.clip(degraded, 0, 1), interpolation="nearest")
        # The whole text, as `parse` reads it, runs over the second picture; over the third are the other strengths.
        first, _, last = axes[column][row]
        first.set_title(text.format(strengths[0]), fontsize=7, loc="left", pad=2)
        last.set_title(", ".join(map(str, strengths[1:])), fontsize=7, loc="right", pad=2)
    with written_beside(out) as beside:
        figure.savefig(beside, format=out.rsplit(".", 1)[-1])


if __name__ == "__main__":
    typer.run(main)
