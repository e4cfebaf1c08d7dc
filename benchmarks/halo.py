"""How much context a tile needs: ``python -m benchmarks.halo NAME --data FOLDER``.

Recurrent networks hear from the whole image; convolutional ones from their receptive field. Either way most of it comes
from nearby, and a tile that is restored with enough pixels around it equals the whole image well enough. What is enough
under all degradations of an entry goes into its card. A window as large as the image would show nothing: such halos are
left out.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import typer
from rich.console import Console
from rich.table import Table

import restorax
from restorax import data, metrics, zoo
from restorax.degrade import parse

from .record import record

GRID = 16  # of cores and halos, so that tiles keep the alignment of the coarser levels
LIMIT = 0.05  # dB
WHOLE = 2**20  # a tile larger than any image


class Loss(NamedTuple):
    """What tiles with a halo lose against the whole image, in dB: mean over the images, and the worst of them."""

    halo: int
    mean: float
    worst: float


def restore_with_halo(
    restorer: zoo.Restorer, image: np.ndarray, condition: np.ndarray | None, *, core: int, halo: int
) -> np.ndarray:
    """Restore an image core by core, each with at least ``halo`` pixels around it, which are thrown away.

    Args:
        restorer: any restorer of single images.
        image: ``[height, width, channels]``.
        condition: ``[height, width, k]`` or ``None``.
        core: side of the squares that are kept.
        halo: pixels of context on each side that is not the border of the image.

    Returns:
        ``[height, width, channels]`` in [0, 1].
    """
    height, width = image.shape[:2]
    out = np.zeros(image.shape, np.float32)
    side = core + 2 * halo
    for top in range(0, height, core):
        for left in range(0, width, core):
            # At the border the window moves inwards: one size, hence one compiled function.
            y, x = (max(0, min(start - halo, length - side)) for start, length in ((top, height), (left, width)))
            y, x = (start + -start % GRID for start in (y, x))
            window = (slice(y, y + side), slice(x, x + side))
            known = None if condition is None else condition[window]
            restored = np.asarray(restorax.restore(restorer, image[window], known, tile=WHOLE))
            kept = restored[top - y : top - y + core, left - x : left - x + core]
            out[top : top + core, left : left + core] = kept
    return out


def losses(
    restorer: zoo.Restorer,
    images: Mapping[str, np.ndarray],
    degradation: str,
    *,
    core: int = 64,
    halos: tuple[int, ...] = (0, 16, 32, 48, 64, 96, 128, 192),
) -> list[Loss]:
    """PSNR of the whole image minus PSNR of its tiles, for every halo.

    Args:
        restorer: any restorer of single images.
        images: clean images by name, ``[height, width, channels]`` in [0, 1].
        degradation: in the language of ``restorax.degrade.parse``.
        core: side of the squares that are kept, a multiple of 16.
        halos: what to try, multiples of 16.

    Returns:
        One row per halo.

    Raises:
        ValueError: if core or a halo is no multiple of 16, or the smallest image is not larger than a tile.
    """
    if bad := [number for number in (core, *halos) if number % GRID]:
        raise ValueError(f"cores and halos must be multiples of {GRID}; {bad[0]} is not")
    smallest = min(min(picture.shape[:2]) for picture in images.values())
    halos = tuple(halo for halo in halos if core + 2 * halo + GRID <= smallest)
    if not halos:
        raise ValueError(f"pictures of {smallest} pixels are too small for tiles of {core}")
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
    """The smallest halo from which on no image loses or gains more than ``limit`` dB; ``None`` if there is none."""
    needed = None
    for row in sorted(rows, key=lambda row: row.halo, reverse=True):
        if row.worst > limit:
            break
        needed = row.halo
    return needed


def main(
    name: str = typer.Argument(..., help="A zoo name or a folder with a card."),
    folder: Path = typer.Option(..., "--data", help="Clean test pictures, larger than a tile."),  # noqa: B008
    core: int = typer.Option(64, help="Side of the squares that are kept."),
    images: int = typer.Option(0, help="Only so many pictures."),
    quick: bool = typer.Option(False, "--quick", help="A part of one picture, to see that it works; no rows."),
    write: bool = typer.Option(True, help="Append rows to benchmarks/results/halo.csv and write the card."),
) -> None:
    """Measure the halo under every degradation of the card."""
    restorer, console, all_needed = zoo.load(name), Console(), []
    pictures = data.test_images(folder, restorer.card.channels)
    if images:
        pictures = dict(sorted(pictures.items())[:images])
    if quick:
        pictures, write = {key: pictures[key][:96, :96] for key in sorted(pictures)[:1]}, False
    for degradation in restorer.card.evaluation[: 1 if quick else None]:
        rows = losses(restorer, pictures, degradation, core=core)
        table = Table("halo", "mean loss dB", "worst dB", title=f"{restorer.card.name}, {degradation}")
        for row in rows:
            table.add_row(str(row.halo), f"{row.mean:.3f}", f"{row.worst:.3f}")
        console.print(table)
        needed = halo_needed(rows)
        all_needed.append(needed)
        console.print(f"within {LIMIT} dB from a halo of {needed} pixels" if needed is not None else "none is enough")
        if write:
            origin = {"entry": restorer.card.name, "degradation": degradation, "images": len(pictures), "core": core}
            record("halo", [{**origin, **row._asdict(), "needed": needed} for row in rows])
    if write:
        halo = None if None in all_needed else max(all_needed)
        dataclasses.replace(restorer.card, halo=halo).write(zoo.find(name))


if __name__ == "__main__":
    typer.run(main)
