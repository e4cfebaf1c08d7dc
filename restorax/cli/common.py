"""What the commands share: where they print, and arguments that mean the same in each."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

console = Console()
stderr = Console(stderr=True)

_ENTRY = "Zoo name (see 'restorax list'), or a folder with a model card."
Name = Annotated[str, typer.Argument(metavar="NAME", help=_ENTRY)]
Model = Annotated[str, typer.Option("--model", help=_ENTRY)]
Source = Annotated[Path, typer.Argument(metavar="IN", help="Image file, or a folder of them.")]
Target = Annotated[Path, typer.Argument(metavar="OUT", help="File to write; a folder if IN is one.")]
DataDir = Annotated[str | None, typer.Option(help="Folder of TFDS datasets. Default: that of TFDS.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, complete, for programs.")]
