"""The command that measures quality."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from .common import console
from .tables import results_table


def evaluate(
    data: Annotated[list[Path], typer.Option(help="Folder of clean test pictures; may be given several times.")],
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Zoo names or folders.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every published restorer.")] = False,
    write: Annotated[bool, typer.Option("--write", help="Store the results in the cards.")] = False,
) -> None:
    """Measure PSNR and SSIM by the protocol of the cards, also of what the restorers were not trained on."""
    from .. import zoo
    from ..data import other_images, test_images
    from ..evaluate import evaluate as measure
    from ..restore import restore

    if bool(names) == every:
        raise ValueError("name the restorers to measure, or give --all")
    folders = {folder.resolve().name: folder for folder in data}
    if len(folders) < len(data):
        raise ValueError(f"{', '.join(map(str, data))}: two have one name, by which cards tell test sets apart")
    for name in names or zoo.list_models():
        restorer = zoo.load(name)
        run = lambda *observed, restorer=restorer: restore(restorer, *observed)  # noqa: E731
        card, channels = restorer.card, restorer.card.channels
        if not card.evaluation:
            raise ValueError(f"the card of {card.name} has no evaluation; name at least one degradation in it")
        sets = {title: test_images(folder, channels) for title, folder in folders.items()}
        results, outside, kinds = (
            [
                measure(run, pictures, degradation, dataset=name)
                for name, pictures in these.items()
                for degradation in degradations
            ]
            for these, degradations in (
                (sets, card.evaluation),
                (sets, card.beyond),
                (other_images(channels), card.evaluation),
            )
        )
        console.print(results_table(results, title=card.name))
        console.print(results_table(outside + kinds, title=f"{card.name}, on what it was not trained for"))
        if write:
            dataclasses.replace(card, results=results, elsewhere=outside + kinds).write(zoo.find(name))
