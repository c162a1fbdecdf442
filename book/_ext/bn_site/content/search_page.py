"""Sphinx extension: gives the page of search results a script of our own (`book/_static/search.js`), and only that."""

from __future__ import annotations

from sphinx.application import Sphinx


def add_script(app: Sphinx, page: str, *_: object) -> None:
    """Add the script behind Sphinx's own, whose sentences and settings it changes."""
    if page == "search":
        app.add_js_file("search.js")


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to the writing of pages."""
    app.connect("html-page-context", add_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
