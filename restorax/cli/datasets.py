"""The commands of ``restorax data``."""

from pathlib import Path
from typing import Annotated

import typer

from .common import DataDir, console


def prepare_data(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of clean images.")],
    name: Annotated[str, typer.Option(help="Name of the dataset.")],
    data_dir: DataDir = None,
    validation: Annotated[float, typer.Option(help="Share of the images that go to the split 'validation'.")] = 0.0,
    licence: Annotated[str, typer.Option(help="Licence of the images, for the data card.")] = "not stated",
) -> None:
    """Convert a folder of images to a TFDS dataset for 'restorax train --data tfds:NAME'."""
    from ..dataset_builder import prepare

    card = prepare(folder, name, data_dir=data_dir, validation=validation, licence=licence)
    for line in card["skipped"]:
        console.print(f"skipped: {line}", highlight=False, markup=False)
    splits = ", ".join(f"{count} in {split}" for split, count in card["splits"].items())
    console.print(
        f"{name}: {splits}, {len(card['skipped'])} skipped. Train on it with: restorax train ... --data tfds:{name}"
    )


def check_data(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the dataset.")], data_dir: DataDir = None
) -> None:
    """Verify the files of a prepared dataset against the checksums in its data card."""
    from ..dataset_builder import check

    console.print(f"{name}: {len(check(name, data_dir=data_dir)['sha256'])} files match their checksums")
