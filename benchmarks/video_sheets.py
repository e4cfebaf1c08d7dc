"""Contact sheets of restored videos: ``python -m benchmarks.video_sheets OUT --folder CLIPS``.

One sheet per clip, with a row per method and a column per frame; one of a cut between the first two clips; and the PSNR
of a camera that stands still against the number of frames, beside the mean of all frames so far.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from restorax import data
from restorax.files.atomic import written_beside

from .options import option
from .video import Video, clips, method_of, still


def sheet(rows: dict[str, Video], numbers: Sequence[int], path: Path) -> None:
    """Draw the frames of these numbers, counted from 1, one row per video."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.2 * len(numbers), 2.3 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), len(numbers), squeeze=False)
    for row, (title, video) in zip(axes, rows.items(), strict=True):
        for axis, number in zip(row, numbers, strict=True):
            axis.imshow(np.clip(video[number - 1], 0, 1), interpolation="nearest")
            axis.set(xticks=[], yticks=[])
        row[0].set_ylabel(title, fontsize=8)
    for axis, number in zip(axes[0], numbers, strict=True):
        axis.set_title(f"frame {number}", fontsize=8)
    _save(figure, path)


def curve(names: Sequence[str], path: Path, *, sigma: int = 25, frames: int = 32) -> None:
    """Draw the PSNR of every frame of a still image."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 4), layout="constrained")
    axis, image = figure.subplots(), data.sample_images(3)["astronaut"][:256, :256]
    rows = {(r["method"], r["frame"]): float(r["psnr"]) for name in names for r in still(name, image, sigma, frames)}
    for method in dict.fromkeys(method for method, _ in rows):
        axis.plot(range(1, frames + 1), [rows[method, frame] for frame in range(1, frames + 1)], label=method)
    axis.set(xscale="log", xlabel="frame", ylabel="PSNR [dB]", title=f"still camera, sigma {sigma}/255")
    axis.legend(fontsize=8)
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    with written_beside(path) as beside:
        figure.savefig(beside, dpi=110)
    print(path)


def main(
    out: Path,
    folder: Annotated[str, option("Folder of videos [videos made of scikit-image's images].")] = "",
    entry: Annotated[list[str] | None, option("Entry, repeatable.")] = None,
    sigma: Annotated[int, option("Noise to add, in units of 8 bits; 0 for clips with noise of their own.")] = 25,
    frame: Annotated[list[int] | None, option("Frame, repeatable [1, 2, 5, 10, 20].")] = None,
    side: Annotated[int, option("Side of the part of the clips, in pixels.")] = 192,
) -> None:
    """Draw the sheets."""
    names, numbers = entry or ["resunet_s-color-noise"], frame or [1, 2, 5, 10, 20]
    out.mkdir(parents=True, exist_ok=True)
    originals: list[Video] = []
    for name, clip, _ in clips(folder, side, max(numbers)):
        originals.append(clip)
        shown = [number for number in numbers if number <= len(clip)]
        sheet(_restored(names, clip, sigma), shown, out / f"{Path(name).stem}.png")
    if len(originals) > 1:
        height, width = (min(clip.shape[axis] for clip in originals[:2]) for axis in (1, 2))
        first, second = (clip[:8, :height, :width] for clip in originals[:2])
        at = len(first)
        cut = np.concatenate([first, second])
        sheet(_restored(names, cut, sigma), [at - 1, at, at + 1, at + 2, at + 4], out / "cut.png")
    curve(names, out / "still.png")


def _restored(names: Sequence[str], clip: Video, sigma: int) -> dict[str, Video]:
    noisy = clip + np.random.default_rng(sigma).normal(scale=sigma / 255, size=clip.shape).astype(np.float32)
    rows = {"input": noisy, **{name: method_of(name)(noisy, sigma / 255) for name in names}}
    return rows | {"clean": clip} if sigma else rows


if __name__ == "__main__":
    typer.run(main)
