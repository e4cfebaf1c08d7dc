"""Restorer networks: frozen Flax Linen modules whose fields are their configuration."""

from functools import partial

from .dncnn import DnCNN
from .resunet import ResUNet
from .scanunet import ScanUNet

MODELS = {
    "dncnn": DnCNN,
    "dncnn_b": partial(DnCNN, depth=20),
    "resunet_s": ResUNet,
    "resunet_m": partial(ResUNet, widths=(64, 128, 256)),
    "resunet_l": partial(ResUNet, widths=(96, 192, 384)),
    "scanunet_s": ScanUNet,
}
"""Architectures by name; calling one with fields gives the module."""

__all__ = ["MODELS", "DnCNN", "ResUNet", "ScanUNet"]
