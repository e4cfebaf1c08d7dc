"""Command ``restorax eval``: measure PSNR and SSIM."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..typed_json import to_json
from .common import Json, console, stderr
from .tables import print_json, print_line, print_results

if TYPE_CHECKING:
    from numpy import ndarray
    from rich.status import Status

    from ..evaluation import ImageQuality
    from ..zoo import Card, Restorer, Result
else:
    Card = ImageQuality = Restorer = Result = Status = ndarray = object  # --help starts without JAX

_WORST = 5  # pairs that are listed
_CROP = 192  # pixels of them on the sheet
_TITLES = {"results": "{}", "pair_results": "{}, pairs", "ood_results": "{}, out of distribution"}


def evaluate(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Zoo names, folders, or hf:OWNER/NAME.")
    ] = None,
    data: Annotated[list[Path] | None, typer.Option(help="Folder of clean test images; repeat for several.")] = None,
    degradations: Annotated[
        list[str] | None, typer.Option("--with", help="Degradation to measure instead of the card's; repeatable.")
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(
            help="Folder of pairs, in subfolders input and target, lq and gt, noisy and clean, blur and sharp."
        ),
    ] = None,
    noisy: Annotated[str | None, typer.Option(help="Other name of degraded images, e.g. '*_real*'.")] = None,
    clean: Annotated[str | None, typer.Option(help="Other name of clean images; * is the same text in a pair.")] = None,
    sheet: Annotated[
        Path | None, typer.Option(help="Image file to write: crops of the worst pairs, degraded, restored and clean.")
    ] = None,
    label: Annotated[str, typer.Option(help="Description of the degradation of the pairs.")] = "real degradation",
    limit: Annotated[int | None, typer.Option(help="Measure only the first N images of a folder.", min=1)] = None,
    every: Annotated[bool, typer.Option("--all", help="Measure every published restorer.")] = False,
    write: Annotated[bool, typer.Option("--write", help="Store the results in the model cards.")] = False,
    as_json: Json = False,
) -> None:
    """Measure PSNR and SSIM by the protocol of the model cards, out-of-distribution results included.

    With --pairs, measure on real degraded images, count those that come out worse, and list the worst.
    """
    from .. import zoo

    if bool(names) == every:
        raise ValueError("name the restorers to measure, or give --all")
    if bool(data) == bool(pairs):
        raise ValueError("give clean test images by --data, or pairs of images by --pairs")
    if write and limit:
        raise ValueError("--write stores results of whole test sets; leave --limit out")
    if write and (remote := [name for name in names or [] if zoo.is_on_hub(name)]):
        raise ValueError(f"--write changes a card on disk, not that of {remote[0]}; give a folder, and push it again")
    if pairs:
        if bool(noisy) != bool(clean) or degradations:
            raise ValueError(
                "--noisy and --clean belong together, e.g. '*_real*' and '*_mean*'; --pairs excludes --with"
            )
        named = (noisy, clean) if noisy and clean else ()
        measure = functools.partial(_measure_pairs, folder=pairs, names=named, label=label, limit=limit, sheet=sheet)
    else:
        if noisy or clean or sheet:
            raise ValueError("--noisy, --clean and --sheet require --pairs")
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
    restorer: Restorer,
    *,
    folder: Path,
    names: Sequence[str],
    label: str,
    limit: int | None,
    sheet: Path | None,
    status: Status,
) -> dict[str, list[Result]]:
    """Measure on pairs of images, read one after another; print the worst, and write crops of them to a file."""
    import numpy

    from ..evaluation import evaluate_pairs
    from ..files.image import Picture, strip, write
    from ..pairs import find_pairs, read_pair

    files = find_pairs(folder, names)[:limit]
    name, gains, crops = restorer.card.name, [], []

    def read() -> Iterator[tuple[ndarray, ndarray]]:
        for number, pair in enumerate(files, 1):
            status.update(f"{name}: {pair.degraded.name}, {number} of {len(files)}")
            yield read_pair(pair, restorer.card.channels)

    def measured(quality: ImageQuality) -> None:
        gains.append((quality.psnr - quality.input_psnr, quality.input_psnr, quality.psnr))
        if sheet:
            crops.append(strip(*map(_crop, (quality.degraded, quality.restored, quality.clean))).pixels)

    dataset = folder.resolve().name
    result = evaluate_pairs(_restore(restorer), read(), dataset=dataset, degradation=label, measured=measured)
    order = sorted(range(len(files)), key=gains.__getitem__)[:_WORST]
    for index in order:
        gain, before, after = gains[index]
        print_line(stderr, f"{name}: {files[index].degraded.name}, {before:.2f} to {after:.2f} dB ({gain:+.2f})")
    if sheet:
        width = min(crops[index].shape[1] for index in order)
        write(sheet, Picture(numpy.concatenate([crops[index][:, :width] for index in order])))
    return {"pair_results": [result]}


def _crop(pixels: ndarray) -> ndarray:
    top, left = ((side - min(side, _CROP)) // 2 for side in pixels.shape[:2])
    return pixels[top : top + _CROP, left : left + _CROP]


def _restore(restorer: Restorer) -> Callable:
    from ..inference import restore

    return functools.partial(restore, restorer)
