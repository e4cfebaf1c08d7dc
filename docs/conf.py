"""Documentation site: ``pip install -e ".[docs]" && sphinx-build -W --keep-going docs site``."""

import sys
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]

import site_pages  # noqa: E402

import restorax  # noqa: E402

project = "restorax"
version = release = restorax.__version__
html_title = "restorax"
copyright = "the authors of restorax; Apache-2.0, the terms of the weights are on their model cards"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["conf.py", "site_pages.py", "assets"]
html_theme = "furo"
html_static_path = ["assets"]
html_css_files, html_js_files = ["site.css"], [("compare.js", {"defer": "defer"})]

nb_custom_formats = {".py": ["jupytext.reads", {"fmt": "py:percent"}]}
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_execution_show_tb = True
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "attrs_inline"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # shapes and ranges are in the docstrings
napoleon_numpy_docstring, napoleon_use_ivar, napoleon_attr_annotations = False, True, False
add_module_names = False


def setup(app: Any) -> None:
    """Write the generated pages, and adapt the others when they are read."""
    app.connect("builder-inited", lambda app: site_pages.write_pages())
    app.connect("source-read", lambda app, name, source: source.__setitem__(0, site_pages.adapted(name, source[0])))
