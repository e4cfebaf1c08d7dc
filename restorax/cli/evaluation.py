"""Command ``restorax eval``: measure PSNR and SSIM."""

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.status import Status

from ..typed_json import to_json
from ..zoo import Restorer, Result
from .common import Json, console, stderr
from .tables import print_json, print_results


def evaluate(
    data: Annotated[list[Path], typer.Option(help="Folder of clean test images; repeat for several.")],
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Zoo names or folders.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Measure every published restorer.")] = False,
    write: Annotated[bool, typer.Option("--write", help="Store the results in the model cards.")] = False,
    as_json: Json = False,
) -> None:
    """Measure PSNR and SSIM by the protocol of the model cards, out-of-distribution results included."""
    from .. import zoo
    from ..data import other_images, test_images

    if bool(names) == every:
        raise ValueError("name the restorers to measure, or give --all")
    folders = {folder.resolve().name: folder for folder in data}
    if len(folders) < len(data):
        raise ValueError(f"{', '.join(map(str, data))}: two have one name; test sets need different folder names")
    cards = []
    for name in names or zoo.list_models():
        restorer = zoo.load(name)
        card, channels = restorer.card, restorer.card.channels
        if not card.evaluation:
            raise ValueError(f"the card of {card.name} has no evaluation; add at least one degradation")
        sets = {title: test_images(folder, channels) for title, folder in folders.items()}
        with stderr.status(card.name) as status:
            results = _measure(restorer, sets, card.evaluation, status)
            ood_results = _measure(restorer, sets, card.ood_degradations, status)
            ood_results += _measure(restorer, other_images(channels), card.evaluation, status)
        cards.append(dataclasses.replace(card, results=results, ood_results=ood_results))
        if not as_json:
            print_results(console, results, title=card.name)
            console.print()
            print_results(console, ood_results, title=f"{card.name}, out of distribution")
        if write:
            cards[-1].write(zoo.find(name))
    if as_json:
        print_json([to_json(card) for card in cards])


def _measure(
    restorer: Restorer, sets: Mapping[str, Mapping[str, np.ndarray]], degradations: Sequence[str], status: Status
) -> list[Result]:
    from ..evaluation import evaluate
    from ..inference import restore

    results = []
    for dataset, images in sets.items():
        for degradation in degradations:
            status.update(f"{restorer.card.name}: {degradation} on {dataset}")
            run = functools.partial(restore, restorer)
            results.append(evaluate(run, images, degradation, dataset=dataset))
    return results
