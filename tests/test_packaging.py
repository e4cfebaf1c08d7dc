"""What a package index shows, and which terms travel with the package."""

import re
import tomllib
from pathlib import Path

from restorax import zoo

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_page_of_a_package_index_has_no_relative_images_and_links():
    hook = PROJECT["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]
    text = "".join((ROOT / fragment["path"]).read_text() for fragment in hook["fragments"])
    assert re.search(r"\]\((?!http)", text)
    for substitution in hook["substitutions"]:
        text = re.sub(substitution["pattern"], substitution["replacement"], text)
    links = re.findall(r"!?\[[^\]]*\]\(([^)]*)\)", text)
    assert links
    assert all(link.startswith("https://") for link in links)
    assert "*Gaussian noise of sigma" not in text  # the caption goes with its image
    assert "| noise, gray | `resunet_s-gray-noise` |" in text


def test_the_terms_of_the_parameters_travel_with_the_package():
    assert PROJECT["project"]["license-files"] == ["LICENSE", "NOTICE"]
    assert set(PROJECT["project"]["license-files"]) <= set(
        PROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"]
    )
    notice = " ".join((ROOT / "NOTICE").read_text().split())
    terms = {zoo.Card.read(zoo.find(name)).data_licence.partition(" (")[0] for name in zoo.list_models()}
    for data, _, licence in (term.partition(": ") for term in terms):
        assert data in notice
        assert licence in notice
