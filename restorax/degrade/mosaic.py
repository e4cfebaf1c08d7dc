"""Demosaicking of Bayer colour filter arrays: bilinear, Malvar-He-Cutler and Hamilton-Adams."""

import jax
import jax.numpy as jnp

from ..types import Image
from .registry import Choice, register

__all__ = [
    "demosaic",
]

PATTERN = Choice(("RGGB", "BGGR", "GRBG", "GBRG"))
METHOD = Choice(("bilinear", "malvar", "hamilton_adams"))

Planes = tuple[jax.Array, jax.Array, jax.Array]
"""Red, green and blue, each ``[*batch, height, width]``: long inner loops, which three interleaved channels are not."""


@register(
    {"pattern": PATTERN, "method": METHOD},
    examples={"method": ("hamilton_adams", "malvar", "bilinear")},
    channels=(3,),
)
def demosaic(image: Image, *, pattern: str = "RGGB", method: str = "malvar") -> Image:
    """Read one colour per pixel in a Bayer pattern and interpolate the other two.

    Only the values that :func:`bayer_mosaic` keeps are read. A mosaic is demosaicked; a complete image gets the
    artefacts of a camera with one sensor, such as zippers and false colours.

    Args:
        image: ``[*batch, height, width, 3]``, linear in light if it is to resemble a camera.
        pattern: colours of the top-left 2 x 2 pixels, row by row: ``"RGGB"``, ``"BGGR"``, ``"GRBG"``, ``"GBRG"``.
        method: ``"bilinear"``; ``"malvar"``, linear and corrected by gradients; or ``"hamilton_adams"``, which
            interpolates green along edges, then the differences of red and blue to green. Borders are reflected.

    Returns:
        Image of the same shape, not clipped.

    Raises:
        TypeError: if the image is not float32 or float64.
        ValueError: if the image is not RGB, or the pattern or the method is unknown.

    Reference:
        Malvar, He and Cutler, High-quality linear interpolation for demosaicing of Bayer-patterned color images, ICASSP
        2004, figure 2; Hamilton and Adams, Adaptive color plan interpolation in single sensor color electronic camera,
        US patent 5629734, 1997.

    Example:
        >>> demosaic(jnp.full((4, 4, 3), 0.5), pattern="GRBG").shape
        (4, 4, 3)
    """
    red = pattern.index("R")
    rows, columns = red_sites(image.shape[-3:-1], jnp.asarray(red // 2), jnp.asarray(red % 2), image.ndim - 3)
    mosaic = sample_mosaic(split_channels(image), rows, columns)
    return jnp.stack(demosaic_planes(mosaic, rows, columns, method), -1)


def split_channels(image: Image) -> Planes:
    """Return red, green and blue of an RGB image; the three planes of a gray image are equal."""
    image = jnp.asarray(image)
    return image[..., 0], image[..., image.shape[-1] // 2], image[..., -1]


def red_sites(size: tuple[int, ...], row: jax.Array, column: jax.Array, batch_axes: int) -> tuple[jax.Array, jax.Array]:
    """Mark the rows and the columns with red pixels.

    Args:
        size: ``(height, width)``.
        row: first row with red pixels, 0 or 1: a scalar, or one per image ``[*batch]``.
        column: first column with red pixels.
        batch_axes: number of batch axes.

    Returns:
        Boolean ``[*batch or ones, height, 1]`` and ``[*batch or ones, 1, width]``.
    """
    row, column = (x.reshape((1,) * (batch_axes - x.ndim) + (*x.shape, 1, 1)) for x in (row, column))
    ones = (1,) * batch_axes
    rows = (jnp.arange(size[0]).reshape(*ones, -1, 1) + row) % 2 == 0
    columns = (jnp.arange(size[1]).reshape(*ones, 1, -1) + column) % 2 == 0
    return rows, columns


def sample_mosaic(planes: Planes, rows: jax.Array, columns: jax.Array) -> jax.Array:
    """Keep one colour per pixel, ``[*batch, height, width]``."""
    red, green, blue = planes
    return jnp.where(rows, jnp.where(columns, red, green), jnp.where(columns, green, blue))


def demosaic_planes(mosaic: jax.Array, rows: jax.Array, columns: jax.Array, method: str) -> Planes:
    """Interpolate a mosaic ``[*batch, height, width]`` with the red sites of :func:`red_sites`."""
    if method == "malvar":
        return _malvar(mosaic, rows, columns)
    if method == "hamilton_adams":
        green = _green_along_edges(mosaic, rows == columns)
        red, blue = _red_and_blue(mosaic - green, rows, columns)
        return red + green, green, blue + green
    cross = _Shifts(mosaic, 1).cross() / 4
    red, blue = _red_and_blue(mosaic, rows, columns)
    return red, jnp.where(rows == columns, cross, mosaic), blue


class _Shifts:
    """Shifted views of a plane with reflected borders, which preserve the Bayer pattern."""

    def __init__(self, plane: jax.Array, radius: int) -> None:
        self.radius, (self.height, self.width) = radius, plane.shape[-2:]
        pads = [(0, 0)] * (plane.ndim - 2) + [(radius, radius)] * 2
        # The barrier prevents XLA from recomputing the plane for every shift.
        self.padded = jax.lax.optimization_barrier(jnp.pad(plane, pads, mode="reflect"))

    def __call__(self, down: int, right: int) -> jax.Array:
        top, left = self.radius + down, self.radius + right
        return self.padded[..., top : top + self.height, left : left + self.width]

    def horizontal(self, distance: int = 1) -> jax.Array:
        return self(0, -distance) + self(0, distance)

    def vertical(self, distance: int = 1) -> jax.Array:
        return self(-distance, 0) + self(distance, 0)

    def cross(self, distance: int = 1) -> jax.Array:
        return self.horizontal(distance) + self.vertical(distance)

    def diagonal(self) -> jax.Array:
        return self(-1, -1) + self(-1, 1) + self(1, -1) + self(1, 1)


def _red_and_blue(plane: jax.Array, rows: jax.Array, columns: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Interpolate the values at red sites, and those at blue sites, bilinearly."""
    near = _Shifts(plane, 1)
    horizontal, vertical, diagonal = near.horizontal() / 2, near.vertical() / 2, near.diagonal() / 4
    red = jnp.where(rows, jnp.where(columns, plane, horizontal), jnp.where(columns, vertical, diagonal))
    blue = jnp.where(rows, jnp.where(columns, diagonal, vertical), jnp.where(columns, horizontal, plane))
    return red, blue


def _malvar(mosaic: jax.Array, rows: jax.Array, columns: jax.Array) -> Planes:
    near = _Shifts(mosaic, 2)
    horizontal, vertical, diagonal = near.horizontal(), near.vertical(), near.diagonal()
    far_horizontal, far_vertical = near.horizontal(2), near.vertical(2)
    far = far_horizontal + far_vertical
    green = (4 * mosaic + 2 * (horizontal + vertical) - far) / 8
    along_row = (5 * mosaic + 4 * horizontal - far_horizontal - diagonal + far_vertical / 2) / 8
    along_column = (5 * mosaic + 4 * vertical - far_vertical - diagonal + far_horizontal / 2) / 8
    opposite = (6 * mosaic + 2 * diagonal - 1.5 * far) / 8
    red = jnp.where(rows, jnp.where(columns, mosaic, along_row), jnp.where(columns, along_column, opposite))
    blue = jnp.where(rows, jnp.where(columns, opposite, along_column), jnp.where(columns, along_row, mosaic))
    return red, jnp.where(rows == columns, green, mosaic), blue


def _green_along_edges(mosaic: jax.Array, missing: jax.Array) -> jax.Array:
    """Interpolate green in the direction of the smaller gradient."""
    near = _Shifts(mosaic, 2)
    curvature_h, curvature_v = 2 * mosaic - near.horizontal(2), 2 * mosaic - near.vertical(2)
    gradient_h = jnp.abs(near(0, -1) - near(0, 1)) + jnp.abs(curvature_h)
    gradient_v = jnp.abs(near(-1, 0) - near(1, 0)) + jnp.abs(curvature_v)
    green_h = near.horizontal() / 2 + curvature_h / 4
    green_v = near.vertical() / 2 + curvature_v / 4
    weight = jnp.where(gradient_h < gradient_v, 1, jnp.where(gradient_h > gradient_v, 0, 0.5)).astype(mosaic.dtype)
    return jnp.where(missing, weight * green_h + (1 - weight) * green_v, mosaic)
