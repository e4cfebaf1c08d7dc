"""restorax: a functional model zoo for image restoration in JAX.

restorer = restorax.load("resunet_s-gray-noise")
clean = restorax.restore(restorer, noisy)  # [height, width, channel] in [0, 1]
clean = restorax.restore(noisy)  # diagnoses the image and chooses the restorers
"""

from . import degrade, explanation, metrics, models
from .diagnosis import Choice, Diagnosis, choose, diagnose, restore
from .evaluation import evaluate, evaluate_pairs
from .exporting import export
from .models.count import summary
from .models.create import create
from .types import Degradation, Observation
from .zoo import Card, Restorer, list_models, load, save, verify

__version__ = "0.1.0"

__all__ = [
    # the zoo
    "Card",
    "Restorer",
    "list_models",
    "load",
    "save",
    "verify",
    "export",
    # restoring and measuring
    "evaluate",
    "evaluate_pairs",
    "explanation",
    "metrics",
    "restore",
    # what is wrong with an image
    "Choice",
    "Diagnosis",
    "choose",
    "diagnose",
    # networks
    "create",
    "models",
    "summary",
    # building blocks
    "Degradation",
    "Observation",
    "degrade",
]
