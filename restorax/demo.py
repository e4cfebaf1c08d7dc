"""A first look: every published restorer on photographs that every installation has."""

from pathlib import Path

import jax
from rich.console import Console

from . import image, zoo
from .data import sample_images
from .degrade import parse
from .evaluate import evaluate
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
        with console.status(f"{name}: {degradation}"):
            results.append(evaluate(lambda *o, r=restorer: restore(r, *o), pictures, degradation, dataset=name))
            for index, picture in enumerate(sorted(pictures)):
                key = jax.random.fold_in(jax.random.key(0), index)
                observed = parse(degradation)(key, jax.numpy.asarray(pictures[picture]))
                strip = image.strip(observed.image, restore(restorer, *observed), pictures[picture])
                image.write(out / f"{name}-{picture}.png", strip)
    return results
