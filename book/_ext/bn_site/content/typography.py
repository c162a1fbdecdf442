"""Sphinx extension: numbers in running text are set as a book sets them, not as Python prints them.

`5e-06` becomes 5 × 10⁻⁶, and the hyphen before a number a minus sign, wherever it comes from: a cell's result in a
sentence, a claim, a table. No line ends between a number and its unit. Code and formulas stay as they are.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

from bn_exercises.typography import as_in_a_book

# Blocks of code, doctests and formulas are fixed texts, and so is what is raw.
AS_IT_IS = (nodes.literal, nodes.math, nodes.FixedTextElement)

_BEFORE_A_UNIT = re.compile(r"(?<=\d)\s(?=(?:%|µs|ms|[kMG]B|nats)(?!\w))")


class Numbers(SphinxPostTransform):
    """Write the numbers of a page's text, when the results of its cells stand in it."""

    default_priority = 900
    formats = ("html",)

    def run(self, **_: Any) -> None:
        """Change the texts that are not code."""
        # From the elements down: the theme shortens links to GitHub by putting texts into them that know no parent.
        for parent in self.document.findall(nodes.Element):
            if any(isinstance(each, AS_IT_IS) for each in (parent, *_parents(parent))):
                continue
            for place, text in enumerate(parent.children):
                if not isinstance(text, nodes.Text):
                    continue
                # A cell's result is a node of its own, and so is the end of a line in the source.
                before = parent[place - 1].astext()[-1:] if place else ""
                after = parent[place + 1].astext()[:5] if place + 1 < len(parent) else ""
                written = as_in_a_book(str(text))
                joined = _BEFORE_A_UNIT.sub("\N{NO-BREAK SPACE}", before + written + after)
                written = joined[len(before) : len(before) + len(written)]
                if written != text:
                    parent[place] = nodes.Text(written)


def _parents(node: nodes.Node) -> list[nodes.Node]:
    return [] if node.parent is None else [node.parent, *_parents(node.parent)]


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx, after what puts results into the text."""
    app.add_post_transform(Numbers)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
