"""Map tensors of published weights to parameters, for each supported architecture."""

import re
from collections.abc import Callable
from typing import Any

import flax.traverse_util
import numpy as np

from ..models.create import build
from ..types import Params
from .prefixes import strip_prefixes

# The value in KAIR; state dictionaries do not contain it.
BATCH_NORM_EPSILON = 1e-4


def to_params(tensors: dict[str, np.ndarray], architecture: str, source: str) -> tuple[dict[str, Any], Params]:
    """Map tensors with their original names to the configuration and parameters of a module.

    Args:
        tensors: arrays in PyTorch's axis order by their original names.
        architecture: a key of ``CONVERTERS``.
        source: name of the file in error messages.

    Returns:
        Configuration and nested parameters.

    Raises:
        ValueError: if a tensor is missing, superfluous or of the wrong shape.
    """
    tensors = strip_prefixes(tensors, FIRST_TENSORS[architecture], source, architecture)
    layout = _Layout(tensors, architecture, source)
    config = CONVERTERS[architecture](layout)
    layout.check_all_taken()
    expected = build(architecture, config).param_shapes()
    for name, shape in sorted(expected.items()):
        found = layout.params[name].shape if name in layout.params else None
        if found != shape:
            origin = layout.origin.get(name, "no tensor")
            raise ValueError(
                f"{source}: {name} must have shape {shape} in this {architecture}, got {found} from {origin}"
            )
    if unknown := sorted(layout.params.keys() - expected.keys()):
        raise ValueError(f"{source}: {layout.origin[unknown[0]]} has no counterpart in this {architecture}")
    return config, flax.traverse_util.unflatten_dict(layout.params, sep="/")


class _Layout:
    """Converts tensors by their original names to parameters, and records the origin of each."""

    def __init__(self, tensors: dict[str, np.ndarray], architecture: str, source: str):
        self.left = {name: value for name, value in tensors.items() if not name.endswith("num_batches_tracked")}
        self.architecture, self.source = architecture, source
        self.params: dict[str, np.ndarray] = {}
        self.origin: dict[str, str] = {}

    def take(self, name: str, dimensions: int) -> np.ndarray:
        if name not in self.left:
            raise ValueError(f"{self.source} lacks the tensor {name} of {self.architecture}")
        value = self.left.pop(name)
        if value.ndim != dimensions:
            raise ValueError(f"{self.source}: {name} must have {dimensions} axes, got shape {value.shape}")
        return value

    def put(self, target: str, name: str, value: np.ndarray) -> None:
        self.params[target] = np.ascontiguousarray(value, np.float32)
        self.origin[target] = name

    def count(self, pattern: str) -> int:
        """Return one more than the largest number in place of ``#`` among the tensor names."""
        found = (re.match(pattern.replace(".", r"\.").replace("#", r"(\d+)"), name) for name in self.left)
        return max((int(match[1]) + 1 for match in found if match), default=0)

    def has(self, name: str) -> bool:
        return name in self.left

    def drop(self, prefix: str) -> None:
        self.left = {name: value for name, value in self.left.items() if not name.startswith(prefix)}

    def shape(self, name: str) -> tuple[int, ...]:
        if name not in self.left:
            raise ValueError(f"{self.source} lacks the tensor {name} of {self.architecture}")
        return self.left[name].shape

    def check_all_taken(self) -> None:
        if self.left:
            name = min(self.left)
            raise ValueError(f"{self.source}: {name} {self.left[name].shape} has no counterpart in {self.architecture}")

    # Conversions of PyTorch layers.

    def conv(self, target: str, name: str, *, bias: bool = True) -> None:
        """Convert ``[out, in, rows, columns]`` to ``[rows, columns, in, out]``."""
        self.put(f"{target}/kernel", f"{name}.weight", self.take(f"{name}.weight", 4).transpose(2, 3, 1, 0))
        self.bias(target, name, bias)

    def bias(self, target: str, name: str, bias: bool = True) -> None:
        if bias:
            self.put(f"{target}/bias", f"{name}.bias", self.take(f"{name}.bias", 1))

    def dense(self, target: str, name: str) -> None:
        self.put(f"{target}/kernel", f"{name}.weight", self.take(f"{name}.weight", 2).T)
        self.bias(target, name)

    def shrink(self, target: str, name: str, *, bias: bool = True) -> None:
        """Convert a 2x2 convolution of stride 2 to a 1x1 convolution after a pixel unshuffle."""
        kernel = self.take(f"{name}.weight", 4).transpose(2, 3, 1, 0)
        self.put(f"{target}/kernel", f"{name}.weight", kernel.reshape(1, 1, -1, kernel.shape[-1]))
        self.bias(target, name, bias)

    def grow(self, target: str, name: str, *, bias: bool = True) -> None:
        """Convert a transposed convolution of stride 2, ``[in, out, size, size]``, to taps of four output pixels."""
        kernel = self.take(f"{name}.weight", 4).transpose(2, 3, 0, 1)
        size, channels, features = kernel.shape[0], *kernel.shape[2:]
        if size == 4:
            # Even output rows use kernel rows 3 and 1, odd ones 2 and 0; columns likewise.
            kernel = kernel[::-1, ::-1].reshape(2, 2, 2, 2, channels, features)
        else:
            kernel = kernel.reshape(1, size, 1, size, channels, features)
        kernel = kernel.transpose(0, 2, 4, 1, 3, 5).reshape(*kernel.shape[0:3:2], channels, -1)
        self.put(f"{target}/kernel", f"{name}.weight", kernel)
        self.bias(target, name, bias)

    def residual(self, target: str, name: str, parts: tuple[str, str], *, bias: bool = True) -> None:
        for ours, theirs in zip(("conv1", "conv2"), parts, strict=True):
            self.conv(f"{target}/{ours}", f"{name}.{theirs}", bias=bias)


