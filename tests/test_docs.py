"""What the documentation says is executed: examples in docstrings, journeys in README."""

import doctest
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

import restorax

MODULES = [m.name for m in pkgutil.walk_packages(restorax.__path__, "restorax.")]
README = Path(__file__).parent.parent / "README.md"
JOURNEYS = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_run(name):
    module = importlib.import_module(name)
    failed, _ = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert failed == 0


@pytest.mark.parametrize("name", restorax.degrade.__all__ + restorax.__all__)
def test_every_public_name_is_documented(name):
    value = getattr(restorax, name, None) or getattr(restorax.degrade, name)
    if inspect.isclass(value) or inspect.isroutine(value) or inspect.ismodule(value):
        assert value.__doc__


def test_readme_has_its_journeys():
    assert len(JOURNEYS) == 4


@pytest.mark.parametrize("journey", JOURNEYS)
def test_journeys_of_readme_run(journey, tmp_path, monkeypatch, photograph):
    from restorax import image

    monkeypatch.chdir(tmp_path)
    for folder, pixels in (("photos", photograph[:64, :64]), ("validation", photograph[96:144, :48])):
        Path(folder).mkdir()
        image.write(f"{folder}/a.png", image.Picture(pixels))
    exec(compile(journey, "README.md", "exec"), {})


def test_table_of_the_zoo_is_the_one_of_the_cards():
    from benchmarks import zoo_table

    page = zoo_table.PAGE.read_text()
    assert zoo_table.choices() in README.read_text()
    comparisons = zoo_table.COMPARISONS.read_text()
    assert zoo_table.choices(folder="") in page
    assert zoo_table.entries() in page
    assert zoo_table.pairs() in comparisons
    assert zoo_table.published_results() in comparisons
