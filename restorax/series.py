"""Restore many images of many sizes."""

import threading
from typing import Any

import jax
import numpy as np

from .inference import restore
from .types import ConditionLike, Image
from .zoo import Restorer

_EXACT = 4  # sizes that are compiled as they are


class SizeLimit:
    """Empties JAX's caches (``jax.clear_caches``) after a number of sizes, so that memory does not grow.

    Args:
        most: number of sizes whose compiled functions are kept; ``None`` for no limit.

    Example:
        >>> limit = SizeLimit(2)
        >>> for side in range(4):
        ...     limit.add((side, side))
    """

    def __init__(self, most: int | None) -> None:
        self._most, self._sizes = most, set[tuple[int, ...]]()

    def add(self, size: tuple[int, ...]) -> None:
        """Note a size before it is compiled."""
        if self._most and len(self._sizes | {size}) > self._most:
            jax.clear_caches()
            self._sizes.clear()
        self._sizes.add(size)


class Series:
    """:func:`restorax.restore` for many images of many sizes, from several threads, of which one computes at a time.

    The first four sizes are compiled as they are; later ones share the programs of buckets if the
    network is convolutional.

    Args:
        clear_after: number of sizes after which all compiled functions of the process are dropped
            (``jax.clear_caches``), so that memory does not grow; ``None`` for never.

    Example:
        >>> from restorax import zoo
        >>> restorer, restore_next = zoo.load("resunet_s-gray-noise"), Series()
        >>> [restore_next(restorer, np.zeros((side, 20, 1), np.float32)).shape for side in (20, 21)]
        [(20, 20, 1), (21, 20, 1)]
    """

    def __init__(self, *, clear_after: int | None = None) -> None:
        self._lock = threading.Lock()
        self._exact: set[tuple[int, ...]] = set()
        self._limit = SizeLimit(clear_after)

    def __call__(
        self, restorer: Restorer, image: Image, condition: ConditionLike | None = None, **options: Any
    ) -> np.ndarray:
        """Restore an image; arguments, result and errors are those of :func:`restorax.restore`."""
        image = np.asarray(image)
        with self._lock:
            if len(self._exact) < _EXACT:
                self._exact.add(image.shape)
            bucket = image.shape not in self._exact
            self._limit.add(image.shape)
            return np.asarray(restore(restorer, image, condition, bucket=bucket, **options))
