"""The page of feedback of a notebook: nbgrader's, with what many students have in common made once.

nbconvert renders a page as a whole and then parses it as a whole. But most of a page is what was released, and most of
the rest is what others answered, too. So `CellByCell` renders and parses each cell apart, keeps its HTML by all that it
was made of, and puts it where nbconvert would have had it: the page is the same, byte for byte. A cell whose tags do
not close within it changes what comes after it, so a page that has one is made as nbconvert makes it.
"""

import io
import json
import pickle
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from html.parser import HTMLParser
from typing import Any

from bs4 import BeautifulSoup
from bs4.builder import HTMLTreeBuilder
from nbconvert.exporters import HTMLExporter
from nbgrader.api import MissingEntry  # type: ignore[import-untyped]
from nbgrader.preprocessors import GetGrades, NbGraderPreprocessor  # type: ignore[import-untyped]

# Where the cells of a page go. Drawn at random in each process, so that no student's text can be one.
_PLACE = f"<!--{secrets.token_hex()}-%d-->"
_CELL_BY_CELL = """{% extends 'index.html.j2' %}
{% block any_cell scoped -%}
{%- if cells.knows(nb, cell) -%}{{- cells.place() -}}
{%- else -%}{%- set html %}{{ super() }}{% endset -%}{{- cells.place(html) -}}{%- endif -%}
{%- endblock any_cell %}"""
# What is kept of all cells, in characters.
_MOST = 20_000_000
# nbconvert changes these where they lie in a page of JupyterLab's template.
_FOCUSABLE = "jp-Cell-inputWrapper", "jp-OutputArea-output"
# What HTML has no end tag for.
_VOID: frozenset[str] | set[str] = HTMLTreeBuilder.DEFAULT_EMPTY_ELEMENT_TAGS or frozenset()
# BeautifulSoup makes one of several of these, wherever they came from.
_SPACES = " \n\t\f\r"


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
    return _made(made_by, lambda maker: maker.from_filename(filename, resources=pickle.loads(pickle.dumps(resources))))


def page_of(made_by: bytes, notebook: str, resources: Any) -> str:
    """The page of a notebook's text, whose `resources["nbgrader"]["grades"]` are its `Grades`."""
    return _made(made_by, lambda maker: maker.from_file(io.StringIO(notebook), resources=resources))[0]


def _made(made_by: bytes, by: Any) -> tuple[str, dict[str, Any]]:
    cell_by_cell, as_a_whole = _makers(made_by)
    try:
        made, resources = by(cell_by_cell)
    except _NotAloneError:
        made, resources = by(as_a_whole)
    # What the page was made with does not come back.
    return made, {name: each for name, each in resources.items() if not callable(each)}


@lru_cache(maxsize=1)
def _makers(made_by: bytes) -> tuple[Any, Any]:
    config, preprocessors = pickle.loads(made_by)
    makers = CellByCell(config=config), HTMLExporter(config=config)  # type: ignore[no-untyped-call]
    for maker in makers:
        for each in preprocessors:
            maker.register_preprocessor(each)  # type: ignore[no-untyped-call]
    return makers


class _NotAloneError(Exception):
    """A cell whose HTML depends on the page around it, or the other way round."""


class CellByCell(HTMLExporter):
    """nbconvert's exporter, which makes the HTML of two cells that are the same once."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(raw_template=_CELL_BY_CELL, **kwargs)  # type: ignore[no-untyped-call]
        self._cells = _Cells()
        self.environment.globals["cells"] = self._cells

    def from_notebook_node(  # type: ignore[override]
        self, nb: Any, resources: Any = None, **kwargs: Any
    ) -> tuple[str, dict[str, Any]]:
        """The page of a notebook, and what it came with."""
        self._cells.begin()
        made, resources = super().from_notebook_node(nb, resources, **kwargs)
        return self._cells.put_into(made), resources


class _Cells:
    """The cells of the page that is being made, and those of earlier pages."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[str, str, str]] = {}
        self._size = 0
        self._here: list[str] = []
        self._key = ""

    def begin(self) -> None:
        """Begin a page."""
        self._here = []

    def knows(self, nb: Any, cell: Any) -> bool:
        """Whether such a cell was rendered before; it is the one that `place` is called for."""
        self._key = json.dumps([nb.metadata, cell], sort_keys=True)
        return self._key in self._kept

    def place(self, html: str | None = None) -> str:
        """What stands for the cell until `put_into`; if it is rendered now, keep it."""
        if html is not None:
            self._keep(html)
        before, inner, behind = self._kept[self._key]
        if not inner:
            return before
        self._here.append(inner)
        return f"{before}{_PLACE % (len(self._here) - 1)}{behind}"

    def _keep(self, html: str) -> None:
        inner = html.strip(_SPACES)
        before, _, behind = html.partition(inner) if inner else (html, "", "")
        if any(name in inner for name in _FOCUSABLE) or not _is_balanced(inner):
            raise _NotAloneError
        inner = _parsed(inner)
        self._size += len(inner) + len(self._key)
        if self._size > _MOST:
            self._kept.clear()
            self._size = len(inner) + len(self._key)
        self._kept[self._key] = before, inner, behind

    def put_into(self, made: str) -> str:
        """The page with its cells."""
        for number, inner in enumerate(self._here):
            made = made.replace(_PLACE % number, inner, 1)
        return made


def _parsed(html: str) -> str:
    """What nbconvert does to a page, on a part of one."""
    soup = BeautifulSoup(html, features="html.parser")
    for each in soup.select("img:not([alt])"):
        each.attrs["alt"] = "No description has been provided for this image"
    return str(soup)


class _Balance(HTMLParser):
    """Whether each tag is closed, and in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.holds = True

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        """It is closed."""

    def handle_endtag(self, tag: str) -> None:
        self.holds = self.holds and bool(self.open) and self.open.pop() == tag


def _is_balanced(html: str) -> bool:
    balance = _Balance()
    balance.feed(html)
    balance.close()
    return balance.holds and not balance.open
