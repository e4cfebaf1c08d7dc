"""Consoles and arguments shared by the commands."""

from typing import Annotated

import typer
from rich.console import Console

console = Console()
stderr = Console(stderr=True)

ENTRY = "Zoo name (see 'restorax list'), a folder with a model card, or hf:OWNER/NAME."
Name = Annotated[str, typer.Argument(metavar="NAME", help=ENTRY)]
DataDir = Annotated[str | None, typer.Option(help="Folder of TFDS datasets. Default: that of TFDS.")]
Json = Annotated[bool, typer.Option("--json", help="Print complete JSON.")]
