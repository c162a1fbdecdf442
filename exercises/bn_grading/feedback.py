"""The page of feedback of a notebook: nbgrader's, byte for byte, in a fraction of the time.

What nbconvert does for each page is done once here, or not at all. A notebook that was read for its page is not copied.
A cell that was rendered before is not rendered again: most are as they were released. And nbconvert has BeautifulSoup
parse each page and write it out again, which takes longer than all else. A page of plain HTML comes out as it went in,
but for its tags, references and spaces, and `parsed` does the same to these. A page with anything else is parsed.
"""

import io
import json
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from hashlib import sha256
from html import escape, unescape
from pathlib import Path
from secrets import token_hex
from types import SimpleNamespace
from typing import Any

import nbformat
import nbgrader  # type: ignore[import-untyped]
from bs4 import BeautifulSoup
from bs4.builder import HTMLTreeBuilder
from nbconvert.exporters import HTMLExporter
from nbconvert.preprocessors import CSSHTMLHeaderPreprocessor
from nbformat import NotebookNode
from nbgrader.api import MissingEntry  # type: ignore[import-untyped]
from nbgrader.preprocessors import GetGrades, NbGraderPreprocessor  # type: ignore[import-untyped]

# Where the cells of a page go. Drawn at random in each process, so that no student's text can be one.
_PLACE = f"<!--{token_hex()}-%d-->"
_PLACES = re.compile(_PLACE.replace("%d", r"(\d+)"))
_REMEMBERING = """{% extends 'index.html.j2' %}
{% block any_cell scoped -%}{{ cells.known(nb, cell) or cells.keep(super()) }}{%- endblock any_cell %}"""
# What is kept of all cells, in characters.
_MOST = 20_000_000


@dataclass(frozen=True)
class Grades:
    """What a gradebook has for one notebook of a submission.

    Attributes:
        scores: the score and the points of each cell that has some, by the cell's name.
        comments: the comment of each cell that can have one; None without a comment.
        score: of all cells together, before the penalty.
        max_score: the points of the notebook.
        late_penalty: what is taken off the score.
    """

    scores: Mapping[str, tuple[float, float]]
    comments: Mapping[str, str | None]
    score: float
    max_score: float
    late_penalty: float


class _GivenGrades(GetGrades):  # type: ignore[misc]
    """nbgrader's, with grades that come with the notebook: it opens the gradebook for each, and asks for each cell."""

    def preprocess(self, nb: Any, resources: Any) -> tuple[Any, Any]:
        self._grades: Grades = resources["nbgrader"]["grades"]
        nb, resources = NbGraderPreprocessor.preprocess(self, nb, resources)
        resources["nbgrader"] |= {
            "score": self._grades.score - self._grades.late_penalty,
            "max_score": self._grades.max_score,
            "late_penalty": self._grades.late_penalty,
        }
        return nb, resources

    def _get_comment(self, cell: Any, resources: Any) -> None:
        cell.metadata.nbgrader["comment"] = _of(self._grades.comments, cell)

    def _get_score(self, cell: Any, resources: Any) -> None:
        cell.metadata.nbgrader["score"], cell.metadata.nbgrader["points"] = _of(self._grades.scores, cell)


class _OneStyle(CSSHTMLHeaderPreprocessor):
    """nbconvert's, which makes the same styles for each page."""

    _made: Any = None

    def _generate_header(self, resources: Any) -> Any:
        self._made = self._made or super()._generate_header(resources)  # type: ignore[no-untyped-call]
        return self._made


def _of(known: Mapping[str, Any], cell: Any) -> Any:
    name = cell.metadata["nbgrader"]["grade_id"]
    if name not in known:
        raise MissingEntry(f"the gradebook has no cell {name!r} of this notebook")
    return known[name]


def recipe(config: Any, preprocessors: list[Any]) -> bytes:
    """What `page` and `page_of` make pages by: an exporter's configuration and its preprocessors, pickled."""
    return pickle.dumps((config, preprocessors))


def with_given_grades(preprocessors: list[Any]) -> list[Any]:
    """The preprocessors of nbgrader's `GenerateFeedback`, for `page_of`. One that a course made itself stays."""
    return [_GivenGrades if each is GetGrades else each for each in preprocessors]


def page(made_by: bytes, filename: str, resources: Any) -> tuple[str, dict[str, Any]]:
    """The page of a notebook's file, and what it came with."""
    made, resources = _maker(made_by).from_filename(filename, resources=resources)
    # What the page was made with does not come back.
    return made, {name: each for name, each in resources.items() if not callable(each)}


