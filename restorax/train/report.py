"""What a training looked like."""

import json
from pathlib import Path


def plot_losses(log: Path, picture: Path) -> None:
    """Draw loss and validation PSNR against steps.

    Args:
        log: JSON lines written by the loop.
        picture: PNG to write; nothing is written if the log is empty.
    """
    from matplotlib.figure import Figure

    lines = [json.loads(line) for line in log.read_text().splitlines()]
    losses = [(line["step"], line["loss"]) for line in lines if "loss" in line]
    quality = [(line["step"], line["validation_psnr"]) for line in lines if "validation_psnr" in line]
    if not losses:
        return
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot(*zip(*losses, strict=True), linewidth=0.8)
    left.set(xlabel="step", ylabel="training loss", yscale="log")
    for degradation in quality[0][1] if quality else ():
        right.plot([s for s, _ in quality], [v[degradation] for _, v in quality], label=degradation)
    right.set(xlabel="step", ylabel="validation PSNR [dB]")
    if quality:
        right.legend()
    figure.savefig(picture, dpi=100)
