"""Puts right, in a finished page, what the theme and the tools before it write wrong.

Each correction says what was wrong. What is ours is corrected where it is written; this is for the markup of others.
"""

from __future__ import annotations

import re

from bn_exercises.translation import N_, _
from bn_site.finish.tags import Tag, map_tags

# The names of buttons that show only an icon, where the theme gives a title that says what the layout does.
NAMES = {"Toggle primary sidebar": N_("Chapters"), "Toggle secondary sidebar": N_("On this page")}

DIALOGS = {
    "pst-search-dialog": N_("Search"),
    "pst-primary-sidebar-modal": N_("Chapters"),
    "pst-secondary-sidebar-modal": N_("On this page"),
}


def corrected(page: str) -> str:
    """The page, valid and accessible."""
    page = re.sub(
        r"(<meta name=\"viewport\"[^>]*>)<meta name=\"viewport\"[^>]*>", r"\1", page
    )  # docutils' and Sphinx's
    page = re.sub(r"<h1>\s*</h1>", "", page)  # the title, on paper, of a page that has none
    page = re.sub(
        r"<th([^>]*)>(?:\s|<p>\s*</p>)*</th>", r"<td\1></td>", page
    )  # a corner, which is the heading of nothing
    page = re.sub(
        r"<thead>(?:\s|</?tr[^>]*>|<t[hd][^>]*>|</t[hd]>|</?p>)*</thead>", "", page
    )  # Markdown has no table without headings, so it writes empty ones
    if 'id="pst-secondary-sidebar"' not in page:  # a page without sections, and a button that would list them
        page = re.sub(r'<button class="[^"]*secondary-toggle.*?</button>', "", page, flags=re.DOTALL)
    page = map_tags(page, _simple)
    page = re.sub(r"<summary.*?</summary>", _summary, page, flags=re.DOTALL)
    page = re.sub(r"(?<=<pre>).*?(?=</pre>)", _pre, page, flags=re.DOTALL)
    return re.sub(r'<div role="list" class="citation-list">.*?</article>', _citations, page, flags=re.DOTALL)


def _simple(tag: Tag) -> str:
    """Corrections that need no more than the tag itself."""
    attributes = tag.attributes
    if tag.closes:
        return str(tag)
    if tag.name == "button":
        title = re.search(r'\stitle="([^"]*)"', attributes)
        if "search-button-field" in attributes:  # its name is not what it shows, "Search Ctrl+K"
            attributes = attributes.replace(' aria-label="Search"', "")
        elif title:
            name = _(NAMES[title[1]]) if title[1] in NAMES else title[1]
            attributes = attributes.replace(title[0], f' title="{name}"')
            if not tag.has("aria-label"):  # a title is the last thing that a screen reader looks for in a name
                attributes += f' aria-label="{name}"'
        # A script in an attribute is what a security policy forbids: print.js does this.
        attributes = attributes.replace(' onclick="window.print()"', " data-print")
        # Without scripts these do nothing, so they are not there; the theme says so for its other buttons.
        if re.search(r'class="(?![^"]*pst-js-only)[^"]*\b(sidebar-toggle|dropdown-toggle)\b', attributes):
            attributes = attributes.replace('class="', 'class="pst-js-only ', 1)
    if tag.name == "dialog" and not tag.has("aria-label"):
        identity = re.search(r'\sid="([^"]*)"', attributes)
        if identity and identity[1] in DIALOGS:
            attributes += f' aria-label="{_(DIALOGS[identity[1]])}"'  # they opened without a word
    if tag.name == "a" and 'class="current reference' in attributes and not tag.has("aria-current"):
        attributes += ' aria-current="page"'  # so far only its colour said which chapter this is
    if tag.name == "th" and 'class="head' in attributes and not tag.has("scope"):
        attributes += ' scope="col"'  # else a browser has to guess, where a corner of the table is empty
    if tag.name == "aside" and 'class="margin' in attributes and not tag.has("role"):
        attributes += ' role="note"'  # a remark on a paragraph is no part of the page to jump to
    if tag.name == "div" and 'id="pst-primary-sidebar"' in attributes and not tag.has("role"):
        attributes += f' role="region" aria-label="{_("The book")}"'  # its title stood outside all landmarks
    if tag.name == "nav" and 'class="contents' in attributes and not re.search(r"\saria-label(ledby)?=", attributes):
        # Docutils names no list of sections, and a page has other landmarks.
        attributes += f' aria-label="{_("Sections")}"'
    if tag.name == "i" and re.search(r'class="(?=[^"]*\bfa-)', attributes) and not tag.has("aria-hidden"):
        # It stands beside its word, or in a button that has a name.
        attributes = re.sub(r' title="[^"]*"', "", attributes) + ' aria-hidden="true"'
    return str(Tag(tag.name, attributes))


def _summary(match: re.Match[str]) -> str:
    """MyST-NB puts paragraphs in a summary, which takes only phrases, and a name that is not what it shows."""

    def change(tag: Tag) -> str:
        if tag.name == "summary":
            return str(Tag("summary", tag.attributes.replace(' aria-label="Toggle hidden content"', ""), tag.closes))
        return str(Tag("span", tag.attributes, tag.closes) if tag.name == "p" else tag)

    return map_tags(match[0], change)


def _pre(match: re.Match[str]) -> str:
    """Sphinx's pages of source code mark each definition with a block, in `<pre>`, which takes only phrases."""
    return map_tags(match[0], lambda tag: str(Tag("span", tag.attributes, tag.closes) if tag.name == "div" else tag))


def _citations(match: re.Match[str]) -> str:
    """Docutils calls the references a list and its parts something else, which ARIA 1.2 has given up."""
    return match[0].replace('role="doc-biblioentry"', 'role="listitem"')
