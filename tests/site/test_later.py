"""What is below the first screen is placed when the browser has time: later, and where it would have been at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from built import DESKTOP, LEFT_OUT, PHONE, chapters, chromium, settled
from playwright.sync_api import Browser, Page, Route

pytestmark = chromium

VIEWPORTS = pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
PAGE = "book/chapters/04-backward-pass.html"
COMING = "document.documentElement.classList.contains('bn-coming')"
TOP = "heading => Math.round(heading.getBoundingClientRect().top)"


@pytest.fixture
def opened(browser: Browser, address: str) -> Iterator[Callable[..., Page]]:
    """A tab that has the fonts already, so that they come at the same moment of every load."""
    contexts = []

    def open_tab(viewport: dict[str, int]) -> Page:
        contexts.append(browser.new_context(viewport=viewport, reduced_motion="reduce"))
        page = contexts[-1].new_page()
        page.goto(f"{address}book/index.html", wait_until="networkidle")
        return page

    yield open_tab
    for context in contexts:
        context.close()


def hold(page: Page) -> list[Route]:
    """The page as it is while it comes: what places the rest waits for somebody to let it continue."""
    waiting: list[Route] = []
    page.route("**/book.js*", lambda route: waiting.append(route))
    return waiting


@VIEWPORTS
@pytest.mark.parametrize("chapter", chapters())
def test_everything_comes_to_the_place_where_it_would_be_at_once(
    opened: Callable[..., Page], address: str, chapter: str, viewport: dict[str, int]
) -> None:
    page = opened(viewport)
    page.goto(address + chapter)
    page.wait_for_function(f"() => !{COMING}")
    assert page.evaluate(LEFT_OUT) == 0
    page.wait_for_load_state("networkidle")  # fonts that only the rest of the page needs come late
    late = settled(page)
    page.reload()
    assert not page.evaluate(COMING)
    assert settled(page) == late


@VIEWPORTS
def test_a_section_that_is_chosen_before_is_found_and_stays(
    opened: Callable[..., Page], address: str, viewport: dict[str, int]
) -> None:
    page = opened(viewport)
    waiting = hold(page)
    page.goto(address + PAGE, wait_until="commit")
    page.wait_for_function("() => document.readyState !== 'loading'")
    assert page.evaluate(COMING)
    assert page.evaluate(LEFT_OUT) > 0
    heading = page.locator(".bd-article section > h2").nth(2)
    heading.evaluate("heading => { location.hash = heading.parentElement.id }")
    chosen = heading.evaluate(TOP)
    assert 0 <= chosen < viewport["height"] / 4
    for route in waiting:
        route.continue_()
    page.wait_for_function(f"() => !{COMING}")
    settled(page)
    assert heading.evaluate(TOP) == pytest.approx(chosen, abs=1)


def test_who_comes_to_a_section_gets_the_whole_page_at_once(opened: Callable[..., Page], address: str) -> None:
    page = opened(DESKTOP)
    hold(page)
    page.goto(f"{address}{PAGE}#the-computational-graph", wait_until="commit")
    page.wait_for_function("() => document.readyState !== 'loading'")
    assert not page.evaluate(COMING)
    assert page.evaluate(LEFT_OUT) == 0


def test_without_scripts_the_whole_page_comes_at_once(browser: Browser, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address + PAGE)
    marked = page.locator(".bn-later")
    assert marked.count() > 20
    assert marked.first.evaluate("block => getComputedStyle(block).contentVisibility") == "visible"
    context.close()


# What is cut off at an edge of its box, of which a part comes into view only by scrolling in it; and what stops a Tab.
STOPS = """() => {
  const boxes = ".bd-article :is(.bn-formula, pre, .cell_output > .output, .pst-scrollable-table-container)";
  const cut = (box) => box.scrollWidth > box.clientWidth;
  const found = [...document.querySelectorAll(boxes)].filter((box) => box.checkVisibility());
  const name = (box) => box.className + box.innerText.slice(0, 40);
  return {
    missed: found.filter((box) => cut(box) && box.tabIndex !== 0).map(name),
    needless: found.filter((box) => !cut(box) && box.tabIndex === 0 && box.scrollHeight === box.clientHeight).map(name),
    right: found.filter((box) => cut(box) && box.tabIndex === 0).length,
  };
}"""


@pytest.mark.parametrize("chapter", chapters())
def test_who_has_no_mouse_reaches_all_that_scrolls_and_nothing_else(
    opened: Callable[..., Page], address: str, chapter: str
) -> None:
    page = opened(PHONE)
    page.goto(address + chapter)
    page.wait_for_function(f"() => !{COMING}")
    page.wait_for_load_state("networkidle")
    settled(page)
    stops = page.evaluate(STOPS)
    assert stops["missed"] == stops["needless"] == []
    assert stops["right"] > 2
    page.evaluate("document.querySelectorAll('.cell details').forEach((folded) => { folded.open = true; })")
    settled(page)
    unfolded = page.evaluate(STOPS)
    assert unfolded["missed"] == unfolded["needless"] == []
    assert unfolded["right"] > stops["right"]
    page.set_viewport_size({"width": 1280, "height": 900})
    settled(page)
    wider = page.evaluate(STOPS)
    assert wider["missed"] == wider["needless"] == []
    assert wider["right"] < unfolded["right"]
