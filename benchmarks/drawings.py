"""Random drawings as training images: text, screens, codes of squares, checkerboards, stripes, dither, gradients.

Training on photographs alone teaches that whatever looks like blocks or noise is a fault. Images made here, about one
for each nine photographs, teach that it may be the picture. They differ from the fixed ones of
:mod:`benchmarks.odd_images`, which measure it::

    python -m benchmarks.drawings FOLDER --count 70
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from restorax.diagnosis.samples import draw_shapes

SIDE = 512


def main() -> None:
    """Write the drawings as PNG files."""
    parser = argparse.ArgumentParser(description="Write random drawings for training.")
    parser.add_argument("folder", type=Path, help="where the PNG files go")
    parser.add_argument("--count", type=int, default=70, help="number of drawings (default: 70)")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for number in range(arguments.count):
        Image.fromarray(drawing(number)).save(arguments.folder / f"drawing_{number:03}.png")


def drawing(number: int) -> np.ndarray:
    """Draw an image; its number is the seed.

    Returns:
        ``[512, 512, 3]``, 8 bit.
    """
    rng = np.random.default_rng([number, 0xD4A3])
    return _MAKERS[number % len(_MAKERS)](rng)


def _colours(rng: np.random.Generator) -> np.ndarray:
    """Draw two colours, black and white in half of the cases, ``[2, 3]``."""
    if rng.random() < 0.5:
        return np.array([[0] * 3, [255] * 3])[:: rng.choice([-1, 1])]
    return rng.integers(0, 256, (2, 3))


def _painted(rng: np.random.Generator, share: np.ndarray) -> np.ndarray:
    """Mix two colours: the share of the second one, ``[SIDE, SIDE]``, becomes an image."""
    first, second = _colours(rng)
    return np.round(first + share[..., None] * (second - first)).astype(np.uint8)


def _shapes(rng: np.random.Generator) -> np.ndarray:
    quarters = [draw_shapes(rng, SIDE // 2) for _ in range(4)]
    return np.block([[[quarters[0]], [quarters[1]]], [[quarters[2]], [quarters[3]]]])


def _page(rng: np.random.Generator) -> np.ndarray:
    """Lines of text between ruled lines."""
    paper, ink = (tuple(map(int, colour)) for colour in _colours(rng))
    image = Image.new("RGB", (SIDE, SIDE), paper)
    pen = ImageDraw.Draw(image)
    size = int(rng.integers(8, 26))
    for y in range(4, SIDE, int(1.5 * size) + int(rng.integers(0, 8))):
        words = ("".join(chr(c) for c in rng.integers(97, 123, rng.integers(1, 10))) for _ in range(24))
        pen.text((4, y), " ".join(words), fill=ink, font=ImageFont.load_default(size))
        if rng.random() < 0.3:
            pen.line((0, y, SIDE, y), fill=ink, width=int(rng.integers(1, 3)))
    return np.asarray(image)


def _squares(rng: np.random.Generator) -> np.ndarray:
    """Random squares of one size, as in QR codes."""
    side = int(rng.integers(2, 17))
    cells = rng.integers(0, 2, (SIDE // side + 2,) * 2)
    grid = np.kron(cells, np.ones((side, side)))
    top, left = rng.integers(0, side, 2)
    return _painted(rng, grid[top : top + SIDE, left : left + SIDE])


def _checkerboard(rng: np.random.Generator) -> np.ndarray:
    height, width = rng.integers(1, 17), rng.integers(1, 17)
    height = width if rng.random() < 0.7 else height
    rows, columns = np.indices((SIDE, SIDE)) + rng.integers(0, 16, (2, 1, 1))
    return _painted(rng, (rows // height + columns // width) % 2)


def _stripes(rng: np.random.Generator) -> np.ndarray:
    """Straight stripes at right angles or of any direction."""
    rows, columns = np.indices((SIDE, SIDE))
    angle = rng.choice([0, np.pi / 2, rng.uniform(0, np.pi)])
    period = rng.uniform(2, 20) if rng.random() < 0.5 else rng.integers(2, 20)
    position = (np.cos(angle) * rows + np.sin(angle) * columns) / period + rng.random()
    return _painted(rng, (position % 1 < rng.uniform(0.1, 0.9)).astype(float))


def _smooth(rng: np.random.Generator) -> np.ndarray:
    """Sum of three waves in [0, 1]."""
    rows, columns = np.indices((SIDE, SIDE)) / SIDE
    waves = [
        np.sin(2 * np.pi * (rng.uniform(-2, 2) * rows + rng.uniform(-2, 2) * columns + rng.random())) for _ in "123"
    ]
    total = np.sum(waves, 0)
    return (total - total.min()) / np.ptp(total)


def _gradient(rng: np.random.Generator) -> np.ndarray:
    return _painted(rng, _smooth(rng))


def _ordered_dither(rng: np.random.Generator) -> np.ndarray:
    """Thresholds of Bayer (1973), 2 to 8 pixels wide."""
    threshold = np.zeros((1, 1))
    for _ in range(int(rng.integers(1, 4))):
        threshold = np.block([[4 * threshold, 4 * threshold + 2], [4 * threshold + 3, 4 * threshold + 1]])
    threshold = (threshold + 0.5) / threshold.size
    tiles = SIDE // len(threshold)
    return _painted(rng, (_smooth(rng) > np.tile(threshold, (tiles, tiles))).astype(float))


def _error_diffusion(rng: np.random.Generator) -> np.ndarray:
    """Floyd and Steinberg (1976), as Pillow does it."""
    gray = Image.fromarray(np.round(255 * _smooth(rng)).astype(np.uint8))
    return _painted(rng, np.asarray(gray.convert("1"), float))


_MAKERS: tuple[Callable[[np.random.Generator], np.ndarray], ...] = (
    *(_shapes, _page, _squares, _shapes, _checkerboard),
    *(_page, _stripes, _gradient, _ordered_dither, _error_diffusion),
)

if __name__ == "__main__":
    main()
