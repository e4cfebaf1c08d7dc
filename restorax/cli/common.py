"""What the commands share: where they print, and arguments that mean the same in each."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

console = Console()
errors = Console(stderr=True)

Name = Annotated[str, typer.Argument(help="A zoo name (see 'restorax list') or a folder with a card.")]
Model = Annotated[str, typer.Option("--model", help="A zoo name (see 'restorax list') or a folder with a card.")]
Source = Annotated[Path, typer.Argument(metavar="IN", help="A picture, or a folder of pictures.")]
Target = Annotated[Path, typer.Argument(metavar="OUT", help="Picture to write; a folder if IN is one.")]
DataDir = Annotated[str | None, typer.Option(help="Where TFDS datasets lie [TFDS's own place].")]
