"""Networks that MatConvNet saved, as tensors with the names and axes of their PyTorch versions."""

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
        ValueError: if the file is damaged or holds no such network.

    Reference:
        Vedaldi and Lenc, MatConvNet: convolutional neural networks for MATLAB, ACM MM 2015; sub-pixels in the order of
        ``vl_nnSubP`` of FFDNet (column by column).
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
        raise ValueError(f"{source} was saved as MATLAB 7.3; save it with -v7") from None
    except Exception as error:  # SciPy raises whatever its reader meets
        raise ValueError(f"{source} is damaged or no MATLAB file: {error}") from None
    try:
        layers = [layer.item() for layer in content["net"].item().layers.ravel()]
        kinds = [str(layer.type.item()) for layer in layers]
    except (KeyError, AttributeError, ValueError):
        raise ValueError(f"{source} holds no MatConvNet network (net.layers)") from None
    tensors: dict[str, Any] = {}
    convolutions = []
    for place, (kind, layer) in enumerate(zip(kinds, layers, strict=True)):
        if kind in ("conv", "bnorm"):
            weights = [np.asarray(part, np.float32) for part in layer.weights.ravel()]
        if kind == "conv":
            kernel = weights[0].reshape(*weights[0].shape, *[1] * (4 - weights[0].ndim))  # MATLAB drops last ones
            tensors[f"model.{place}.weight"] = kernel.transpose(3, 2, 0, 1)
            tensors[f"model.{place}.bias"] = weights[1].ravel()
            convolutions.append(place)
        elif kind == "bnorm":
            mean, deviation = weights[2].T
            tensors[f"model.{place}.running_mean"] = mean
            tensors[f"model.{place}.running_var"] = deviation**2 - BATCH_NORM_EPSILON
            tensors[f"model.{place}.weight"], tensors[f"model.{place}.bias"] = weights[0].ravel(), weights[1].ravel()
    if "SubP" in kinds:
        first, last = (f"model.{convolutions[i]}" for i in (0, -1))
        kernel = tensors[f"{first}.weight"]
        sub_pixels = _row_by_row(kernel[:, : kernel.shape[1] // 4 * 4], axis=1)
        tensors[f"{first}.weight"] = np.concatenate([sub_pixels, kernel[:, sub_pixels.shape[1] :]], 1)
        for part in ("weight", "bias"):
            tensors[f"{last}.{part}"] = _row_by_row(tensors[f"{last}.{part}"], axis=0)
    return tensors


def _row_by_row(x: np.ndarray, axis: int) -> np.ndarray:
    """Swap the second and third of every four: columns first becomes rows first."""
    order = np.arange(x.shape[axis]).reshape(-1, 2, 2).swapaxes(1, 2).ravel()
    return x.take(order, axis)
