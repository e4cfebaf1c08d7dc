"""Benchmark suites: ``python -m benchmarks`` lists them, and ``python -m benchmarks NAME ...`` runs one.

Measurements are appended to the ignored folder benchmarks/out/results/, or with `--publish` to benchmarks/results/.
`--quick` is a smoke test that records nothing. `python -m benchmarks NAME --help` describes the options of a suite.
"""

import ast
import re
import runpy
import sys
import textwrap
from pathlib import Path

SUITES = (
    "choose",
    "ceiling",
    "throughput",
    "onnx",
    "training",
    "scaling",
    "quality",
    "robustness",
    "video",
    "harm",
    "solve",
    "solve_speed",
    "schedule",
    "gains",
    "diagnosis",
    "explain",
    "operators",
    "tpu_compile",
    "pods",
    "models",
    "recurrence",
    "input",
    "halo",
    "large_image",
    "folders",
    "ablation",
    "self_supervised",
    "adapt",
    "conv",
    "report",
    "cards",
)
WIDTH = 80


def purpose(name: str) -> str:
    """Return the first line of a suite's docstring, without the command and without importing the suite."""
    line = ast.get_docstring(ast.parse((Path(__file__).parent / f"{name}.py").read_text())).splitlines()[0]
    return re.sub(r": ``.*", ".", line).replace("``", "`")


def overview() -> str:
    """Return what the command does, and every suite with its purpose, in lines of 80 characters."""
    title, about = __doc__.replace("``", "`").split("\n\n")
    lines = [*textwrap.wrap(title, WIDTH), "", *textwrap.wrap(about, WIDTH), ""]
    for name in SUITES:
        lines += textwrap.wrap(f"  {name:<17}{purpose(name)}", WIDTH, subsequent_indent=19 * " ")
    return "\n".join(lines)


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else "--help"
    if name in ("-h", "--help"):
        print(overview())
        return
    if name not in SUITES:
        sys.exit(f"{name!r} is not a suite; expected one of {', '.join(SUITES)}")
    del sys.argv[1]
    try:
        runpy.run_module(f"benchmarks.{name}", run_name="__main__", alter_sys=True)
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package in ("", "restorax", "benchmarks"):
            raise
        sys.exit(f"{name} requires the package {package}: pip install '.[bench]'")


if __name__ == "__main__":
    main()
