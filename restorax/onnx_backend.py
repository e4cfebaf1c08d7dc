"""Restore with onnxruntime instead of JAX: exported networks, made on demand or read from a file."""

import functools
import json
import os
from collections import OrderedDict
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from .card import Card
from .exporting import INPUTS, export_onnx
from .files.atomic import written_beside
from .models.create import build
from .typed_json import from_json
from .zoo import Restorer

_FORMAT = 1  # changes with what `export_onnx` writes
_SESSIONS = 8  # sizes that stay in memory


class OnnxRuntime:
    """Computes in :func:`restorax.restore` with onnxruntime; files are exported when they are first needed.

    Networks of any size have one file; of the others, every size of an image or tile has its own.

    Args:
        folder: where exported files are kept.
        threads: of a session; by default one for each core.

    Raises:
        ImportError: if ``onnx`` or ``onnxruntime`` is not installed.

    Example:
        >>> import tempfile, restorax
        >>> runtime = OnnxRuntime(tempfile.mkdtemp())
        >>> restorer = restorax.load("arcnn-gray-jpeg").replace(runtime=runtime)
        >>> restorax.restore(restorer, np.full((20, 30, 1), 0.5, np.float32)).shape
        (20, 30, 1)
    """

    def __init__(self, folder: str | os.PathLike, *, threads: int | None = None) -> None:
        try:
            import onnxruntime
        except ModuleNotFoundError as error:
            raise ImportError("the backend onnxruntime requires it: pip install 'restorax[onnx]'") from error
        self._folder = Path(folder)
        self._options = onnxruntime.SessionOptions()
        self._options.intra_op_num_threads = threads or 0
        self._options.enable_mem_pattern = False  # planned memory of every size would stay
        self._create = functools.partial(onnxruntime.InferenceSession, sess_options=self._options)
        self._sessions: OrderedDict[Path, Any] = OrderedDict()
        self._given: dict[str, Path] = {}

    def read(self, path: str | os.PathLike) -> Restorer:
        """Read an exported file as a restorer without parameters, which this runtime computes.

        Args:
            path: a file that :func:`restorax.exporting.export_onnx` made.

        Returns:
            The restorer; only :func:`restorax.restore` and what builds on it can use it.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it is not an ONNX model, not one of restorax, or one that needs the whole image.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"there is no file {path}")
        session = self._session(path)
        metadata = session.get_modelmeta().custom_metadata_map
        if "card" not in metadata:
            raise ValueError(f"{path} was not exported by restorax: it holds no model card")
        card = from_json(Card, json.loads(metadata["card"]), str(path))
        model = build(card.architecture, card.config, dtype=jnp.dtype(jnp.float32))
        if model.has_context:
            raise ValueError(
                f"{path} reads the blur from each tile and channel; give --model {card.name}, which reads it once"
            )
        self._given[card.sha256] = path
        return Restorer({}, model, card, self)

    def __call__(
        self, restorer: Restorer, image: np.ndarray, condition: np.ndarray | None, context: tuple[np.ndarray, ...]
    ) -> np.ndarray:
        """Restore a batch, one image after the other.

        Args:
            restorer: whose network is run.
            image: ``[*batch, height, width, channels]`` in [0, 1].
            condition: map of the same batch shape, or ``None``.
            context: from ``read_context``, by the flattened batch.

        Returns:
            Restored images of the same shape, clipped to [0, 1].

        Raises:
            ValueError: if the file that was read is of another size.
        """
        flat = image.reshape(-1, *image.shape[-3:]).astype(np.float32, copy=False)
        maps = None
        if condition is not None:
            maps = condition.reshape(-1, *condition.shape[-3:]).astype(np.float32, copy=False)
        session = self._session(self._file(restorer, *image.shape[-3:-1]))
        names = {one.name for one in session.get_inputs()}
        restored = []
        for index, one in enumerate(flat):
            arrays = [one, None if maps is None else maps[index], *(part[index] for part in context)]
            feed = {name: array[None] for name, array in zip(INPUTS, arrays, strict=False) if name in names}
            restored.append(session.run(None, feed)[0][0])
        return np.stack(restored).reshape(image.shape).astype(image.dtype, copy=False)

    def _session(self, path: Path) -> Any:
        if path not in self._sessions:
            from onnxruntime.capi.onnxruntime_pybind11_state import Fail, InvalidGraph, InvalidProtobuf

            try:
                self._sessions[path] = self._create(str(path))
            except (Fail, InvalidGraph, InvalidProtobuf) as error:
                raise ValueError(f"{path} is not an ONNX model that onnxruntime can run: {error}") from error
            if len(self._sessions) > _SESSIONS:
                self._sessions.popitem(last=False)
        self._sessions.move_to_end(path)
        return self._sessions[path]

    def _file(self, restorer: Restorer, height: int, width: int) -> Path:
        """Return the file for a network and a size; export it if there is none."""
        card = restorer.card
        if given := self._given.get(card.sha256):
            size = self._session(given).get_modelmeta().custom_metadata_map["size"]
            if size not in ("any", f"{height}x{width}"):
                raise ValueError(
                    f"{given} restores images of {size} pixels, got {height}x{width}; export it for that size, or "
                    f"give --model {card.name}"
                )
            return given
        kind = f"{card.sha256[:16]}-{jnp.dtype(restorer.model.dtype).name}-{_FORMAT}"
        any_size = self._folder / f"{card.name}-{kind}.onnx"
        one_size = self._folder / f"{card.name}-{kind}-{height}x{width}.onnx"
        for path in (any_size, one_size):
            if path.is_file():
                return path
        with_context = restorer.model.has_context
        try:
            path, model = any_size, export_onnx(restorer, with_context=with_context)
        except ValueError:
            path, model = one_size, export_onnx(restorer, size=(height, width), with_context=with_context)
        self._folder.mkdir(parents=True, exist_ok=True)
        with written_beside(path) as beside:
            beside.write_bytes(model.SerializeToString())
        return path
