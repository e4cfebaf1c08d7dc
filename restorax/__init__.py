"""restorax: a functional model zoo for image restoration in JAX.

restorer = restorax.load("resunet_s-gray-noise")
clean = restorax.restore(restorer, noisy)  # [height, width, channel] in [0, 1]
clean = restorax.restore(noisy)  # diagnoses the image and chooses the restorers
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import degrade, explanation, metrics, models
    from .adaptation import Adaptation, adapt
    from .diagnosis import Choice, Diagnosis, choose, diagnose, restore
    from .evaluation import evaluate, evaluate_pairs
    from .exporting import export, export_onnx
    from .models.count import summary
    from .models.create import create
    from .solvers import solve
    from .types import Degradation, Observation
    from .zoo import Card, Restorer, list_models, load, push, save, verify

__version__ = "0.1.0"

__all__ = [
    # the zoo
    "Card",
    "Restorer",
    "list_models",
    "load",
    "push",
    "save",
    "verify",
    "export",
    "export_onnx",
    # one's own images
    "Adaptation",
    "adapt",
    # restoring and measuring
    "evaluate",
    "evaluate_pairs",
    "explanation",
    "metrics",
    "restore",
    "solve",
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

_MODULES = {
    "adaptation": ("Adaptation", "adapt"),
    "diagnosis": ("Choice", "Diagnosis", "choose", "diagnose", "restore"),
    "evaluation": ("evaluate", "evaluate_pairs"),
    "exporting": ("export", "export_onnx"),
    "models.count": ("summary",),
    "models.create": ("create",),
    "solvers": ("solve",),
    "types": ("Degradation", "Observation"),
    "zoo": ("Card", "Restorer", "list_models", "load", "push", "save", "verify"),
}


def __getattr__(name: str) -> Any:
    """Import public names and modules on first use: the command line starts without JAX."""
    if name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = next((module for module, names in _MODULES.items() if name in names), None)
    if home is not None:
        value = globals()[name] = getattr(importlib.import_module(f".{home}", __name__), name)
        return value
    try:
        return importlib.import_module(f".{name}", __name__)
    except ModuleNotFoundError as error:
        if error.name != f"{__name__}.{name}":
            raise
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
