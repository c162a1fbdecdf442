"""A page's tags, one after another, without a parse: for those who change some tags and nothing else.

A parser that writes the page out again changes more than it was asked to (the case of SVG's names, the order of
attributes, what a script contains), and is slow where a page has ten thousand tags.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

# Comments, and elements whose content is text even where it looks like tags, are one token each.
TOKEN = re.compile(
    r"""<!--.*?-->
      | <(?P<raw>script|style|textarea|title)\b (?P<raw_attributes>(?:"[^"]*"|'[^']*'|[^'">])*) >
          (?P<text>.*?) </(?P=raw)\s*>
      | <(?P<close>/?) (?P<name>[a-zA-Z][\w:-]*) (?P<attributes>(?:"[^"]*"|'[^']*'|[^'">])*) >""",
    re.DOTALL | re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True)
class Tag:
    """A start tag or an end tag: `attributes` is what stands between its name and the `>`, as written."""

    name: str
    attributes: str = ""
    closes: bool = False

    def __str__(self) -> str:
        """As HTML."""
        return f"<{'/' * self.closes}{self.name}{self.attributes}>"

    def has(self, attribute: str) -> bool:
        """Whether this attribute is there, whatever its value."""
        return re.search(rf"""\s{re.escape(attribute)}(?=[\s=/]|$)""", self.attributes) is not None


def map_tags(page: str, change: Callable[[Tag], str]) -> str:
    """The page with every tag replaced by what `change` makes of it; the rest stays as it is, to the byte."""

    def replace(match: re.Match[str]) -> str:
        if match["name"] is None:
            return match[0]
        return change(Tag(match["name"], match["attributes"], bool(match["close"])))

    return TOKEN.sub(replace, page)


def raw_elements(page: str, name: str) -> Iterator[tuple[str, str]]:
    """The attributes and the text of each `script` (or `style`) of the page."""
    for match in TOKEN.finditer(page):
        if match["raw"] and match["raw"].lower() == name:
            yield match["raw_attributes"], match["text"]
