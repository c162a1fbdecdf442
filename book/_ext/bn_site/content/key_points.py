"""Sphinx extension: `{key-points}` puts the key points of all chapters together, a section for each, from their
pages.
"""

from __future__ import annotations

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from bn_book.chapters import FOLDER, chapters, key_points, opening
from bn_site import ROOT


class KeyPoints(SphinxDirective):
    """A section for each chapter: its title, a link whose words are its question, and its three sentences."""

    def run(self) -> list[nodes.Node]:
        """Make the sections."""
        self.env.note_dependency(str(ROOT / "_toc.yml"))
        return [self.section(name) for name in chapters()]

    def section(self, name: str) -> nodes.section:
        """Make a chapter's section."""
        title, question = opening(name)
        self.env.note_dependency(str(ROOT / f"{FOLDER}{name}.md"))
        section = nodes.section("", nodes.title(title, title), ids=[nodes.make_id(f"key-points-{name}")])
        lines = [f"{{doc}}`{question} </{FOLDER}{name}>`", "", *key_points(name).splitlines()]
        self.state.nested_parse(StringList(lines, source=self.env.docname), self.content_offset, section)
        return section


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.add_directive("key-points", KeyPoints)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
