"""What restorers do to clean images, which they should leave alone: ``python -m benchmarks harm``.

For each blind entry, the PSNR of the output for clean input: over twenty images made from code (text,
drawings, lines, flats; see ``odd_images.py``), the worst of them, and the mean over a folder of photographs. PSNR is
capped at 60 dB. Black and white are the outputs for these inputs, in 8-bit units from the input.
"""

from pathlib import Path
from typing import Annotated, Any

import jax.numpy as jnp
import numpy as np

import restorax
from restorax import data, zoo
from restorax.types import Condition

from .odd_images import odd_images
from .options import Publish, Quick, option
from .record import record, table

CAP = 60.0


def quality(restored: Any, clean: Any) -> float:
    """Return the PSNR of an output rounded to 8 bit, at most ``CAP``."""
    error = np.round(np.asarray(restored) * 255) / 255 - np.asarray(clean)
    return float(min(CAP, -10 * np.log10(max(np.mean(error**2), 1e-12))))


def measure(restorer: zoo.Restorer, photographs: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return a row: what becomes of the clean images."""
    images = odd_images(restorer.card.channels)
    found = {name: quality(restorax.restore(restorer, jnp.asarray(clean)), clean) for name, clean in images.items()}
    worst = min(found, key=found.__getitem__)
    black, white = (
        float(jnp.abs(restorax.restore(restorer, jnp.asarray(images[name])) - images[name]).max())
        for name in ("black", "white")
    )
    clean = [quality(restorax.restore(restorer, jnp.asarray(one)), one) for one in photographs.values()]
    return {
        "entry": restorer.card.name,
        "photographs": f"{np.mean(clean):.2f}" if clean else "",
        "odd": f"{np.mean(list(found.values())):.2f}",
        "worst": f"{found[worst]:.2f}",
        "of": worst,
        "black": f"{255 * black:.2f}",
        "white": f"{255 * white:.2f}",
    }


def main(
    data_folder: Annotated[Path | None, option("Folder of clean photographs, such as kodak24.", "--data")] = None,
    name: Annotated[list[str] | None, option("Entry or folder, repeatable [all blind entries].")] = None,
    limit: Annotated[int | None, option("Number of photographs.")] = None,
    publish: Publish = False,
    quick: Quick = False,
) -> None:
    names = ["arcnn-gray-jpeg"] if quick else name or zoo.list_models()
    rows = []
    for one in names:
        restorer = restorax.load(one)
        if restorer.model.required_condition is not Condition.NONE or restorer.model.takes_frames:
            continue
        photographs = data.test_images(data_folder, channels=restorer.card.channels) if data_folder else {}
        rows.append(measure(restorer, dict(sorted(photographs.items())[:limit])))
        print(rows[-1], flush=True)
    print(table(rows))
    if not quick:
        record("harm", rows, publish=publish)


if __name__ == "__main__":
    import typer

    typer.run(main)
