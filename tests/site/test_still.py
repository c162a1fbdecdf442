"""While a figure changes, the page around it rests: it is not styled, moved or searched anew."""

from __future__ import annotations

import json

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
    page.wait_for_function("() => !document.documentElement.classList.contains('bn-coming')")
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


# A line comes into a figure, and goes: as on an axis that gets another tick.
ADD_AND_REMOVE = """async (svg) => {
  const frame = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const line = document.createElementNS(svg.namespaceURI, "line");
  svg.append(line);
  await frame();
  line.remove();
  await frame();
}"""


@pytest.mark.parametrize("chapter", chapters())
def test_a_new_line_in_a_figure_is_no_news_for_the_page(browser: Browser, address: str, chapter: str) -> None:
    """Rules with `:has()` made browsers style 150 to 220 other elements again, and a script placed all of the page."""
    page = browser.new_page(viewport=PHONE)
    page.goto(f"{address}{chapter}", wait_until="networkidle")
    page.wait_for_function("() => !document.documentElement.classList.contains('bn-coming')")
    figure = page.locator("[data-explorable]").first
    figure.scroll_into_view_if_needed()
    figure.and_(page.locator("[data-awake]")).wait_for()
    page.wait_for_timeout(1000)  # what followed from its waking is over
    browser.start_tracing(page=page, categories=["devtools.timeline"])
    figure.locator("svg").first.evaluate(ADD_AND_REMOVE)
    page.wait_for_timeout(500)  # the theme's script waited for 300 ms
    events = json.loads(browser.stop_tracing())["traceEvents"]
    styled = [event["args"]["elementCount"] for event in events if event["name"] == "UpdateLayoutTree"]
    assert len(styled) >= 2
    assert sum(styled) < 20
    page.close()
