"""The pages as they are built: formulas and all else are drawn without a network."""

import importlib
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs" / "datasets").glob("*.md"))]
# What a browser fetches by itself, unlike the href of an <a>.
TAG = re.compile(r"<(?:script|link|img|iframe|source|object|embed|video|audio)\b[^>]*>", re.DOTALL)
ELSEWHERE = re.compile(
    r"""(?:src|href|data|srcset|poster)\s*=\s*["']?\s*((?:https?:)?//[^"'\s>]+)"""
)
IN_STYLES = re.compile(r"""(?:@import\s+|url\()\s*["']?\s*((?:https?:)?//[^"'\s)]+)""")


def loaded_from_elsewhere(folder):
    """Return what the pages and styles of a folder fetch from other hosts."""
    found = set()
    for page in folder.rglob("*.html"):
        text = page.read_text()
        found |= {url for tag in TAG.findall(text) for url in ELSEWHERE.findall(tag)}
        found |= set(IN_STYLES.findall(text))
    for style in folder.rglob("*.css"):
        found |= set(IN_STYLES.findall(style.read_text()))
    return found


def test_what_counts_as_elsewhere(tmp_path):
    (tmp_path / "page.html").write_text(
        '<script async="async" src="https://a/x.js"></script><link href=//b/x.css rel=stylesheet>'
        '<a href="https://c"><img src="logo.png"></a><style>@import "https://d/x.css";</style>'
    )
    (tmp_path / "style.css").write_text('@font-face { src: url("https://e/x.woff") }')
    assert loaded_from_elsewhere(tmp_path) == {
        "https://a/x.js", "//b/x.css", "https://d/x.css", "https://e/x.woff",
    }  # fmt: skip


def test_settings_ask_for_no_other_host():
    settings = (ROOT / "docs" / "conf.py").read_text()
    assert 'html_math_renderer = "mathml"' in settings
    assert '"write_computation_times": False' in settings
    assert not re.search("https?://|sphinx.ext.mathjax", settings)


# --- formulas ---


def formulas():
    """Return the formulas of all pages and docstrings: each, and whether it has its own line."""
    found = []
    for page in PAGES:
        text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL)
        found += [(formula, True) for formula in re.findall(r"\$\$(.+?)\$\$", text, re.DOTALL)]
        text = re.sub(r"\$\$.+?\$\$", "", text, flags=re.DOTALL)
        found += [(formula, False) for formula in re.findall(r"\$([^$]+)\$", text)]
    for file in (ROOT / "sklearn_open").rglob("*.py"):
        found += [(formula, True) for formula in re.findall(r"\.\. math:: (.*)", file.read_text())]
        found += [(formula, False) for formula in re.findall(r":math:`([^`]+)`", file.read_text())]
    return found


@pytest.fixture
def extension(monkeypatch):
    pytest.importorskip("latex2mathml")
    pytest.importorskip("sphinx")
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    return importlib.import_module("formulas")


def written(visit, formula):
    """Return what a visitor of the extension writes of a formula."""
    nodes, page = importlib.import_module("docutils.nodes"), SimpleNamespace(body=[])
    with pytest.raises(nodes.SkipNode):
        visit(page, nodes.math(formula, formula))
    return "".join(page.body)


def test_formulas_are_mathml(extension):
    assert len(formulas()) > 40
    for formula, on_its_own in formulas():
        html = written(extension.display if on_its_own else extension.inline, formula)
        assert html.count("<math ") == 1
        assert ('display="block"' in html) is on_its_own
        assert "\\" not in html, f"a command in {formula} is not known"


def test_a_command_that_is_not_known_is_warned_of(extension, monkeypatch):
    told = []
    monkeypatch.setattr(extension.logger, "warning", lambda text, *args, **_: told.append(args))
    written(extension.inline, r"\alpha x")
    written(extension.inline, r"\nosuchthing x")
    assert told == [(r"\nosuchthing x",)]


# --- all pages ---


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The pages: those that CI has built a moment ago (SKLEARN_OPEN_PAGES), or built anew."""
    if "SKLEARN_OPEN_PAGES" in os.environ:
        return Path(os.environ["SKLEARN_OPEN_PAGES"])
    pytest.importorskip("furo")
    folder = tmp_path_factory.mktemp("pages")
    made = shutil.ignore_patterns("_build", "_gallery", "auto_examples", "generated", "__pycache__")
    for name in ("docs", "examples", "results", "sklearn_open"):
        shutil.copytree(ROOT / name, folder / name, ignore=made)
    # The scripts of the gallery are not run, which takes long; their pages are made all the same.
    options = ["-W", "-q", "-D", "plot_gallery=0"]
    command = [sys.executable, "-m", "sphinx", *options, str(folder / "docs"), str(folder / "html")]
    subprocess.run(command, check=True, timeout=600)
    return folder / "html"


@pytest.mark.slow
def test_no_page_loads_anything_from_elsewhere(built):
    assert len(list(built.rglob("*.html"))) > 40
    assert loaded_from_elsewhere(built) == set()
    assert "<math " in (built / "method.html").read_text()
