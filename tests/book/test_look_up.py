"""What is looked up: key points, glossary, cheat sheet, reading list and the guide quote the book, and each other."""

import inspect
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import yaml
from bn_site.content.glossary import named, pattern
from bn_site.content.reading_list import by_source
from bs4 import BeautifulSoup, Tag
from pybtex.database import parse_file
from pypdf import PdfReader

import bn_lib
from bn_book import cheat_sheet, ledger
from bn_book.axes.experiments import NAMED, sharing
from bn_book.chapters import FOLDER, chapters, key_points, opening
from bn_book.inference.figures import CONVENTIONS, table_of_conventions

ROOT = Path(__file__).parents[2]
A4 = (595.3, 841.9)  # points
CHAPTERS = chapters()
SENTENCE = re.compile(r"(?<=[.?!])\s+(?=\S)")


@pytest.fixture(scope="module")
def article(built_site):
    """The text of a page."""

    @cache
    def read(page: str) -> Tag:
        soup = BeautifulSoup((built_site / f"{page}.html").read_text(encoding="utf-8"), "html.parser")
        text = soup.select_one("article.bd-article")
        for mark in text.select(".headerlink"):
            mark.decompose()
        return text

    return read


def words(tag: Tag) -> str:
    return re.sub(r"\s+", " ", tag.get_text(" ", strip=True)).strip()


# Key points


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_ends_with_its_key_points_in_three_sentences(chapter):
    points = key_points(chapter)
    assert len(SENTENCE.split(points)) == 3, points
    assert "}`" not in points, "they stand on two pages, so they refer to nothing"
    page = (ROOT / FOLDER / f"{chapter}.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", page, re.MULTILINE)[-3:] == ["Check yourself", "Key points", "What to read next"]


def test_a_chapter_without_key_points_is_refused(tmp_path):
    (tmp_path / "a.md").write_text("# A\n\n## Key points\n\n## What to read next\n\nMore.\n")
    with pytest.raises(ValueError, match=r"a\.md lacks its key points \(three sentences"):
        key_points("a", tmp_path)


def test_all_key_points_stand_on_one_page_as_in_their_chapters(article):
    together = article("book/key_points")
    for chapter in CHAPTERS:
        of_chapter = article(f"{FOLDER}{chapter}").select_one("#key-points p")
        section = together.select_one(f"#key-points-{chapter.replace('_', '-')}")
        assert section.h2.get_text() == opening(chapter)[0]
        link, points = section.select("p")
        assert link.a["href"] == f"chapters/{chapter}.html"
        assert words(points) == words(of_chapter)


# Glossary


@pytest.mark.parametrize(
    ("text", "term"),
    [
        ("a mini-batch of", "mini-batch"),
        ("Mini-batches are", "mini-batch"),
        ("With BN, it", "BN"),
        ("the condition\nnumber is", "condition number"),
        ("no sub-mini-batch", None),
        ("mini-batch-like", None),
        ("bn_lib", None),
        ("EPOCH", None),
        ("two epochs", "epoch"),
        ("post-LN", "post-LN"),
        ("unbiased variance", "unbiased variance"),
    ],
)
def test_a_term_is_found_in_its_forms(text, term):
    terms = {
        each: ""
        for each in ("mini-batch", "BN", "LN", "post-LN", "condition number", "epoch", "unbiased variance", "variance")
    }
    found = pattern(list(terms)).search(text)
    assert (named(found[0], terms) if found else None) == term


def test_each_term_is_defined_once(article):
    glossary = article("book/glossary").select_one("dl.glossary")
    terms = [words(term) for term in glossary.select("dt")]
    assert len({term.lower() for term in terms}) == len(terms) > 40
    definitions = [words(text) for text in glossary.select("dd")]
    assert len(set(definitions)) == len(definitions)
    assert all(len(text) > 25 for text in definitions)


