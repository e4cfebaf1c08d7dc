"""The command line: ``restorax`` or ``python -m restorax``."""

import atexit
import gc
import sys
import warnings
from typing import Annotated

import typer

from .. import __version__
from ..errors import one_sentence
from .adaptation import adapt
from .common import console, stderr
from .datasets import check_data, prepare_data
from .degradation import degrade
from .diagnosis import diagnose
from .entries import convert, demo, info, list_, push
from .evaluation import evaluate
from .exporting import export
from .restoration import restore
from .solving import solve
from .tables import print_line
from .training import train
from .web import web

__all__ = ["app", "console", "main", "stderr"]

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)
for _panel, _commands in {
    "Images": {"restore": restore, "solve": solve, "diagnose": diagnose, "degrade": degrade, "web": web},
    "Zoo": {
        "list": list_,
        "info": info,
        "demo": demo,
        "eval": evaluate,
        "convert": convert,
        "export": export,
        "push": push,
    },
    "Training": {"train": train, "adapt": adapt},
}.items():
    for _name, _command in _commands.items():
        app.command(_name, rich_help_panel=_panel)(_command)
data_app = typer.Typer(no_args_is_help=True, help="Training data.")
data_app.command("prepare")(prepare_data)
data_app.command("check")(check_data)
app.add_typer(data_app, name="data", rich_help_panel="Training")


def _print_version(requested: bool) -> bool:
    if requested:
        console.print(f"restorax {__version__}", highlight=False)
        raise typer.Exit
    return requested


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Image restoration in JAX."""


def _print_warning(message: Warning | str, *_: object) -> None:
    print_line(stderr, f"restorax: {message}", style="yellow")


def main() -> None:
    """Run the command line; user errors print one line and exit with code 2."""
    warnings.showwarning = _print_warning
    # Importing JAX and tracing leave a million objects alive; collecting among them takes a fifth of a short run.
    gc.set_threshold(100_000)
    atexit.register(gc.freeze)
    try:
        app()
    except Exception as error:
        sentence = one_sentence(error)
        if sentence is None:
            raise
        print_line(stderr, f"restorax: {sentence}", style="red")
        sys.exit(2)
