"""One voice on all pages: what is shown of a cell, how a table begins, what touches a formula, what a footer says."""

import ast
import re
from pathlib import Path

import jupytext
import matplotlib.pyplot as plt
import pytest
import yaml
from bn_site.content.typography import Numbers
from bs4 import BeautifulSoup
from docutils import nodes
from docutils.frontend import get_default_settings
from docutils.utils import new_document

from bn_book.drawing import style

ROOT = Path(__file__).parents[2]
TITLE = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["title"]
SOURCES = sorted(path for path in (ROOT / "book").rglob("*.md") if "code-cell" in path.read_text(encoding="utf-8"))
EXERCISES = sorted(path.stem for path in (ROOT / "book/exercises").glob("*.md") if path.stem != "index")

HIDDEN = {"remove-cell", "remove-input"}
FOLDED = {"hide-cell", "hide-input"}
# Calls that prepare a page and show a reader nothing of the subject.
GLUE = {"glue", "use_style"}


def is_glue(statement: ast.stmt) -> bool:
    """Whether a statement only imports, or hands a number to the text."""
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return True
    call = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in GLUE


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_a_shown_cell_teaches(source):
    """It does more than import or glue, and it checks nothing for the authors, not even where it is folded."""
    for cell in jupytext.read(source).cells:
        tags = set(cell.metadata.get("tags", ()))
        if cell.cell_type != "code" or tags & HIDDEN:
            continue
        body = ast.parse(cell.source).body
        assert tags & FOLDED or not all(map(is_glue, body)), (
            f"only imports or glue, and no reader needs it:\n{cell.source}"
        )
        asserts = [node.lineno for node in ast.walk(ast.Module(body, [])) if isinstance(node, ast.Assert)]
        assert not asserts, f"an assert in a shown cell:\n{cell.source}"


@pytest.fixture(scope="module")
def pages(built_site):
    """Every page of the book, parsed."""
    paths = sorted((built_site / "book").rglob("*.html"))
    return {
        str(path.relative_to(built_site / "book").with_suffix("")): BeautifulSoup(
            path.read_text(encoding="utf-8"), "html.parser"
        )
        for path in paths
    }


def test_no_table_has_a_row_of_empty_headings(pages):
    heads = [(name, head) for name, page in pages.items() for head in page.select("article thead")]
    assert len(heads) > 20
    assert not [(name, str(head)) for name, head in heads if not head.get_text(strip=True)]


def test_a_comma_stays_with_the_formula_before_it(pages):
    """And a bracket with the one after it: they share a box in which only the formula may break."""
    alone = []
    for name, page in pages.items():
        for formula in page.select("article span.math"):
            if "bn-joined" in (formula.parent.get("class") or ()):
                continue
            before, after = str(formula.previous_sibling or ""), str(formula.next_sibling or "")
            if re.match(r"[^\s<–—]", after) or re.search(r"[(\[“‘]$", before):
                alone.append((name, before[-9:], formula.annotation.get_text(), after[:9]))
    assert not alone
    assert sum(len(page.select(".bn-joined")) for page in pages.values()) > 100


def test_a_link_that_the_theme_shortened_is_passed():
    """The theme puts a text into a link to GitHub that does not know where it is."""
    document = new_document("page", get_default_settings())
    link, words = nodes.reference(), nodes.paragraph()
    document += [link, words]
    link.children = [nodes.Text("one/two#3")]
    words += nodes.Text("It took 5 ms.")
    Numbers(document).run()
    assert document.astext().split("\n\n") == ["one/two#3", "It took 5\N{NO-BREAK SPACE}ms."]


def test_no_line_ends_between_a_number_and_its_unit(built_site):
    parted, kept = [], 0
    for path in sorted((built_site / "book").rglob("*.html")):
        page = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        for other in page.select("article :is(code, pre, svg, .math, .bn-explorable, .bn-question, .bn-laboratory)"):
            other.decompose()
        text = "; ".join(each.get_text() for each in page.select("article :is(p, li, dd, td)"))
        parted += [(path.stem, each) for each in re.findall(r"\d[ \n](?:%|ms|µs|[kMG]B|nats)(?!\w)", text)]
        kept += len(re.findall("\\d\N{NO-BREAK SPACE}%", text))
    assert not parted
    assert kept > 50


def test_the_footer_names_the_book(pages):
    for name, page in pages.items():
        (book,) = page.select("footer.bd-footer-content a cite")
        assert book.get_text() == TITLE, name


def test_no_section_has_the_name_of_the_cards_in_it(pages):
    asked = 0
    for page in pages.values():
        for question in page.select(".bn-question"):
            asked += 1
            heading = question.find_previous(["h1", "h2", "h3"]).get_text().rstrip("#").strip()
            assert heading != question.select_one(".bn-kicker").get_text()
    assert asked > 8


@pytest.mark.parametrize("name", EXERCISES)
def test_an_exercises_page_has_a_map_and_something_to_try(pages, name):
    page = pages[f"exercises/{name}"]
    sections = [section["id"] for section in page.select("article > section > section[id]")]
    assert [link["href"] for link in page.select("nav.contents a")] == [f"#{section}" for section in sections]
    if name != "implement":  # a function is tried where Python runs: in its notebook
        assert page.select(".bn-question, [data-explorable]")


def test_the_index_says_how_long_each_exercise_takes_and_how_hard_it_is(pages):
    rows = pages["exercises/index"].select("article tbody tr")
    assert len(rows) == len(EXERCISES)
    for row in rows:
        assert re.search(r"\b\d+ min, (easy|medium|hard)\b", row.get_text(" "))


def test_figures_are_as_wide_as_one_another():
    """So that their letters have one size on a page: all are shown as wide as the column. Small ones stand in a row."""
    widths = {
        (path.parent.name, float(width))
        for path in (ROOT / "book" / "bn_book").glob("*/figures.py")
        for width in re.findall(r"figsize=\(([\d.]+),", path.read_text(encoding="utf-8"))
    }
    with style():
        assert {width for _, width in widths} == {plt.rcParams["figure.figsize"][0]}, widths
