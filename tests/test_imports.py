"""Imports run one way, and importing the package stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import restorax

PACKAGE = Path(__file__).parent.parent / "restorax"
# A room may import the rooms named here, and itself.
ALLOWED = {
    "types": set(),
    "memory": set(),
    "provenance": set(),
    "metrics": {"types"},
    "errors": set(),
    "hosts": set(),
    "files": set(),
    "layers": {"types"},
    "degrade": {"types"},
    "models": {"types", "layers"},
    "typed_json": {"files"},
    "recipe": {"files", "typed_json"},
    "card": {"types", "files", "recipe", "typed_json"},
    "recipes": {"recipe"},
    "data": {"types", "files"},
    "paired_data": {"types", "data", "files", "pairs"},
    "sources": {"data", "files", "folders", "paired_data", "pairs", "recipe"},
    "dataset_builder": {"files"},
    "card_html": {"card"},
    "card_markdown": {"card"},
    "hub": {"card", "card_markdown", "files"},
    "zoo": {"types", "card", "card_html", "files", "hub", "models"},
    "convert": {"types", "models", "zoo"},
    "buckets": {"types"},
    "tiling": set(),
    "inference": {"types", "degrade", "zoo", "buckets", "tiling"},
    "pictures": {"types", "degrade", "files", "inference", "zoo"},
    "averaging": {"types", "layers"},
    "solvers": {"types", "card", "degrade", "files", "tiling", "zoo"},
    "series": {"types", "zoo", "inference"},
    "beam": {"buckets", "folders", "pictures", "series", "zoo"},
    "folders": {"errors", "files"},
    "diagnosis": {"types", "degrade", "layers", "files", "models", "zoo", "inference"},
    "explanation": {"types", "degrade", "zoo", "inference"},
    "video": {"types", "averaging", "zoo", "files", "inference", "pictures"},
    "onnx_graph": set(),
    "exporting": {"types", "files", "layers", "onnx_graph", "typed_json", "zoo"},
    "onnx_backend": {"card", "exporting", "files", "models", "typed_json", "zoo"},
    "evaluation": {"types", "card", "metrics", "degrade"},
    "pairs": {"files"},
    "adaptation": {"types", "provenance", "recipe", "train", "zoo"},
    "demo": {"data", "degrade", "evaluation", "files", "inference", "metrics", "recipe", "zoo"},
    "train": {
        "types",
        "data",
        "degrade",
        "evaluation",
        "files",
        "hosts",
        "metrics",
        "models",
        "paired_data",
        "provenance",
        "recipe",
        "sources",
        "typed_json",
        "zoo",
    },
}
HEAVY = (
    "orbax",
    "grain",
    "tensorflow_datasets",
    "typer",
    "PIL",
    "optax",
    "matplotlib",
    "skimage",
    "cv2",
    "onnx",
    "onnxruntime",
    "huggingface_hub",
)


def _imported_rooms(path):
    """First name below ``restorax`` of every import in a file."""
    here = path.relative_to(PACKAGE).with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = here[: len(here) - node.level]
            names = [*base, *(node.module or "").split(".")] if node.module else list(base)
            yield from ([names[0]] if names else [alias.name for alias in node.names])
        else:
            modules = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module] if isinstance(node, ast.ImportFrom) else []
            for module in modules:
                assert not module.startswith(("tests", "benchmarks")), f"{path} imports {module}"


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_run_downward(path):
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    if room in ("__init__", "__main__", "cli"):
        return
    for imported in _imported_rooms(path):
        assert imported in ALLOWED[room] | {room}, f"{room} must not import {imported}"


def _run(program):
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()


def test_importing_is_light_and_quick():
    # Beside what it stands on, not in seconds: those say more of the machine.
    program = (
        "import sys, time; start = time.process_time(); import flax.linen; between = time.process_time(); "
        "import restorax; print((time.process_time() - between) / (between - start), "
        f"*[m for m in {HEAVY} if m in sys.modules])"
    )
    share, *heavy = _run(program)
    assert heavy == []
    # A busy machine gets a second try.
    assert float(share) < 0.5 or float(_run(program)[0]) < 0.5


def test_the_command_line_starts_light():
    program = (
        "import runpy, sys; sys.argv = ['restorax', '--version']\n"
        "try: runpy.run_module('restorax', run_name='__main__')\n"
        f"except SystemExit: print(*[m for m in {HEAVY} if m in sys.modules])"
    )
    assert _run(program) == ["restorax", restorax.__version__, "typer"]
