"""Export a restorer with its parameters: to StableHLO, to run with JAX alone, or to ONNX, to run without JAX."""

import hashlib
import importlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax import export as jax_export

from .files.atomic import write_atomically, written_beside
from .layers import conv
from .typed_json import to_json
from .types import Array
from .zoo import Restorer, load

if TYPE_CHECKING:
    from onnx import ModelProto
else:
    ModelProto = Any  # of the extra `onnx`

PLATFORMS = ("cpu", "cuda", "tpu")
INPUTS = ("image", "condition", "kernel", "confidence")
"""Names of the inputs of an ONNX model, of which it has the first one, two or, with a context, the last two, too."""


def export(
    restorer: Restorer, *, size: tuple[int, int] | None = None, platforms: Sequence[str] = PLATFORMS
) -> jax_export.Exported:
    """Export a restorer, with its output clipped to [0, 1], to a function that needs only JAX.

    Args:
        restorer: from :func:`restorax.load`; its parameters and computation type become part of the function.
        size: height and width of the images. Default: any size, which inpainting networks, blur-estimating networks
            and most networks with recurrence over pixels do not support.
        platforms: target platforms, of ``"cpu"``, ``"cuda"``, ``"rocm"`` and ``"tpu"``.

    Returns:
        A ``jax.export.Exported``: ``call(image)`` takes float32 ``[batch, height, width, channels]``, or
        ``call(image, condition)`` if the card requires a condition; ``serialize()`` returns bytes for
        ``jax.export.deserialize``. For a burst restorer, both inputs are ``[batch, frames, height, width, channels]``.
        Serialized bytes expire: they can be read by JAX versions up to six months newer than the one that wrote them
        (https://docs.jax.dev/en/latest/export/export.html#compatibility-guarantees).

    Raises:
        ValueError: if ``size`` is invalid, or omitted for a network that requires it, or platforms are unknown.

    Example:
        >>> import restorax
        >>> exported = export(restorax.load("arcnn-gray-jpeg"), platforms=["cpu"])
        >>> exported.call(jnp.full((2, 20, 30, 1), 0.5)).shape
        (2, 20, 30, 1)
    """
    if not platforms or (unknown := set(platforms) - {*PLATFORMS, "rocm"}):
        names = ", ".join(sorted(unknown)) if platforms else "none"
        raise ValueError(f"`platforms` must be of cpu, cuda, rocm and tpu, got {names}")
    inputs = _inputs(restorer, size, "batch")
    function = jax.jit(lambda *inputs: jnp.clip(restorer(*inputs), 0, 1))
    try:
        return jax_export.export(function, platforms=tuple(platforms))(*inputs)
    except (ValueError, NotImplementedError, jax.errors.InconclusiveDimensionOperation) as error:
        if size is None:
            raise ValueError(_needs_size(restorer)) from error
        raise


def export_onnx(restorer: Restorer, *, size: tuple[int, int] | None = None, with_context: bool = False) -> ModelProto:
    """Export a restorer, with its output clipped to [0, 1], to an ONNX model of opset 18.

    The model takes ``image``, float32 ``[1, height, width, channels]`` in [0, 1], or ``[1, frames, height, width,
    channels]`` for a burst restorer, and ``condition`` if the card requires one; it returns ``restored``. It contains
    padding and cropping, so that any size within ``size`` is accepted. Its metadata hold name, channels, condition,
    licence and the whole card.

    Args:
        restorer: from :func:`restorax.load`, of float32 or float16 activations; inputs and output are float32 anyway.
        size: height and width of the images. Default: any size, where :func:`export` supports that, but for
            ``video_rnn``.
        with_context: whether the blur kernel and the confidence in it are inputs, too, for tiles of an image that share
            one kernel (``RestorationNetwork.restore_part``).

    Returns:
        The checked model; ``SerializeToString()`` gives the content of a file.

    Raises:
        ImportError: if ``onnx`` is not installed.
        ValueError: if ``size`` is invalid, or omitted for a network that requires it; if the network has a part that
            cannot be exported, which the message names.

    Example:
        >>> import restorax
        >>> model = export_onnx(restorax.load("arcnn-gray-jpeg"))
        >>> [node.op_type for node in model.graph.node].count("Conv")
        4
    """
    to_onnx = _converter().to_onnx
    card, model = restorer.card, restorer.model
    inputs = list(_inputs(restorer, size, 1))
    names = [*INPUTS[: len(inputs)]]
    context: tuple[jax.ShapeDtypeStruct, ...] = ()
    if with_context:
        image = jax.ShapeDtypeStruct((1, 64, 64, card.channels), jnp.float32)  # of any size: a kernel has its own
        context = jax.eval_shape(lambda x: model.apply({"params": restorer.params}, x, method="read_context"), image)
        names += INPUTS[2:]

    def function(*arrays: Array) -> Array:
        condition = arrays[1] if len(inputs) > 1 else None
        restored = model.run(restorer.params, arrays[0], condition, arrays[len(inputs) :])
        return jnp.clip(restored, 0, 1)

    try:
        with conv.plain_convolutions():
            exported = to_onnx(function, [*inputs, *context], input_names=names, output_names=["restored"])
    except (ValueError, jax.errors.InconclusiveDimensionOperation) as error:
        if size is None:
            raise ValueError(_needs_size(restorer)) from error
        raise
    except NotImplementedError as error:
        raise ValueError(f"{card.name} cannot be exported to ONNX: {error}") from error
    exported.doc_string = f"{card.name}: {card.degradation}"
    for key, value in _metadata(restorer, size).items():
        exported.metadata_props.add(key=key, value=value)
    return exported


