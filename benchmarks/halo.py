"""Context that tiled restoration needs: ``python -m benchmarks halo NAME --data FOLDER``.

Measures the PSNR that tiles lose compared with the whole image, as a function of the overlap (halo) around them. The
smallest sufficient halo over all degradations of an entry is stored in its card. Halos for which a window would cover
the whole image are skipped.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import typer
from rich.console import Console
from rich.table import Table

import restorax
from restorax import data, metrics, zoo
from restorax.degrade import parse

from .options import Publish, Quick, option
from .record import record

GRID = 16  # cores and halos are multiples, which aligns tiles with the coarser levels
CORE = 64  # side of the square kept from each tile
LIMIT = 0.05  # dB
WHOLE = 2**20  # a tile larger than any image


class Loss(NamedTuple):
    """PSNR in dB that tiles lose compared with the whole image: mean and worst case over the images."""

    halo: int
    mean: float
    worst: float


def restore_with_halo(
    restorer: zoo.Restorer, image: np.ndarray, condition: np.ndarray | None, *, core: int, halo: int
) -> np.ndarray:
    """Restore an image tile by tile, each with at least ``halo`` pixels of context, which are discarded.

    Args:
        restorer: any single-image restorer.
        image: ``[height, width, channels]``.
        condition: ``[height, width, k]`` or ``None``.
        core: side of the square kept from each tile.
        halo: pixels of context on each side that is not the border of the image.

    Returns:
        ``[height, width, channels]`` in [0, 1].
    """
    height, width = image.shape[:2]
    out = np.zeros(image.shape, np.float32)
    side = core + 2 * halo
    for top in range(0, height, core):
        for left in range(0, width, core):
            # At the border the window moves inwards, so that one compiled function serves all tiles.
            y, x = (max(0, min(start - halo, length - side)) for start, length in ((top, height), (left, width)))
            y, x = (start + -start % GRID for start in (y, x))
            window = (slice(y, y + side), slice(x, x + side))
            part = None if condition is None else condition[window]
            restored = np.asarray(restorax.restore(restorer, image[window], part, tile=WHOLE))
            kept = restored[top - y : top - y + core, left - x : left - x + core]
            out[top : top + core, left : left + core] = kept
    return out


def losses(
    restorer: zoo.Restorer,
    images: Mapping[str, np.ndarray],
    degradation: str,
    *,
    core: int = CORE,
    halos: tuple[int, ...] = (0, 16, 32, 48, 64, 96, 128, 192),
) -> list[Loss]:
    """Measure the PSNR of the whole image minus the PSNR of its tiles, for every halo.

    Args:
        restorer: any single-image restorer.
        images: clean images by name, ``[height, width, channels]`` in [0, 1].
        degradation: as parsed by ``restorax.degrade.parse``.
        core: side of the square kept from each tile, a multiple of 16.
        halos: candidates, multiples of 16.

    Returns:
        One row per halo.

    Raises:
        ValueError: if the core or a halo is not a multiple of 16, or the smallest image is not larger than a tile.
    """
    if invalid := [number for number in (core, *halos) if number % GRID]:
        raise ValueError(f"`core` and `halos` must be multiples of {GRID}, got {invalid[0]}")
    smallest = min(min(image.shape[:2]) for image in images.values())
    halos = tuple(halo for halo in halos if core + 2 * halo + GRID <= smallest)
    if not halos:
        raise ValueError(f"images of {smallest} pixels are too small for tiles of {core}; lower `core`")
    degrade, differences = jax.jit(parse(degradation)), []
    for i, name in enumerate(sorted(images)):
        clean = images[name]
        observed = degrade(jax.random.fold_in(jax.random.key(0), i), jnp.asarray(clean))
        image, condition = np.asarray(observed.image), None
        if observed.condition is not None:
            condition = np.asarray(observed.condition)
        whole = metrics.psnr(restorax.restore(restorer, image, condition, tile=WHOLE), clean)
        tiled = [restore_with_halo(restorer, image, condition, core=core, halo=halo) for halo in halos]
        differences.append([float(whole - metrics.psnr(one, clean)) for one in tiled])
    columns = zip(halos, np.transpose(differences), strict=True)
    return [Loss(halo, float(column.mean()), float(np.abs(column).max())) for halo, column in columns]


def halo_needed(rows: list[Loss], limit: float = LIMIT) -> int | None:
    """Return the smallest halo from which on no image changes by more than ``limit`` dB, or ``None``."""
    needed = None
    for row in sorted(rows, key=lambda row: row.halo, reverse=True):
        if row.worst > limit:
            break
        needed = row.halo
    return needed


def main(
    name: Annotated[str, typer.Argument(help="Zoo name or folder with a model card.")],
    folder: Annotated[Path, option("Folder of clean test images, larger than a tile.", "--data")],
    core: Annotated[int, option("Side of the square kept from each tile.")] = CORE,
    images: Annotated[int, option("Maximum number of images [all].")] = 0,
    quick: Quick = False,
    publish: Publish = False,
) -> None:
    """Measure the halo for every degradation of the card."""
    restorer, console = zoo.load(name), Console()
    test_images = data.test_images(folder, restorer.card.channels)
    if images:
        test_images = dict(sorted(test_images.items())[:images])
    if quick:
        test_images = {key: test_images[key][:96, :96] for key in sorted(test_images)[:1]}
    for degradation in restorer.card.evaluation[: 1 if quick else None]:
        rows = losses(restorer, test_images, degradation, core=core)
        table = Table("halo", "mean loss dB", "worst dB", title=f"{restorer.card.name}, {degradation}")
        for row in rows:
            table.add_row(str(row.halo), f"{row.mean:.3f}", f"{row.worst:.3f}")
        console.print(table)
        needed = halo_needed(rows)
        console.print(
            f"within {LIMIT} dB from a halo of {needed} pixels" if needed is not None else "no halo is sufficient"
        )
        if not quick:
            identity = {
                "entry": restorer.card.name,
                "degradation": degradation,
                "images": len(test_images),
                "core": core,
            }
            record("halo", [{**identity, **row._asdict(), "needed": needed} for row in rows], publish=publish)


if __name__ == "__main__":
    typer.run(main)
