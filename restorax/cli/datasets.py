"""The commands of ``restorax data``."""

from pathlib import Path
from typing import Annotated

import typer

from .common import DataDir, console


def prepare_data(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder of clean pictures.")],
    name: Annotated[str, typer.Option(help="Of the dataset.")],
    data_dir: DataDir = None,
    validation: Annotated[float, typer.Option(help="Share of pictures for the split 'validation'.")] = 0.0,
    licence: Annotated[str, typer.Option(help="Terms of the pictures, for the card.")] = "not stated",
) -> None:
    """Turn a folder into a TFDS dataset, which 'restorax train --data tfds:NAME' reads."""
    from ..prepare import prepare

    card = prepare(folder, name, data_dir=data_dir, validation=validation, licence=licence)
    for line in card["skipped"]:
        console.print(f"skipped: {line}", highlight=False, markup=False)
    splits = ", ".join(f"{count} in {split}" for split, count in card["splits"].items())
    console.print(f"{name}: {splits}, {len(card['skipped'])} skipped; restorax train ... --data tfds:{name} reads it")


def check_data(name: Annotated[str, typer.Argument(help="Of the dataset.")], data_dir: DataDir = None) -> None:
    """Compare the files of a prepared dataset with the sums in its card."""
    from ..prepare import check

    console.print(f"{name}: {len(check(name, data_dir=data_dir)['sha256'])} files are what was written")
