"""Commands that find damages: diagnose, and restoration without a model."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .common import Json, console
from .tables import print_json, print_line, print_table

if TYPE_CHECKING:
    from ..diagnosis import Choice, Diagnosis
    from ..folders import Job

_SHOWN = 3  # choices
_SIZES = 32  # sizes after which JAX's caches are emptied; every entry has programs of its own


def diagnose(
    source: Annotated[Path, typer.Argument(metavar="IN", help="Image file, or a folder of them.")],
    explain: Annotated[
        Path | None, typer.Option(help="Folder for a picture of the evidence, NAME-evidence.png.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Find the damages of an image, or of every image of a folder, and the restorers that help."""
    from ..diagnosis import choose
    from ..diagnosis.pictures import diagnose_file
    from ..files.image import list_pictures

    paths = list_pictures(source) if source.is_dir() else [source]
    found = []
    for path in paths:
        diagnosis = diagnose_file(path)
        choices = choose(diagnosis)
        if explain is not None:
            from ..diagnosis.evidence import write_evidence

            write_evidence(path, diagnosis, explain)
        if as_json:
            ranked = [
                {"entries": list(c.entries), "gain": round(c.gain, 2), "reason": c.reason} for c in choices[:_SHOWN]
            ]
            found.append({"file": str(path), **diagnosis.to_json(), "choices": ranked})
        else:
            _print(path, diagnosis, choices)
    if as_json:
        print_json(found if source.is_dir() else found[0])


class AutomaticWork:
    """Diagnoses and restores the file of a job, and prints a line.

    Args:
        **options: those of :func:`restorax.diagnosis.pictures.restore_file_automatically`.
    """

    def __init__(self, **options: Any) -> None:
        from ..series import Series

        self._options: dict[str, Any] = options | {"apply": Series(clear_after=_SIZES)}

    def __call__(self, job: "Job", progress: "Callable[[float], None]") -> None:
        """Process a job."""
        from ..diagnosis.pictures import restore_file_automatically, summary

        outcome = restore_file_automatically(job.source, job.target, progress=progress, **self._options)
        print_line(console, summary(job.source.name, outcome))


def _print(path: Path, diagnosis: "Diagnosis", choices: "Sequence[Choice]") -> None:
    print_line(console, f"{path.name}: {diagnosis.describe()}", style="bold")
    d = diagnosis
    rows = [("damage", "probability", "estimate", "uncertainty")]
    rows += [
        ("noise", f"{d.noise.probability:.0%}", f"{255 * d.noise.level:.1f}/255", _factor(d.noise.deviation)),
        ("  correlated", f"{d.noise.correlated:.0%}", "", ""),
        ("impulses", f"{d.impulses.probability:.0%}", f"{d.impulses.share:.1%}", _factor(d.impulses.deviation)),
        ("JPEG", f"{d.jpeg.probability:.0%}", f"quality {d.jpeg.quality:.0f}", f"±{d.jpeg.deviation:.1f}"),
        ("  read from", "", {"comb": "pixels"}.get(d.jpeg.source, d.jpeg.source), d.jpeg.subsampling),
        ("blur", f"{d.blur.probability:.0%}", f"{d.blur.kind}, {d.blur.size:.1f} px", _factor(d.blur.deviation)),
        ("missing", f"{d.missing.probability:.0%}", f"{d.missing.share:.1%} {d.missing.shape}".strip(), ""),
        ("stripes", f"{d.stripes.probability:.0%}", f"{255 * d.stripes.level:.1f}/255", d.stripes.direction),
    ]
    if d.blur.kind == "motion":
        rows.insert(7, ("  angle", "", f"{d.blur.angle:.0f} degrees", f"±{d.blur.angle_deviation:.0f}"))
    print_table(console, rows, left=(0, 2))
    for remark in diagnosis.remarks:
        print_line(console, f"  {remark}")
    for number, choice in enumerate(choices[:_SHOWN], 1):
        gain = f", {choice.gain:+.1f} dB expected" if choice.entries else ""
        print_line(console, f"  {number}. {choice}{gain}")
        print_line(console, f"     {choice.reason}")


def _factor(deviation: float) -> str:
    """Format the deviation of a logarithm in percent."""
    return f"±{min(deviation, 9.99):.0%}"
