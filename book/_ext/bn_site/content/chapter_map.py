"""Sphinx extension: `{chapter-map}` is a map of all chapters, each with its small picture, its question and its title.

The pages and `_toc.yml` say all of it but the picture, which is `map.svg` in the chapter's room of `bn_book`. It is put
into the page, where it follows its theme, and says nothing that the words beside it do not say.
"""

from __future__ import annotations

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from bn_book.chapters import FOLDER, chapters, opening
from bn_site import ROOT


class ChapterMap(SphinxDirective):
    """A numbered list of links to the chapters."""

    def run(self) -> list[nodes.Node]:
        """Make the list, with a picture at the head of each item, and a place for the progress before it."""
        lines, pictures = [], []
        for name in chapters():
            title, question = opening(name)
            lines += [f"1. {{doc}}`{question} </{FOLDER}{name}>`", "", f"   {title}"]
            pictures.append(ROOT / "book" / "bn_book" / name / "map.svg")
            self.env.note_dependency(str(ROOT / f"{FOLDER}{name}.md"))
            self.env.note_dependency(str(pictures[-1]))
        self.env.note_dependency(str(ROOT / "_toc.yml"))
        parsed = nodes.Element()
        self.state.nested_parse(StringList(lines, source=self.env.docname), self.content_offset, parsed)
        (found,) = parsed.findall(nodes.enumerated_list)
        found["classes"].append("bn-map")
        for item, picture in zip(found.children, pictures, strict=True):
            item.insert(0, nodes.raw("", picture.read_text(encoding="utf-8").strip(), format="html"))
        place = nodes.raw("", '<div class="bn-progress-place"></div>', format="html")
        return [place, *parsed.children]


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.add_directive("chapter-map", ChapterMap)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
