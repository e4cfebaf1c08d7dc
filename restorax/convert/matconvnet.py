"""Read MatConvNet networks as tensors with the names and axis order of their PyTorch versions."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from .layouts import BATCH_NORM_EPSILON


def read_matconvnet(source: Path) -> dict[str, Any]:
    """Read a chain of convolutions from ``net.layers`` of a ``.mat`` file.

    Args:
        source: file saved by MATLAB in version 7 or earlier (``-v7``).

    Returns:
        Arrays named as in KAIR: ``model.0.weight``, ``model.0.bias``, ...; batch normalisation as ``running_mean``,
        ``running_var``, ``weight`` and ``bias`` of the position after its convolution.

    Raises:
        ValueError: if the file is damaged or holds no MatConvNet network.

    Reference:
        Vedaldi and Lenc, MatConvNet: convolutional neural networks for MATLAB, ACM MM 2015; FFDNet's
        ``vl_nnSubP`` orders sub-pixels column by column.
    """
    try:
        from scipy.io import loadmat
    except ImportError:
        raise ValueError(f"{source}: reading it needs SciPy: pip install 'restorax[convert]'") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            content = loadmat(source, struct_as_record=False)
    except NotImplementedError:
        raise ValueError(f"{source} has the unsupported format MATLAB 7.3; save it with -v7") from None
    except Exception as error:  # SciPy raises many types
        raise ValueError(f"{source} is damaged or not a MATLAB file: {error}") from None
    try:
        layers = [layer.item() for layer in content["net"].item().layers.ravel()]
        kinds = [str(layer.type.item()) for layer in layers]
    except (KeyError, AttributeError, ValueError):
        raise ValueError(f"{source} holds no MatConvNet network (net.layers)") from None
    tensors: dict[str, Any] = {}
    convolutions = []
    before = kinds.index("conv") if "conv" in kinds else 0  # after the unshuffle of FFDNet
    for position, (kind, layer) in enumerate(zip(kinds, layers, strict=True), -before):
        if kind in ("conv", "bnorm"):
            weights = [np.asarray(part, np.float32) for part in layer.weights.ravel()]
        if kind == "conv":
            kernel = weights[0].reshape(
                *weights[0].shape, *[1] * (4 - weights[0].ndim)
            )  # MATLAB drops trailing axes of length 1
            tensors[f"model.{position}.weight"] = kernel.transpose(3, 2, 0, 1)
            tensors[f"model.{position}.bias"] = weights[1].ravel()
            convolutions.append(position)
        elif kind == "bnorm":
            mean, deviation = weights[2].T
            tensors[f"model.{position}.running_mean"] = mean
            tensors[f"model.{position}.running_var"] = deviation**2 - BATCH_NORM_EPSILON
            tensors[f"model.{position}.weight"], tensors[f"model.{position}.bias"] = (
                weights[0].ravel(),
                weights[1].ravel(),
            )
    if "SubP" in kinds:
        first, last = (f"model.{convolutions[i]}" for i in (0, -1))
        kernel = tensors[f"{first}.weight"]
        sub_pixels = _to_row_major(kernel[:, : kernel.shape[1] // 4 * 4], axis=1)
        tensors[f"{first}.weight"] = np.concatenate([sub_pixels, kernel[:, sub_pixels.shape[1] :]], 1)
        for part in ("weight", "bias"):
            tensors[f"{last}.{part}"] = _to_row_major(tensors[f"{last}.{part}"], axis=0)
    return tensors


def _to_row_major(x: np.ndarray, axis: int) -> np.ndarray:
    """Swap the second and third of every four entries: column-major to row-major sub-pixels."""
    order = np.arange(x.shape[axis]).reshape(-1, 2, 2).swapaxes(1, 2).ravel()
    return x.take(order, axis)
