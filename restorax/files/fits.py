"""FITS files of astronomy, read with astropy."""

import io
import warnings
from typing import Any, cast

import numpy as np

from .metadata import Metadata
from .picture import Picture
from .values import check_size, from_stored

SUFFIXES = (".fits", ".fit", ".fts")


def is_fits(name: str) -> bool:
    """Return whether the suffix of a name is that of FITS."""
    return name.lower().endswith(SUFFIXES)


def read_planes(
    content: bytes, name: str, value_range: tuple[float, float] | None = None, max_pixels: int | None = None
) -> list[Picture]:
    """Read the first image of a file, or the slices of its first cube.

    The rows of FITS count from the bottom; the first becomes the last.

    Args:
        content: bytes of the file.
        name: name of the file in error messages.
        value_range: stored values of black and white; values beyond it are kept.
        max_pixels: largest number of pixels of a slice.

    Returns:
        Gray pictures.

    Raises:
        ImportError: if astropy is not installed.
        ValueError: if the file is damaged, has no image of two or three dimensions, or the range of its values is not
            known.
    """
    try:
        from astropy.io import fits  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise ImportError(f"{name} is a FITS file; pip install 'restorax[fits]'") from None
    try:
        with warnings.catch_warnings(), fits.open(io.BytesIO(content), memmap=False) as file:
            warnings.simplefilter("ignore")  # of headers, which are not read
            images = [part.data for part in cast(Any, file) if part.is_image and part.data is not None]
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f"{name} is damaged or cannot be read: {error}") from None
    cubes = [values for values in images if values.ndim in (2, 3)]
    if not cubes:
        raise ValueError(f"{name} holds no image of two or three dimensions")
    planes = cubes[0] if cubes[0].ndim == 3 else cubes[0][None]
    check_size(planes.shape[2], planes.shape[1], name, max_pixels)
    native = planes.astype(planes.dtype.newbyteorder("="))[:, ::-1, :, None]
    return [from_stored(np.ascontiguousarray(plane), None, Metadata(), name, value_range) for plane in native]
