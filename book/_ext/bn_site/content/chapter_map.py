"""Sphinx extension: `{chapter-map}` draws a numbered list of links to chapters as a map, each with its small picture.

The list is Markdown like any other. Each picture is `map.svg` in the chapter's room of `bn_book`; it is put into the
page, where it follows its theme. It says nothing that the words beside it do not say.
"""

from __future__ import annotations

from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from bn_site import ROOT

ROOMS = ROOT / "book" / "bn_book"


class ChapterMap(SphinxDirective):
    """A list whose items are each a link to a chapter, and a few words."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Parse the list, and put a picture at the head of each item and a place for the progress before it."""
        parsed = nodes.Element()
        self.state.nested_parse(self.content, self.content_offset, parsed)
        lists = list(parsed.findall(nodes.enumerated_list))
        if len(lists) != 1:
            raise self.error("a chapter map is one numbered list")
        lists[0]["classes"].append("bn-map")
        for item in lists[0].children:
            link = next(item.findall(addnodes.pending_xref), None)
            if link is None:
                raise self.error(f"no link to a chapter: {item.astext()}")
            picture = ROOMS / Path(link["reftarget"]).name / "map.svg"
            self.env.note_dependency(str(picture))
            item.insert(0, nodes.raw("", picture.read_text(encoding="utf-8").strip(), format="html"))
        place = nodes.raw("", '<div class="bn-progress-place"></div>', format="html")
        return [place, *parsed.children]


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.add_directive("chapter-map", ChapterMap)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
