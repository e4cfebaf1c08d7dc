"""The page on degradations: its code runs, its examples are degradations, its table is that of the registrations."""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import pytest

from benchmarks import gallery
from restorax.degrade import DEGRADATIONS, OPERATORS, parse

PAGE = (Path(__file__).parent.parent / "docs" / "degradations.md").read_text()
CODE = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
EXAMPLES = re.findall(r"^\| `(.+?)` \|", PAGE.split("## Ten examples")[1].split("\n## ")[0], re.MULTILINE)
# What the code of the page registers comes later.
NAMES, TABLE, LADDERS = tuple(OPERATORS), gallery.table(), gallery.ladders()


def test_code_runs():
    assert len(CODE) == 5
    exec(compile("\n".join(CODE), "degradations.md", "exec"), {"__name__": "degradations"})


def test_there_are_ten_examples():
    assert len(EXAMPLES) == 10


@pytest.mark.parametrize("text", EXAMPLES)
def test_examples_degrade(text):
    degradation, clean = parse(text), jax.ShapeDtypeStruct((2, 24, 24, 3), jnp.float32)
    assert parse(str(degradation)) == degradation
    observed = jax.eval_shape(degradation, jax.random.key(0), clean)
    assert observed.image.shape == ((2, 8, 24, 24, 3) if text.startswith(("burst", "moving_scene")) else clean.shape)


def test_table_is_the_one_of_the_registrations():
    assert f"<!-- operators -->\n{TABLE}\n<!-- /operators -->" in PAGE
    assert all(f"\n| `{name}` |" in TABLE for name in NAMES)


def test_presets_of_photographs_are_those_of_the_package():
    rows = re.findall(r"^\| `(\w+)` \| `(.+)` \|$", PAGE.split("## Photographs")[1].split("\n## ")[0], re.MULTILINE)
    assert {name: str(DEGRADATIONS[name]) for name in ("camera_iso_low", "camera_iso_high", "phone", "web")} == dict(
        rows
    )


def test_gallery_shows_every_operator_but_those_of_arrays():
    assert {*LADDERS} == {*NAMES, "real_esrgan", "bsrgan"} - {"kernel_blur", "missing_overlay"}
    assert gallery.titles("fade", LADDERS["fade"]) == ("fade(contrast=0.8, saturation=0.8)", "0.5, 0.25")
    assert gallery.titles("bsrgan", LADDERS["bsrgan"]) == ("bsrgan", "")
