"""The site's Sphinx extension: what Jupyter Book has no setting for. Its parts, in the order in which they are set up.

`content` changes documents, before they are pages. `address` says what the site is to search engines and to those who
share a link. `finish` is what is done to a finished page. `lite` puts a Jupyter beside the pages. `sheet`
prints the cheat sheet.
"""

from __future__ import annotations

from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[3]

PARTS = (
    "content.execution",
    "content.downloads",
    "content.docstrings",
    "content.explorables",
    "content.mathematics",
    "content.typography",
    "content.contents",
    "content.chapter_map",
    "content.key_points",
    "content.reading_list",
    "content.quoted",
    "content.glossary",
    "content.questions",
    "content.search_page",
    "address",
    "lite",
    "finish",
    "sheet",
)


def setup(app: Sphinx) -> dict[str, bool]:
    """Set up the parts."""
    for part in PARTS:
        app.setup_extension(f"{__name__}.{part}")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
