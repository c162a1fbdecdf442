"""Print the whole book as one PDF: `make pdf`. The pages that were built become one document, which Chromium prints.

The site is the source, so the PDF has its figures, mathematics and references as they stand there. What differs: each
page's ids get the page's name in front, since several pages have an `id1`, and links between pages become links
inside the document; what is folded is unfolded; the answers to the questions move to the end. Sphinx's `singlehtml`
would save the joining, but not the rest, and its links go wrong where two pages share an id.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from posixpath import dirname, join, normpath
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from bs4 import BeautifulSoup, SoupStrainer, Tag
from pypdf import PdfReader, PdfWriter
from pypdf.generic import DictionaryObject, NameObject, TextStringObject

from bn_book.printing import chromium, print_to

ADDRESS = os.environ.get("BOOK_URL", "")

# What a screen needs and paper does not.
SCREEN_ONLY = (
    "script, noscript, dialog, button, input[type=text], .headerlink, .viewcode-link, .bn-controls, .bn-handle, "
    ".bn-spoken, .bn-verdict, .bn-label, .bn-progress-place, .bn-screen-only"
)
# Attributes that name ids, beside `href`.
NAMES_IDS = ("for", "aria-labelledby", "aria-describedby", "aria-controls", "aria-owns", "headers")


# Chromium counts the sheets before it draws them, one or two too few for this book, and leaves out what is behind them.
# So empty ones follow the last answer, which are taken away again.
ROOM = "1200mm"


@dataclass(frozen=True)
class Part:
    """A caption of the table of contents, and the addresses of its pages, from the site's root."""

    caption: str
    pages: tuple[str, ...]


def key(page: str) -> str:
    """Return the name of a page as an id: `book/chapters/forward.html` is `chapters-forward`."""
    return page.removeprefix("book/").removesuffix(".html").replace("/", "-")


def parts(root: BeautifulSoup, page: str) -> list[Part]:
    """Read the order of the pages from the side bar of the first one."""
    found = [Part("", (page,))]
    for caption in root.select("nav.bd-docs-nav p.caption"):
        links = caption.find_next_sibling("ul").select("li.toctree-l1 > a")
        pages = tuple(normpath(join(dirname(page), link["href"])) for link in links)
        found.append(Part(caption.get_text(strip=True), pages))
    return found


def place(href: str, page: str, pages: Iterable[str], address: str = "") -> str | None:
    """Return where a link of a page leads in the document, or None where paper has no such place.

    What the site has beyond its pages (sources, downloads) can be reached only at its address, where that is known.
    """
    if urlsplit(href).scheme or href.startswith("//"):
        return href
    path, fragment = urldefrag(href)
    target = normpath(join(dirname(page), unquote(path))) if path else page
    if target in pages:
        return f"#{key(target)}--{fragment}" if fragment else f"#{key(target)}"
    return urljoin(address, target + (f"#{fragment}" if fragment else "")) if address else None


def make_ids_unique(article: Tag, page: str) -> None:
    """Put the page's name before every id and wherever one is named: labels, and the clips and markers of drawings."""
    name = key(page)
    for tag in article.find_all(True):
        if tag.get("id"):
            tag["id"] = f"{name}--{tag['id']}"
        for attribute, value in list(tag.attrs.items()):
            if attribute in NAMES_IDS:
                words = value if isinstance(value, list) else str(value).split()
                tag[attribute] = " ".join(f"{name}--{word}" for word in words)
            elif isinstance(value, str) and "url(#" in value:
                tag[attribute] = value.replace("url(#", f"url(#{name}--")
            elif attribute in ("href", "xlink:href") and tag.name != "a" and str(value).startswith("#"):
                tag[attribute] = f"#{name}--{value[1:]}"


def article(soup: BeautifulSoup, page: str, pages: Iterable[str], where: str, address: str = "") -> Tag:
    """Return a page's text, ready to stand beside the others."""
    text = soup.select_one("article.bd-article")
    if text is None:
        raise RuntimeError(f"{page} has no article: has the theme changed?")
    for tag in text.select(SCREEN_ONLY):
        tag.decompose()
    for tag in text.select("details"):
        tag["open"] = ""
    for tag in text.select("details.hide > summary"):  # "Show code cell source"
        tag.string = "Code"
    make_ids_unique(text, page)
    for link in text.select("a[href]"):
        target = place(link["href"], page, pages, address)
        if target is None:
            link.unwrap()
        else:
            link["href"] = target
    for image in text.select("img[src]"):
        if not urlsplit(image["src"]).scheme:
            image["src"] = f"{where}/{normpath(join(dirname(page), image['src']))}"
    text["id"] = key(page)
    return text