def page_of(made_by: bytes, notebook: str, resources: Any) -> str:
    """The page of a notebook's text, whose `resources["nbgrader"]["grades"]` are its `Grades`."""
    made, _ = _maker(made_by).from_file(io.StringIO(notebook), resources=resources)
    return made


@lru_cache(maxsize=1)
def _maker(made_by: bytes) -> "Pages":
    config, preprocessors = pickle.loads(made_by)
    maker = Pages(config)
    # Once, after the last of them.
    maker.optimistic_validation = bool(preprocessors)
    for each in preprocessors:
        maker.register_preprocessor(each)
    return maker


class _Own(NotebookNode):
    """A notebook that nobody else has: nbconvert would copy it three times before it changes anything."""

    def __deepcopy__(self, memo: Any) -> "_Own":
        return self


class Pages(HTMLExporter):
    """nbconvert's exporter, which does once what it would do again and again."""

    def __init__(self, config: Any) -> None:
        self._css: Any = None
        super().__init__(config=config)  # type: ignore[no-untyped-call]
        if self._is_nbgraders():
            self.raw_template = _REMEMBERING
        self._cells = self.environment.globals["cells"] = _Cells()
        self._made: str | None = None
        # Templates do not change while pages are made.
        self.environment.auto_reload = False

    def register_preprocessor(self, preprocessor: Any, enabled: bool = False) -> Any:
        """Have nbconvert's own styles made once: it registers it for the template, and nbgrader once more."""
        if type(preprocessor) is CSSHTMLHeaderPreprocessor:
            preprocessor.__class__ = _OneStyle
        return super().register_preprocessor(preprocessor, enabled)  # type: ignore[no-untyped-call]

    def _init_resources(self, resources: Any) -> Any:
        resources = super()._init_resources(resources)  # type: ignore[no-untyped-call]
        # It reads the file.
        self._css = resources["include_css"] = self._css or cache(resources["include_css"])
        return resources

    def _is_nbgraders(self) -> bool:
        """Whether the HTML of a cell is made of the cell and the notebook's metadata alone.

        A course's own template or filter can look at whose notebook it is. Embedding takes pictures that lie beside it.
        """
        where = super().template.filename
        return (
            where is not None
            and Path(where).is_relative_to(Path(nbgrader.__file__).parent)
            and all(str(each).startswith("bn_grading.") for each in self.filters.values())
            and not self.embed_images
        )

    def from_file(  # type: ignore[override]
        self, file_stream: Any, resources: Any = None, **kwargs: Any
    ) -> tuple[str, dict[str, Any]]:
        """The page of a notebook that is read here, and what it came with."""
        # `nbformat.read` would look whether it is valid, which nbconvert does before it makes anything of it.
        notebook = _Own(nbformat.convert(nbformat.reader.reads(file_stream.read()), 4))  # type: ignore[no-untyped-call]
        return self.from_notebook_node(notebook, resources, **kwargs)

    def from_notebook_node(  # type: ignore[override]
        self, nb: Any, resources: Any = None, **kwargs: Any
    ) -> tuple[str, dict[str, Any]]:
        """The page of a notebook, and what it came with."""
        made, resources = super().from_notebook_node(nb, resources, **kwargs)
        # It keeps something of each notebook.
        self._nb_metadata.clear()
        return made if self._made is None else self._made, resources

    @property
    def template(self) -> Any:
        """What renders a page. nbconvert is left with nothing to parse if the page is what it would make of it."""
        return SimpleNamespace(render=self._render)

    def _render(self, **given: Any) -> str:
        # Also forgets what a page that failed had begun.
        self._cells.put_into("")
        html = super().template.render(**given).lstrip("\r\n")
        made = parsed(html)
        self._made = None if made is None else self._cells.put_into(made)
        return self._cells.put_into(html) if made is None else ""


class _Cells:
    """The HTML of the cells of this page and of earlier ones, parsed where that needs no page around it."""

    def __init__(self) -> None:
        self._kept: dict[bytes, tuple[str, str, str]] = {}
        self._size = 0
        self._key = b""
        self._here: list[str] = []

    def known(self, nb: Any, cell: Any) -> str:
        """What stands for a cell that was rendered before; "", if none was, and then `keep` is called for it."""
        self._key = sha256(json.dumps([nb.metadata, cell]).encode()).digest()
        return self._place() if self._key in self._kept else ""

    def keep(self, html: str) -> str:
        """Keep the HTML of the cell; what stands for it."""
        inner = html.strip(_SPACES)
        made = (parsed(inner) if inner else None) or ""
        before, _, behind = html.partition(inner) if made else (html, "", "")
        self._size += len(html)
        if self._size > _MOST:
            self._kept.clear()
            self._size = len(html)
        self._kept[self._key] = before, made, behind
        return self._place()

    def _place(self) -> str:
        before, made, behind = self._kept[self._key]
        if not made:
            return before
        self._here.append(made)
        return f"{before}{_PLACE % (len(self._here) - 1)}{behind}"

    def put_into(self, page: str) -> str:
        """The page with its cells; the next one begins."""
        here, self._here = self._here, []
        return _PLACES.sub(lambda place: here[int(place[1])], page)