def linked_terms(page: Tag) -> list[tuple[str, Tag]]:
    return [(link["href"].partition("#")[2], link) for link in page.select("a.bn-term")]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_links_a_term_where_it_uses_it_first(article, chapter):
    page, glossary = article(f"{FOLDER}{chapter}"), article("book/glossary")
    terms = {term["id"]: words(term) for term in glossary.select("dl.glossary dt")}
    found = dict(linked_terms(page))
    assert len(found) >= 5
    assert len(found) == len(linked_terms(page)), "each once"
    running = [paragraph for paragraph in page.select("p") if is_running(paragraph)]
    plain = [" | ".join(text for text in p.find_all(string=True) if is_plain(text)) for p in running]
    for target, link in found.items():
        assert link["href"] == f"../glossary.html#{target}"
        paragraph = link.find_parent("p")
        assert link.find_parent("a") is None
        (place,) = (at for at, each in enumerate(running) if each is paragraph)
        name = terms[target]
        longer = [other for other in terms.values() if name in other and name != other]
        for text in plain[:place]:
            assert not pattern([name]).search(pattern(longer).sub("", text) if longer else text), (name, text)


def is_running(paragraph: Tag) -> bool:
    """Whether it is text of the chapter's own, and not a heading's, a table's, a figure's, a margin's or a cell's."""
    outside = ["table", "figure", "aside", "summary"]
    boxes = ["cell_output", "bn-question", "bn-explorable", "admonition-title"]
    classes = {name for each in (paragraph, *paragraph.parents) for name in each.get("class") or ()}
    return not paragraph.find_parent(outside) and not classes & set(boxes)


def is_plain(text: str) -> bool:
    return all(each.name not in ("a", "code") and "math" not in (each.get("class") or ()) for each in text.parents)


def test_every_term_is_used_by_a_chapter(article):
    used = {target for chapter in CHAPTERS for target, _ in linked_terms(article(f"{FOLDER}{chapter}"))}
    terms = {term["id"]: words(term) for term in article("book/glossary").select("dl.glossary dt")}
    assert [name for target, name in terms.items() if target not in used] == []


# What is quoted

