"""Print the lowest versions that pyproject.toml allows, as constraints for pip."""

import re
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
extras = project["optional-dependencies"]
included = re.match(r"restorax\[(.+)\]", extras["test"][0]).group(1).split(",")
for requirement in sum((extras[name] for name in included), [*project["dependencies"], *extras["test"][1:]]):
    name, version = re.match(r"([\w-]+)(?:\[\w+\])?>=([\w.]+)", requirement).groups()
    print(f"{name}=={version}")
