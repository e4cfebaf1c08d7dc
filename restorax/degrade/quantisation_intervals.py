"""Quantisation intervals of a JPEG file: the bounds that it sets on the coefficients of its image."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from ..types import Array, Image
from .codec import RGB_TO_YCC, YCC_TO_RGB, dct_matrix

Interval = tuple[Array, Array]

_DCT = dct_matrix()


class JpegIntervals(NamedTuple):
    """Bounds of the coefficients of a JPEG image; a pytree.

    Attributes:
        bounds: per component the smallest and the largest values of the orthonormal transform of every block, each
            ``[8 rows, 8 columns]`` in 8-bit units, frequencies in the place of pixels; infinite where unknown. Gray
            images have one component, colour images three, with chroma at the same or half the resolution.

    Reference:
        Zakhor, Iterative procedures for reduction of blocking effects in transform image coding, IEEE TCSVT 1992
        (projection onto the quantisation constraint set).
    """

    bounds: tuple[Interval, ...]

    @classmethod
    def of(cls, planes: Sequence[Any]) -> "JpegIntervals":
        """Return the intervals of the planes that :func:`restorax.files.jpeg.read_planes` reads from a file.

        Example:
            >>> from restorax.files.jpeg import JpegPlane
            >>> plane = JpegPlane(np.zeros((2, 3, 8, 8), np.int32), np.full((8, 8), 10.0), np.ones((2, 3), bool))
            >>> JpegIntervals.of([plane]).bounds[0][0].shape
            (16, 24)
        """
        return cls(tuple((_joined(plane, -0.5, -np.inf), _joined(plane, 0.5, np.inf)) for plane in planes))

    def cut(self, rows: slice, columns: slice) -> "JpegIntervals":
        """Cut a window of pixels whose corners lie on the grid of 16 x 16 pixels."""
        height, width = self.bounds[0][0].shape[-2:]
        parts = []
        for low, high in self.bounds:
            down, right = height // low.shape[-2], width // low.shape[-1]
            here = (
                ...,
                slice(rows.start // down, rows.stop // down),
                slice(columns.start // right, columns.stop // right),
            )
            parts.append((low[here], high[here]))
        return JpegIntervals(tuple(parts))

    def check(self, shape: tuple[int, ...]) -> None:
        """Check that images have the size and the channels of the file.

        Raises:
            ValueError: if they do not.
        """
        rows, columns = self.bounds[0][0].shape
        channels = len(self.bounds)
        height, width = shape[-3], shape[-2]
        if shape[-1] != channels or not (0 <= rows - height < 16 and 0 <= columns - width < 16):
            raise ValueError(
                f"the image must have the size of the JPEG file, about {rows} x {columns}, and {channels} channels, "
                f"got {tuple(shape[-3:])}"
            )

    def check_decoded(self, image: Image) -> None:
        """Check that an image is what the file decodes to, as it is not after a rotation or a change of colours.

        Raises:
            ValueError: if it has another size, or moves by more than rounding explains.
        """
        moved = float(jnp.abs(self.project(image) - image).mean())
        if moved > 1 / 255:
            raise ValueError(
                "the pixels are not those that the JPEG file stores; its orientation or its colour profile changes them"
            )

    def project(self, image: Image) -> Array:
        """Move the coefficients of an image into the intervals.

        The projection is orthogonal in luma and chroma. It brings an image nearer to every image that the file allows.

        Args:
            image: ``[*batch, height, width, channel]`` in [0, 1], of the size of the file.

        Returns:
            The nearest image in the intervals, not clipped.

        Example:
            >>> gray = JpegIntervals(((jnp.full((8, 8), -4.0), jnp.full((8, 8), 4.0)),))
            >>> round(float(255 * gray.project(jnp.ones((8, 8, 1)))[0, 0, 0]), 3)
            128.5
        """
        image = jnp.asarray(image)
        self.check(image.shape)
        size = self.bounds[0][0].shape
        *batch, height, width, _ = image.shape
        pads = [(0, 0)] * len(batch) + [(0, size[0] - height), (0, size[1] - width), (0, 0)]
        pixels = 255 * jnp.pad(image, pads, mode="edge")
        if len(self.bounds) == 1:
            components = pixels - 128
        else:
            components = jnp.matmul(pixels, RGB_TO_YCC.T, precision="highest") - jnp.asarray(
                [128.0, 0, 0], image.dtype
            ).reshape((1,) * (image.ndim - 1) + (3,))
        moved = [_moved(components[..., i], bounds) for i, bounds in enumerate(self.bounds)]
        change = jnp.stack(moved, -1)
        if len(self.bounds) > 1:
            change = jnp.matmul(change, YCC_TO_RGB.T, precision="highest")
        return image + change[..., :height, :width, :] / 255


def _joined(plane: Any, half: float, unknown: float) -> Array:
    """Return a bound of all coefficients, one block beside another."""
    bound = np.where(plane.known[..., None, None], (plane.levels + half) * plane.steps, unknown)
    rows, columns = plane.known.shape
    return jnp.asarray(bound.swapaxes(1, 2).reshape(8 * rows, 8 * columns), jnp.float32)


def _moved(plane: Array, bounds: Interval) -> Array:
    """Return what moves the coefficients of a component ``[*batch, height, width]`` into their intervals."""
    low, high = bounds
    *batch, height, width = plane.shape
    down, right = height // low.shape[0], width // low.shape[1]
    small = plane.reshape(*batch, height // down, down, width // right, right).mean((-3, -1))
    blocks = (*small.shape[:-2], small.shape[-2] // 8, 8, small.shape[-1] // 8, 8)
    coefficients = jnp.einsum("ui,...aibj,vj->...aubv", _DCT, small.reshape(blocks), _DCT, precision="highest")
    bound = [x.reshape((1,) * len(batch) + blocks[-4:]) for x in (low, high)]
    change = jnp.clip(coefficients, *bound) - coefficients
    change = jnp.einsum("...aubv,ui,vj->...aibj", change, _DCT, _DCT, precision="highest").reshape(small.shape)
    return jnp.repeat(jnp.repeat(change, down, -2), right, -1)
