"""Sphinx extension: what one page quotes of another, so that it is written once.

`` {claim}`NAME` `` is what the ledger's page measured for a claim, with a link to its card, and `` {verdict}`NAME` ``
the verdict alone. The directive `{formula}` is a formula that stands on its own line in the section with that label:
the one that contains the text given `:with:`, or the first. All are taken from the other page when all pages have been
read, and a name that is not there is a warning.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective, SphinxRole
from sphinx.util.nodes import make_refnode

from bn_book.ledger import title

logger = logging.getLogger(__name__)

LEDGER = "book/claims"


class quoted_claim(nodes.Inline, nodes.Element):
    """A place for what was measured for a claim."""


class quoted_formula(nodes.Element):
    """A place for a formula."""


class NotThere(Exception):
    """What is to be quoted is not there."""


class ClaimRole(SphinxRole):
    """`` {claim}`NAME` `` or `` {verdict}`NAME` ``."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Leave a place."""
        self.env.note_dependency(self.env.doc2path(LEDGER))
        place = quoted_claim("", name=self.text, whole=self.name == "claim")
        self.set_source_info(place)
        return [place], []


class Formula(SphinxDirective):
    """`{formula} LABEL`, with the option `:with:`."""

    required_arguments = 1
    option_spec: ClassVar[dict[str, Any]] = {"with": directives.unchanged_required}

    def run(self) -> list[nodes.Node]:
        """Leave a place."""
        label = self.arguments[0]
        self.env.metadata[self.env.docname].setdefault("quotes", set()).add(label)
        place = quoted_formula("", label=label, text=self.options.get("with", ""))
        self.set_source_info(place)
        return [place]


class Quote(SphinxPostTransform):
    """Fill the places."""

    default_priority = 4  # before references are resolved

    def run(self, **_: Any) -> None:
        """Put in what is quoted, or say that it is not there."""
        for place in list(self.document.findall(lambda node: isinstance(node, quoted_claim | quoted_formula))):
            try:
                found = self.claim(place) if isinstance(place, quoted_claim) else [self.formula(place)]
            except NotThere as missing:
                logger.warning("%s", missing, location=place)
                found = []
            place.replace_self(found)

    def claim(self, place: nodes.Element) -> list[nodes.Node]:
        """The claim's title as a link, its number and its verdict; or the verdict and the title."""
        name = place["name"]
        says = next((each for each in self.ledger.findall(nodes.paragraph) if f"claim-{name}" in each["ids"]), None)
        if says is None:
            raise NotThere(f"the ledger has no claim {name!r}")
        numbers = says.parent[says.parent.index(says) + 1]
        verdict = says.parent.astext().partition(" · ")[0].strip()
        words = nodes.inline("", title(name))
        link = make_refnode(self.app.builder, self.env.docname, LEDGER, f"claim-{name}", words)
        if not place["whole"]:
            return [nodes.Text(f"{verdict[0]}\N{NO-BREAK SPACE}"), link]
        ours = [each.deepcopy() for each in _first_line(numbers)]
        return [link, nodes.Text(": "), *ours, nodes.Text(f". {verdict}")]

    @cached_property
    def ledger(self) -> nodes.Element:
        """The ledger's document, which is long: it is read once for all quotations of a page."""
        return self.env.get_doctree(LEDGER) if LEDGER in self.env.found_docs else nodes.Element()

    def formula(self, place: nodes.Element) -> nodes.math_block:
        """The formula."""
        label, text = place["label"], place["text"]
        docname, target = self.env.get_domain("std").anonlabels.get(label, ("", ""))
        for section in _sections(self.env, docname):
            if target in section["ids"]:
                found = next((each for each in section.findall(nodes.math_block) if text in each.astext()), None)
                if found is not None:
                    return found.deepcopy()
        raise NotThere(f"no section {label!r} has a formula with {text!r}")


def _first_line(paragraph: nodes.Element) -> Iterator[nodes.Node]:
    """What stands before the first end of a line."""
    for child in paragraph.children:
        if isinstance(child, nodes.raw) or child.astext() == "\n":
            return
        yield child


def _sections(env: BuildEnvironment, docname: str) -> Iterator[nodes.section]:
    return env.get_doctree(docname).findall(nodes.section) if docname else iter(())


def depend(_app: Sphinx, env: BuildEnvironment) -> None:
    """Have a page read again when one has changed whose formulas it quotes: all labels are known now."""
    pages = env.get_domain("std").anonlabels
    for docname, metadata in env.metadata.items():
        quoted = {pages[label][0] for label in metadata.get("quotes", ()) if label in pages}
        env.dependencies[docname].update(str(env.doc2path(page)) for page in quoted)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx."""
    for name in ("claim", "verdict"):
        app.add_role(name, ClaimRole())
    app.add_directive("formula", Formula)
    app.add_node(quoted_claim)
    app.add_node(quoted_formula)
    app.add_post_transform(Quote)
    app.connect("env-updated", depend)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