CONFIGURATION = f"""
import sys
sys.path.insert(0, {str(ROOT / "book" / "_ext")!r})
extensions = ["myst_parser", "sphinx_design", "bn_site.content.quoted", "bn_site.content.glossary"]
myst_enable_extensions = ["dollarmath", "colon_fence"]
"""
PAGES = {
    "index": "# A book\n\n```{toctree}\nbook/claims\nbook/glossary\nbook/which\nbook/chapters/scale\n```\n",
    "book/claims": (
        "# Ledger\n\n:::{dropdown} ✓ holds · One is one.\n(claim-one-is-one)=\nMade by nobody.\n\n"
        "**1.00** whole (mean of 2 seeds: 1, 1)  \nrange: 0 to 2\n:::\n"
    ),
    "book/glossary": (
        "# Glossary\n\n```{glossary}\nfeature\n  A number.\n\nBN\n  A layer.\n\nof mini\n  Over a line's end.\n```\n"
    ),
    "book/chapters/scale": (
        "# A feature\n\n(sec-two)=\n## Features\n\n`feature` [feature](#sec-two) Two *features*, and a feature "
        "of\nmini batch and BN.\n\n| BN |\n|--|\n| feature |\n\n$$ a = b $$\n\n$$ c = d $$\n"
    ),
    "book/which": (
        "# Which\n\n- {claim}`one-is-one`\n- {verdict}`one-is-one`\n- {claim}`nothing`\n\n```{formula} sec-two\n```\n"
        "\n```{formula} sec-two\n:with: c =\n```\n\n```{formula} sec-two\n:with: e =\n```\n"
        "\n```{formula} sec-three\n```\n"
    ),
}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A small book, and what its build complained of."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "conf.py").write_text(CONFIGURATION)
    for name, text in PAGES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.md").write_text(text)
    command = [sys.executable, "-m", "sphinx", "-q", "-n", "--keep-going", str(folder), str(folder / "html")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    def page(name: str) -> Tag:
        return BeautifulSoup((folder / "html" / f"{name}.html").read_text(), "html.parser").select_one("[role=main]")

    return page, done.stderr


def test_a_claim_is_quoted_with_its_number_and_a_link(small):
    page, _ = small
    whole, verdict, nothing = page("book/which").select("li")
    assert words(whole) == "One is one : 1.00 whole (mean of 2 seeds: 1, 1). ✓ holds"
    assert whole.a["href"] == verdict.a["href"] == "claims.html#claim-one-is-one"
    assert words(verdict) == "✓ One is one"
    assert words(nothing) == ""


def test_a_formula_is_quoted_as_it_stands(small):
    page, _ = small
    first, second = page("book/which").select("div.math")
    assert "a = b" in first.get_text()
    assert "c = d" in second.get_text()


def test_what_is_not_there_is_a_warning_with_its_place(small):
    _, said = small
    assert re.search(r"which\.md:5: WARNING: the ledger has no claim 'nothing'", said)
    assert re.search(r"which\.md:\d+: WARNING: no section 'sec-two' has a formula with 'e ='", said)
    assert re.search(r"which\.md:\d+: WARNING: no section 'sec-three' has a formula with ''", said)
    assert said.count("WARNING") == 3


def test_only_running_text_leads_to_the_glossary(small):
    page, _ = small
    links = page("book/chapters/scale").select("a.bn-term")
    assert [link.get_text() for link in links] == ["features", "of\nmini", "BN"]
    assert links[0].parent.name == "em"
    assert links[0]["href"] == "../glossary.html#term-feature"


@pytest.mark.parametrize("page", ["book/which", "book/references"])
def test_a_page_tells_of_a_claim_what_its_card_tells(article, page):
    cards = {place["id"]: place for place in article("book/claims").select('[id^="claim-"]')}
    links = [link for link in article(page).select("a[href]") if link["href"].startswith("claims.html#claim-")]
    assert len(links) > 30
    names = {claim.name for of_chapter in ledger.claims().values() for claim in of_chapter}
    for link in links:
        name = link["href"].removeprefix("claims.html#claim-")
        assert name in names
        card = cards[f"claim-{name}"].find_parent("details")
        assert words(link) == ledger.title(name)
        said = words(link.find_parent(["li", "p"]))
        assert words(card.summary)[0] in said
        if page.endswith("which"):
            assert words(card.select("p")[1].strong) in said


def test_the_guide_has_evidence_for_every_answer(article):
    guide = article("book/which")
    rows = [row.a["href"] for row in guide.select("table tbody tr")]
    sections = {section["id"]: section for section in guide.select("section section")}
    targets = {f"#{place['id']}" for place in guide.select("[id]")}
    assert set(rows) <= targets
    assert len(rows) == len(sections)
    for section in sections.values():
        links = [link["href"] for link in section.select("a[href]")]
        assert any(link.startswith("claims.html#claim-") for link in links)
        assert any(link.startswith("chapters/") for link in links)


# The cheat sheet


def test_the_sheet_has_the_numbers_of_the_library():
    names = cheat_sheet.table_of_names()
    for name in ("gamma", "weight", "moving_variance", "running_var", "scale"):
        assert f"`{name}`" in names
    table = cheat_sheet.table_of_defaults()
    given = inspect.signature(bn_lib.BatchNorm).parameters
    assert (
        f"| `BatchNorm(num_features)` | eps {given['eps'].default:g}, momentum {given['momentum'].default:g}," in table
    )
    assert "| `GroupNorm(groups, num_features)` | eps 1e-05, channel_axis 1 |" in table
    assert cheat_sheet.defaults(bn_lib.BatchRenorm)["r_max"] == 3
    assert cheat_sheet.defaults(bn_lib.BatchRenorm)["momentum"] == given["momentum"].default
    assert "gamma 1, beta 0, running_mean 0, running_var 1" in table


def test_the_conventions_are_the_same_on_both_pages(article):
    table = words(article("book/cheat_sheet").select("table")[0])
    assert all(name in table for name in CONVENTIONS)
    assert table in words(article("book/chapters/inference"))
    assert "0.99" in table_of_conventions()


def test_its_formulas_are_those_of_the_chapters(article):
    def tex(page: str) -> list[str]:
        return [math.get_text() for math in article(page).select(".bn-formula annotation")]

    derived = [formula for chapter in CHAPTERS for formula in tex(f"{FOLDER}{chapter}")]
    quoted = tex("book/cheat_sheet")
    assert len(quoted) >= 8
    assert set(quoted) <= set(derived)
    assert any(r"\boxed" in formula for formula in quoted)


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("BN", np.s_[:, 1]),
        ("LN", np.s_[1]),
        ("GN", np.s_[1, :2]),
        ("IN", np.s_[1, 1]),
        ("LN, each position", np.s_[1, :, 0, 1]),
        ("RMS, each position", np.s_[1, :, 0, 1]),
    ],
)
def test_the_pictures_fill_what_shares_a_mean(name, place):
    expected = np.zeros((3, 4, 2, 3), bool)
    expected[place] = True
    assert np.array_equal(sharing(NAMED[name], expected.shape, (1, 1, 0, 1)), expected)


