"""Progress stays on the reader's device, is shown, announced and cleared; storage that fails harms nothing."""

import json
from collections.abc import Iterator
from pathlib import Path
from shutil import which

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, Route

from bn_book.chapters import chapters
from bn_book.questions import of_chapters
from bn_exercises import questions

pytestmark = pytest.mark.needs("chromium", package="chromium (Debian)")

BASE = "http://book.test/under/a/path/"
COVER, CHAPTER = "book/index", "book/chapters/batch_size"
QUESTION, RIGHT, WRONG = "batch-size", "0.5", "77"
QUESTIONS = len(of_chapters()) + len(questions.ALL)
OF_CHAPTERS, OF_QUESTIONS = f"of {len(chapters())} chapters", f"of {QUESTIONS} questions"
ONE_QUESTION = f"0 {OF_CHAPTERS}, 1 {OF_QUESTIONS}"
BOTH = f"1 {OF_CHAPTERS}, 1 {OF_QUESTIONS}"
KEY = "bn-progress"
KEPT = {"version": 1, "read": [CHAPTER], "seen": {}, "answered": [QUESTION]}


@pytest.fixture
def context(browser: Browser, built_site: Path) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    serve(context, built_site)
    yield context
    context.close()


def serve(context: BrowserContext, site: Path) -> None:
    """Show the site without its large scripts and fonts, which progress has nothing to do with."""

    def answer(route: Route) -> None:
        file = site / route.request.url.removeprefix(BASE).partition("?")[0]
        if file.is_file() and "vendor" not in file.parts:
            route.fulfill(path=file)
        else:
            route.fulfill(status=404)

    context.route(f"{BASE}**", answer)


def visit(context: BrowserContext, name: str) -> Page:
    page = context.new_page()
    page.clock.install()
    page.goto(f"{BASE}{name}.html", wait_until="domcontentloaded")
    return page


def kept(page: Page) -> dict:
    return json.loads(page.evaluate("key => localStorage.getItem(key)", KEY) or "{}")


def keep(context: BrowserContext, text: str) -> None:
    page = context.new_page()
    page.goto(f"{BASE}_static/book.css")
    page.evaluate("([key, text]) => localStorage.setItem(key, text)", [KEY, text])
    page.close()


def answer(page: Page, text: str) -> None:
    box = page.locator(f'[data-name="{QUESTION}"]')
    box.get_by_role("textbox").fill(text)
    box.get_by_role("button", name="Check").click()


def summary(page: Page) -> str:
    return page.locator("#pst-primary-sidebar .bn-progress-text").inner_text()


def is_answered(page: Page) -> bool:
    return page.locator(f'[data-name="{QUESTION}"].bn-answered').count() == 1


def links_to_chapter(page: Page, heard: str) -> int:
    return page.get_by_role("link", name=f"{1 + chapters().index('batch_size')}. Batch size{heard}", exact=True).count()


def announced(page: Page) -> str:
    return page.locator(".bn-progress-status").inner_text()


def sections(page: Page) -> int:
    return page.locator(".bd-article > section > section").count()


def show_end_of(page: Page, section: int, milliseconds: int) -> None:
    """Put a section's end in the middle of the screen for a while."""
    page.evaluate(
        """async section => {
          const all = document.querySelectorAll('.bd-article > section > section');
          const { bottom } = all[section].getBoundingClientRect();
          scrollTo({ top: scrollY + bottom - innerHeight / 2, behavior: 'instant' });
          dispatchEvent(new Event('scroll')); // the browser's own comes with the next picture
        }""",
        section,
    )
    page.clock.run_for(milliseconds)


def test_nothing_is_shown_or_kept_before_there_is_something(context: BrowserContext) -> None:
    for name in (COVER, CHAPTER):
        page = visit(context, name)
        assert page.locator(".bn-progress").count() == (2 if name == COVER else 1)
        assert not page.locator(".bn-progress:visible").count()
        assert kept(page) == {}


def test_a_right_answer_is_counted_once_and_outlasts_the_page(context: BrowserContext) -> None:
    page = visit(context, CHAPTER)
    answer(page, WRONG)
    assert not is_answered(page)
    assert not kept(page).get("answered")
    for _ in range(2):
        answer(page, RIGHT)
    page.reload()
    assert is_answered(page)
    assert summary(page) == ONE_QUESTION
    assert "(answered)" in page.locator(f'[data-name="{QUESTION}"] .bn-kicker').inner_text()
    assert kept(page)["answered"] == [QUESTION]


