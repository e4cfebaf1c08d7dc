"""Command ``restorax eval``: measure PSNR and SSIM."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..typed_json import to_json
from .common import Json, console, stderr
from .tables import print_json, print_results

if TYPE_CHECKING:
    from numpy import ndarray
    from rich.status import Status

    from ..zoo import Card, Restorer, Result
else:
    Card = Restorer = Result = Status = ndarray = object  # --help starts without JAX

_TITLES = {"results": "{}", "pair_results": "{}, pairs", "ood_results": "{}, out of distribution"}


def evaluate(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Zoo names or folders.")] = None,
    data: Annotated[list[Path] | None, typer.Option(help="Folder of clean test images; repeat for several.")] = None,
    degradations: Annotated[
        list[str] | None, typer.Option("--with", help="Degradation to measure instead of the card's; repeatable.")
    ] = None,
    pairs: Annotated[Path | None, typer.Option(help="Folder of pairs of degraded and clean images.")] = None,
    noisy: Annotated[str | None, typer.Option(help="Name of degraded images, e.g. '*_real*'.")] = None,
    clean: Annotated[str | None, typer.Option(help="Name of clean images; * is the same text in a pair.")] = None,
    label: Annotated[str, typer.Option(help="Description of the degradation of the pairs.")] = "real degradation",
    limit: Annotated[int | None, typer.Option(help="Measure only the first N images of a folder.", min=1)] = None,
    every: Annotated[bool, typer.Option("--all", help="Measure every published restorer.")] = False,
    write: Annotated[bool, typer.Option("--write", help="Store the results in the model cards.")] = False,
    as_json: Json = False,
) -> None:
    """Measure PSNR and SSIM by the protocol of the model cards, out-of-distribution results included.

    With --pairs, measure on real degraded images, and count those that come out worse.
    """
    from .. import zoo

    if bool(names) == every:
        raise ValueError("name the restorers to measure, or give --all")
    if bool(data) == bool(pairs):
        raise ValueError("give clean test images by --data, or pairs of images by --pairs")
    if write and limit:
        raise ValueError("--write stores results of whole test sets; leave --limit out")
    if pairs:
        if not (noisy and clean) or degradations:
            raise ValueError("--pairs requires --noisy and --clean, e.g. '*_real*' and '*_mean*', and excludes --with")
        measure = functools.partial(_measure_pairs, folder=pairs, noisy=noisy, clean=clean, label=label, limit=limit)
    else:
        if noisy or clean:
            raise ValueError("--noisy and --clean require --pairs")
        measure = functools.partial(_measure_all, folders=_by_name(data or []), chosen=degradations, limit=limit)
    cards = []
    for name in names or zoo.list_models():
        restorer = zoo.load(name)
        with stderr.status(restorer.card.name) as status:
            measured = measure(restorer, status=status)
        merged = _merged(restorer.card, measured) if pairs or degradations else measured
        cards.append(dataclasses.replace(restorer.card, **merged))
        if not as_json:
            shown = [(_TITLES[field].format(restorer.card.name), results) for field, results in measured.items()]
            for number, (title, results) in enumerate((title, results) for title, results in shown if results):
                if number:
                    console.print()
                print_results(console, results, title=title)
        if write:
            cards[-1].write(zoo.find(name))
    if as_json:
        print_json([to_json(card) for card in cards])


def _by_name(data: Sequence[Path]) -> dict[str, Path]:
    """Return folders by name, which is the dataset name of the results."""
    folders = {folder.resolve().name: folder for folder in data}
    if len(folders) < len(data):
        raise ValueError(f"{', '.join(map(str, data))}: two have one name; test sets need different folder names")
    return folders


def _merged(card: Card, measured: Mapping[str, list[Result]]) -> dict[str, list[Result]]:
    """Return the results of a card, those that were not measured again first."""
    merged = {}
    for field, results in measured.items():
        again = {(r.dataset, r.degradation) for r in results}
        merged[field] = [r for r in getattr(card, field) if (r.dataset, r.degradation) not in again] + results
    return merged


def _measure_all(
    restorer: Restorer,
    *,
    folders: Mapping[str, Path],
    chosen: Sequence[str] | None,
    limit: int | None,
    status: Status,
) -> dict[str, list[Result]]:
    """Measure on clean images under the degradations of the card, or under the chosen ones."""
    from ..data import other_images, test_images

    card = restorer.card
    if not (card.evaluation or chosen):
        raise ValueError(f"the card of {card.name} has no evaluation; add at least one degradation")
    sets = {}
    for title, folder in folders.items():
        images = test_images(folder, card.channels)
        sets[title] = {name: images[name] for name in sorted(images)[:limit]}
    if chosen:
        own = [degradation for degradation in chosen if degradation in card.evaluation]
        other = [degradation for degradation in chosen if degradation not in card.evaluation]
    else:
        own, other = card.evaluation, card.ood_degradations
    results = _measure(restorer, sets, own, status)
    ood_results = _measure(restorer, sets, other, status)
    if not chosen:
        ood_results += _measure(restorer, other_images(card.channels), card.evaluation, status)
    return {"results": results, "ood_results": ood_results}


def _measure(
    restorer: Restorer, sets: Mapping[str, Mapping[str, ndarray]], degradations: Sequence[str], status: Status
) -> list[Result]:
    from ..evaluation import evaluate

    results = []
    for dataset, images in sets.items():
        for degradation in degradations:
            status.update(f"{restorer.card.name}: {degradation} on {dataset}")
            results.append(evaluate(_restore(restorer), images, degradation, dataset=dataset))
    return results


def _measure_pairs(
    restorer: Restorer, *, folder: Path, noisy: str, clean: str, label: str, limit: int | None, status: Status
) -> dict[str, list[Result]]:
    """Measure on pairs of images, read one after another."""
    from ..evaluation import evaluate_pairs
    from ..pairs import match_pairs, read_pair

    files = match_pairs(folder, noisy, clean)[:limit]

    def read() -> Iterator[tuple[ndarray, ndarray]]:
        for number, pair in enumerate(files, 1):
            status.update(f"{restorer.card.name}: {pair.degraded.name}, {number} of {len(files)}")
            yield read_pair(pair, restorer.card.channels)

    dataset = folder.resolve().name
    return {"pair_results": [evaluate_pairs(_restore(restorer), read(), dataset=dataset, degradation=label)]}


def _restore(restorer: Restorer) -> Callable:
    from ..inference import restore

    return functools.partial(restore, restorer)
