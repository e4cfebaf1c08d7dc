"""Restorer networks: frozen Flax Linen modules whose fields are their configuration."""

from collections.abc import Callable
from functools import partial

from ..types import Condition
from .arcnn import ARCNN
from .base import RestorationNetwork
from .burst_rnn import BurstRNN
from .conv_autoencoder import ConvAutoencoder
from .dncnn import DnCNN
from .drunet import DRUNet
from .fbcnn import FBCNN
from .ffdnet import FFDNet
from .ircnn import IRCNN
from .mimo_unet import MIMOUNet
from .nafnet import NAFNet
from .prenet import PReNet
from .renet import ReNet
from .resunet import ResUNet
from .row_lstm import RowLSTM
from .scanunet import ScanUNet
from .spatial_rnn import SpatialRNN
from .srn import SRN
from .stageunet import StageUNet
from .unet import UNet
from .video_rnn import VideoRNN
from .wiener_unet import WienerUNet

MODELS: dict[str, Callable[..., RestorationNetwork]] = {
    "arcnn": ARCNN,
    "conv_autoencoder": ConvAutoencoder,
    "dncnn": DnCNN,
    "dncnn_b": partial(DnCNN, depth=20),
    "drunet": DRUNet,
    "fbcnn": FBCNN,
    "ffdnet": FFDNet,
    "ffdnet_color": partial(FFDNet, channels=3, depth=12, width=96),
    "ircnn": IRCNN,
    "mimo_unet": MIMOUNet,
    "mimo_unet_plus": partial(MIMOUNet, blocks=20),
    "nafnet": NAFNet,
    "nafnet_gopro": partial(NAFNet, encoder=(1, 1, 1, 28), middle=1, decoder=(1, 1, 1, 1)),
    "nafnet_s": partial(NAFNet, encoder=(1, 1, 2), middle=2, decoder=(1, 1, 1)),
    "resunet_s": ResUNet,
    "resunet_m": partial(ResUNet, widths=(64, 128, 256)),
    "resunet_l": partial(ResUNet, widths=(96, 192, 384)),
    "unet": UNet,
    "unet_gated": partial(UNet, kind="gated", condition=Condition.MASK),
    "unet_partial": partial(UNet, kind="partial", condition=Condition.MASK),
    "wiener_unet": WienerUNet,
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
    "video_rnn": VideoRNN,
}
"""Architectures by name; calling one with fields gives the module."""

__all__ = [
    "ARCNN",
    "MODELS",
    "SRN",
    "BurstRNN",
    "ConvAutoencoder",
    "DRUNet",
    "DnCNN",
    "FBCNN",
    "FFDNet",
    "IRCNN",
    "MIMOUNet",
    "NAFNet",
    "PReNet",
    "ReNet",
    "ResUNet",
    "RestorationNetwork",
    "RowLSTM",
    "ScanUNet",
    "SpatialRNN",
    "StageUNet",
    "UNet",
    "VideoRNN",
    "WienerUNet",
]
