"""Command-line options that the suites share."""

from typing import Annotated, Any


def option(text: str, *names: str) -> Any:
    """Return a Typer option with a description; suites that only run as functions do without Typer.

    Args:
        text: description in ``--help``.
        names: spellings on the command line, by default from the parameter.
    """
    try:
        import typer
    except ImportError:
        return text
    return typer.Option(*names, help=text.replace("[", r"\["))  # brackets are markup of rich


PUBLISH = "Append rows to benchmarks/results/ instead of benchmarks/out/results/."
QUICK = "Smoke test at small sizes, nothing recorded."

Publish = Annotated[bool, option(PUBLISH, "--publish")]
Quick = Annotated[bool, option(QUICK, "--quick")]
Names = Annotated[list[str] | None, option("Entry or architecture, repeatable [all].")]
Seconds = Annotated[float, option("Approximate time per measurement.")]
