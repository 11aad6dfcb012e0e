"""Formulas as MathML, which browsers draw by themselves: no script, no fonts, no network."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.util import logging

logger = logging.getLogger(__name__)


def setup(app: Any) -> dict[str, bool]:
    """Make this a choice of `html_math_renderer`."""
    app.add_html_math_renderer("mathml", (inline, None), (display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def inline(translator: Any, node: nodes.math) -> None:
    """Write a formula in a line of text."""
    translator.body.append(_converted(node, "inline"))
    raise nodes.SkipNode


def display(translator: Any, node: nodes.math_block) -> None:
    """Write a formula on a line of its own, which scrolls where the window is narrow."""
    formula = _converted(node, "block")
    translator.body.append(f'<div class="math" style="overflow-x: auto">{formula}</div>\n')
    raise nodes.SkipNode


def _converted(node: nodes.Element, display: str) -> str:
    formula = str(convert(node.astext(), display=display))
    if "\\" in formula:
        logger.warning("a command in this formula is not known: %s", node.astext(), location=node)
    return formula
