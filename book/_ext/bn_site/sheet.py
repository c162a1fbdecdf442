"""Sphinx extension: the cheat sheet as a PDF beside its page, printed by Chromium from that page, where there is one.

`{sheet-pdf}` is the sentence above the sheet, with a link to the PDF if it will be there.
"""

from __future__ import annotations

from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

from bn_book.printing import chromium, print_to
from bn_exercises.translation import _, marked

PAGE = "book/cheat_sheet"


class SheetPdf(SphinxDirective):
    """How to have the sheet on paper."""

    def run(self) -> list[nodes.Node]:
        """Say it."""
        pdf = f'<a href="{Path(PAGE).name}.pdf">{_("as a PDF")}</a>'
        how = _("print this page, or take it {as_pdf}", as_pdf=pdf) if chromium() else _("print this page")
        html = f'<p class="bn-screen-only"{marked()}>{_("All of it on two sides of A4: {how}.", how=how)}</p>'
        return [nodes.raw("", html, format="html")]


def print_sheet(app: Sphinx, exception: Exception | None) -> None:
    """Print the finished page, if it was written after its PDF."""
    page = Path(app.outdir) / f"{PAGE}.html"
    pdf = page.with_suffix(".pdf")
    program = chromium()
    if exception is not None or app.builder.name != "html" or program is None or not page.exists():
        return
    if pdf.exists() and pdf.stat().st_mtime >= page.stat().st_mtime:
        return
    try:
        print_to(pdf, page, program)
    except RuntimeError as error:
        raise ExtensionError(str(error)) from error


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx, after the pages are finished."""
    app.add_directive("sheet-pdf", SheetPdf)
    app.connect("build-finished", print_sheet, priority=950)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
