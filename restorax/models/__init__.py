"""Restorer networks: frozen Flax Linen modules whose fields are their configuration."""

from functools import partial

from .burst_rnn import BurstRNN
from .dncnn import DnCNN
from .prenet import PReNet
from .renet import ReNet
from .resunet import ResUNet
from .row_lstm import RowLSTM
from .scanunet import ScanUNet
from .spatial_rnn import SpatialRNN
from .srn import SRN
from .stageunet import StageUNet

MODELS = {
    "dncnn": DnCNN,
    "dncnn_b": partial(DnCNN, depth=20),
    "resunet_s": ResUNet,
    "resunet_m": partial(ResUNet, widths=(64, 128, 256)),
    "resunet_l": partial(ResUNet, widths=(96, 192, 384)),
    # scanned over pixels
    "row_lstm": RowLSTM,
    "renet": ReNet,
    "spatial_rnn": SpatialRNN,
    "scanunet_s": ScanUNet,
    "scanunet_m": partial(ScanUNet, widths=(64, 128, 256)),
    "scanunet_l": partial(ScanUNet, widths=(96, 192, 384)),
    # scanned over stages and scales
    "prenet": PReNet,
    "stageunet": StageUNet,
    "srn": SRN,
    "srn_s": partial(SRN, widths=(16, 32, 64)),
    # scanned over frames
    "burst_rnn": BurstRNN,
}
"""Architectures by name; calling one with fields gives the module."""

__all__ = [
    "MODELS",
    "SRN",
    "BurstRNN",
    "DnCNN",
    "PReNet",
    "ReNet",
    "ResUNet",
    "RowLSTM",
    "ScanUNet",
    "SpatialRNN",
    "StageUNet",
]
