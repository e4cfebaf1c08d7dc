"""Commands on zoo entries: list, info, demo, convert and push."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..typed_json import to_json
from .common import Json, Name, console, stderr
from .tables import condition, print_fields, print_json, print_line, print_results, print_table, psnr_gain

if TYPE_CHECKING:
    from ..zoo import Card
else:
    Card = object  # --help starts without JAX


def list_(
    long: Annotated[bool, typer.Option("--long", help="Show degradation, cost and receptive field too.")] = False,
    as_json: Json = False,
) -> None:
    """List the published restorers. PSNR gain: mean over the results of the card, in dB."""
    from .. import zoo

    cards = {name: zoo.Card.read(zoo.find(name)) for name in zoo.list_models()}
    if as_json:
        print_json([to_json(card) for card in cards.values()])
        return
    rows = [("name", "task", "image", "condition", "PSNR gain", "size")]
    for name, card in cards.items():
        task = (*name.split("-"), "", "")[2]
        rows.append((name, task, _color(card), condition(card), psnr_gain(card.results), _size(card)))
    if not long:
        print_table(console, rows, left=(0, 1, 2, 3))
        return
    for (name, _, color, condition_name, gain, size), card in zip(rows[1:], cards.values(), strict=True):
        field = f"{card.receptive_field} pixels" if card.receptive_field else "the whole image"
        print_line(console, name, style="bold")
        print_fields(
            console,
            [
                ("  restores", card.degradation),
                ("  image", f"{color}, {condition_name}"),
                ("  PSNR gain", f"{gain} dB, mean over {len(card.results)} results" if gain else "not measured"),
                ("  cost", f"{size} parameters, {card.flops_per_megapixel / 1e9:.0f} GFLOP/Mpx"),
                ("  receptive field", field),
            ],
        )


def info(name: Name, as_json: Json = False) -> None:
    """Show the model card of a restorer."""
    from .. import zoo

    card = zoo.verify(name)
    if as_json:
        print_json(to_json(card))
        return
    fields = {field.name: getattr(card, field.name) for field in dataclasses.fields(card)}
    del fields["results"], fields["ood_results"], fields["pair_results"]
    if card.training:
        fields["training"] = {
            name: value for name, value in to_json(card.training).items() if name != "stages" and value != ""
        }
    print_fields(console, [(name.replace("_", " "), _value(value)) for name, value in fields.items()])
    if card.training:
        rows = [("Stage", "steps", "batch", "patch", "learning rate", "loss", "degradation")]
        for number, s in enumerate(card.training.stages, 1):
            sizes = (f"{s.steps:,}", str(s.batch), str(s.patch), f"{s.learning_rate:g}")
            rows.append((str(number), *sizes, s.loss, s.degradation))
        console.print()
        print_table(console, rows, flexible=6, left=(0, 5, 6))
    for results, title in (
        (card.results, "Results"),
        (card.pair_results, "Results on pairs"),
        (card.ood_results, "Out-of-distribution results"),
    ):
        if results:
            console.print()
            print_results(console, results, title=title)


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the images and the page that shows them.")] = Path("demo"),
    as_json: Json = False,
) -> None:
    """Restore photographs with every published restorer; write images and one HTML page, print quality."""
    from .. import demo as demonstration
    from .. import zoo

    names, shown = zoo.list_models(), []
    print_line(stderr, f"Restoring photographs with {len(names)} published restorers; images go to {out}.")
    for number, name in enumerate(names, 1):
        print_line(stderr, f"[{number}/{len(names)}] {name}: {demonstration.degradation_of(name)}")
        with stderr.status("restoring"):
            shown.append(demonstration.show(name, out))
    sheet = demonstration.write_page(shown, out)
    if as_json:
        print_json([dataclasses.asdict(one) for one in shown])
        return
    print_results(console, [dataclasses.replace(one.result, dataset=one.name) for one in shown], title="Photographs")
    print_line(console, f"All images, side by side: {sheet.resolve()}")


def convert(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="Weights: .safetensors, .pth or .mat.")],
    architecture: Annotated[str, typer.Option("--as", help="Architecture, e.g. dncnn, drunet, nafnet.")],
    out: Annotated[Path, typer.Option(help="Folder of the new entry.")],
    licence: Annotated[str, typer.Option(help="Licence of the weights, for the model card.")] = "not stated",
    degradation: Annotated[
        str, typer.Option(help="Degradation that they remove, e.g. 'gaussian_noise(sigma=25/255)'.")
    ] = "not stated",
    member: Annotated[str | None, typer.Option(help="Name of the network, if SOURCE holds several.")] = None,
) -> None:
    """Convert published PyTorch or MatConvNet weights to an entry for --model."""
    from ..convert import convert as run
    from ..degrade import parse

    if degradation != "not stated":
        parse(degradation)
    card = run(source, architecture, out, licence=licence, degradation=degradation, member=member)
    print_line(
        console, f"{card.architecture} with {card.parameters:,} parameters: {out} (restorax info {out} shows its card)"
    )


def push(
    name: Name,
    target: Annotated[str, typer.Argument(metavar="hf:OWNER/NAME", help="Repository, created if needed.")],
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
    message: Annotated[str | None, typer.Option(help="Message of the commit.")] = None,
) -> None:
    """Upload a restorer to the Hugging Face hub, with its model card. HF_TOKEN or 'hf auth login' gives access."""
    from .. import zoo

    print_line(console, zoo.push(target, name, private=private, message=message))


def _color(card: Card) -> str:
    return "gray" if card.channels == 1 else "color"


def _size(card: Card) -> str:
    return f"{card.parameters / 1e6:.2f} M"


def _value(value: object) -> str:
    """Format a field of a card."""
    if isinstance(value, int | float):
        return f"{value:,.12g}"
    if isinstance(value, dict):
        return "; ".join(f"{key}: {one}" for key, one in value.items())
    return "\n".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)
