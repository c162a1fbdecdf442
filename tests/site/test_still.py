"""While a handle of a figure is held, the page leaves out what is far from the screen, and nothing on it moves."""

from __future__ import annotations

import pytest
from built import DESKTOP, PHONE, chromium
from playwright.sync_api import Browser, Page

pytestmark = chromium

CHAPTERS = (
    "01-why-scale-matters",
    "02-internal-covariate-shift",
    "03-forward-pass",
    "04-backward-pass",
    "05-training-and-inference",
    "06-batch-size",
    "07-convolutions",
    "08-making-it-fast",
)

HANDLES = ".bn-handle, .bn-turntable, .bn-scrub, input[type=range]"

# Where every heading, paragraph, output and figure is in the document, and how long that is.
PLACES = """() => {
  const round = (length) => Math.round(10 * length) / 10;
  const places = [...document.querySelectorAll(".bd-article :is(section, section > *, .bn-explorable)")].map((each) => {
    const { left, top, width, height } = each.getBoundingClientRect();
    const name = `${each.tagName} ${each.id} ${each.className}`;
    return [name, round(left + scrollX), round(top + scrollY), round(width), round(height)].join(" ");
  });
  return [`${document.documentElement.scrollHeight} high, at ${scrollY}`, ...places];
}"""

LEFT_OUT = """() => {
  const seen = (part) => !part || part.checkVisibility({ contentVisibilityAuto: true });
  const texts = [...document.querySelectorAll(".bd-article section > p")];
  return texts.filter((each) => !seen(each.firstElementChild)).length;
}"""


def settled(page: Page) -> list[str]:
    """The places, once two frames were shown."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return page.evaluate(PLACES)


@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_nothing_moves_while_a_handle_is_held(browser: Browser, address: str, chapter: str, viewport) -> None:
    """The page has just come, and the reader went straight to the figure: most of it was never on the screen."""
    context = browser.new_context(viewport=viewport, reduced_motion="reduce")
    page = context.new_page()
    page.goto(f"{address}book/chapters/{chapter}.html")
    figure = page.locator("[data-explorable]").first
    figure.scroll_into_view_if_needed()
    figure.and_(page.locator("[data-awake]")).wait_for()
    page.evaluate("document.fonts.ready")
    handle = figure.locator(HANDLES).first
    handle.evaluate("handle => handle.scrollIntoView({ block: 'center', behavior: 'instant' })")
    box = handle.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + min(22, box["height"] / 2))
    before = settled(page)
    page.mouse.down()
    page.wait_for_function("document.documentElement.classList.contains('bn-drag')")
    assert settled(page) == before
    assert page.evaluate(LEFT_OUT) > 0
    page.mouse.up()
    page.wait_for_function("!document.documentElement.classList.contains('bn-drag')")
    assert settled(page) == before
    context.close()