HEADINGS = ["h1", "h2", "h3", "h4", "h5", "h6"]


def headings(document: str) -> list[str]:
    """Return the words of all headings in their order, each once where mathematics is there twice, seen and spoken."""
    soup = BeautifulSoup(document, "html.parser", parse_only=SoupStrainer(HEADINGS))
    for spoken in soup.select(".katex-mathml"):
        spoken.decompose()
    return [re.sub(r"\s+", " ", tag.get_text()).strip() for tag in soup.find_all(HEADINGS)]


def title(text: Tag) -> str:
    """Return the heading of an article."""
    heading = text.find("h1")
    return re.sub(r"\s+", " ", heading.get_text()).strip() if heading else ""


def answers(document: BeautifulSoup, articles: Mapping[str, Tag]) -> Tag:
    """Move the answers of all questions behind the book, with links from the one to the other."""
    chapter = document.new_tag("article", attrs={"class": "bd-article", "id": "answers"})
    chapter.append(document.new_tag("h1", string="Answers"))
    chapter.append(document.new_tag("p", string="To the questions of all pages, in their order."))
    count = 0
    for text in articles.values():
        questions = text.select(".bn-question")
        if questions:
            chapter.append(document.new_tag("h2", string=title(text)))
        for question in questions:
            count += 1
            question["id"] = f"question-{count}"
            kicker, folded = question.select_one(".bn-kicker"), question.select_one("details")
            if kicker is None or folded is None:
                raise RuntimeError(
                    f"question {count} has no prompt or no answer: has bn_exercises.check_yourself.page changed?"
                )
            kicker.string = f"Question {count}"
            see = document.new_tag("p", attrs={"class": "bn-see-answer"})
            see.append(document.new_tag("a", string=f"Answer {count}", attrs={"href": f"#answer-{count}"}))
            answer = folded.extract()
            answer.name = "div"
            answer.attrs = {"class": "bn-answer", "id": f"answer-{count}"}
            summary = answer.find("summary")
            summary.name = "p"
            summary.clear()
            summary.append(document.new_tag("a", string=f"Question {count}", attrs={"href": f"#question-{count}"}))
            question.append(see)
            chapter.append(answer)
    return chapter


SHEET = re.compile(r'(?<=<span class="bn-sheet">)(?=</span>)')


def contents(document: BeautifulSoup, book: list[Part], articles: Mapping[str, Tag]) -> Tag:
    """Make the table of contents: parts, pages, and a place for the number of the sheet each begins on."""
    nav = document.new_tag("nav", attrs={"class": "bn-contents", "aria-label": "Contents"})
    nav.append(document.new_tag("h1", string="Contents"))
    rows = [(part.caption, [(key(page), title(articles[page])) for page in part.pages]) for part in book]
    for caption, entries in [*rows, ("", [("answers", "Answers")])]:
        if caption:
            nav.append(document.new_tag("p", string=caption, attrs={"class": "bn-part"}))
        listed = document.new_tag("ul")
        for target, name in entries:
            link = document.new_tag("a", attrs={"href": f"#{target}"})
            link.append(document.new_tag("span", string=name))
            link.append(document.new_tag("span", attrs={"class": "bn-sheet"}))
            row = document.new_tag("li")
            row.append(link)
            listed.append(row)
        nav.append(listed)
    return nav


def numbered(document: str, sheets: Iterable[int]) -> str:
    """Write these numbers, in their order, into the table of contents."""
    numbers = iter(sheets)
    return SHEET.sub(lambda _: str(next(numbers)), document)


def stylesheets(soups: Mapping[str, BeautifulSoup], where: str) -> list[Tag]:
    """Return the links to all stylesheets that any of the pages uses, each once."""
    sheets: dict[str, Tag] = {}
    for page, soup in soups.items():
        for sheet in soup.select('head link[rel~="stylesheet"]'):
            file = normpath(join(dirname(page), sheet["href"].partition("?")[0]))
            sheet["href"] = f"{where}/{file}"
            sheets.setdefault(file, sheet)
    return list(sheets.values())


