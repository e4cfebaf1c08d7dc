"""What was observed, and by which degradation: arguments of :func:`restorax.solve` checked and brought to one form."""

import os
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from ..degrade import Expression, parse
from ..degrade.quantisation_intervals import JpegIntervals
from ..files.jpeg import read_planes
from ..types import Array, Observation, check_image
from .linear import Linear, LinearParts, check_linear, kind_of, read_parts

Known = Array | JpegIntervals | None
"""Mask of known values, or the intervals of a JPEG file."""


class Forward(NamedTuple):
    """A degradation of images of one shape.

    Attributes:
        operator: linear parts of a text, a linear function, or ``None`` for the quantisation of JPEG.
        shape: of the unknown image with its rim, ``(height, width, channels)``.
        rim: pixels by which the unknown image exceeds the restored one.
        kind: from :func:`restorax.solvers.linear.kind_of`.
    """

    operator: LinearParts | Linear | None
    shape: tuple[int, int, int]
    rim: int
    kind: str

    def constants(self) -> list[Any]:
        """Return the arrays that a function closes over."""
        if self.operator is None or isinstance(self.operator, LinearParts):
            return []
        return jax.make_jaxpr(self.operator)(jax.ShapeDtypeStruct(self.shape, jnp.float32)).consts


def read_intervals(path: str | os.PathLike) -> JpegIntervals:
    """Read the quantisation intervals of a JPEG file, as a degradation for :func:`restorax.solve`.

    Args:
        path: gray JPEG file, or colour JPEG file with 4:4:4 or 4:2:0 chroma.

    Returns:
        The intervals in which quantisation left the coefficients. Blocks that the border cuts, and those where decoding
        clipped values, are not constrained.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it is not such a JPEG file.

    Example:
        >>> restored = restorax.solve(read_intervals("a.jpg"), image, iterations=4)  # doctest: +SKIP
    """
    return JpegIntervals.of(read_planes(path))


class Observed(NamedTuple):
    """An observation with the degradation that led to it.

    Attributes:
        forward: the degradation.
        image: flat batch of observations.
        known: mask or intervals of the flat batch, or ``None``.
        batch: batch axes of the observation.
        noise: standard deviation of the noise that the degradation states, or ``None``.
        tileable: whether parts of the image can be solved alone.
    """

    forward: Forward
    image: Array
    known: Known
    batch: tuple[int, ...]
    noise: float | None
    tileable: bool


def interpret(degradation: Any, observed: Any, shape: tuple[int, int, int] | None) -> Observed:
    """Check the degradation against the observation.

    Args:
        degradation: text, a parsed degradation, the intervals of a JPEG file or a linear function.
        observed: image or :class:`restorax.Observation`.
        shape: of one restored image, if it is not that of the observation.

    Returns:
        Both in one form.

    Raises:
        TypeError: if the observation is not floating point, or the degradation is of none of these kinds.
        ValueError: as :func:`restorax.solve`.
    """
    image, condition = observed if isinstance(observed, Observation) else (observed, None)
    values = _checked(image)
    if isinstance(degradation, str):
        degradation = parse(degradation)
    if not isinstance(degradation, Expression | JpegIntervals):
        return _by_function(degradation, values, shape)
    check_image(values, "observed")
    last = (values.shape[-3], values.shape[-2], values.shape[-1])
    if shape is not None and tuple(shape) != last:
        raise ValueError(f"`shape` must be that of the observation, {last}, unless a function is given; got {shape}")
    if isinstance(degradation, JpegIntervals):
        return _by_intervals(degradation, values)
    parts, batch = read_parts(degradation), values.shape[:-3]
    outer = (last[0] + 2 * parts.rim, last[1] + 2 * parts.rim, last[2])
    mask = parts.mask(tuple(values.shape), condition)
    if mask is not None:
        mask = jnp.broadcast_to(mask, (*batch, *mask.shape[-3:])).reshape(-1, *mask.shape[-3:])
    forward = Forward(parts, outer, parts.rim, parts.kind)
    return Observed(forward, values.reshape(-1, *last), mask, batch, parts.noise, parts.shift_invariant)


def _by_intervals(intervals: JpegIntervals, values: Array) -> Observed:
    intervals.check(values.shape)
    if values.ndim != 3:
        raise ValueError(f"the intervals of a JPEG file belong to one image, got a batch of shape {values.shape}")
    shape = (values.shape[0], values.shape[1], values.shape[2])
    known = jax.tree.map(lambda bound: bound[None], intervals)
    return Observed(Forward(None, shape, 0, "intervals"), values[None], known, (), 0.0, True)


def _by_function(operator: Any, observed: Array, shape: tuple[int, int, int] | None) -> Observed:
    name = getattr(operator, "__name__", type(operator).__name__)
    if not callable(operator):
        raise TypeError(f"`degradation` must be text, a degradation or a function, got {name}")
    operator = cast(Linear, operator)
    if shape is None:
        if observed.ndim < 3:
            raise ValueError(f"`shape` of the restored image is required for an observation of shape {observed.shape}")
        shape = (observed.shape[-3], observed.shape[-2], observed.shape[-1])
    if len(shape) != 3 or min(shape) < 1:
        raise ValueError(f"`shape` must be (height, width, channels), got {shape}")
    try:
        returned = jax.eval_shape(operator, jax.ShapeDtypeStruct(shape, jnp.float32))
    except TypeError as error:
        raise ValueError(f"{name} does not accept an image of shape {shape}: {error}") from None
    measured = tuple(getattr(returned, "shape", ()))
    axes = observed.ndim - len(measured)
    if axes < 0 or observed.shape[axes:] != measured:
        raise ValueError(f"{name} returns shape {measured} for images {shape}, but `observed` has {observed.shape}")
    check_linear(operator, shape, name)
    forward = Forward(operator, shape, 0, kind_of(operator, shape))
    return Observed(forward, observed.reshape(-1, *measured), None, observed.shape[:axes], None, False)


def _checked(image: Any) -> Array:
    """Return the observation as an array, without NaN."""
    if not isinstance(image, jax.Array):
        image = np.asarray(image)
    if not jnp.issubdtype(image.dtype, jnp.floating):
        raise TypeError(f"`observed` must be floating point in [0, 1], got {image.dtype}; divide 8-bit values by 255")
    if not isinstance(image, Tracer) and not np.isfinite(np.asarray(image, np.float32)).all():
        raise ValueError("`observed` must be finite, got NaN or infinity")
    return jnp.asarray(image, jnp.float32)
