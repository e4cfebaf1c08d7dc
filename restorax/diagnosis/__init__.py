"""What is wrong with an image, and which entries help: ``diagnose``, ``choose`` and restoration with both."""

from .automatic import Outcome, restore, restore_automatically
from .choice import Choice, choose
from .examination import diagnose, measure_noise_level
from .findings import Blur, Diagnosis, Impulses, Jpeg, Missing, Noise, Stripes

__all__ = [
    "Blur",
    "Choice",
    "Diagnosis",
    "Impulses",
    "Jpeg",
    "Missing",
    "Noise",
    "Outcome",
    "Stripes",
    "choose",
    "diagnose",
    "measure_noise_level",
    "restore",
    "restore_automatically",
]