# nbconvert changes these where they lie in a page of JupyterLab's template.
_FOCUSABLE = "jp-Cell-inputWrapper", "jp-OutputArea-output"
# What HTML has no end tag for.
_VOID: frozenset[str] | set[str] = HTMLTreeBuilder.DEFAULT_EMPTY_ELEMENT_TAGS or frozenset()
# Python's parser has rules of its own for what lies in these, and other ones in each version.
_OF_ITS_OWN = {"script", "style", "textarea", "title", "iframe", "noembed", "noframes", "noscript", "plaintext", "xmp"}
_OF_ITS_OWN |= {"template"}
_ATTRIBUTES = r"""(?:\s+[a-z][a-z0-9-]*=(?:"[^"<>]*"|[\w.%#-]+))*\s*"""
_TOKEN = re.compile(
    rf"""(?P<text>[^<]+)
    |(?P<cdata><(?P<name>style|script){_ATTRIBUTES}>)(?P<raw>[^<]*(?:<(?![/!])[^<]*)*)</(?P=name)>
    |<title>[^<&>]*\w[^<&>]*</title>
    |<(?P<begins>[a-z][a-z0-9]*){_ATTRIBUTES}/?>
    |</(?P<ends>[a-z][a-z0-9]*)>
    |<!--(?=[^<>-]*\w)(?:[^<>-]|-(?!-))*-->
    |<!DOCTYPE[ ]html>""",
    re.VERBOSE,
)
_LETTER = "(?:[^<>&]|&(?:lt|gt|amp|quot|#39);)"
# A program, or what was printed, in a <pre>: it stays as it is, but for quotation marks.
_RUN = re.compile(f'(?:{_LETTER}|<span(?: class="[a-z0-9-]+")?>{_LETTER}*</span>)+')
_REFERENCE = re.compile("&(?!(?:lt|gt|amp|quot|nbsp|#39|#34|#x27);)")
# The pictures in a page lie in its tags; no more of them is kept than of the page.
_LONG = 200
_SPACES = " \n\t\f\r"


def parsed(html: str) -> str | None:
    """A page as BeautifulSoup writes it out again for nbconvert; None, if that is better left to it.

    It knows what `_TOKEN` names, where each tag ends in the order in which they began.
    """
    if "\0" in html or any(name in html for name in _FOCUSABLE):
        return None
    written, opened, at = [], [], 0
    while at < len(html):
        if "pre" in opened and (run := _RUN.match(html, at)):
            at = run.end()
            written.append(run[0].replace("&quot;", '"').replace("&#39;", "'"))
            continue
        token = _TOKEN.match(html, at)
        if token is None:
            return None
        at = token.end()
        kind, text = token.lastgroup, token[0]
        if kind == "text":
            if _REFERENCE.search(text):
                return None
            text = escape(unescape(text), quote=False) if "pre" in opened or text.strip(_SPACES) else _space(text)
        elif kind == "begins":
            name = token["begins"]
            if name in _OF_ITS_OWN or (name not in _VOID and text.endswith("/>")):
                return None
            text = (_tag if len(text) < _LONG else _tag.__wrapped__)(text)
            if name not in _VOID:
                opened.append(name)
                text = text.removesuffix(f"</{name}>")
        elif kind == "ends":
            if not opened or opened.pop() != token["ends"]:
                return None
        elif kind == "raw":
            tag, raw = _tag(token["cdata"]), token["raw"]
            if raw and not raw.strip(_SPACES):
                raw = _space(raw)
            end = f"</{token['name']}>"
            text = f"{tag.removesuffix(end)}{raw}{end}"
        elif text.startswith("<!D"):
            text += "\n"
        written.append(text)
    return None if opened else "".join(written)


def _space(text: str) -> str:
    """What BeautifulSoup makes of nothing but spaces, unless they lie in a <pre>."""
    return "\n" if "\n" in text else " "


@lru_cache(maxsize=4096)
def _tag(text: str) -> str:
    """What nbconvert does to a page, on a tag of one."""
    soup = BeautifulSoup(text, features="html.parser")
    for each in soup.select("img:not([alt])"):
        each.attrs["alt"] = "No description has been provided for this image"
    return str(soup)
