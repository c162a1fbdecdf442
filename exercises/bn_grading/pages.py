"""Students' texts in the pages that nbgrader makes: formgrader, which an instructor reads, and the feedback.

nbgrader's pages show the Markdown of a notebook with all HTML in it, whatever `HTMLExporter.sanitize_html` says, so a
script in a student's text would run as the instructor. `markdown` stands in the place of the filter that makes the HTML
(`c.HTMLExporter.filters` in `nbgrader_config.py`). Outputs need nothing here: those of students are cleaned when they
are read (`outputs`), and a verdict is ours and keeps its style.
"""

import re
from functools import cache
from html import escape
from typing import Any

import bleach  # type: ignore[import-untyped]
from jinja2 import pass_context
from nbconvert.exporters import HTMLExporter

_TAGS = frozenset(
    (
        *("a", "abbr", "b", "blockquote", "br", "caption", "code", "dd", "del", "div", "dl", "dt"),
        *("em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i", "img", "kbd", "li"),
        *("ol", "p", "pre", "q", "s", "samp", "small", "span", "strong", "sub", "sup", "table"),
        *("tbody", "td", "tfoot", "th", "thead", "tr", "u", "ul", "var"),
    )
)
_ADDRESS = re.compile(r"(https?://|mailto:|#|\.?/?[\w-]+[\w./-]*$)")
# Attached, or a file beside the notebook: any other address is asked for by who looks at the page.
_PICTURE = re.compile(r"data:image/(png|jpeg|gif);base64,[A-Za-z0-9+/=\s]*$|(?!.*\.\.)\w[\w./-]*\.(png|jpe?g|gif|svg)$")
# What Pygments calls the parts of a program. Other classes are nbgrader's own, and its scripts act on them.
_PROGRAM = re.compile(r"(highlight|[a-z]{1,2}[a-z0-9]?)?$")


def _is_allowed(tag: str, name: str, value: str) -> bool:
    if name == "href":
        return tag == "a" and _ADDRESS.match(value) is not None
    if name == "src":
        return tag == "img" and _PICTURE.match(value) is not None
    if name == "class":
        return tag in ("div", "span") and _PROGRAM.match(value) is not None
    if name in ("colspan", "rowspan", "start"):
        return value.isdigit() and len(value) < 5
    return name in ("alt", "title", "align")


@cache
def _cleaner() -> Any:
    return bleach.sanitizer.Cleaner(
        tags=_TAGS, attributes=_is_allowed, protocols={"http", "https", "mailto", "data"}, strip_comments=True
    )


@cache
def _exporter() -> Any:
    # Nothing could lead to them: a student's names for places could be those of nbgrader's scripts.
    return HTMLExporter(exclude_anchor_links=True)  # type: ignore[no-untyped-call]


@pass_context
def markdown(context: Any, source: str) -> str:
    """The HTML of a Markdown text: what shows something, and nothing that acts or is loaded from elsewhere."""
    try:
        html = _exporter().markdown2html(context, source)
    # A picture that is not there, lists nested too deeply: the page is to be made all the same.
    except Exception:
        html = f"<pre>{escape(source)}</pre>"
    return str(_cleaner().clean(html))
