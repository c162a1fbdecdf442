"""Figures in the page: the smallest letters on a phone and on a wide screen, and the face they are set in."""

from __future__ import annotations

from pathlib import Path

import pytest
from built import DESKTOP, PHONE, chapters, chromium, read_through
from playwright.sync_api import Browser

pytestmark = chromium

SMALLEST = 11  # CSS pixels

# Every text of a figure as it is shown: the size of its letters, and their face.
TEXTS = """() => [...document.querySelectorAll(".bn-figure svg text")]
  .filter((text) => text.checkVisibility() && text.textContent.trim())
  .map((text) => {
    const { a, b, c, d } = text.getScreenCTM();
    const style = getComputedStyle(text);
    const size = parseFloat(style.fontSize) * Math.sqrt(Math.abs(a * d - b * c));
    return { size, words: text.textContent, face: style.fontFamily.split(",")[0] };
  })"""
SHORT = """() => [...document.querySelectorAll(".bn-figure svg")]
  .filter((svg) => svg.checkVisibility())
  .filter((svg) => svg.clientWidth < svg.closest(".bn-figure").clientWidth - 1)
  .map((svg) => svg.getAttribute("aria-label"))"""


@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("name", [*chapters(), "book/benchmarks.html"])
def test_figures_can_be_read_and_take_the_full_measure(
    browser: Browser, address: str, built_site: Path, name: str, viewport: dict[str, int]
) -> None:
    context = browser.new_context(viewport=viewport, reduced_motion="reduce")
    try:
        page = context.new_page()
        read_through(page, address + name)
        texts, short = page.evaluate(TEXTS), page.evaluate(SHORT)
    finally:
        context.close()
    assert bool(texts) == ("bn-figure" in (built_site / name).read_text(encoding="utf-8"))
    assert [text for text in texts if text["size"] < SMALLEST] == []
    assert {text["face"] for text in texts} <= {'"Book Sans"'}
    assert short == []
