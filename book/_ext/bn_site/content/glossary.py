"""Sphinx extension: the first use of a glossary's term in a chapter's running text becomes a link to its definition.

The terms are those of Sphinx's own `{glossary}`. Headings, code, formulas, tables, captions, margins and links are left
as they are.
"""

from __future__ import annotations

import re
from itertools import groupby
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode

from bn_book.chapters import FOLDER, chapters

GLOSSARY = "book/glossary"

#: What may stand between a word of the running text and its paragraph; and where paragraphs are something else.
INSIDE = (nodes.emphasis, nodes.strong)
ELSEWHERE = (nodes.table, nodes.figure, nodes.sidebar, nodes.footnote, nodes.raw)


def pattern(terms: list[str]) -> re.Pattern[str]:
    """What finds a term, the longest first, also with an s, and with a capital where a sentence begins."""
    words = "|".join(_spelled(term) for term in sorted(terms, key=len, reverse=True))
    return re.compile(rf"(?<![\w-])({words})(?![\w-])")


def _spelled(term: str) -> str:
    first, others = term[0], re.escape(term[1:]).replace(r"\ ", r"\s+")
    return f"[{first.upper()}{first}]{others}(?:e?s)?" if first.islower() else f"{re.escape(first)}{others}"


def named(found: str, terms: dict[str, str]) -> str:
    """The term that was found, by its own spelling."""
    plain = re.sub(r"\s+", " ", found)
    cases = (plain, plain[0].lower() + plain[1:])
    spellings = (each.removesuffix(end) for each in cases for end in ("", "s", "es"))
    return next(word for word in spellings if word in terms)


class LinkTerms(SphinxPostTransform):
    """Link the first use of each term."""

    default_priority = 6  # when quotations are in place, and before references become links
    formats = ("html",)

    def run(self, **_: Any) -> None:
        """Go through a chapter's paragraphs in their order."""
        if not self.env.docname.startswith(FOLDER):
            return
        objects = self.env.get_domain("std").objects  # type: ignore[attr-defined]
        self.terms = {
            name: target for (kind, name), (page, target) in objects.items() if kind == "term" and page == GLOSSARY
        }
        if not self.terms:
            return
        self.pattern = pattern(list(self.terms))
        linked: set[str] = set()
        for paragraph in self.document.findall(nodes.paragraph):
            if _is_running(paragraph):
                self.link(paragraph, linked)

    def link(self, parent: nodes.Element, linked: set[str]) -> None:
        """Link in what stands directly in a paragraph, or is emphasized there."""
        children: list[nodes.Node] = []
        # The end of a line in the source is a text of its own, and may stand within a term.
        for is_text, group in groupby(list(parent.children), lambda child: isinstance(child, nodes.Text)):
            if is_text:
                children += self.linked("".join(map(str, group)), linked)
                continue
            for child in group:
                if isinstance(child, INSIDE):
                    self.link(child, linked)
                children.append(child)
        parent.children = []
        parent += children

    def linked(self, text: str, linked: set[str]) -> list[nodes.Node]:
        """The text with its links."""
        parts: list[nodes.Node] = []
        end = 0
        for match in self.pattern.finditer(text):
            term = named(match[0], self.terms)
            if term in linked:
                continue
            linked.add(term)
            words = nodes.inline("", match[0])
            link = make_refnode(self.app.builder, self.env.docname, GLOSSARY, self.terms[term], words)
            link["classes"].append("bn-term")
            parts += [nodes.Text(text[end : match.start()]), link]
            end = match.end()
        return [part for part in (*parts, nodes.Text(text[end:])) if part.astext()]


def _is_running(paragraph: nodes.Element) -> bool:
    """Whether a paragraph is running text, and not in a cell's output or in another place of its own."""
    parent = paragraph.parent
    while parent is not None:
        if isinstance(parent, ELSEWHERE) or "nb_element" in parent or "margin" in parent.get("classes", ()):
            return False
        parent = parent.parent
    return True


def again(_app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]) -> list[str]:
    """Read the chapters again where the glossary has changed."""
    return [f"{FOLDER}{name}" for name in chapters()] if GLOSSARY in added | changed | removed else []


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.add_post_transform(LinkTerms)
    app.connect("env-get-outdated", again)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
