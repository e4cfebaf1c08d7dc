"""Command ``restorax adapt``: fine-tune an entry on one's own images."""

from pathlib import Path
from typing import Annotated

import typer

from . import batch
from .common import Name, console
from .tables import print_line


def adapt(
    name: Name,
    out: Annotated[Path, typer.Option(help="Folder to write the adapted entry to.")],
    images: Annotated[
        list[str] | None, typer.Argument(metavar="[NOISY]...", help="Noisy images, folders of them, or patterns.")
    ] = None,
    pairs: Annotated[
        str | None, typer.Option(help="Folder of pairs instead of noisy images, as for 'restorax eval'.")
    ] = None,
    frames: Annotated[str | None, typer.Option(help="Folder of scenes with several shots each.")] = None,
    minutes: Annotated[float, typer.Option(help="Time for it, compilation included.", min=0.1)] = 3.0,
    steps: Annotated[int | None, typer.Option(help="Optimiser steps instead, for a repeatable result.", min=1)] = None,
    learning_rate: Annotated[float, typer.Option(help="Learning rate.")] = 1e-4,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    value_range: batch.Range = None,
    data_licence: Annotated[str, typer.Option(help="Licence of the images, for the card.")] = "not stated",
) -> None:
    """Fine-tune an entry on noisy images alone, on several shots of scenes, or on pairs.

    The entry is kept as it was if training does not lower the error on what was held out. Noisy images alone teach to
    remove noise that is independent between pixels or constant along lines. Ctrl-C keeps the best so far.
    """
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    from .. import zoo
    from ..adaptation import adapt as run
    from ..adaptation import save_adaptation
    from ..sources import read_shots

    if [bool(images), bool(pairs), bool(frames)].count(True) != 1:
        raise ValueError("give noisy images, or --pairs, or --frames")
    restorer = zoo.load(name)
    degraded, targets, description = read_shots(
        images or [], pairs=pairs, frames=frames, channels=restorer.card.channels, limits=batch.parse_range(value_range)
    )
    columns = (
        TextColumn("{task.description}"),
        BarColumn(20),
        TextColumn("{task.fields[error]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("adapting", total=1.0, error="compiling")
        progress = lambda share, change: bar.update(task, completed=share, error=f"held-out error {change:+.1f} %")  # noqa: E731
        options = {"seconds": 60 * minutes - 10, "steps": steps, "learning_rate": learning_rate, "seed": seed}
        adapted = run(restorer, degraded, targets, progress=progress, **options)
    card = save_adaptation(out, adapted, data=description, licence=data_licence)
    print_line(console, f"{card.name}: {adapted.reason}")
    print_line(console, f"{adapted.steps} steps in {adapted.seconds:.0f} s; restorax restore IN OUT --model {out}")
