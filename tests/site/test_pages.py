"""Every page in a real browser that can reach nothing but the site: it loads, is drawn, moves, and can be read."""

import json
import re
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
import yaml
from built import DESKTOP, served
from PIL import Image, ImageStat
from playwright.sync_api import Browser, Page
from tour import DRAWN, FAULTS, SCREENS, THEMES, Tour, page_of, take

from bn_book.ledger import FAILS, HOLDS, NOT_HERE, claims
from bn_exercises import accuracy

pytestmark = pytest.mark.needs("chromium", package="chromium (Debian)")

ROOT = Path(__file__).parents[2]
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text())
PAGES = [TOC["root"], *(chapter["file"] for part in TOC["parts"] for chapter in part["chapters"])]
CHAPTERS = [page for page in PAGES if "/chapters/" in page]


@pytest.fixture
def visit(browser: Browser, address: str):
    """Open a page, and wait until it is drawn."""
    contexts = []

    def open_page(name: str, viewport: dict = DESKTOP, theme: str = "light") -> Page:
        context = browser.new_context(viewport=viewport, color_scheme=theme)
        contexts.append(context)
        page = context.new_page()
        page.goto(f"{address}{name}.html", wait_until="load")
        page.evaluate(DRAWN)
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def book(tour: Tour) -> Tour:
    """The tour of the book's own pages."""
    own = {f"{name}.html" for name in PAGES}
    assert own <= {seen.page for seen in tour.seen}
    return replace(tour, seen=[seen for seen in tour.seen if seen.page in own])


def test_no_page_complains(tour):
    """Least of all that its policy forbids something of its own."""
    assert tour.found(lambda seen: seen.complaints) == []


def test_every_page_comes_in_the_readers_theme_and_fits(book):
    assert book.found(lambda seen: seen.theme != THEMES[seen.screen][0] and seen.theme) == []
    assert book.found(lambda seen: seen.width > SCREENS[seen.screen]["width"] and seen.width) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_every_page_can_be_read_and_is_named(book, fault):
    assert book.found(lambda seen: seen.faults[fault]) == []


def test_every_fault_is_found(tmp_path):
    wrong = """
    <p>\\frac{1}{2}</p><img src="data:,">
    <div class="bn-figure"><i id="a">One</i><i id="a">two</i></div><p style="color: #555">Faint.</p>
    <pre style="width: 9em; overflow-x: auto">A line of a program that goes on and on</pre>
    <details><div class="bn-formula" style="width: 3em; overflow-x: auto">
      <annotation>numbers-without-end</annotation></div></details>"""
    (tmp_path / "page.html").write_text(page_of(wrong))
    with served(tmp_path) as address:
        seen, grown = take(address, ["page.html"], tmp_path, in_both=[]).seen
    assert {fault for fault, found in seen.faults.items() if found} == FAULTS.keys()
    assert [len(stops["missed"]) for stops in seen.stops] == [1, 2, 2], "the program, and what is unfolded"
    assert seen.formulas == ["numbers-without-end"]
    assert (grown.screen, grown.theme, grown.width) == ("desktop", "light", DESKTOP["width"])
    assert {fault for fault, found in grown.faults.items() if not found} == {"words too faint"}, (
        "they are, on black only"
    )


def test_on_a_phone_every_formula_of_a_solution_is_whole(book):
    """-0.001797 must not read as -0.001: each fits its box, with all that is folded open."""
    assert book.found(lambda seen: "/exercises/" in seen.page and seen.formulas) == []


def test_no_line_begins_with_the_comma_after_a_formula(visit):
    """However wide the page is."""
    page = visit(CHAPTERS[2])
    orphans = """() => {
      const found = new Set();
      const article = document.querySelector('.bd-article');
      for (let width = 240; width < 640; width += 9) {
        article.style.width = `${width}px`;
        for (const box of article.querySelectorAll('.bn-joined')) {
          const after = box.lastChild;
          const last = [...box.querySelectorAll('.base')].pop();
          if (after.nodeType !== Node.TEXT_NODE || !last?.getClientRects().length) continue;
          const range = document.createRange();
          range.setStart(after, 0);
          range.setEnd(after, 1);
          if (range.getBoundingClientRect().top >= last.getBoundingClientRect().bottom) found.add(box.textContent);
        }
      }
      article.style.width = '';
      return [...found];
    }"""
    assert page.locator(".bn-joined").count() > 20
    assert page.evaluate(orphans) == []
    page.add_style_tag(content=".bn-joined { white-space: normal }")
    assert page.evaluate(orphans), "without the box there are some"


@pytest.mark.parametrize(("width", "wide"), [(1280, 720), (1440, 848), (1920, 900)])
def test_an_explorable_is_wider_than_the_text_and_covers_nothing_beside_it(visit, width, wide):
    page = visit("book/chapters/inference", {"width": width, "height": 900})
    explorable, contents, of_the_page = (
        page.locator(selector).first.bounding_box()
        for selector in (
            "[data-explorable]:not([data-explorable=flipbook])",
            ".bd-sidebar-primary",
            ".bd-sidebar-secondary",
        )
    )
    assert explorable["width"] == pytest.approx(wide, abs=1)
    assert contents["x"] + contents["width"] <= explorable["x"]
    assert explorable["x"] + explorable["width"] <= of_the_page["x"]


def test_a_chapter_has_at_least_one_figure_that_a_reader_can_move(built_site):
    """The tour sees each wake up, and each has its own tests in tests/explorables."""
    assert [name for name in CHAPTERS if "data-explorable=" not in (built_site / f"{name}.html").read_text()] == []


