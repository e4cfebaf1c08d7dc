"""The commands on zoo entries."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from .common import Name, console
from .tables import results_table


def list_() -> None:
    """List the published restorers."""
    from .. import zoo

    table = Table()
    for heading in ("name", "undoes", "parameters", "TFLOP/Mpx", "result"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "name")
    for name in zoo.list_models():
        card = zoo.Card.read(zoo.find(name))
        middle = card.evaluation[len(card.evaluation) // 2] if card.evaluation else None
        result = next((r for r in card.results if r.degradation == middle), None)
        shown = f"{result.psnr:.2f} dB on {result.dataset}, {result.degradation}" if result else ""
        size = f"{card.parameters / 1e6:.2f} M"
        table.add_row(name, card.degradation, size, f"{card.flops_per_megapixel / 1e12:.2f}", shown)
    console.print(table)


def info(name: Name) -> None:
    """Show the card of a restorer."""
    from .. import zoo

    card = zoo.verify(name)
    table = Table(show_header=False)
    for field in dataclasses.fields(card):
        if field.name not in ("results", "elsewhere"):
            table.add_row(field.name, str(getattr(card, field.name)))
    console.print(table)
    if card.results:
        console.print(results_table(card.results))
    if card.elsewhere:
        console.print(results_table(card.elsewhere, title="on what it was not trained for"))


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the side-by-side pictures.")] = Path("demo"),
) -> None:
    """Restore photographs with every published restorer: pictures on disk, quality as a table."""
    from .. import demo as demonstration

    console.print(results_table(demonstration.run(out, console), by="model"))
    console.print(f"degraded | restored | clean, side by side: {out.resolve()}")


def convert(
    source: Annotated[Path, typer.Argument(metavar="SOURCE", help="Weights: .safetensors, .pth or .mat.")],
    architecture: Annotated[str, typer.Option("--as", help="Architecture, e.g. dncnn, drunet, nafnet.")],
    out: Annotated[Path, typer.Option(help="Folder of the new entry.")],
    licence: Annotated[str, typer.Option(help="Of the weights, for the card.")] = "not stated",
    degradation: Annotated[
        str, typer.Option(help="What they undo, e.g. 'gaussian_noise(sigma=25/255)'.")
    ] = "not stated",
    member: Annotated[str | None, typer.Option(help="Which network, if SOURCE holds several.")] = None,
) -> None:
    """Turn published weights of PyTorch or MatConvNet into an entry for --model."""
    from ..convert import convert as run
    from ..degrade import parse

    if degradation != "not stated":
        parse(degradation)
    card = run(source, architecture, out, licence=licence, degradation=degradation, member=member)
    console.print(
        f"{card.architecture} with {card.parameters:,} parameters: {out} (restorax info {out} shows its card)"
    )


def export(
    name: Name,
    target: Annotated[Path, typer.Argument(metavar="OUT", help="File to write.")],
    size: Annotated[str | None, typer.Option(help="HEIGHTxWIDTH of the images [any, where the network can].")] = None,
    platform: Annotated[list[str] | None, typer.Option(help="Where it shall run [cpu, cuda and tpu].")] = None,
) -> None:
    """Write a restorer as one file of StableHLO that needs JAX alone, neither this package nor Flax."""
    from .. import zoo
    from ..export import PLATFORMS
    from ..export import export as run
    from ..files import written_beside

    sides = (size or "").split("x")
    if size and not (len(sides) == 2 and all(side.isdecimal() for side in sides)):
        raise ValueError(f"size {size!r} is not understood; write e.g. 512x768, height first")
    shape = (int(sides[0]), int(sides[1])) if size else None
    content = run(zoo.load(name), size=shape, platforms=platform or PLATFORMS).serialize()
    with written_beside(target) as beside:
        beside.write_bytes(content)
    console.print(f"{target}: {len(content) / 1e6:.1f} MB, for jax.export.deserialize")
