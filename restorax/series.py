"""Restore many images of many sizes."""

import threading
from typing import Any

import jax
import numpy as np

from .inference import restore
from .types import ConditionLike, Image
from .zoo import Restorer

_EXACT = 4  # sizes that are compiled as they are


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
        self._clear_after, self._recent = clear_after, set[tuple[int, ...]]()

    def __call__(
        self, restorer: Restorer, image: Image, condition: ConditionLike | None = None, **options: Any
    ) -> np.ndarray:
        """Restore an image; arguments, result and errors are those of :func:`restorax.restore`."""
        image = np.asarray(image)
        with self._lock:
            if len(self._exact) < _EXACT:
                self._exact.add(image.shape)
            bucket = image.shape not in self._exact
            self._recent.add(image.shape)
            if self._clear_after and len(self._recent) > self._clear_after:
                jax.clear_caches()
                self._recent.clear()
            return np.asarray(restore(restorer, image, condition, bucket=bucket, **options))
