"""The steps of CONTRIBUTING.md that add an operator, carried out in a copy of the package."""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STEPS = (ROOT / "CONTRIBUTING.md").read_text().split("## Add an operator")[1].split("\n## ")[0]


@pytest.mark.slow  # another pytest starts
def test_an_operator_is_added_in_two_files(tmp_path):
    operator, test = map(textwrap.dedent, re.findall(r" *```python\n(.*?) *```", STEPS, re.DOTALL))
    module, family = re.findall(r"here `(.*?)`", STEPS)
    shutil.copytree(ROOT / "restorax", tmp_path / "restorax", ignore=shutil.ignore_patterns("zoo_data", "__pycache__"))
    shutil.copytree(ROOT / "tests", tmp_path / "tests", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)

    source = (tmp_path / module).read_text()
    source = source.replace("__all__ = [\n", '__all__ = [\n    "solarise",\n')
    (tmp_path / module).write_text(f"{source}\n\n{operator}")
    (tmp_path / family).write_text(f"{(tmp_path / family).read_text()}\n\n{test}")

    selected = [sys.executable, "-m", "pytest", "-n", "0", "-m", "slow or not slow", "-k", "solarise or every_operator"]
    files = ["tests/test_degrade.py", family]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    run = subprocess.run([*selected, *files], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout
    assert int(re.search(r"(\d+) passed", run.stdout)[1]) >= 11
    command = [sys.executable, "-c", "import restorax; print(restorax.degrade.parse('solarise(threshold=128/255)'))"]
    text = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout
    assert text == "solarise(threshold=128/255)\n"
