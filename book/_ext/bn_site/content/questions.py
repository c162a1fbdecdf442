"""Sphinx extension: a page's questions share one script and one stylesheet, in files.

In a notebook every question brings both with it, because nothing else would. On a page that is the same 12 kB again for
each, and `<style>` between paragraphs, which HTML does not allow.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

from docutils.nodes import document
from sphinx.application import Sphinx

ASSETS = files("bn_exercises")
SHARED = {
    "script": ("check_yourself/page.js",),
    "style": ("check_yourself/page.css", "check.css"),
}


def hoist(app: Sphinx, _page: str, _template: str, context: dict[str, Any], _doctree: document | None) -> None:
    """Take the scripts and styles out of the page's body, and ask for the files instead."""
    body = context.get("body", "")
    for tag, names in SHARED.items():
        for name in names:
            inline = f"<{tag}>{ASSETS.joinpath(name).read_text(encoding='utf-8').strip()}</{tag}>"
            if inline not in body:
                continue
            body = body.replace(inline, "")
            if tag == "script":
                app.add_js_file(f"questions/{Path(name).name}", loading_method="defer")
            else:
                app.add_css_file(f"questions/{Path(name).name}")
    context["body"] = body


def copy_assets(app: Sphinx) -> None:
    """Put the files where html_static_path finds them."""
    folder = Path(app.outdir).parent / "questions"
    (folder / "questions").mkdir(parents=True, exist_ok=True)
    for name in (name for names in SHARED.values() for name in names):
        text = ASSETS.joinpath(name).read_text(encoding="utf-8")
        (folder / "questions" / Path(name).name).write_text(text, encoding="utf-8")
    app.config.html_static_path.append(str(folder))


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.connect("builder-inited", copy_assets)
    app.connect("html-page-context", hoist)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
