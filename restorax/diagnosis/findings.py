"""Findings of a diagnosis: one per kind of damage, with its uncertainty."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

LIKELY = 0.5  # probability from which a damage is named


@dataclasses.dataclass(frozen=True)
class Noise:
    """Additive noise.

    Attributes:
        probability: that it is there, in [0, 1].
        level: standard deviation in [0, 1].
        deviation: standard deviation of the logarithm of ``level``.
        correlated: probability that it is correlated between pixels, as after demosaicking or resizing.
        by_brightness: level in the four quarters of brightness from dark to bright, NaN where the image has too few
            such pixels.
    """

    probability: float
    level: float
    deviation: float
    correlated: float
    by_brightness: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Impulses:
    """Single pixels replaced by other values.

    Attributes:
        probability: that they are there.
        share: of the pixels, in [0, 1].
        deviation: standard deviation of the logarithm of ``share``.
        random_values: probability of random values, in place of black and white (salt and pepper).
    """

    probability: float
    share: float
    deviation: float
    random_values: float


@dataclasses.dataclass(frozen=True)
class Jpeg:
    """JPEG compression.

    Attributes:
        probability: of a compression that can be seen, of quality 92 or less.
        quality: 1 to 100, on the scale of libjpeg.
        deviation: standard deviation of ``quality``; 0 if it was read from the file.
        source: ``"file"``, ``"comb"`` (the coefficients are multiples of its steps) or ``"network"``.
        subsampling: of the chroma, ``""`` if unknown.
        grid: first row and column of a block of 8 x 8 pixels, each from 0 to 7.
        earlier: whether traces of an earlier compression on another grid are there.
    """

    probability: float
    quality: float
    deviation: float
    source: str = "network"
    subsampling: str = ""
    grid: tuple[int, ...] = (0, 0)
    earlier: bool = False


@dataclasses.dataclass(frozen=True)
class Blur:
    """Blur by one kernel.

    Attributes:
        probability: that it is there.
        kind: the likeliest of ``"gaussian"``, ``"defocus"`` and ``"motion"``.
        size: sigma of a Gaussian, radius of a defocus or length of a motion, in pixels.
        deviation: standard deviation of the logarithm of ``size``.
        kinds: probability of each kind, given blur.
        angle: of motion in degrees from 0 to 180, counted as by ``restorax.degrade.motion_blur``.
        angle_deviation: standard deviation of ``angle``.
    """

    probability: float
    kind: str
    size: float
    deviation: float
    kinds: Mapping[str, float]
    angle: float = 0.0
    angle_deviation: float = 180.0


@dataclasses.dataclass(frozen=True)
class Missing:
    """Pixels that were replaced by one colour.

    Attributes:
        probability: that pixels are missing.
        share: of the pixels, in [0, 1].
        shape: ``"pixels"`` or ``"regions"``, ``""`` if none are missing.
        value: their colour in 8-bit units.
        mask: ``[height, width]``, ``True`` where a pixel is known; ``None`` if none are missing.
    """

    probability: float
    share: float = 0.0
    shape: str = ""
    value: tuple[int, ...] = ()
    mask: np.ndarray | None = dataclasses.field(default=None, repr=False, compare=False)


@dataclasses.dataclass(frozen=True)
class Stripes:
    """One offset per row or column.

    Attributes:
        probability: that they are there.
        level: standard deviation of the offsets in [0, 1].
        direction: ``"rows"`` or ``"columns"``, ``""`` if there are none.
    """

    probability: float
    level: float = 0.0
    direction: str = ""


@dataclasses.dataclass(frozen=True)
class Diagnosis:
    """Damages of an image, as :func:`restorax.diagnose` finds them.

    Attributes:
        noise: noise.
        impulses: impulses.
        jpeg: JPEG compression.
        blur: blur.
        missing: missing pixels.
        stripes: stripes.
        height: of the image in pixels.
        width: of the image in pixels.
        gray: whether the image has one channel, or equal ones.
        drawn: share of pixels that equal their neighbour exactly; large for drawings and screenshots.
        remarks: what limits the diagnosis, one sentence each; empty for most images.
    """

    noise: Noise
    impulses: Impulses
    jpeg: Jpeg
    blur: Blur
    missing: Missing
    stripes: Stripes
    height: int
    width: int
    gray: bool
    drawn: float = 0.0
    remarks: tuple[str, ...] = ()

    @property
    def damages(self) -> tuple[str, ...]:
        """Names of the damages whose probability is at least one half, the likeliest first."""
        found = {name: getattr(self, name).probability for name in KINDS}
        return tuple(sorted((n for n in KINDS if found[n] >= LIKELY), key=lambda name: -found[name]))

    def describe(self) -> str:
        """Describe the damages in one line, ``"no damage found"`` if there are none.

        Example:
            >>> import restorax
            >>> restorax.diagnose(np.full((8, 8, 3), 0.5, np.float32)).describe()
            'no damage found'
        """
        return ", ".join(_PHRASES[name](getattr(self, name)) for name in self.damages) or "no damage found"

    def degradation(self) -> str:
        """Write the damages as a degradation for :func:`restorax.degrade.parse`, empty if there are none.

        Missing pixels are left out: they need a mask.
        """
        stages = [_OPERATORS[name](getattr(self, name)) for name in _ORDER if name in self.damages]
        return " + ".join(stages)

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON, without the mask; NaN becomes ``None``."""
        plain = dataclasses.asdict(dataclasses.replace(self, missing=dataclasses.replace(self.missing, mask=None)))
        del plain["missing"]["mask"]
        return {"summary": self.describe(), "degradation": self.degradation(), **_rounded(plain)}


