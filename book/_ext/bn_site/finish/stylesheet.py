"""One small stylesheet from the many that Sphinx, its extensions and the theme bring: what `slim` needs, without files.

The theme's stylesheet holds all of Bootstrap and the names of two thousand icons. Of a rule we keep the selectors whose
classes and ids are words of some page or script. So nothing goes that could apply, as long as no script puts a class
together from parts; the one that does is in `FROM_PARTS`.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Collection, Iterator
from html import unescape

import tinycss2
from tinycss2.ast import AtRule, Node, QualifiedRule

WORD = re.compile(r"[\w-]+")
FROM_PARTS = re.compile(r"bs-(tooltip|popover)-")  # Bootstrap's scripts

GROUPS = {"media", "supports", "layer", "container"}  # rules that hold rules
IMPORT = re.compile(r"@import\s+(?:url\()?[\"']?([^\"');]+)[\"']?\)?\s*;")
LINK = re.compile(r"url\(\s*([\"']?)(?!data:|#|[a-z]+:|/)([^\"')]+)\1\s*\)")


def words(text: str) -> set[str]:
    """Everything in a page or a script that could be the name of a class or an id."""
    return set(WORD.findall(text))


def whole(name: str, read: Callable[[str], str]) -> str:
    """The text of a stylesheet and of those that it imports, with addresses as seen from where names begin."""
    folder = posixpath.dirname(name)

    def place(address: str) -> str:
        return posixpath.normpath(posixpath.join(folder, address))

    text = LINK.sub(lambda match: f"url({place(match[2])})", read(name))
    return IMPORT.sub(lambda match: whole(place(match[1]), read), text)


def purged(css: str, known: Collection[str]) -> str:
    """The rules that could apply to something on pages made of these words."""
    return _rules(tinycss2.parse_stylesheet(css, skip_comments=True, skip_whitespace=True), known)


def _rules(rules: list[Node], known: Collection[str]) -> str:
    return "".join(filter(None, (_rule(rule, known) for rule in rules)))


def _rule(rule: Node, known: Collection[str]) -> str:
    if isinstance(rule, AtRule) and rule.lower_at_keyword in GROUPS and rule.content is not None:
        inside = tinycss2.parse_rule_list(rule.content, skip_comments=True, skip_whitespace=True)
        kept = _rules(inside, known)
        return f"@{rule.at_keyword}{tinycss2.serialize(rule.prelude)}{{{kept}}}" if kept else ""
    if not isinstance(rule, QualifiedRule):
        return "" if getattr(rule, "lower_at_keyword", "") == "charset" else rule.serialize()
    selectors = [part for part in _split(rule.prelude) if all(_is_known(name, known) for name in _names(part))]
    if not selectors:
        return ""
    return f"{','.join(tinycss2.serialize(part).strip() for part in selectors)}{{{tinycss2.serialize(rule.content)}}}"


def _is_known(name: str, known: Collection[str]) -> bool:
    return name in known or FROM_PARTS.match(name) is not None or WORD.fullmatch(name) is None


def _split(prelude: list[Node]) -> Iterator[list[Node]]:
    """The selectors of a rule."""
    part: list[Node] = []
    for token in prelude:
        if token == ",":
            yield part
            part = []
        else:
            part.append(token)
    yield part


def _names(selector: list[Node]) -> Iterator[str]:
    """The classes and ids that an element must have; what is inside `:not()` or `:is()` need not be there."""
    for before, token in zip([None, *selector], selector, strict=False):
        if token.type == "hash" or (token.type == "ident" and before == "."):
            yield token.value


FACE = re.compile(r"@font-face\s*\{[^}]*\}")
FILE = re.compile(r"url\(([^)]*?)\.woff2?\)")


def with_fonts(css: str, cut: Callable[[str], str | None]) -> str:
    """The stylesheet with other fonts: `cut(file without ending)` gives an address, or None to keep."""

    def replace(face: re.Match[str]) -> str:
        font = FILE.search(face[0])
        address = font and cut(font[1])
        return re.sub(r"src:[^;}]*", f"src:url({address})", face[0]) if address else face[0]

    return FACE.sub(replace, css)


FORMULA = re.compile(r'class="katex-html".*?(?=</?(?:p|div|li|td|th|dd|dt|h[1-6]|table|section)\b)', re.DOTALL)
IN_SPAN = re.compile(r"<span[^>]*>([^<]+)")


def of_formulas(page: str) -> set[str]:
    """The characters that KaTeX's fonts draw on a page (and some more: up to the end of the paragraph)."""
    texts = (text for formula in FORMULA.findall(page) for text in IN_SPAN.findall(formula))
    return set().union(*map(unescape, set(texts)))


def characters(text: str) -> set[str]:
    """All characters of a stylesheet, also those that it gives by their numbers."""
    return set(text) | {chr(int(code, 16)) for code in re.findall(r"\\([0-9a-fA-F]{2,5})\b", text)}
