"""The book's faces: which of them a first visit is set in, and that the page does not move when they come late."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from built import DESKTOP, PHONE, chapters, chromium
from playwright.sync_api import Browser, Page, Route

pytestmark = chromium

CHAPTER = chapters()[2]
FACES = {".bd-article h1": "Book Display", ".bd-article section > p": "Book Serif"}


@contextmanager
def cold(browser: Browser, viewport: dict[str, int]) -> Iterator[Page]:
    """A tab of a browser that has seen nothing of the site."""
    context = browser.new_context(viewport=viewport, reduced_motion="reduce")
    try:
        yield context.new_page()
    finally:
        context.close()


def faces(page: Page, selector: str) -> set[str]:
    """The fonts in which the letters of an element are drawn, those of the device by a star."""
    session = page.context.new_cdp_session(page)
    session.send("DOM.enable")
    session.send("CSS.enable")
    root = session.send("DOM.getDocument")["root"]["nodeId"]
    node = session.send("DOM.querySelector", {"nodeId": root, "selector": selector})["nodeId"]
    fonts: list[dict[str, Any]] = session.send("CSS.getPlatformFontsForNode", {"nodeId": node})["fonts"]
    return {font["familyName"] if font["isCustomFont"] else "*" for font in fonts}


@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("name", ["book/index.html", CHAPTER])
def test_a_cold_load_is_set_in_the_books_own_faces(
    browser: Browser, address: str, name: str, viewport: dict[str, int]
) -> None:
    with cold(browser, viewport) as page:
        page.goto(address + name, wait_until="networkidle")
        page.evaluate("document.fonts.ready")
        for selector, face in FACES.items():
            found = faces(page, selector)
            # Beside it, the sign that links to a heading, which is set like the text, and formulas.
            assert face in found
            assert "*" not in found


MOVED = """() => new Promise((done) => {
  let moved = 0;
  new PerformanceObserver((list) => { for (const { value } of list.getEntries()) moved += value; })
    .observe({ type: "layout-shift", buffered: true });
  requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(() => done(moved), 100)));
})"""


@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("name", ["book/index.html", CHAPTER])
def test_a_page_is_painted_in_its_faces_and_hardly_moves_when_others_come_late(
    browser: Browser, address: str, name: str, viewport: dict[str, int]
) -> None:
    """Lighthouse's bar for the sum of what moves is 0.1; the site's is a fifth of it."""
    with cold(browser, viewport) as page:
        waiting: list[Route] = []
        page.route("**/*.woff2", lambda route: waiting.append(route))
        page.goto(address + name, wait_until="domcontentloaded")
        page.wait_for_function("() => performance.getEntriesByName('first-contentful-paint').length > 0")
        for selector, face in FACES.items():
            assert face in faces(page, selector)
        assert waiting, "the faces of labels and of emphasis come by themselves"
        page.unroute_all(behavior="ignoreErrors")  # those that wait go on
        page.wait_for_function("() => document.fonts.check('1em \"Book Sans\"')")
        assert page.evaluate(MOVED) < 0.02