def test_a_chapter_is_read_when_the_end_of_each_section_was_seen(context: BrowserContext) -> None:
    page = visit(context, CHAPTER)
    count = sections(page)
    assert count > 3
    for section in range(count // 2):
        show_end_of(page, section, 1100)
    # The rest on another day.
    page.close()
    page = visit(context, CHAPTER)
    assert links_to_chapter(page, " (read)") == 0
    for section in range(count // 2, count):
        show_end_of(page, section, 1100)
    assert links_to_chapter(page, " (read)") == 1
    assert announced(page) == f"Chapter read. 1 {OF_CHAPTERS}, 0 {OF_QUESTIONS}."
    assert kept(page) == KEPT | {"answered": []}


def test_scrolling_past_is_not_reading(context: BrowserContext) -> None:
    page = visit(context, CHAPTER)
    for section in range(sections(page)):
        show_end_of(page, section, 700)
    page.clock.run_for(5000)
    assert links_to_chapter(page, "") == 1
    assert links_to_chapter(page, " (read)") == 0


def test_the_cover_shows_it_on_the_map_and_nothing_moves(context: BrowserContext) -> None:
    places = """() => [...document.querySelectorAll('.bd-article :is(h2, li), nav.bd-links a')]
      .map(e => JSON.stringify(e.getBoundingClientRect()))"""
    before = visit(context, COVER).evaluate(places)
    keep(context, json.dumps(KEPT))
    page = visit(context, COVER)
    assert page.locator(".bn-map .bn-read").count() == 1
    assert page.locator(".bn-map .bn-read a").get_attribute("href") == "chapters/batch_size.html"
    assert [line.inner_text() for line in page.locator(".bn-progress-text:visible").all()] == [BOTH, BOTH]
    assert page.evaluate(places) == before
    assert announced(page) == ""  # a page that opens says nothing


def test_clear_clears_and_can_be_undone(context: BrowserContext) -> None:
    keep(context, json.dumps(KEPT))
    page = visit(context, CHAPTER)
    page.locator("#pst-primary-sidebar").get_by_role("button", name="Clear progress").press("Enter")
    assert kept(page) == {}
    assert not is_answered(page)
    assert links_to_chapter(page, " (read)") == 0
    assert announced(page) == "Progress cleared."
    page.keyboard.press("Enter")  # the same button, which still has the focus, now takes it back
    assert kept(page) == KEPT
    assert is_answered(page)
    assert announced(page) == summary(page) == BOTH
    page.keyboard.press("Enter")
    page.reload()
    assert not page.locator(".bn-progress:visible").count()


def test_another_tab_follows(context: BrowserContext) -> None:
    cover, chapter = visit(context, COVER), visit(context, CHAPTER)
    answer(chapter, RIGHT)
    cover.wait_for_function("document.querySelector('.bn-progress-text').offsetParent !== null")
    assert summary(cover) == ONE_QUESTION


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "null",
        "7",
        "[]",
        "{}",
        json.dumps(KEPT | {"version": 2}),
        json.dumps(KEPT | {"read": "all"}),
        json.dumps(KEPT | {"read": [1]}),
        json.dumps(KEPT | {"answered": None}),
        json.dumps(KEPT | {"seen": None}),
        json.dumps(KEPT | {"seen": {CHAPTER: 3}}),
    ],
)
def test_storage_with_something_else_in_it_counts_as_empty(context: BrowserContext, text: str) -> None:
    keep(context, text)
    errors: list[str] = []
    context.on("weberror", lambda error: errors.append(str(error.error)))
    page = visit(context, CHAPTER)
    assert not page.locator(".bn-progress:visible").count()
    answer(page, RIGHT)
    assert summary(page) == ONE_QUESTION
    assert kept(page)["answered"] == [QUESTION]
    assert not errors


def test_names_that_the_book_no_longer_has_are_not_counted(context: BrowserContext) -> None:
    keep(context, json.dumps(KEPT | {"read": ["book/gone", CHAPTER], "answered": ["gone", QUESTION]}))
    assert summary(visit(context, CHAPTER)) == BOTH


def test_a_chapter_that_was_read_under_another_name_stays_read(context: BrowserContext) -> None:
    before = "book/chapters/06-batch-size"
    keep(context, json.dumps(KEPT | {"read": [before], "seen": {"book/chapters/03-forward-pass": ["a"]}}))
    page = visit(context, COVER)
    assert summary(page) == BOTH
    assert links_to_chapter(page, " (read)")
    page.locator("#pst-primary-sidebar .bn-progress button").click()  # clear it, and bring it back
    page.locator("#pst-primary-sidebar .bn-progress button").click()
    assert kept(page)["read"] == [CHAPTER]
    assert kept(page)["seen"] == {"book/chapters/forward": ["a"]}


def test_without_storage_it_lasts_as_long_as_the_page(playwright: Playwright, built_site: Path, tmp_path: Path) -> None:
    # As in the settings: "block all cookies" takes local storage away too, and asking for it is an error.
    (tmp_path / "Default").mkdir()
    settings = {"profile": {"default_content_setting_values": {"cookies": 2}}}
    (tmp_path / "Default" / "Preferences").write_text(json.dumps(settings))
    context = playwright.chromium.launch_persistent_context(tmp_path, executable_path=which("chromium"))
    serve(context, built_site)
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(error.stack or ""))
    page.goto(f"{BASE}{CHAPTER}.html")
    assert page.evaluate("() => { try { localStorage; return false } catch { return true } }")
    answer(page, RIGHT)
    assert is_answered(page)
    assert summary(page) == ONE_QUESTION
    assert not [error for error in errors if "progress.js" in error]
    context.close()


def test_without_scripts_there_is_none(browser: Browser, built_site: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    serve(context, built_site)
    page = context.new_page()
    page.goto(f"{BASE}{COVER}.html")
    assert page.locator(".bn-map > li").count() == len(chapters())
    assert page.locator(".bn-progress").count() == 0
    context.close()
