"""List the benchmark suites: ``python -m benchmarks``; ``python -m benchmarks NAME ...`` runs one."""

import ast
import runpy
import sys
from pathlib import Path

SUITES = (
    "ceiling",
    "throughput",
    "training",
    "scaling",
    "quality",
    "robustness",
    "explain",
    "operators",
    "tpu_compile",
    "pods",
    "models",
    "recurrence",
    "input",
    "halo",
    "large_image",
    "ablation",
    "conv",
    "report",
)


def purpose(name: str) -> str:
    """Return the first line of a suite's docstring without importing it."""
    return ast.get_docstring(ast.parse((Path(__file__).parent / f"{name}.py").read_text())).splitlines()[0]


def main() -> None:
    if len(sys.argv) < 2:
        print("\n".join(f"{name:<12}{purpose(name)}" for name in SUITES))
        return
    name = sys.argv[1]
    if name not in SUITES:
        sys.exit(f"{name!r} is not a suite; expected one of {', '.join(SUITES)}")
    del sys.argv[1]
    runpy.run_module(f"benchmarks.{name}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