def export_folder(
    names: Sequence[str], folder: str | os.PathLike, *, size: tuple[int, int] = (512, 512), dtype: str = "float32"
) -> list[dict[str, Any]]:
    """Export entries to ONNX files in a folder, and write ``index.json``, which describes them.

    Args:
        names: of the zoo.
        folder: created if needed.
        size: height and width for networks that cannot be exported for any size.
        dtype: type of the activations.

    Returns:
        The index: for each entry ``name``, ``degradation``, ``channels``, ``condition``, ``licence``, and ``file``,
        ``bytes``, ``sha256`` and ``size``, or the ``reason`` why there is no file.

    Raises:
        ImportError: if ``onnx`` is not installed.
    """
    opset = _converter().OPSET
    folder, index = Path(folder), []
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        restorer = load(name, dtype=jnp.dtype(dtype))
        metadata = {key: value for key, value in _metadata(restorer, None).items() if key not in ("size", "card")}
        index.append(metadata | {"channels": restorer.card.channels})
        try:
            try:
                model = export_onnx(restorer)
            except ValueError:
                model = export_onnx(restorer, size=size)
        except ValueError as error:
            index[-1]["reason"] = str(error)
            continue
        content, stored = model.SerializeToString(), {p.key: p.value for p in model.metadata_props}
        file = f"{name}.onnx"
        with written_beside(folder / file) as beside:
            beside.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        index[-1] |= {"file": file, "bytes": len(content), "sha256": digest, "size": stored["size"]}
    write_atomically(folder / "index.json", json.dumps({"opset": opset, "entries": index}, indent=1) + "\n")
    return index


def _converter() -> ModuleType:
    try:
        return importlib.import_module(".onnx_graph", __package__)
    except ModuleNotFoundError as error:
        if error.name != "onnx":
            raise
        raise ImportError("exporting to ONNX requires onnx: pip install 'restorax[onnx]'") from error


def _metadata(restorer: Restorer, size: tuple[int, int] | None) -> dict[str, str]:
    card, required = restorer.card, restorer.model.required_condition
    return {
        "name": card.name,
        "degradation": card.degradation,
        "channels": str(card.channels),
        "condition": str(required),
        "condition_description": required.description or "",
        "size": f"{size[0]}x{size[1]}" if size else "any",
        "halo": "" if card.halo is None else str(card.halo),
        "licence": card.weights_licence,
        "limits": card.limits,
        "card": json.dumps(to_json(card)),
    }


def _needs_size(restorer: Restorer) -> str:
    return f"{restorer.card.name} cannot be exported for any size; give one, such as 512 x 512"


def _inputs(restorer: Restorer, size: tuple[int, int] | None, batch: str | int) -> tuple[jax.ShapeDtypeStruct, ...]:
    """Return image and, if required, condition; sizes that are open are symbols.

    Raises:
        ValueError: if the size is invalid, or omitted for a network that fills holes.
    """
    if size is not None and (len(size) != 2 or min(size) < 1):
        raise ValueError(f"`size` must be (height, width) of at least 1 pixel each, got {size}")
    if size is None and restorer.model.fills_holes:
        # Holes are filled across scales down to one pixel: tracing would not terminate.
        raise ValueError(_needs_size(restorer))
    frames = ("frames",) if restorer.model.takes_frames else ()
    height, width = size or ("height", "width")
    shapes = [(batch, *frames, height, width, restorer.card.channels)]
    if condition_channels := restorer.model.required_condition.channels:
        shapes.append((batch, *frames, height, width, condition_channels))
    scope = jax_export.SymbolicScope()
    symbolic = (jax_export.symbolic_shape(", ".join(map(str, shape)), scope=scope) for shape in shapes)
    return tuple(jax.ShapeDtypeStruct(shape, jnp.float32) for shape in symbolic)