def test_a_flipbook_moves_by_keyboard_and_by_mouse(visit):
    """All have the same script."""
    page = visit("book/chapters/backward")
    page.locator("[data-explorable=flipbook]").first.scroll_into_view_if_needed()
    page.locator("[data-explorable=flipbook][data-awake]").first.wait_for()
    for book in page.locator("[data-explorable=flipbook]").all():
        frame = book.locator("svg[role=img]")
        handle = book.get_by_role("slider")
        readout = book.locator(".bn-value")

        def state(frame=frame, readout=readout):
            assert frame.count() == 1
            return frame.get_attribute("aria-label"), frame.inner_html(), readout.inner_text()

        handle.scroll_into_view_if_needed()
        handle.focus()
        page.keyboard.press("Home")
        first = state()
        page.keyboard.press("ArrowRight")
        second = state()
        assert all(a != b for a, b in zip(first, second, strict=True)), "the frame, its name and the value all change"
        assert handle.get_attribute("aria-valuetext") == second[2]
        page.keyboard.press("ArrowLeft")
        assert state() == first

        track = handle.bounding_box()
        height = track["y"] + track["height"] / 2
        page.mouse.move(track["x"] + 8, height)
        page.mouse.down()
        page.mouse.move(track["x"] + track["width"], height, steps=5)
        page.mouse.up()
        last = state()
        page.keyboard.press("End")
        assert state() == last != first


def test_the_theme_is_the_readers_choice(visit):
    page = visit(CHAPTERS[0])
    colour = "getComputedStyle(document.querySelector('.bn-figure text')).fill"
    light = page.evaluate(colour)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    assert page.evaluate(colour) != light


def test_pictures_of_programs_are_dark_on_a_dark_page(visit):
    def bright(theme: str) -> float:
        picture = visit("book/teaching", theme=theme).locator(".bn-screen img").first
        picture.scroll_into_view_if_needed()
        picture.evaluate("image => image.decode()")
        return ImageStat.Stat(Image.open(BytesIO(picture.screenshot())).convert("L")).mean[0]

    assert bright("light") > 200
    assert bright("dark") < 80


def test_a_word_can_be_searched_for(visit):
    page = visit("search")
    page.goto(page.url + "?q=learning")
    page.locator("#search-results li a").first.wait_for(timeout=10_000)


def test_on_paper_a_dark_page_is_ink_on_white(visit):
    """Also what names a colour of the book's: figures, formulas, boxes."""
    page = visit(CHAPTERS[2], theme="dark")
    colours = """() => {
      const styles = getComputedStyle(document.documentElement);
      return ["ink", "paper", "wash", "with-bn"].map((name) => styles.getPropertyValue(`--bn-${name}`));
    }"""
    dark = page.evaluate(colours)
    page.emulate_media(media="print")
    on_paper = page.evaluate(colours)
    assert all(one != other for one, other in zip(dark, on_paper, strict=True))
    light = visit(CHAPTERS[2])
    assert on_paper == light.evaluate(colours)
    [title] = [heading.inner_text() for heading in page.locator("h1:visible").all()]
    assert title.startswith("3.")
    code = "[...document.querySelectorAll('.highlight span')].map((span) => getComputedStyle(span).color)"
    assert set(page.evaluate(code)) == {"rgb(27, 27, 31)"}


def test_a_root_is_as_high_on_paper_as_on_the_screen(visit):
    """It is a drawing, wider than the box that cuts it off."""
    page = visit(CHAPTERS[3])
    heights = "[...document.querySelectorAll('.katex .sqrt svg')].map((root) => root.getBoundingClientRect().height)"
    page.evaluate("document.querySelectorAll('.bn-later').forEach((box) => box.classList.remove('bn-later'))")
    on_screen = page.evaluate(heights)
    page.emulate_media(media="print")
    on_paper = page.evaluate(heights)
    assert len(on_screen) > 5
    assert min(on_screen) > 8
    # The sheet's letters are smaller, all by the same.
    assert min(on_paper) / min(on_screen) == pytest.approx(max(on_paper) / max(on_screen), rel=0.1)
    assert min(on_paper) > 8


def test_the_grader_is_good_enough_in_the_variants_that_its_page_shows(built_site):
    """The page took them through every mistake when it was built; tests/exercises/test_accuracy.py takes the next."""
    glued = json.loads((built_site.parent / "jupyter_execute" / "book" / "grader.glue.json").read_text())
    shown = {name: float(output["data"]["text/plain"]) for name, output in glued.items()}
    assert (shown["seeds"], shown["fewer"]) == (accuracy.SEEDS_SHOWN, accuracy.SEEDS_SHOWN_OF_OTHERS)
    assert shown["mistakes"] > 5000
    assert shown["caught"] == shown["mistakes"]
    assert shown["accepted"] == shown["right"] > 4000
    assert shown["named"] >= accuracy.NAMED_AT_LEAST * shown["mistakes"]
    assert shown["cost_more"] <= (1 - accuracy.ONCE_AT_LEAST) * shown["mistakes"]


def test_every_claim_of_the_ledger_is_as_the_book_says(built_site):
    """With all its seeds, and its band rejects the wrong result: the page measured them when it was built."""
    text = (built_site / "book" / "claims.html").read_text(encoding="utf-8")
    cards = re.findall(r'<span class="sd-summary-text">(.+?)</span>', text)
    assert len(cards) == sum(map(len, claims().values()))
    assert [card for card in cards if not card.startswith((f"{HOLDS} · ", f"{NOT_HERE} · "))] == []
    assert FAILS not in text
