"""While a handle of a figure is held, the page around it rests, and what is far from the screen is left out."""

from __future__ import annotations

import pytest
from built import DESKTOP, HANDLES, LEFT_OUT, PHONE, chapters, chromium, settled
from playwright.sync_api import Browser

pytestmark = chromium


@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("chapter", chapters())
def test_nothing_moves_while_a_handle_is_held(browser: Browser, address: str, chapter: str, viewport) -> None:
    """The page has just come, and the reader went straight to the figure: most of it was never on the screen."""
    context = browser.new_context(viewport=viewport, reduced_motion="reduce")
    page = context.new_page()
    page.goto(f"{address}{chapter}")
    figure = page.locator("[data-explorable]").first
    figure.scroll_into_view_if_needed()
    figure.and_(page.locator("[data-awake]")).wait_for()
    page.wait_for_load_state("networkidle")  # fonts that only the rest of the page needs come late
    page.evaluate("document.fonts.ready")
    handle = figure.locator(HANDLES).first
    handle.evaluate("handle => handle.scrollIntoView({ block: 'center', behavior: 'instant' })")
    box = handle.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + min(22, box["height"] / 2))
    before = settled(page)
    page.mouse.down()
    page.wait_for_function("() => document.documentElement.classList.contains('bn-drag')")
    assert settled(page) == before
    assert page.evaluate(LEFT_OUT) > 0
    page.mouse.up()
    page.wait_for_function("() => !document.documentElement.classList.contains('bn-drag')")
    assert settled(page) == before
    context.close()
