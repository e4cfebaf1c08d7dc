"""Restoration of images with a known linear degradation: plug-and-play methods with a denoiser of the zoo."""

from .iteration import Schedule
from .plug_and_play import solve
from .priors import default_denoiser, denoisers
from .programs import METHODS

__all__ = ["METHODS", "Schedule", "default_denoiser", "denoisers", "solve"]