def _unshuffled(kernel: np.ndarray, axis: int, channels: int) -> np.ndarray:
    """Reorder an axis from PyTorch's pixel shuffle (sub-pixels within channels) to ours (the reverse)."""
    shape = kernel.shape
    split = kernel.reshape(*shape[:axis], channels, 4, *shape[axis + 1 :])
    return np.swapaxes(split, axis, axis + 1).reshape(shape)


def _chain(layout: _Layout) -> list[int]:
    """Convert ``model.0, model.2, ...`` to ``conv0, conv1, ...``, fold batch normalisation; return the positions."""
    positions = [i for i in range(layout.count("model.#.weight")) if layout.has(f"model.{i}.weight")]
    norms = [i for i in positions if layout.has(f"model.{i}.running_mean")]
    convolutions = [i for i in positions if i not in norms]
    if not convolutions:
        layout.shape("model.0.weight")  # raises the error for a missing tensor
    for number, i in enumerate(convolutions):
        layout.conv(f"conv{number}", f"model.{i}")
        if i + 1 in norms:
            name, target = f"model.{i + 1}", f"conv{number}"
            mean, variance, scale, shift = (
                layout.take(f"{name}.{part}", 1) for part in ("running_mean", "running_var", "weight", "bias")
            )
            factor = scale / np.sqrt(variance.astype(np.float64) + BATCH_NORM_EPSILON)
            kernel, bias = layout.params[f"{target}/kernel"], layout.params[f"{target}/bias"]
            layout.put(f"{target}/kernel", f"model.{i}.weight", kernel * factor)
            layout.put(f"{target}/bias", f"model.{i}.bias", shift + factor * (bias - mean))
    return convolutions


def _negate_output(layout: _Layout, last: int) -> None:
    """Negate the last layer: the original subtracts the prediction, ours adds it."""
    for part in ("kernel", "bias"):
        layout.params[f"conv{last}/{part}"] = -layout.params[f"conv{last}/{part}"]


def _dncnn(layout: _Layout) -> dict[str, Any]:
    depth = len(_chain(layout))
    _negate_output(layout, depth - 1)
    channels, width = layout.params["conv0/kernel"].shape[2:]
    return {"channels": channels, "depth": depth, "width": width}


def _ircnn(layout: _Layout) -> dict[str, Any]:
    depth = len(_chain(layout))
    if depth != 7:
        raise ValueError(f"{layout.source}: ircnn must have 7 convolutions, got {depth}")
    _negate_output(layout, 6)
    channels, width = layout.params["conv0/kernel"].shape[2:]
    return {"channels": channels, "width": width}


