"""A picture of the evidence for a diagnosis."""

import os
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from ..files.atomic import written_beside
from ..files.image import read
from ..files.picture import to_channels
from .codec import step_profiles, to_ycc
from .examination import cut_crops
from .findings import Diagnosis
from .statistics import BLOCK, WINDOW, log_spectrum, mixed_difference

_SIDE = 320  # of a panel in pixels
_TITLE = 18


def write_evidence(path: str | os.PathLike, diagnosis: Diagnosis, folder: str | os.PathLike) -> Path:
    """Write ``NAME-evidence.png`` with four panels for an image file.

    The panels show the crops that were examined, with missing pixels in red; the deviation of the noise in blocks of
    8 x 8, the quiet quarter framed in green; the spectrum, with the direction of a motion; and the steps between
    neighbouring pixels by their position modulo 8, in which JPEG stands out.

    Args:
        path: the image file.
        diagnosis: its diagnosis.
        folder: folder to write to; created if needed.

    Returns:
        The file that was written.

    Raises:
        FileNotFoundError: if there is no such image.
        ValueError: if the file is not an image.
    """
    from PIL import Image

    pixels = to_channels(read(path).pixels, 3)
    panels = [
        ("examined crops; missing pixels red", _overview(pixels, diagnosis)),
        (f"noise in blocks: {255 * diagnosis.noise.level:.1f}/255", _noise_map(pixels)),
        ("spectrum" + _direction(diagnosis), _spectrum(pixels, diagnosis)),
        (f"steps modulo 8: JPEG {diagnosis.jpeg.quality:.0f}", _steps(pixels)),
    ]
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    sheet = Image.new("RGB", (2 * _SIDE, 2 * (_SIDE + _TITLE)), "white")
    for number, (title, panel) in enumerate(panels):
        left, top = number % 2 * _SIDE, number // 2 * (_SIDE + _TITLE)
        _pen(sheet).text((left + 4, top + 3), title, fill="black")
        sheet.paste(panel, (left, top + _TITLE))
    target = folder / f"{Path(path).stem}-evidence.png"
    with written_beside(target) as beside:
        sheet.save(beside)
    return target


def _pen(sheet):
    from PIL import ImageDraw

    return ImageDraw.Draw(sheet)


def _fitted(values: np.ndarray, *, smooth: bool):
    """Turn values in [0, 1], ``[height, width]`` or with 3 channels, into a panel."""
    from PIL import Image

    drawn = Image.fromarray(np.round(255 * np.clip(values, 0, 1)).astype(np.uint8)).convert("RGB")
    scale = _SIDE / max(drawn.size)
    size = [max(1, round(scale * side)) for side in drawn.size]
    panel = Image.new("RGB", (_SIDE, _SIDE), "lightgray")
    panel.paste(drawn.resize(size, Image.Resampling.BOX if smooth else Image.Resampling.NEAREST), (0, 0))
    return panel, scale


def _overview(pixels: np.ndarray, diagnosis: Diagnosis):
    shown = pixels.copy()
    if diagnosis.missing.mask is not None:
        shown[~diagnosis.missing.mask] = (1, 0, 0)
    panel, scale = _fitted(shown, smooth=True)
    for (top, left), crop in cut_crops(pixels):
        corners = (left, top, left + crop.shape[1] - 1, top + crop.shape[0] - 1)
        _pen(panel).rectangle([scale * c for c in corners], outline="blue")
    return panel


def _luma(pixels: np.ndarray) -> np.ndarray:
    return np.asarray(to_ycc(jnp.asarray(pixels)))[..., 0]


def _noise_map(pixels: np.ndarray):
    luma = _luma(pixels)
    rows, columns = ((side - 2) // BLOCK for side in luma.shape)
    if min(rows, columns) < 1:
        return _fitted(np.zeros((1, 1)), smooth=False)[0]
    residual = np.asarray(mixed_difference(jnp.asarray(luma)))[: rows * BLOCK, : columns * BLOCK]
    deviation = np.sqrt((residual.reshape(rows, BLOCK, columns, BLOCK) ** 2).mean((1, 3)))
    drawn = np.repeat((deviation / max(np.quantile(deviation, 0.95), 1e-6))[..., None], 3, 2)
    quiet = deviation <= np.quantile(deviation, 0.25)
    drawn[quiet] = 0.5 * np.clip(drawn[quiet], 0, 1) + np.array([0, 0.5, 0])
    return _fitted(drawn, smooth=False)[0]


def _direction(diagnosis: Diagnosis) -> str:
    moving = "blur" in diagnosis.damages and diagnosis.blur.kind == "motion"
    return f"; motion at {diagnosis.blur.angle:.0f} degrees" if moving else ""


def _spectrum(pixels: np.ndarray, diagnosis: Diagnosis):
    luma = _luma(pixels)
    short = [(0, max(0, WINDOW - side)) for side in luma.shape]
    spectrum = np.fft.fftshift(
        np.asarray(log_spectrum(jnp.asarray(np.pad(luma, short, mode="symmetric"))[:1024, :1024]))
    )
    low, high = np.quantile(spectrum, (0.01, 0.99))
    panel, _ = _fitted((spectrum - low) / max(high - low, 1e-6), smooth=False)
    if _direction(diagnosis):
        angle, middle = np.radians(diagnosis.blur.angle), _SIDE / 2
        reach = 0.45 * _SIDE * np.array([np.cos(angle), -np.sin(angle)])
        _pen(panel).line([*(middle - reach), *(middle + reach)], fill="red", width=1)
    return panel


def _steps(pixels: np.ndarray):
    """Bars of the steps across rows (above) and columns (below)."""
    from PIL import Image

    panel = Image.new("RGB", (_SIDE, _SIDE), "white")
    luma = _luma(pixels)
    if min(luma.shape) < 2 * BLOCK:
        return panel
    half, width = _SIDE // 2, _SIDE // BLOCK
    for number, profile in enumerate(map(np.asarray, step_profiles(jnp.asarray(luma)))):
        bars = (profile - profile.min()) / max(profile.max() - np.median(profile), 0.5) * (half - 20)
        for place, bar in enumerate(np.minimum(bars, half - 10)):
            bottom = (number + 1) * half - 2
            _pen(panel).rectangle(
                [place * width + 4, bottom - max(bar, 1), (place + 1) * width - 4, bottom], fill="steelblue"
            )
    return panel
