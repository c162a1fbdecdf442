"""The whole book as a PDF, as `make pdf` prints it: nothing is missing, nothing is cut off, every link arrives."""

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import yaml
from bs4 import BeautifulSoup, SoupStrainer, Tag
from pypdf import PdfReader
from pypdf.generic import Destination, NullObject

pytestmark = pytest.mark.needs("chromium", package="chromium (Debian)")

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "book" / "tools" / "pdf.py"
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text())
PAGES = [TOC["root"], *(chapter["file"] for part in TOC["parts"] for chapter in part["chapters"])]
A4 = (595.3, 841.9)  # points


@pytest.fixture(scope="module")
def printed(built_site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pdf = tmp_path_factory.mktemp("pdf") / "book.pdf"
    subprocess.run(
        [sys.executable, str(SCRIPT), str(built_site), str(pdf)],
        env=os.environ | {"BOOK_URL": "https://example.org/book/"},
        check=True,
    )
    return pdf


@pytest.fixture(scope="module")
def document(printed: Path) -> BeautifulSoup:
    return BeautifulSoup(printed.with_suffix(".html").read_text(encoding="utf-8"), "html.parser")


@pytest.fixture(scope="module")
def book(printed: Path) -> PdfReader:
    return PdfReader(printed)


@pytest.fixture(scope="module")
def text_of(book: PdfReader) -> Callable[[int], str]:
    """The words of a sheet: to read those of all takes as long as to print them, so only what is asked for is read."""
    return cache(lambda number: " ".join(book.pages[number].extract_text().split()))


def outline(book: PdfReader) -> list[Destination]:
    return [entry for entry in book.outline if not isinstance(entry, list)]


@pytest.fixture(scope="module")
def sheets(book: PdfReader) -> dict[str, int]:
    """On which sheet, counted from 0, each page of the book begins, by its title."""
    return {str(entry.title): number for entry in outline(book) if (number := book.get_destination_page_number(entry))}


def part_of(site: Path, page: str, wanted: SoupStrainer) -> list[Tag]:
    """What is wanted of a page, of which the rest is not made: all of a chapter takes a quarter of a second."""
    text = (site / f"{page}.html").read_text(encoding="utf-8")
    return [part for part in BeautifulSoup(text, "html.parser", parse_only=wanted) if isinstance(part, Tag)]


@cache
def titles(site: Path, colon: str = ":") -> list[str]:
    """The headings of all pages. The first one's second half has a line of its own, for which its colon goes."""
    # The first is for paper.
    headings = [part_of(site, page, SoupStrainer("h1"))[-1] for page in PAGES]
    (unseen,) = (tag for heading in headings for tag in heading.select(".bn-unseen"))
    assert unseen.string == ": "
    unseen.string = f"{colon} "
    return [heading.get_text().removesuffix("#").strip() for heading in headings]


def test_the_outline_has_every_page_of_the_book_in_order(book, built_site):
    assert [str(entry.title).strip() for entry in outline(book)] == ["Contents", *titles(built_site), "Answers"]


def test_the_outline_has_the_sections_too(book):
    def count(entries: list) -> int:
        return sum(count(entry) if isinstance(entry, list) else 1 for entry in entries)

    assert count(book.outline) > 3 * len(PAGES)


def test_each_chapter_begins_on_the_sheet_that_the_contents_name(sheets, text_of, built_site):
    contents = " ".join(map(text_of, range(sheets["Contents"], sheets[titles(built_site)[0]])))  # two sheets
    for title, drawn in zip(titles(built_site), titles(built_site, colon=""), strict=True):
        assert text_of(sheets[title]).startswith(f"{sheets[title] + 1} {drawn}"), "the sheet has that number too"
        assert f"{title} {sheets[title] + 1}" in contents
    assert text_of(sheets["Answers"]).startswith(f"{sheets['Answers'] + 1} Answers")
    assert f"Answers {sheets['Answers'] + 1}" in contents


def test_it_has_as_many_sheets_as_a_book_of_this_length_needs(book):
    assert 300 <= len(book.pages) <= 700
    assert book.metadata.title == "Batch Normalization: a book that answers back"


def test_every_sheet_is_a4_and_none_but_the_title_is_nearly_empty(book, text_of):
    bare = []
    for number, page in enumerate(book.pages):
        assert (float(page.mediabox.width), float(page.mediabox.height)) == pytest.approx(A4, abs=1.5)
        assert page.rotation == 0
        # Most letters are drawn by their numbers in their font, of four digits each. Where few are, the words are read.
        letters = sum(len(run) // 4 for run in re.findall(rb"<([0-9A-Fa-f]+)>", page.get_contents().get_data()))
        if letters < 20:
            bare.append(number)
    assert [number + 1 for number in bare if number > 0 and len(text_of(number)) < 20] == []


def test_the_words_and_the_formulas_of_the_chapters_are_there(book, sheets, text_of):
    """Of two chapters: one has formulas, code and its own words, the other a figure with words of its own."""

    def chapter(start: str) -> list[str]:
        begins = next(sheet for title, sheet in sheets.items() if title.endswith(start))
        ends = min(sheet for sheet in sheets.values() if sheet > begins)
        return [text_of(number) for number in range(begins, ends)]

    forward = chapter("The forward pass")
    whole = " ".join(forward)
    assert "Four lines of arithmetic, with a decision in nearly every one" in whole
    assert "batch_norm_in_six_lines" in whole
    assert "\\frac" not in whole
    assert "\\mu" not in whole
    # The definition of the normalized value, in the letters and signs that are drawn.
    page = next(text for text in forward if "The first two lines are the mean and the variance" in text)
    assert {"μ", "σ", "ϵ", "γ", "β", "∑"} <= set(page)
    assert "nanoseconds an element" in " ".join(chapter("How fast, how large, how exact"))


def test_every_font_is_embedded(book):
    seen = set()
    for page in book.pages:
        for font in (page["/Resources"].get("/Font") or {}).values():
            font = font.get_object()
            for part in font.get("/DescendantFonts", [font]):
                part = part.get_object()
                seen.add(str(font.get("/BaseFont")))
                descriptor = part.get("/FontDescriptor", {}).get_object() if "/FontDescriptor" in part else {}
                files = {"/FontFile", "/FontFile2", "/FontFile3"} & set(descriptor)
                assert files or font["/Subtype"] == "/Type3", f"{font.get('/BaseFont')} is not embedded"
    assert any("KaTeX" in name for name in seen), "mathematics has its own letters"


def test_links_inside_the_book_arrive_and_others_name_a_public_address(book):
    numbers = {page.indirect_reference.idnum: number for number, page in enumerate(book.pages)}
    named = book.named_destinations
    inside, outside = 0, set()
    for page in book.pages:
        for annotation in page.get("/Annots") or []:
            annotation = annotation.get_object()
            if annotation["/Subtype"] != "/Link":
                continue
            action = annotation.get("/A", {})
            action = action.get_object() if hasattr(action, "get_object") else action
            if "/URI" in action:
                outside.add(str(action["/URI"]))
                continue
            target = annotation.get("/Dest", action.get("/D"))
            target = target.get_object() if hasattr(target, "get_object") else target
            if isinstance(target, list):
                assert target[0].idnum in numbers
            else:
                assert str(target) in named
                assert not isinstance(named[str(target)].page, NullObject)
            inside += 1
    assert inside > 300
    assert [address for address in outside if not address.startswith(("https://", "http://"))] == []


def test_links_of_the_document_have_their_targets(document):
    there = Counter(tag["id"] for tag in document.select("[id]"))
    assert sorted(name for name, times in there.items() if times > 1) == []
    wanted = {link["href"][1:] for link in document.select("a[href^='#']")}
    assert sorted(wanted - set(there)) == []


def test_clips_and_markers_of_drawings_have_their_targets(document):
    there = {tag["id"] for tag in document.select("[id]")}
    used = [
        value.split("url(#")[1].split(")")[0]
        for tag in document.select("svg *")
        for value in tag.attrs.values()
        if isinstance(value, str) and "url(#" in value
    ]
    used += [tag["xlink:href"][1:] for tag in document.select("svg use") if "xlink:href" in tag.attrs]
    assert used
    assert set(used) <= there


def test_questions_are_asked_in_their_chapter_and_answered_at_the_end(document, built_site):
    asked = sum(
        (built_site / f"{page}.html").read_text(encoding="utf-8").count('class="bn-question"') for page in PAGES
    )
    answers = document.select("#answers .bn-answer")
    assert len(document.select(".bn-question")) == len(answers) == asked > 8
    assert all(len(answer.get_text()) > 20 for answer in answers)
    assert not document.select(".bn-question details")


def test_what_needs_a_screen_is_not_there_and_every_moving_figure_stands_still(document, built_site):
    assert not document.select("script, button, noscript")
    articles = {article["id"]: article for article in document.select("article")}
    for page in PAGES:
        moving = part_of(built_site, page, SoupStrainer(class_="bn-explorable"))
        still = articles[page.removeprefix("book/").replace("/", "-")].select(".bn-explorable")
        assert len(still) == len(moving)
        assert all(figure.find("svg") for figure in still)


def test_without_a_browser_it_says_which_package_to_install(built_site, tmp_path):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(built_site), str(tmp_path / "book.pdf")],
        env=os.environ | {"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "apt install chromium" in done.stderr