def _ffdnet(layout: _Layout) -> dict[str, Any]:
    depth = len(_chain(layout))
    first, last = "conv0/kernel", f"conv{depth - 1}"
    inputs, width = layout.params[first].shape[2:]
    channels = inputs // 4
    if channels < 1 or inputs != 4 * channels + 1:
        raise ValueError(
            f"{layout.source}: model.0.weight must have 4 input channels per image channel plus 1 in ffdnet, "
            f"got {inputs}"
        )
    layout.params[first] = np.concatenate(
        [_unshuffled(layout.params[first][:, :, :-1], 2, channels), layout.params[first][:, :, -1:]], 2
    )
    if layout.params[f"{last}/bias"].size == 4 * channels:
        layout.params[f"{last}/kernel"] = _unshuffled(layout.params[f"{last}/kernel"], 3, channels)
        layout.params[f"{last}/bias"] = _unshuffled(layout.params[f"{last}/bias"], 0, channels)
    return {"channels": channels, "depth": depth, "width": width, "condition": "noise_level"}


def _u_shape(layout: _Layout, *, bias: bool, bodies: tuple[tuple[str, str], ...]) -> tuple[tuple[int, ...], int]:
    """Convert the U-Net that DRUNet and FBCNN share; return its widths and the number of blocks."""
    blocks = layout.count("m_down1.#.res.")
    layout.conv("head", "m_head", bias=bias)
    widths = [layout.params["head/kernel"].shape[-1]]
    for scale in range(3):
        for i in range(blocks):
            layout.residual(f"down{scale}_block{i}", f"m_down{scale + 1}.{i}.res", ("0", "2"), bias=bias)
        layout.shrink(f"shrink{scale}", f"m_down{scale + 1}.{blocks}", bias=bias)
        widths.append(layout.params[f"shrink{scale}/kernel"].shape[-1])
    for ours, theirs in bodies:
        for i in range(blocks):
            layout.residual(f"{ours}_block{i}", f"{theirs}.{i}.res", ("0", "2"), bias=bias)
    for scale in range(3):
        layout.grow(f"grow{scale}", f"m_up{scale + 1}.0", bias=bias)
        for i in range(blocks):
            layout.residual(f"up{scale}_block{i}", f"m_up{scale + 1}.{i + 1}.res", ("0", "2"), bias=bias)
    layout.conv("tail", "m_tail", bias=bias)
    return tuple(widths), blocks


def _drunet(layout: _Layout) -> dict[str, Any]:
    widths, blocks = _u_shape(layout, bias=False, bodies=(("body", "m_body"),))
    inputs, channels = layout.params["head/kernel"].shape[2], layout.params["tail/kernel"].shape[3]
    if inputs - channels not in (0, 1):
        raise ValueError(
            f"{layout.source}: m_head must have {channels} or {channels + 1} input channels in drunet, got {inputs}"
        )
    condition = "noise_level" if inputs > channels else "none"
    return {"channels": channels, "widths": widths, "blocks": blocks, "condition": condition}


def _fbcnn(layout: _Layout) -> dict[str, Any]:
    bodies = (("encoder", "m_body_encoder"), ("decoder", "m_body_decoder"), ("quality", "qf_pred"))
    widths, blocks = _u_shape(layout, bias=True, bodies=bodies)
    for i in range(3):
        layout.dense(f"quality_dense{i}", f"qf_pred.{blocks + 2 + 2 * i}")  # after pooling and flattening
        layout.dense(f"embed{i}", f"qf_embed.{2 * i}")
        layout.dense(f"gamma{i}", f"to_gamma_{i + 1}.0")
        layout.dense(f"beta{i}", f"to_beta_{i + 1}.0")
    channels, embedding = layout.params["tail/bias"].size, layout.params["embed0/bias"].size
    fields = {"channels": channels, "widths": widths, "blocks": blocks, "embedding": embedding}
    return {**fields, "condition": "jpeg_quality"}