@pytest.mark.needs("chromium", package="chromium (Debian)")
def test_the_sheet_has_two_sides_of_a4(article, built_site):
    (link,) = article("book/cheat_sheet").select('a[href$=".pdf"]')
    sheet = PdfReader(built_site / "book" / link["href"])
    assert len(sheet.pages) == 2
    for side in sheet.pages:
        assert (float(side.mediabox.width), float(side.mediabox.height)) == pytest.approx(A4, abs=1.5)
    front, back = (re.sub(r"\s+", " ", side.extract_text()) for side in sheet.pages)
    assert "The layer" in front
    assert "momentum" in front
    assert "What to check first" in back


@pytest.mark.needs("chromium", package="chromium (Debian)")
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_printed_from_the_browser_it_has_two_sides_too(browser, built_site, tmp_path, theme):
    page = browser.new_page(color_scheme=theme)
    page.goto((built_site / "book" / "cheat_sheet.html").as_uri())
    page.pdf(path=tmp_path / "sheet.pdf", prefer_css_page_size=True)
    page.close()
    assert len(PdfReader(tmp_path / "sheet.pdf").pages) == 2


# The reading list


def annotations() -> dict[str, str]:
    entries = parse_file(ROOT / "book" / "references.bib").entries
    return {key: entry.fields["annotation"] for key, entry in entries.items() if "annotation" in entry.fields}


def test_every_source_of_the_ledger_has_its_sentence():
    said = annotations()
    assert [source for source in by_source() if source not in said] == [], "an `annotation` in references.bib"
    assert {key: text for key, text in said.items() if len(SENTENCE.split(text)) != 1 or text[-1] != "."} == {}


def test_every_paper_of_the_list_has_its_claims(article):
    text = article("book/references")
    items = [item for section in text.select("section[id^=reading-]") for item in section.select("ul > li")]
    assert len(items) == len(annotations())
    verdicts = sum(len(item.select("a[href*='#claim-']")) for item in items)
    assert verdicts == sum(len(of_chapter) for of_chapter in ledger.claims().values())


def test_the_pages_stand_at_the_head_of_their_part():
    parts = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))["parts"]
    (look_up,) = (part for part in parts if part["caption"] == "Look up")
    first = [chapter["file"] for chapter in look_up["chapters"]][:4]
    assert first == ["book/cheat_sheet", "book/which", "book/key_points", "book/glossary"]
