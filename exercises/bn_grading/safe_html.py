"""Students' texts in the pages that nbgrader makes: formgrader, which an instructor reads, and the feedback.

nbgrader's pages show the Markdown of a notebook with all HTML in it, whatever `HTMLExporter.sanitize_html` says, so a
script in a student's text would run as the instructor. `markdown`, `terminal` and `code` stand in the places of the
filters that make the HTML (`c.HTMLExporter.filters` in `nbgrader_config.py`). What has too much markup to be parsed is
shown as text. HTML in outputs needs nothing here: that of students is cleaned when it is read (`outputs`), and a
verdict is ours and keeps its style.

`Feedback` makes a page of feedback apart (`c.GenerateFeedback.exporter_class`): one that takes too long is that
student's.
"""

import re
from functools import cache, lru_cache
from html import escape
from typing import Any

import bleach  # type: ignore[import-untyped]
from ipython_pygments_lexers import IPython3Lexer  # type: ignore[import-untyped]
from jinja2 import pass_context
from nbconvert.exporters import HTMLExporter
from nbconvert.filters import ansi2html, strip_ansi
from nbconvert.filters.highlight import Highlight2HTML
from pygments import highlight
from pygments.formatters import HtmlFormatter

from bn_grading import apart, feedback
from bn_grading.markup_limits import LONGEST_CODE, is_plain, is_short, is_tame

# As `nbgrader_config.py` has them; a course may use others.
FILTERS = {
    "markdown2html": f"{__name__}.markdown",
    "ansi2html": f"{__name__}.terminal",
    "highlight_code": f"{__name__}.code",
}
# Of processor time for one page; most take half of one.
PAGE_SECONDS = 60
_LANGUAGE = "ipython3"
# Of a text, in characters: what is shorter is kept for a while, as a class has it many times.
_OFTEN = 5000

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
        # Of a cell with pictures, and of a long one, nothing is kept.
        if len(source) < _OFTEN and not (context.get("cell") or {}).get("attachments"):
            return _text(source)
        return _html(context, source)
    # A picture that is not there, lists nested too deeply: the page is to be made all the same.
    except Exception:
        return f"<pre>{escape(source)}</pre>"


@lru_cache(maxsize=128)
def _text(source: str) -> str:
    return _html({}, source)


def _html(context: Any, source: str) -> str:
    if is_short(source):
        html = _exporter().markdown2html(context, source)
        if html and is_tame(html):
            return str(_cleaner().clean(html))
    return f"<pre>{escape(source)}</pre>"


def terminal(source: str) -> str:
    """The HTML of what was printed, in its colours."""
    return str(ansi2html(source) if is_plain(source) else escape(strip_ansi(source)))  # type: ignore[no-untyped-call]


def code(source: str, language: str | None = None, metadata: Any = None) -> str:
    """The HTML of a program, in colours."""
    if len(source) > LONGEST_CODE:
        return f'<div class="highlight"><pre>{escape(source)}</pre></div>'
    if language or "magics_language" in (metadata or {}):
        return str(_highlighter()(source, language=language, metadata=metadata))
    return (_python if len(source) < _OFTEN else _python.__wrapped__)(source)


@cache
def _highlighter() -> Any:
    return Highlight2HTML(pygments_lexer=_LANGUAGE)  # type: ignore[no-untyped-call]


@lru_cache(maxsize=128)
def _python(source: str) -> str:
    return highlight(source or " ", _lexer(), _formatter())


@cache
def _lexer() -> Any:
    return IPython3Lexer()


@cache
def _formatter() -> Any:
    """nbconvert makes one for each cell, with all its styles."""
    return HtmlFormatter(cssclass=f" highlight hl-{_LANGUAGE}")


class Feedback(HTMLExporter):
    """nbconvert's, with the work done apart."""

    def __init__(self, **kwargs: Any) -> None:
        self._registered: list[Any] = []
        super().__init__(**kwargs)  # type: ignore[no-untyped-call]

    def register_preprocessor(self, preprocessor: Any, enabled: bool = False) -> Any:
        """Remember it, too."""
        self._registered.append(preprocessor)
        return super().register_preprocessor(preprocessor, enabled)  # type: ignore[no-untyped-call]

    def from_filename(self, filename: str, resources: Any = None, **kwargs: Any) -> tuple[str, Any]:  # type: ignore[override]
        """The page of a notebook, and what it came with."""
        made_by = feedback.recipe(self.config, self._registered)
        return apart.run(feedback.page, made_by, filename, resources, seconds=PAGE_SECONDS)
