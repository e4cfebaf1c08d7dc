"""Adapt a published restorer to one's own images: noisy ones alone, several shots of scenes, or pairs."""

from .entry import save_adaptation
from .loop import Adaptation, adapt
from .noise_model import NoiseModel, measure_noise

__all__ = ["Adaptation", "NoiseModel", "adapt", "measure_noise", "save_adaptation"]
