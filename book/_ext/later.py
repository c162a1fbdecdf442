"""Sphinx extension: a browser places the first screens at once, and what is below them when it has time.

Most of a chapter's elements are in its formulas. To place all of them takes a phone a second, in which it answers no
finger. So paragraphs and formulas further down are marked here; book.css leaves them out while the page comes, and
book.js puts them in, a few at a time.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

MARK = "bn-later"

# In lines of text, what the first screen of a large window holds. Of pictures and lists nothing is counted.
FIRST_SCREEN = 40
LETTERS = 70  # in a line
FORMULA = 3  # lines, and so many does a line of code without its box take


def lines(node: nodes.Element) -> float:
    """The height of a paragraph, a formula or a cell's code, about."""
    if isinstance(node, nodes.paragraph):
        return len(node.astext()) / LETTERS + 1
    return FORMULA + (node.astext().count("\n") if isinstance(node, nodes.literal_block) else 0)


def can_wait(node: nodes.Element) -> bool:
    """Whether it stands for itself: the margins of lists, tables and bare outputs reach through their edges."""
    if "cell" in node["classes"]:
        return "tag_remove-input" not in node["classes"] and "<table" not in node.astext()
    return isinstance(node, nodes.paragraph | nodes.math_block)


class Later(SphinxPostTransform):
    """Mark the paragraphs, formulas and cells of the sections that come after the first screen."""

    default_priority = 950
    formats = ("html",)

    def run(self, **_: Any) -> None:
        """Count the lines on the way down."""
        height = 0.0
        for node in self.document.findall(nodes.Element):
            if height > FIRST_SCREEN and isinstance(node.parent, nodes.section) and can_wait(node):
                node["classes"].append(MARK)
            if isinstance(node, nodes.paragraph | nodes.math_block | nodes.literal_block):
                height += lines(node)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx, after what writes text."""
    app.add_post_transform(Later)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
