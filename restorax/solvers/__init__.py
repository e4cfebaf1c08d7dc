"""Restoration of images with a known linear degradation: plug-and-play methods with a denoiser of the zoo."""

from .blind import KernelEstimate, deblur, estimate_kernel
from .iteration import Schedule
from .observation import read_intervals
from .plug_and_play import solve
from .priors import default_denoiser, denoisers
from .programs import METHODS
from .schedule_training import train_schedule

__all__ = [
    "METHODS",
    "KernelEstimate",
    "Schedule",
    "deblur",
    "default_denoiser",
    "denoisers",
    "estimate_kernel",
    "read_intervals",
    "solve",
    "train_schedule",
]
