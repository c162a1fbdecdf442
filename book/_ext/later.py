"""Sphinx extension: a browser places the first screen at once, and what is below it when it has time.

Most of a chapter's elements are in its formulas. To place all of them takes a phone a second, in which it answers no
finger. So paragraphs, formulas and cells are marked here. Those further down book.css leaves out while the page comes,
and book.js puts them in, a few at a time; and while a handle of a figure is held, all that are far from the screen.
"""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

# What book.css may leave out while it is far from the screen, and what of that does not come at once.
BLOCK, LATER = "bn-block", "bn-later"

# In lines of text, what the first screen of a large window holds. Of pictures and lists nothing is counted.
FIRST_SCREEN = 40
LETTERS = 70  # in a line
FORMULA = 3  # lines; a box of code takes as many besides its own


def lines(node: nodes.Element) -> float:
    """The height of a paragraph, a formula or a cell's code, about."""
    if isinstance(node, nodes.paragraph):
        return len(node.astext()) / LETTERS + 1
    return FORMULA + (node.astext().count("\n") if isinstance(node, nodes.literal_block) else 0)


def stands_alone(node: nodes.Element) -> bool:
    """Whether the page stays as it is without what is in it; margins in lists, tables and bare outputs reach out."""
    if "cell" in node["classes"]:
        return "tag_remove-input" not in node["classes"] and "<table" not in node.astext()
    return isinstance(node, nodes.paragraph | nodes.math_block)


class Later(SphinxPostTransform):
    """Mark the paragraphs, formulas and cells of the sections."""

    default_priority = 950
    formats = ("html",)

    def run(self, **_: Any) -> None:
        """Count the lines on the way down."""
        height = 0.0
        for node in self.document.findall(nodes.Element):
            if isinstance(node.parent, nodes.section) and stands_alone(node):
                node["classes"] += [BLOCK, LATER] if height > FIRST_SCREEN else [BLOCK]
            if isinstance(node, nodes.paragraph | nodes.math_block | nodes.literal_block):
                height += lines(node)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx, after what writes text."""
    app.add_post_transform(Later)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
