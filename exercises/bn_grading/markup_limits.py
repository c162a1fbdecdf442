"""How much markup there is in a student's text, counted in one pass, before anything parses it.

A parser of HTML takes as long as tags times nesting, one of a terminal's colours as long as codes times length, and one
that colours programs as long as the square of some. So what has more than anybody writes is shown as text.
"""

import re

# Elements of a table with 200 rows and 20 columns. With all of them nested, cleaning takes a second.
MOST_TAGS = 5000
DEEPEST = 100
LONGEST_HTML = 500_000
LONGEST_MARKDOWN = 50_000
# "\begin{...}" in Markdown: each is searched for its end.
MOST_FORMULAS = 200
LONGEST_CODE = 10_000
MOST_CODES = 2000
_LONGEST_CODE = 100

_BEGINS = re.compile("<[a-zA-Z]")
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9-]{0,20})")
_ALONE = frozenset(("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"))
# A colour takes 20.
_LONG_CODE = re.compile(rf"\x1b\[[^@-~]{{{_LONGEST_CODE}}}")


def tags(html: str) -> int:
    """How many elements begin in a text at most, or end, whatever a parser takes for one: each begins so."""
    return max(sum(1 for _ in _BEGINS.finditer(html)), html.count("</"))


def depth(html: str) -> int:
    """How deeply its tags are nested, where each ends as it should. One that does not counts as open to the end."""
    opened: list[str] = []
    deepest = 0
    for end, name in _TAG.findall(html):
        if not end and name.lower() not in _ALONE:
            opened.append(name.lower())
            deepest = max(deepest, len(opened))
        elif end and opened and opened[-1] == name.lower():
            opened.pop()
    return deepest


def is_tame(html: str) -> bool:
    """Whether HTML is small enough to be parsed.

    Its size and its tags are bounds that hold. What hides an end in a comment has its nesting counted wrongly, and is
    still no more than so many tags.
    """
    return len(html) <= LONGEST_HTML and tags(html) <= MOST_TAGS and depth(html) <= DEEPEST


def is_short(markdown: str) -> bool:
    """Whether Markdown is small enough to be parsed, and so is what it makes."""
    return len(markdown) <= LONGEST_MARKDOWN and markdown.count(r"\begin") <= MOST_FORMULAS and is_tame(markdown)


def is_plain(text: str) -> bool:
    """Whether what a terminal was sent has no more codes than a person's output, and none that is long."""
    return text.count("\x1b") <= MOST_CODES and not _LONG_CODE.search(text)