KINDS = ("noise", "impulses", "jpeg", "blur", "missing", "stripes")
_ORDER = ("blur", "noise", "stripes", "jpeg", "impulses")


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(one) for one in value]
    if isinstance(value, float | np.floating):
        return None if not math.isfinite(value) else float(f"{value:.4g}")
    return value


def _noise_phrase(noise: Noise) -> str:
    kind = "correlated noise" if noise.correlated >= LIKELY else "noise"
    return f"{kind} {_short(255 * noise.level)}/255"


def _jpeg_phrase(jpeg: Jpeg) -> str:
    grid = f", grid {jpeg.grid[0]},{jpeg.grid[1]}" if jpeg.source != "network" else ""
    return f"JPEG quality {jpeg.quality:.0f}{grid}{', compressed before' if jpeg.earlier else ''}"


def _blur_phrase(blur: Blur) -> str:
    if blur.kind == "motion":
        return f"motion blur of {blur.size:.0f} pixels at {blur.angle:.0f} degrees"
    return f"{'Gaussian' if blur.kind == 'gaussian' else 'defocus'} blur of {_short(blur.size)} pixels"


def _impulse_phrase(impulses: Impulses) -> str:
    return f"{'random impulses' if impulses.random_values >= LIKELY else 'salt and pepper'} {impulses.share:.1%}"


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"


_PHRASES = {
    "noise": _noise_phrase,
    "impulses": _impulse_phrase,
    "jpeg": _jpeg_phrase,
    "blur": _blur_phrase,
    "missing": lambda missing: f"missing {missing.shape} {missing.share:.1%}",
    "stripes": lambda stripes: f"stripes along {stripes.direction} {_short(255 * stripes.level)}/255",
}


def _blur_operator(blur: Blur) -> str:
    size = f"{blur.size:.3g}"
    return {
        "gaussian": f"gaussian_blur(sigma={size})",
        "defocus": f"defocus_blur(blur_radius={size})",
        "motion": f"motion_blur(length={size}, angle={blur.angle:.4g})",
    }[blur.kind]


_OPERATORS = {
    "blur": _blur_operator,
    "noise": lambda noise: (
        f"{'correlated' if noise.correlated >= LIKELY else 'gaussian'}_noise(sigma={min(noise.level, 1):.4g})"
    ),
    "stripes": lambda s: f"stripe_noise(sigma={s.level:.4g}{', columns=True' if s.direction == 'columns' else ''})",
    "jpeg": lambda jpeg: (
        f"jpeg(quality={jpeg.quality:.0f}"
        + (f", subsampling={jpeg.subsampling!r}" if jpeg.subsampling in ("4:2:2", "4:4:4") else "")
        + (f", down={-jpeg.grid[0] % 8}, right={-jpeg.grid[1] % 8}" if any(jpeg.grid) else "")
        + ")"
    ),
    "impulses": lambda i: (
        f"{'impulse_noise' if i.random_values >= LIKELY else 'salt_and_pepper_noise'}(amount={min(i.share, 1):.4g})"
    ),
}
