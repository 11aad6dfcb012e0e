"""Settings of the documentation: sphinx-build -W docs docs/_build."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the checkout, installed or not

import sklearn_open

project = "sklearn_open"
author = "The sklearn_open developers"
copyright = "the sklearn_open developers"
release = sklearn_open.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.mathjax", "numpydoc", "myst_parser"]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"sklearn_open {release}"

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # numpydoc's Parameters sections give the types
# Members are named in api.md, so that what is inherited from skorch stays in skorch's own pages.
numpydoc_show_class_members = False
