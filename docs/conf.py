"""Settings of the documentation: sphinx-build -W docs docs/_build."""

import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # the checkout, installed or not
sys.path.insert(0, str(Path(__file__).parent))

import api_pages

import sklearn_open

HERE = Path(__file__).parent

project = "sklearn_open"
author = "The sklearn_open developers"
copyright = "the sklearn_open developers"
release = sklearn_open.__version__

extensions = [
    "sphinx.ext.autodoc",
    "numpydoc",
    "myst_parser",
    "formulas",
    "sphinx_gallery.gen_gallery",
]
# Tables of times, which builds used to leave here, load scripts from other hosts.
exclude_patterns = ["_build", "_gallery", "sg_execution_times.rst", "*/sg_execution_times.rst"]
html_theme = "furo"
html_title = f"sklearn_open {release}"

# MathJax would be fetched from another host whenever a page is read.
html_math_renderer = "mathml"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # numpydoc's Parameters sections give the types
# Members are named in api_pages.py, so that what is inherited stays in skorch's own pages.
numpydoc_show_class_members = False

api_pages.write(HERE / "api" / "generated")

# The gallery is made of examples/plot_*.py, which are run. They are copied to a folder of their
# own, as the other scripts beside them need data or hours.
examples, gallery = HERE.parent / "examples", HERE / "_gallery"
shutil.rmtree(gallery, ignore_errors=True)
gallery.mkdir()
for file in [*examples.glob("plot_*.py"), examples / "GALLERY_HEADER.rst"]:
    shutil.copy2(file, gallery)

sphinx_gallery_conf = {
    "examples_dirs": "_gallery",
    "gallery_dirs": "auto_examples",
    "abort_on_example_error": True,
    "parallel": 2,
    "download_all_examples": False,
    "show_signature": False,
    "min_reported_time": 1000,  # how long they took differs from machine to machine
    "write_computation_times": False,  # see exclude_patterns
}
