"""Sphinx extension: docstrings are written to be read in the source, and this lets them be read on the page as well.

In a terminal an indented formula needs no markup; in reStructuredText it would become a quotation with its asterisks
eaten. So what is laid out by hand in a docstring's prose is shown as it stands. Sections (`Args:` ...) are napoleon's.
"""

from __future__ import annotations

import re

from sphinx.application import Sphinx

SECTION = re.compile(r"[A-Z]\w*:$")
LIST_ITEM = re.compile(r"([-*]|\d+\.) ")


def keep_layout(lines: list[str]) -> list[str]:
    """Return the lines of a docstring with the paragraphs that are laid out by hand marked as literal."""
    kept: list[str] = []
    in_section = False
    for paragraph in _paragraphs(lines):
        first = paragraph[0]
        in_section = bool(len(paragraph) > 1 and SECTION.match(first)) or (in_section and first.startswith(" "))
        indented = any(line.startswith(" ") for line in paragraph)
        if indented and not in_section and not LIST_ITEM.match(first):
            kept += [".. code-block:: text", "", *(f"    {line}" for line in paragraph), ""]
        else:
            kept += [*paragraph, ""]
    return kept


def _paragraphs(lines: list[str]) -> list[list[str]]:
    """Split at blank lines."""
    paragraphs: list[list[str]] = [[]]
    for line in lines:
        if line.strip():
            paragraphs[-1].append(line)
        else:
            paragraphs.append([])
    return [paragraph for paragraph in paragraphs if paragraph]


def _process(_app: Sphinx, _what: str, _name: str, _obj: object, _options: object, lines: list[str]) -> None:
    lines[:] = keep_layout(lines)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to autodoc, ahead of napoleon."""
    app.connect("autodoc-process-docstring", _process, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