def _nafnet(layout: _Layout) -> dict[str, Any]:
    def chain(target: str, name: str) -> int:
        blocks = layout.count(f"{name}.#.")
        for i in range(blocks):
            block, ours = f"{name}.{i}", f"{target}_block{i}"
            for number in (1, 3, 4, 5):
                layout.conv(f"{ours}/conv{number}", f"{block}.conv{number}")
            layout.conv(f"{ours}/attention", f"{block}.sca.1")
            kernel = layout.take(f"{block}.conv2.weight", 4).transpose(2, 3, 1, 0)
            layout.put(f"{ours}/depthwise_kernel", f"{block}.conv2.weight", kernel)
            layout.put(f"{ours}/depthwise_bias", f"{block}.conv2.bias", layout.take(f"{block}.conv2.bias", 1))
            for norm in ("norm1", "norm2"):
                layout.put(f"{ours}/{norm}_scale", f"{block}.{norm}.weight", layout.take(f"{block}.{norm}.weight", 1))
                layout.put(f"{ours}/{norm}_bias", f"{block}.{norm}.bias", layout.take(f"{block}.{norm}.bias", 1))
            for part in ("beta", "gamma"):
                layout.put(f"{ours}/{part}", f"{block}.{part}", layout.take(f"{block}.{part}", 4).ravel())
        return blocks

    scales = layout.count("downs.#.")
    layout.conv("intro", "intro")
    encoder = tuple(chain(f"encoder{i}", f"encoders.{i}") for i in range(scales))
    middle = chain("middle", "middle_blks")
    decoder = tuple(chain(f"decoder{i}", f"decoders.{i}") for i in range(scales))
    for i in range(scales):
        layout.shrink(f"down{i}", f"downs.{i}")
        layout.conv(f"up{i}", f"ups.{i}.0", bias=False)
        kernel = layout.params[f"up{i}/kernel"]
        layout.params[f"up{i}/kernel"] = _unshuffled(kernel, 3, kernel.shape[3] // 4)
    layout.conv("ending", "ending")
    channels, width = layout.params["intro/kernel"].shape[2:]
    return {"channels": channels, "width": width, "encoder": encoder, "middle": middle, "decoder": decoder}


def _mimo_unet(layout: _Layout) -> dict[str, Any]:
    blocks = layout.count("Encoder.0.layers.#.")
    layout.drop("ConvsOut.")  # the coarse outputs, used only in training
    for level in range(3):
        for i in range(blocks):
            for ours, theirs in ((f"encoder{level}", f"Encoder.{level}"), (f"decoder{level}", f"Decoder.{2 - level}")):
                parts = ("main.0.main.0", "main.1.main.0")
                layout.residual(f"{ours}_block{i}", f"{theirs}.layers.{i}", parts)
    for ours, theirs in (("head", 0), ("shrink1", 1), ("shrink2", 2), ("tail", 5)):
        layout.conv(ours, f"feat_extract.{theirs}.main.0")
    for ours, theirs in (("grow1", 3), ("grow0", 4)):
        layout.grow(ours, f"feat_extract.{theirs}.main.0")
    for level in (1, 2):
        # The original numbers these modules from the coarsest scale.
        layout.conv(f"attend{level}", f"FAM{3 - level}.merge.main.0")
        layout.conv(f"shallow{level}/merge", f"SCM{3 - level}.conv.main.0")
        for i in range(4):
            layout.conv(f"shallow{level}/conv{i}", f"SCM{3 - level}.main.{i}.main.0")
    for level in (0, 1):
        layout.conv(f"join{level}", f"Convs.{1 - level}.main.0")
        for i in range(2):
            layout.conv(f"fuse{level}/conv{i}", f"AFFs.{level}.conv.{i}.main.0")
    channels, width = layout.params["head/kernel"].shape[2:]
    return {"channels": channels, "width": width, "blocks": blocks}


CONVERTERS: dict[str, Callable[[_Layout], dict[str, Any]]] = {
    "dncnn": _dncnn,
    "drunet": _drunet,
    "fbcnn": _fbcnn,
    "ffdnet": _ffdnet,
    "ircnn": _ircnn,
    "mimo_unet": _mimo_unet,
    "nafnet": _nafnet,
}
"""Conversions by architecture."""

FIRST_TENSORS = {
    "dncnn": "model.0.weight",
    "drunet": "m_head.weight",
    "fbcnn": "m_head.weight",
    "ffdnet": "model.0.weight",
    "ircnn": "model.0.weight",
    "mimo_unet": "feat_extract.0.main.0.weight",
    "nafnet": "intro.weight",
}
"""Names, without prefixes, by which a network is found in a file."""
