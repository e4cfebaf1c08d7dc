"""Documentation is executed: examples in docstrings, code and commands of README, code of the pages in docs/."""

import doctest
import importlib
import inspect
import re
import shlex
from pathlib import Path

import pytest

import restorax
from restorax.files import image
from tests.tiers import first

ROOT = Path(__file__).parent.parent
README, CONTRIBUTING = ((ROOT / name).read_text() for name in ("README.md", "CONTRIBUTING.md"))
OPERATORS = len(restorax.degrade.OPERATORS)  # before the examples register others
TITLES = re.findall(r"^\*\*(.+)\.\*\*", README, re.MULTILINE)
# Commands of code blocks, and those in text that name their files.
COMMAND = re.compile(r"(?:^|`)restorax (degrade .+|restore .+|export [^`\n]+)", re.MULTILINE)
# Modules whose docstrings hold examples; the others need not be searched by doctest.
EXAMPLES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    for path in sorted((ROOT / "restorax").rglob("*.py"))
    if ">>> " in path.read_text()
]


def _blocks(text, language):
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.fixture
def folder(tmp_path, monkeypatch, photograph):
    """A working directory with the files that the documentation names."""
    monkeypatch.chdir(tmp_path)
    for name, pixels in (
        ("photo", photograph[:64, :64]),
        ("photos/a", photograph[:64, :64]),
        ("validation/a", photograph[96:144, :48]),
    ):
        Path(name).parent.mkdir(exist_ok=True)
        image.write(f"{name}.png", image.Picture(pixels.repeat(3, -1)))


# Those that compile networks or many operators.
LONG = {
    "restorax.adaptation.loop",
    "restorax.diagnosis.choice",
    "restorax.diagnosis.statistics",
    *(
        f"restorax.degrade.{name}"
        for name in ("blur", "compression", "compose", "distributions", "expression", "missing", "photo", "video")
    ),
    *(f"restorax.models.{name}" for name in ("burst_rnn", "create", "fbcnn", "video_rnn", "wiener_unet")),
    *(f"restorax.layers.{name}" for name in ("fourier", "resample", "sparse")),
    *(f"restorax.solvers.{name}" for name in ("blind", "linear", "plug_and_play", "schedule_training")),
}


@pytest.mark.parametrize("name", first(EXAMPLES, *(set(EXAMPLES) - LONG)))
def test_examples_in_docstrings_run(name):
    failed, _ = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert failed == 0


@pytest.mark.parametrize("name", restorax.degrade.__all__ + restorax.__all__)
def test_every_public_name_is_documented(name):
    value = getattr(restorax, name, None) or getattr(restorax.degrade, name)
    if inspect.isclass(value) or inspect.isroutine(value) or inspect.ismodule(value):
        assert value.__doc__


@pytest.mark.parametrize("title", [title for title in TITLES if title not in ("Train", "Measure")])
def test_examples_of_readme_run(title, folder, run_cli):
    section = README.split(f"\n**{title}.**")[1].split("\n**")[0].split("\n## ")[0]
    for command in COMMAND.findall(section):
        assert run_cli(*shlex.split(command, comments=True))[0] == 0
    for block in _blocks(section, "python"):
        exec(compile(block, "README.md", "exec"), {})


PAGES = ["index", "training", "benchmarks", "explanation", "files", "deployment", "solve", "own_pictures", "video"]


@pytest.mark.parametrize("page", first(PAGES, "files", "deployment"))
def test_code_of_pages_runs(page, folder):
    code = _blocks((ROOT / "docs" / f"{page}.md").read_text(), "python")
    assert code
    exec(compile("\n".join(code), f"{page}.md", "exec"), {})


def test_readme_is_short():
    assert len(TITLES) == 5
    for block in (*_blocks(README, "python"), *_blocks(README, "sh")):
        assert len([line for line in block.splitlines() if line]) <= 12


def test_readme_counts_what_there_is():
    for count in (f"{len(restorax.list_models())} trained restorers", f"{OPERATORS} degradation operators"):
        assert count in " ".join(README.split())


def test_links_between_pages_lead_somewhere():
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
    for page in pages:
        for link in re.findall(r"\]\(([^)#]+)", page.read_text()):
            assert link.startswith("http") or (page.parent / link).exists(), f"{page.name}: {link}"


def test_map_of_the_house_is_complete():
    named = set(re.findall(r"`(restorax/[\w/.]+)`", CONTRIBUTING))
    parts = {p for p in (ROOT / "restorax").iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    needed = {f"{p.relative_to(ROOT)}{'/' * p.is_dir()}" for p in parts if not p.name.startswith("__")}
    assert needed <= named
    assert all((ROOT / name).exists() for name in named)


def test_tables_of_the_zoo_are_those_of_the_cards():
    from benchmarks import zoo_table

    page, comparisons = zoo_table.PAGE.read_text(), zoo_table.COMPARISONS.read_text()
    assert zoo_table.choices() in README
    assert zoo_table.choices(folder="") in page
    assert zoo_table.entries() in page
    assert zoo_table.pairs() in comparisons
    assert zoo_table.published_results() in comparisons
