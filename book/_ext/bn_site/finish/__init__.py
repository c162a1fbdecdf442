"""What is done to a finished page: it is read, passed through a few functions from text to text, and written, once.

Sphinx writes again only the pages that have changed, and what concerns one page alone is done to these. What comes of
it is kept beside the site, because the pages share a stylesheet, which is made of what is on all of them. A page that
has not changed is written again only if the stylesheet has.
"""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.application import Sphinx

from bn_site import ROOT
from bn_site.content.execution import fingerprint
from bn_site.finish.correct import corrected
from bn_site.finish.policy import with_policy
from bn_site.finish.slim import (
    has_stylesheet,
    is_as_written,
    with_needed_scripts,
    with_one_stylesheet,
    write_stylesheet,
)

# Sphinx writes no page again because a script, a style or an extension has changed. It does for a setting.
MADE_BY = ("_ext", "_static", "_templates")
WRITTEN = ".written"


def with_cover(page: str) -> str:
    """The page, which book.css knows for a cover by a class if it has a map of the chapters."""
    return page.replace("<html", '<html class="bn-cover"', 1) if re.search(r'class="[^"]*\bbn-map\b', page) else page


def keep(site: Path, kept: Path) -> None:
    """Put right and keep the pages that are as Sphinx wrote them, and of the others those that are still there."""
    for path in site.rglob("*.html"):
        name = path.relative_to(site)
        page = path.read_text(encoding="utf-8")
        if is_as_written(page) and "_static" not in name.parts:  # where a theme leaves its templates
            target = kept / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(corrected(with_needed_scripts(with_cover(page))), encoding="utf-8")
    for path in kept.rglob("*.html"):
        if not (site / path.relative_to(kept)).exists():
            path.unlink()


def finish(app: Sphinx, exception: Exception | None) -> None:
    """Make the site's pages of those that Sphinx wrote."""
    if exception is not None or app.builder.name != "html":
        return
    site = Path(app.outdir)
    kept = site.parent / WRITTEN
    keep(site, kept)
    pages = {path.relative_to(kept): path.read_text(encoding="utf-8") for path in sorted(kept.rglob("*.html"))}
    version = write_stylesheet(site / "_static", pages.values())
    for name, page in pages.items():
        if not has_stylesheet((site / name).read_text(encoding="utf-8"), version):
            # The policy names the inline scripts, so it comes last.
            (site / name).write_text(with_policy(with_one_stylesheet(page, version)), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.add_config_value("pages_made_by", fingerprint(ROOT / "book" / name for name in MADE_BY), "html", str)
    app.add_js_file("print.js", loading_method="defer")
    # After the theme, which writes its colours of code at the end of a build.
    app.connect("build-finished", finish, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
