"""Clean images that no restorer may ruin: flats, lines, text, drawings, screenshots, made from code alone."""

import zlib
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIDE = 256
_MAKERS: dict[str, Callable[[np.random.Generator], np.ndarray | Image.Image]] = {}


def odd_images(channels: int = 3) -> dict[str, np.ndarray]:
    """Draw the twenty images.

    Args:
        channels: 1 or 3; gray images are means of the channels.

    Returns:
        ``[256, 256, channels]`` of 8-bit values in [0, 1], by name.
    """
    images = {}
    for name, make in _MAKERS.items():
        drawn = make(np.random.default_rng(zlib.crc32(name.encode())))
        pixels = np.asarray(drawn, np.float32) / 255 if isinstance(drawn, Image.Image) else drawn
        pixels = np.broadcast_to(pixels if pixels.ndim == 3 else pixels[..., None], (SIDE, SIDE, 3))
        pixels = pixels if channels == 3 else pixels.mean(-1, keepdims=True)
        images[name] = np.round(np.clip(pixels, 0, 1) * 255).astype(np.float32) / 255
    return images


def _maker(function: Callable) -> Callable:
    _MAKERS[function.__name__.removeprefix("_")] = function
    return function


def _canvas(colour: tuple[int, int, int] = (255, 255, 255)) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    image = Image.new("RGB", (SIDE, SIDE), colour)
    return image, ImageDraw.Draw(image)


def _write(draw: ImageDraw.ImageDraw, place: tuple[int, int], text: str, size: int, colour: object) -> None:
    draw.text(place, text, fill=colour, font=ImageFont.load_default(size))


@_maker
def _black(_):
    return np.zeros((SIDE, SIDE))


@_maker
def _white(_):
    return np.ones((SIDE, SIDE))


@_maker
def _mid_gray(_):
    return np.full((SIDE, SIDE), 0.5)


@_maker
def _saturated_red(_):
    return np.broadcast_to(np.array([1.0, 0, 0]), (SIDE, SIDE, 3))


@_maker
def _gradient(_):
    return np.broadcast_to(np.linspace(0, 1, SIDE), (SIDE, SIDE))


@_maker
def _colour_wheel(_):
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE - 0.5
    angle = np.arctan2(y, x)[..., None] + np.array([0, 2, 4]) * np.pi / 3
    return 0.5 + 0.5 * np.cos(angle) * np.minimum(1, 2 * np.hypot(y, x))[..., None]


@_maker
def _sky_with_a_wire(_):
    rows, columns = np.mgrid[:SIDE, :SIDE]
    sky = np.array([0.35, 0.55, 0.85]) + 0.25 * (rows / SIDE)[..., None]
    return sky - 0.4 * np.clip(1.2 - np.abs(rows - 0.3 * SIDE - 0.35 * columns), 0, 1)[..., None]


@_maker
def _one_pixel_lines(_):
    image = np.ones((SIDE, SIDE))
    image[::16], image[:, ::16] = 0, 0
    return image


@_maker
def _checkerboard_of_one_pixel(_):
    return np.indices((SIDE, SIDE)).sum(0) % 2


@_maker
def _checkerboard_of_eight(_):
    return (np.indices((SIDE, SIDE)) // 8).sum(0) % 2


@_maker
def _stars(draw):
    image = np.full((SIDE, SIDE), 0.02)
    rows, columns = draw.integers(0, SIDE, (2, 150))
    image[rows, columns] = draw.uniform(0.2, 1, 150)
    return image


@_maker
def _text(_):
    image, draw = _canvas()
    for line in range(12):
        _write(draw, (8, 6 + 20 * line), "Do no harm: 0123456789 (x, y) = 5/255", 12, "black")
    return image


@_maker
def _small_text_in_colour(draw):
    image, canvas = _canvas((240, 240, 235))
    for line in range(20):
        _write(
            canvas, (4, 2 + 12 * line), "the quick brown fox jumps over it", 9, tuple(draw.integers(0, 200, 3).tolist())
        )
    return image


@_maker
def _white_on_black(_):
    image, draw = _canvas((0, 0, 0))
    for line in range(8):
        _write(draw, (8, 8 + 30 * line), "ERROR 404 not found", 22, "white")
    return image


@_maker
def _red_drawing(_):
    image, draw = _canvas()
    for i in range(6):
        draw.ellipse([20 + 18 * i, 20 + 14 * i, 235 - 14 * i, 235 - 18 * i], outline=(220, 0, 0), width=1 + i % 3)
    draw.polygon([(128, 60), (170, 160), (86, 160)], fill=(230, 20, 20))
    return image


@_maker
def _flat_cartoon(_):
    image, draw = _canvas((120, 200, 255))
    draw.rectangle([0, 170, SIDE, SIDE], fill=(60, 170, 60))
    draw.ellipse([170, 20, 225, 75], fill=(255, 220, 0), outline="black", width=2)
    draw.rectangle([50, 110, 130, 190], fill=(200, 60, 40), outline="black", width=2)
    draw.polygon([(40, 110), (90, 60), (140, 110)], fill=(120, 40, 30), outline="black")
    return image


@_maker
def _screenshot(_):
    image, draw = _canvas((246, 246, 246))
    draw.rectangle([0, 0, SIDE, 22], fill=(50, 60, 80))
    _write(draw, (8, 4), "File  Edit  View  Help", 12, "white")
    for row in range(9):
        draw.rectangle([8, 32 + 24 * row, 248, 52 + 24 * row], outline=(200, 200, 200), fill="white")
        _write(draw, (14, 35 + 24 * row), f"entry {row}: value {row * 37 % 100}", 11, (30, 30, 30))
        draw.rectangle([200, 36 + 24 * row, 240, 48 + 24 * row], fill=(0, 120, 215))
    return image


@_maker
def _bar_chart(draw):
    image, canvas = _canvas()
    canvas.line([30, 10, 30, 226], fill="black")
    canvas.line([30, 226, 246, 226], fill="black")
    for bar, height in enumerate(draw.integers(30, 200, 8).tolist()):
        colour = ((200, 30, 30), (30, 120, 200), (40, 160, 60), (240, 160, 0))[bar % 4]
        canvas.rectangle([38 + 26 * bar, 226 - height, 56 + 26 * bar, 225], fill=colour)
    return image


@_maker
def _code_of_squares(draw):
    return np.kron(draw.integers(0, 2, (32, 32)), np.ones((8, 8)))


@_maker
def _ordered_dither(_):
    threshold = (np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]) + 0.5) / 16  # Bayer, 1973
    return (np.linspace(0, 1, SIDE)[None] > np.tile(threshold, (SIDE // 4, SIDE // 4))).astype(float)
