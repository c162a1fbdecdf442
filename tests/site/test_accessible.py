"""Every page, for everyone: by axe, by keyboard, without motion, without scripts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from built import DESKTOP, PHONE, chromium, npm, of_every_kind, read_through, readable, served
from headless import launch
from playwright.sync_api import BrowserContext, Page, Playwright, expect
from tour import AGAIN, OF_EACH_KIND, SCREENS, Tour, page_of, take

pytestmark = [chromium, npm("axe-core")]


def test_axe_finds_nothing_on_any_page(tour: Tour) -> None:
    assert set(OF_EACH_KIND) <= {seen.page for seen in tour.seen}
    assert tour.found(lambda seen: seen.axe) == []


WRONG = {
    "color-contrast": '<p style="color: #777; background: #666">Faint in both themes.</p>',
    "target-size": '<a href="#a" style="font-size: 9px">a</a><a href="#b" style="font-size: 9px">b</a>',
    "scrollable-region-focusable": f'<div style="height: 2em; overflow: auto">{"<p>A line.</p>" * 9}</div>',
    "image-alt": '<img src="data:,">',
    "button-name": "<button></button>",
    "heading-order": "<h1>One</h1><h4>Four</h4>",
}


def test_axe_finds_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(page_of("".join(WRONG.values())))
    with served(tmp_path) as address:
        phone, desktop = take(address, ["page.html"], tmp_path, in_both=["page.html"]).seen
    assert {each.split(": ")[1] for each in phone.axe} >= WRONG.keys()
    assert {each.split(": ")[1] for each in desktop.axe} == WRONG.keys() & {*AGAIN}


# By keyboard

WALKED = ("book/index.html", "book/chapters/forward.html", "book/exercises/conditional.html")

# How an element looks, which has to change when the keyboard comes to it.
LOOKS = """(element) => {
  document.getAnimations().forEach((animation) => animation.finish());
  const parts = [element, element.parentElement, ...element.children, ...(element.labels ?? [])];
  return parts.map((part) => [null, "::before", "::after"].map((pseudo) => {
    const style = getComputedStyle(part, pseudo);
    return ["outline", "boxShadow", "border", "backgroundColor", "color", "textDecoration"].map((name) => style[name]);
  }).join()).join();
}"""

STATE = """(element) => {
  // A link that goes on in the next line is looked for in its first: the middle of both may lie beside it.
  const { x, y, width, height, right, bottom } = element.getClientRects()[0] ?? element.getBoundingClientRect();
  const within = (value, size) => Math.min(Math.max(value, 0), size - 1);
  const top = document.elementFromPoint(within(x + width / 2, innerWidth), within(y + height / 2, innerHeight));
  const labels = [...(element.labels ?? [])];
  return {
    onScreen: width > 0 && height > 0 && bottom > 0 && right > 0 && y < innerHeight && x < innerWidth,
    covered: !top || ![element, ...labels].some((part) => part.contains(top) || top.contains(part)),
    html: element.outerHTML.slice(0, 160),
  };
}"""


def stops(page: Page) -> Iterator[dict[str, Any]]:
    """Press Tab until the page has been left, and tell of each stop its role, its name and what one sees of it."""
    session = page.context.new_cdp_session(page)
    most = page.locator(":is(a[href], button, input, select, textarea, summary, [tabindex])").count() + 10
    for _ in range(most):
        page.keyboard.press("Tab")
        element = page.evaluate_handle("document.activeElement").as_element()
        if element is None or element.evaluate("e => e === document.body"):
            return
        looks = element.evaluate(LOOKS)
        state = element.evaluate(STATE)
        node = session.send("Runtime.evaluate", {"expression": "document.activeElement"})["result"]["objectId"]
        tree = session.send("Accessibility.getPartialAXTree", {"objectId": node, "fetchRelatives": False})["nodes"][0]
        element.evaluate("e => e.blur()")  # the next Tab goes on from here
        seen = element.evaluate(LOOKS) != looks
        yield state | {
            "role": tree.get("role", {}).get("value", ""),
            "name": tree.get("name", {}).get("value", "").strip(),
            "focus is seen": seen,
        }
    raise AssertionError(f"after {most} steps Tab has not left the page: something holds it")


@pytest.fixture(scope="module")
def reader(playwright: Playwright, built_site: Path) -> Iterator[tuple[BrowserContext, str]]:
    with served(built_site) as address:
        browser = launch(playwright)
        yield browser.new_context(viewport=DESKTOP, reduced_motion="reduce"), address
        browser.close()


@pytest.fixture
def phone(reader: tuple[BrowserContext, str]) -> Iterator[Callable[[str], Page]]:
    """Open a page on a phone."""
    context, address = reader
    page = context.new_page()
    page.set_viewport_size(PHONE)

    def show(name: str) -> Page:
        page.goto(address + name)
        return page

    yield show
    page.close()


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("name", WALKED)
def test_every_stop_of_the_keyboard_has_a_name_and_is_seen(
    reader: tuple[BrowserContext, str], name: str, screen: str
) -> None:
    context, address = reader
    page = context.new_page()
    page.set_viewport_size(SCREENS[screen])
    read_through(page, address + name)
    walk = list(stops(page))
    page.close()
    assert len(walk) > 10
    assert walk[0]["name"] == "Skip to main content"
    assert [stop for stop in walk if not stop["name"]] == []
    assert [stop for stop in walk if not stop["focus is seen"]] == []
    assert [stop for stop in walk if not stop["onScreen"] or stop["covered"]] == []


def test_the_first_stop_skips_to_the_text(reader: tuple[BrowserContext, str]) -> None:
    context, address = reader
    page = context.new_page()
    page.goto(address + WALKED[1])
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")
    page.close()


def test_the_chapters_open_and_close_by_keyboard_on_a_phone(phone: Callable[[str], Page]) -> None:
    """The list takes the keyboard in, and Escape gives it back to the button."""
    page = phone(WALKED[1])
    button = page.locator(".primary-toggle:visible")
    button.focus()
    page.keyboard.press("Enter")
    page.locator("dialog[open]").wait_for()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('dialog[open]') !== null")
    page.keyboard.press("Escape")
    page.locator("dialog[open]").wait_for(state="detached")
    expect(button).to_be_focused()


def test_a_section_chosen_on_a_phone_is_seen(phone: Callable[[str], Page]) -> None:
    """The list of sections lies over the page; who has chosen one has done with it."""
    page = phone(WALKED[1])
    page.locator(".secondary-toggle:visible").click()
    link = page.locator("dialog[open] nav.page-toc a").nth(1)
    there = link.get_attribute("href")
    link.click()
    page.locator("dialog[open]").wait_for(state="detached")
    assert page.url.endswith(there or "no link")


def test_a_page_without_sections_has_no_button_for_them(phone: Callable[[str], Page]) -> None:
    page = phone(WALKED[0])
    assert page.locator(".primary-toggle:visible").count() == 1
    assert page.locator(".secondary-toggle:visible").count() == 0


# Without motion


@pytest.mark.parametrize("name", WALKED)
def test_nothing_moves_for_who_asks_for_less_motion(reader: tuple[BrowserContext, str], name: str) -> None:
    context, address = reader
    page = context.new_page()
    page.goto(address + name)
    moving = page.evaluate(
        """() => [...document.querySelectorAll("*")].filter((element) => {
          const style = getComputedStyle(element);
          const times = `${style.transitionDuration},${style.animationDuration}`.split(",").map(parseFloat);
          return style.scrollBehavior === "smooth" || times.some((seconds) => seconds > 0.001);
        }).map((element) => element.outerHTML.slice(0, 120))"""
    )
    page.close()
    assert moving == []


# Without scripts


def test_every_page_reads_without_scripts(playwright: Playwright, built_site: Path) -> None:
    """The text is there, no button is that would do nothing, and where one stays the page says what it needs."""
    with served(built_site) as address:
        browser = launch(playwright)
        page = browser.new_page(viewport=PHONE, java_script_enabled=False)
        for name in of_every_kind(built_site):
            page.goto(address + name, wait_until="load")
            assert page.locator("h1:visible").count() >= 1, name
            assert page.locator("nav.bd-links a:visible").count() >= 10, f"{name}: where are the chapters?"
            for button in page.locator("button:visible").all():
                box = button.locator("xpath=ancestor::*[.//noscript][1]")
                assert "JavaScript" in box.locator("noscript").first.inner_text(), f"{name}: {button.inner_text()}"
            for explorable in page.locator("[data-explorable]").all():
                assert explorable.locator(":is(svg, img, canvas, table):visible").count(), name
        browser.close()


# Pictures


class Pictures(HTMLParser):
    """What the pictures of a page are said to show."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        # An empty alt says that words beside the picture say it all; one that is missing is axe's to find.
        # Explorables are named by the words below them, which tests/explorables reads.
        if tag == "img" and given.get("alt") != "":
            self.said.append(given.get("alt") or "")
        elif tag == "svg" and given.get("role") == "img" and "aria-labelledby" not in given:
            self.said.append(given.get("aria-label") or "")


def test_pictures_say_what_they_show(built_site: Path) -> None:
    """A sentence, which is more than a file's name or "a figure". (That there is one at all, axe says too.)"""
    poor = []
    for name in readable(built_site):
        pictures = Pictures()
        pictures.feed((built_site / name).read_text(encoding="utf-8"))
        poor += [
            f"{name}: {said!r}"
            for said in pictures.said
            if len(said.split()) < 5
            or re.search(r"\\.(png|svg|webp|jpe?g)\\b|^(figure|image|picture|plot)\\b", said, re.I)
        ]
    assert poor == []


# By keyboard, in boxes that scroll


def test_who_has_no_mouse_reaches_all_that_scrolls_and_nothing_else(tour: Tour) -> None:
    """On a phone, there with all unfolded, and then on a wide screen."""
    assert (
        tour.found(lambda seen: [fault for stops in seen.stops for fault in stops["missed"] + stops["needless"]]) == []
    )
    (forward,) = (seen for seen in tour.seen if seen.page == WALKED[1] and seen.screen == "phone")
    folded, unfolded, wide = (stops["right"] for stops in forward.stops)
    assert unfolded > folded > 2, "it has code and formulas wider than a phone"
    assert wide < unfolded
