"""A first look: every published restorer on photographs that every installation has."""

from pathlib import Path

from rich.console import Console

from . import image, zoo
from .data import sample_images
from .evaluation import evaluate
from .restore import restore
from .zoo import Result


def run(out: Path, console: Console) -> list[Result]:
    """Degrade, restore and compare; write the pictures.

    Args:
        out: folder for ``MODEL-PICTURE.png``, each degraded, restored and clean side by side.
        console: where progress is said.

    Returns:
        One result per entry (``dataset`` is the entry's name).
    """
    out.mkdir(parents=True, exist_ok=True)
    results = []
    for name in zoo.list_models():
        restorer = zoo.load(name)
        pictures = sample_images(restorer.card.channels)
        degradation = restorer.card.evaluation[len(restorer.card.evaluation) // 2]
        strips = []

        def run(observed, condition, restorer=restorer, strips=strips):
            strips.append((observed, restore(restorer, observed, condition)))
            return strips[-1][1]

        with console.status(f"{name}: {degradation}"):
            results.append(evaluate(run, pictures, degradation, dataset=name))
            for picture, parts in zip(sorted(pictures), strips, strict=True):
                image.write(out / f"{name}-{picture}.png", image.strip(*parts, pictures[picture]))
    return results