def title_page(document: BeautifulSoup, name: str, address: str) -> Tag:
    """Make the first sheet."""
    sheet = document.new_tag("header", attrs={"class": "bn-title-page"})
    main, _, rest = name.partition(": ")
    sheet.append(document.new_tag("p", string=main, attrs={"class": "bn-title"}))
    sheet.append(document.new_tag("p", string=rest, attrs={"class": "bn-subtitle"}))
    note = "Figures that move on the page stand still here, and questions are answered at the end."
    sheet.append(document.new_tag("p", string=note))
    if address:
        where = document.new_tag("p")
        where.append(document.new_tag("a", string=address, attrs={"href": address}))
        sheet.append(where)
    return sheet


def assemble(site: Path, where: str, address: str = "") -> str:
    """Return the whole book as one HTML document; `where` is the site's folder as seen from it."""
    first = "book/index.html"
    root = _read(site / first)
    book = parts(root, first)
    pages = [page for part in book for page in part.pages]
    soups = {page: _read(site / page) for page in pages}
    looks = stylesheets(soups, where)
    articles = {page: article(soup, page, pages, where, address) for page, soup in soups.items()}

    document = BeautifulSoup("<!DOCTYPE html><html><head></head><body></body></html>", "html.parser")
    document.html.attrs = {"lang": root.html.get("lang", "en"), "data-theme": "light", "class": "bn-book"}
    name = title(articles[first])
    document.head.append(document.new_tag("meta", attrs={"charset": "utf-8"}))
    document.head.append(document.new_tag("title", string=name))
    document.head.extend(looks)
    body = document.body
    body.append(title_page(document, name, address))
    ends = answers(document, articles)
    body.append(contents(document, book, articles))
    for text in [*articles.values(), ends]:
        body.append(text)
    body.append(document.new_tag("div", attrs={"style": f"height: {ROOM}"}))
    return str(document)


def first_sheets(pdf: Path) -> list[int]:
    """Return the numbers of the sheets on which the contents and each page of the book begin."""
    with PdfReader(pdf) as book:
        chapters = [entry for entry in book.outline if not isinstance(entry, list)]
        return [book.get_destination_page_number(entry) + 1 for entry in chapters]


def name_outline(pdf: Path, names: list[str]) -> None:
    """Give the entries of the outline, in their order, the words of the headings: Chromium writes some twice.

    What is empty behind the last answer is taken away.
    """
    book = PdfWriter(clone_from=pdf)
    entries = list(_entries(book.root_object["/Outlines"].get_object()))
    if len(entries) != len(names):
        raise RuntimeError(f"the outline has {len(entries)} entries, and the book {len(names)} headings")
    for entry, name in zip(entries, names, strict=True):
        entry[NameObject("/Title")] = TextStringObject(name)
    while re.fullmatch(r"\s*\d*\s*", book.pages[-1].extract_text()):  # its number at most
        del book.pages[-1]
    book.write(pdf)


def _entries(parent: DictionaryObject) -> Iterator[DictionaryObject]:
    """Go through an outline from top to bottom."""
    entry = parent.get("/First")
    while entry is not None:
        entry = entry.get_object()
        yield entry
        yield from _entries(entry)
        entry = entry.get("/Next")


def _read(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def main(site: Path, pdf: Path) -> None:
    """Print the site in a folder as a PDF."""
    program = chromium()
    if program is None:
        sys.exit("Making the PDF needs Chromium, which is not here. On Debian and Ubuntu: apt install chromium")
    pdf.parent.mkdir(parents=True, exist_ok=True)
    page = pdf.with_suffix(".html")
    where = Path(os.path.relpath(site, pdf.parent)).as_posix()
    text = assemble(site, where, ADDRESS)
    page.write_text(text, encoding="utf-8")
    print_to(pdf, page, program)
    # Chromium cannot say in the contents where a chapter begins: it is read from this print, for the second one.
    _, *sheets = first_sheets(pdf)
    page.write_text(numbered(text, sheets), encoding="utf-8")
    print_to(pdf, page, program)
    name_outline(pdf, headings(text))
    print(f"{pdf} ({pdf.stat().st_size / 1e6:.1f} MB)")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
