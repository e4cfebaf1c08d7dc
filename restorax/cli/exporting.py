"""Command ``restorax export``."""

import datetime
from pathlib import Path
from typing import Annotated

import typer

from .common import ENTRY, console
from .tables import print_line

# Six months, the compatibility guarantee of jax.export.
_LIFETIME = datetime.timedelta(days=181)


def export(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help=ENTRY)] = None,
    target: Annotated[
        Path | None, typer.Argument(metavar="OUT", help="File to write, of ONNX if its name ends in .onnx.")
    ] = None,
    size: Annotated[
        str | None, typer.Option(help="HEIGHTxWIDTH of the images. Default: any size, if the network allows it.")
    ] = None,
    platform: Annotated[
        list[str] | None,
        typer.Option(help="Target platform of StableHLO; repeat for several. Default: cpu, cuda and tpu."),
    ] = None,
    dtype: Annotated[str, typer.Option(help="Type of the activations: float32, float16 or bfloat16.")] = "float32",
    every: Annotated[
        Path | None,
        typer.Option("--all", metavar="DIR", help="Export all entries to ONNX in this folder, with an index.json."),
    ] = None,
) -> None:
    """Export a restorer to one file that runs without restorax: of ONNX (OUT.onnx), or of StableHLO for JAX.

    With --all, networks that need a size are exported for that of --size, by default 512x512. JAX up to six months
    newer than the one that wrote a StableHLO file reads it; later versions may refuse it.
    """
    import jax.numpy as jnp

    from .. import zoo
    from ..exporting import export_folder
    from ..files.atomic import written_beside

    sides = (size or "").split("x")
    if size and not (len(sides) == 2 and all(side.isdecimal() for side in sides)):
        raise ValueError(f"size {size!r} is not understood; write e.g. 512x768, height first")
    shape = (int(sides[0]), int(sides[1])) if size else None
    if dtype not in ("float32", "float16", "bfloat16"):
        raise ValueError(f"dtype {dtype!r} is not known; give float32, float16 or bfloat16")
    if every is not None:
        if name or platform:
            raise ValueError("--all exports every entry to ONNX; omit NAME, OUT and --platform")
        entries = export_folder(zoo.list_models(), every, dtype=dtype, **({"size": shape} if shape else {}))
        exported = [entry for entry in entries if "file" in entry]
        for entry in entries:
            print_line(console, f"{entry['name']}: {_summary(entry)}")
        total = sum(entry["bytes"] for entry in exported) / 1e6
        print_line(console, f"{every}: {len(exported)} of {len(entries)} entries, {total:.1f} MB, and index.json")
        return
    if name is None or target is None:
        raise ValueError("export needs NAME and OUT, or --all DIR")
    restorer = zoo.load(name, dtype=jnp.dtype(dtype))
    of_onnx = target.suffix.lower() == ".onnx"
    if of_onnx and platform:
        raise ValueError("an ONNX file runs on every platform; omit --platform")
    content = _onnx(restorer, shape) if of_onnx else _stablehlo(restorer, shape, platform)
    with written_beside(target) as beside:
        beside.write_bytes(content)
    reader = "for onnxruntime, opset 18" if of_onnx else "for jax.export.deserialize"
    print_line(console, f"{target}: {len(content) / 1e6:.1f} MB, {reader}")
    if not of_onnx:
        import jax

        until = datetime.date.today() + _LIFETIME
        print_line(
            console,
            f"Good until {until}: jax.export guarantees compatibility with JAX versions up to six months newer than "
            f"{jax.__version__}.",
        )


def _onnx(restorer, shape: tuple[int, int] | None) -> bytes:
    from ..exporting import export_onnx

    return export_onnx(restorer, size=shape).SerializeToString()


def _stablehlo(restorer, shape: tuple[int, int] | None, platforms: list[str] | None) -> bytes:
    from ..exporting import PLATFORMS
    from ..exporting import export as run

    return bytes(run(restorer, size=shape, platforms=platforms or PLATFORMS).serialize())


def _summary(entry: dict) -> str:
    if "file" not in entry:
        return entry["reason"]
    size = "any size" if entry["size"] == "any" else f"{entry['size']} pixels"
    return f"{entry['bytes'] / 1e6:.1f} MB, {size}"
