"""Damages that pixels show exactly: missing pixels of one colour, stripes, and the flat areas of drawings."""

import numpy as np

from .findings import Missing, Stripes

_LEAST_SHARE = 0.004  # of the image that a colour of missing pixels covers; less is chance
_LARGEST_SHARE = 0.97
_CONTRAST = 0.35  # of the pixels beside a hole, relative to all others
_LEAST_CONTRAST = 24  # in 8-bit units
_DRAWN = 0.4  # share of equal neighbours from which an image is taken for a drawing
_RANDOM = (3.8, 4.15)  # edges of a hole to known pixels, over the share of these, that random places have
_SAMPLES = 200_000


def find_missing(levels: np.ndarray) -> Missing:
    """Find pixels that were replaced by one colour: scattered ones, strokes, and small regions.

    A colour marks missing pixels if the pixels beside it are no nearer to it than all others are, and are not flat, as
    they are in drawings. Frames, regions that are thick or lie along the border, and regions of a colour to which many
    pixels are similar do not count: they may belong to the image.

    Args:
        levels: ``[height, width, channel]`` in 8-bit units, of one or three channels.

    Returns:
        The finding, with the mask.

    Example:
        >>> find_missing(np.zeros((8, 8, 3), np.uint8)).probability
        0.0
    """
    height, width = levels.shape[:2]
    packed = _packed(levels)
    sample = packed.reshape(-1)[:: max(1, packed.size // _SAMPLES)]
    colours, counts = np.unique(sample, return_counts=True)
    often = colours[np.argsort(-counts)[:2]].tolist()
    largest = 2 ** (8 * levels.shape[2]) - 1
    found: list[Missing] = []
    impulses = _impulse_share(levels)
    for colour in dict.fromkeys([0, largest, *often]):
        hole = packed == colour
        if not max(_LEAST_SHARE, 3 * impulses) <= hole.mean() <= _LARGEST_SHARE or hole.sum() < 32:
            continue
        hole = _without_frame(hole)
        sharp = _sharp_parts(hole, levels, colour)
        shape = _shape(sharp, levels) if _LEAST_SHARE <= sharp.mean() < 1 else ""
        if shape == "regions" and _similar_share(levels, colour) > 0.1 * sharp.mean():
            shape = ""  # an area of the image that is over- or underexposed has similar colours beside it
        # Where pixels are missing, those beside dark ones are missing too.
        hole = hole if shape == "pixels" and sharp.sum() > 0.5 * hole.sum() else sharp
        if shape:
            value = tuple(_value(colour, levels.shape[2]).tolist())
            found.append(Missing(0.95, float(hole.mean()), shape, value, ~hole))
    # Black and white pixels at once are salt and pepper.
    if not found or {0, largest} <= {_pack_one(one.value) for one in found} or min(height, width) < 8:
        return Missing(0.0)
    return max(found, key=lambda one: one.share)


def _packed(levels: np.ndarray) -> np.ndarray:
    factors = np.array([1 << (8 * i) for i in range(levels.shape[-1])], np.uint32)
    return levels.astype(np.uint32) @ factors


def _pack_one(value: tuple[int, ...]) -> int:
    return sum(level << (8 * i) for i, level in enumerate(value))


def _impulse_share(levels: np.ndarray) -> float:
    """Share of values that are black or white in some channels alone, where the pixels beside are far from that."""
    if levels.shape[2] == 1 or levels.shape[1] < 3:
        return 0.0
    rows = levels[:: 1 + levels.size // 6_000_000].astype(np.int16)
    here, left, right = rows[:, 1:-1], rows[:, :-2], rows[:, 2:]
    extreme = (here == 0) | (here == 255)
    extreme &= ~extreme.all(2, keepdims=True)
    alone = extreme & (np.abs(here - left) > 30) & (np.abs(here - right) > 30)
    return float(alone.mean())


def _similar_share(levels: np.ndarray, colour: int) -> float:
    """Share of pixels that differ from a colour by at most 8 levels, but differ."""
    apart = np.abs(levels.astype(np.int16) - _value(colour, levels.shape[2])).max(2)
    return float(((apart > 0) & (apart <= 8)).mean())


def _without_frame(hole: np.ndarray) -> np.ndarray:
    """Remove the rows and columns at the border that one colour fills."""
    hole = hole.copy()
    for turned in (hole, hole.T):
        for lines in (turned, turned[::-1]):
            full = lines.mean(1) > 0.98
            lines[: int(np.argmin(full)) if not full.all() else len(full)] = False
    return hole


def _value(colour: int, channels: int) -> np.ndarray:
    return np.array([colour >> (8 * i) & 255 for i in range(channels)], np.int16)


def _sharp_parts(hole: np.ndarray, levels: np.ndarray, colour: int) -> np.ndarray:
    """Keep the connected parts most of whose border pixels differ from the colour as much as other pixels do."""
    import cv2

    value = _value(colour, levels.shape[2])
    sample = levels[::3, ::3][~hole[::3, ::3]]
    if not len(sample):
        return np.zeros_like(hole)
    least = max(_LEAST_CONTRAST, _CONTRAST * np.median(np.abs(sample.astype(np.int16) - value).max(1)))
    _, parts = cv2.connectedComponents(hole.astype(np.uint8), connectivity=4, ltype=cv2.CV_32S)
    edges, sharp = np.zeros((2, int(parts.max()) + 1))
    for axis in (0, 1):
        first, second = (np.swapaxes(parts, 0, axis)[part] for part in (slice(None, -1), slice(1, None)))
        beside, beyond = (np.swapaxes(levels, 0, axis)[part] for part in (slice(None, -1), slice(1, None)))
        for inner, outer, pixels in ((first, second, beyond), (second, first, beside)):
            border = (inner > 0) & (outer == 0)
            labels = inner[border].astype(np.int64)
            apart = np.abs(pixels[border].astype(np.int16) - value).max(1) > least
            edges += np.bincount(labels, minlength=len(edges))
            sharp += np.bincount(labels, apart, minlength=len(edges))
    kept = sharp >= 0.6 * np.maximum(edges, 1)
    kept[0] = False
    return kept[parts.astype(np.int64)]


def _shape(hole: np.ndarray, levels: np.ndarray) -> str:
    """Return whether a colour marks missing pixels or regions, empty if neither."""
    import cv2

    right, down = hole[:, 1:] != hole[:, :-1], hole[1:] != hole[:-1]
    # A pixel has four edges; of holes at random places, a neighbour is one as often as any pixel.
    edges = (right.sum() + down.sum()) / hole.sum() / (1 - hole.mean())
    known = ~hole[:, 1:] & ~hole[:, :-1]
    step = 1 + known.size // 2_000_000
    steps = np.abs(np.diff(levels[::step].astype(np.int16), axis=1)).max(2)[known[::step]]
    jumps = np.abs(np.diff(levels[::step].astype(np.int16), axis=1)).max(2)[right[::step]]
    if not len(steps) or not len(jumps):
        return ""
    if _RANDOM[0] < edges < _RANDOM[1] and _colours(levels[~hole]) > 4:
        return "pixels"
    # Known neighbours resemble each other more than the hole, and are not flat as in drawings.
    if (steps == 0).mean() > _DRAWN or np.median(steps) > 0.5 * np.median(jumps):
        return ""
    if edges > 3:
        return "pixels"
    distance = cv2.distanceTransform(np.pad(hole, 1).astype(np.uint8), cv2.DIST_L2, 3)
    along = np.concatenate([hole[0], hole[-1], hole[:, 0], hole[:, -1]]).mean()
    # Thinner ones are chance, thicker ones and those along the border may belong to the image.
    return "regions" if 3 <= 2 * distance.max() <= 0.45 * min(hole.shape) and along < 0.22 else ""


def _colours(values: np.ndarray) -> int:
    """Count the colours that half of the pixels ``[pixels, channel]`` have, the most frequent first."""
    counts = np.unique(_packed(values[:: 1 + len(values) // _SAMPLES]), return_counts=True)[1]
    return int(np.searchsorted(np.cumsum(np.sort(counts)[::-1]), 0.5 * counts.sum())) + 1


def find_stripes(luma: np.ndarray) -> Stripes:
    """Find offsets of whole rows or columns.

    Args:
        luma: ``[height, width]`` in 8-bit units.

    Returns:
        The finding.

    Reference:
        EMVA Standard 1288, release 4.0, section 8 (row and column non-uniformity).

    Example:
        >>> find_stripes(np.zeros((8, 8), np.float32)).probability
        0.0
    """
    if min(luma.shape) < 32:
        return Stripes(0.0)
    levels = {}
    for direction, plane in (("rows", luma), ("columns", luma.T)):
        plane = plane[:1024, :: max(1, plane.shape[1] // 512)]
        second = (plane[1:-1] - (plane[2:] + plane[:-2]) / 2).astype(np.float32)
        offsets = np.median(second, axis=1)
        noise = 1.4826 * np.median(np.abs(second - offsets[:, None])) * 1.25 / np.sqrt(second.shape[1])
        # The second difference of white offsets has 1.5 times their variance.
        levels[direction] = (1.4826 * np.median(np.abs(offsets)) / np.sqrt(1.5), noise)
    direction = max(levels, key=lambda name: levels[name][0])
    (level, noise), (other, _) = levels[direction], levels["columns" if direction == "rows" else "rows"]
    clear = level > 1 and level > 3 * noise and level > 2.5 * other
    return Stripes(0.9, float(level / 255), direction) if clear else Stripes(0.0)


def drawn_share(levels: np.ndarray, known: np.ndarray | None = None) -> float:
    """Measure the share of pixels that equal both the next one and the one below exactly.

    Args:
        levels: ``[height, width, channel]`` in 8-bit units.
        known: ``[height, width]``, where pixels are known; by default everywhere.

    Returns:
        A share in [0, 1]; near 0 for photographs, above one half for most drawings and screenshots.

    Example:
        >>> drawn_share(np.full((8, 8, 3), 9, np.uint8))
        1.0
    """
    if min(levels.shape[:2]) < 2:
        return 1.0
    step = max(1, int(np.sqrt(levels.shape[0] * levels.shape[1] / 1e6)))
    height, width = (side - 1 for side in levels.shape[:2])
    here, right, below = (levels[y : y + height : step, x : x + width : step] for y, x in ((0, 0), (0, 1), (1, 0)))
    same = ((here == right) & (here == below)).all(2)
    return float(same.mean() if known is None else same[known[:height:step, :width:step]].mean())
