"""Sphinx extension: `{reading-list}` is what papers claim, in a sentence each, and which of it the ledger measured.

The sentences are the `annotation` of entries of the bibliography. A paper stands under the chapter that measures it
first, with its claims and their verdicts; what the ledger does not measure stands at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from bn_book.chapters import opening
from bn_book.ledger import claims


def by_source() -> dict[str, tuple[str, list[str]]]:
    """The sources of the ledger in their order: the chapter that measures each first, and the names of its claims."""
    found: dict[str, tuple[str, list[str]]] = {}
    for chapter, of_chapter in claims().items():
        for claim in of_chapter:
            found.setdefault(claim.source, (chapter, []))[1].append(claim.name)
    return found


class ReadingList(SphinxDirective):
    """A section for each chapter whose claims have sources of their own, and one for the rest."""

    def run(self) -> list[nodes.Node]:
        """Make the sections."""
        entries = self.env.get_domain("cite").bibdata.data.entries  # type: ignore[attr-defined]
        annotations = {
            key: entry.fields["annotation"] for key, entry in entries.items() if "annotation" in entry.fields
        }
        measured = by_source()
        sections: dict[str, list[str]] = {}
        for source, (chapter, names) in measured.items():
            sections.setdefault(chapter, []).extend(item(source, annotations, names))
        made = [self.section(opening(chapter)[0], chapter, lines) for chapter, lines in sections.items()]
        others = [line for key in annotations if key not in measured for line in item(key, annotations)]
        return [*made, self.section("Not measured here", "others", others)]

    def section(self, title: str, name: str, lines: Iterable[str]) -> nodes.section:
        """A section with a list."""
        section = nodes.section("", nodes.title(title, title), ids=[nodes.make_id(f"reading-{name}")])
        self.state.nested_parse(StringList(list(lines), source=self.env.docname), self.content_offset, section)
        return section


def item(key: str, annotations: Mapping[str, str], names: Iterable[str] = ()) -> list[str]:
    """A paper, what it claims, and the verdicts, as lines of Markdown."""
    verdicts = "; ".join(f"{{verdict}}`{name}`" for name in names)
    measured = [f"  Measured here: {verdicts}.", ""] if verdicts else []
    return [f"- {{cite:t}}`{key}`. {annotations.get(key, '')}", "", *measured]


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.add_directive("reading-list", ReadingList)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
