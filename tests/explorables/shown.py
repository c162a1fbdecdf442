"""What a page shows of an explorable, and a hand that drags: for the tests of each kind."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup
from playwright.sync_api import Locator, Page

from bn_book.explorables import Explorable


def state(page: Page, name: str) -> Any:
    """One value of the model."""
    return page.locator("[data-explorable]").evaluate("(element, name) => element.bnModel.get(name)", name)


def stop_the_clock(page: Page) -> None:
    """From now on, time passes on this page only by `page.clock.run_for`: what plays is as far as the test lets it."""
    page.clock.install(time=0)
    page.clock.pause_at(1)


def play_until(page: Page, name: str, value: float, frames: int = 1) -> None:
    """Let time pass on a page with its clock stopped, by so many frames, until the model's value has come so far."""
    for _ in range(1000):
        if state(page, name) >= value:
            return
        page.clock.run_for(17 * frames)
    raise AssertionError(f"{name} stays at {state(page, name)}")


def words(page: Page) -> str:
    """What the figure says that it shows now."""
    return page.locator(".bn-now").inner_text()


def first_words(figure: Explorable) -> str:
    """What it says before any script runs, for which no browser is needed."""
    now = BeautifulSoup(figure.to_html(), "html.parser").select_one(".bn-now")
    assert now is not None
    return " ".join(now.get_text().split())


def as_in_the_book(page: Page, styles: Path) -> None:
    """Set the figure in the book's column and letters, under the book's own rules, which come last there too.

    The letters are there before they are used: what takes their place until then depends on the machine.
    """
    page.add_style_tag(path=styles)
    loaded = page.evaluate(
        """async () => {
          // Those in their place are the device's, and not all are there.
          const own = [...document.fonts].filter(({ family }) => /Book (Serif|Display|Sans)(?! as )/.test(family));
          await Promise.all(own.map((font) => font.load()));
          return own.length;
        }"""
    )
    assert loaded
    page.add_style_tag(content="main { max-width: 40rem; font-family: var(--bn-serif) }")
    page.locator("main").evaluate("main => main.classList.add('bd-article')")


def height(page: Page) -> float:
    """Of the whole figure."""
    return float(page.locator("[data-explorable]").evaluate("figure => figure.getBoundingClientRect().height"))


def surprises(page: Page, names: Iterable[str], count: int = 50) -> list[tuple[dict[str, Any], str, str]]:
    """Press "Surprise me" `count` times; after each the model's values of these names, the words, and all of its HTML.

    Seeded anew for each press, so that every run sees the same.
    """
    seen = page.locator("[data-explorable]").evaluate(
        """async (element, [names, count]) => {
          const button = [...element.querySelectorAll('button')].find(each => each.textContent === 'Surprise me');
          const seen = [];
          for (let seed = 1; seed <= count; seed++) {
            let s = seed * 12345677;
            Math.random = () => (s = (s * 16807) % 2147483647) / 2147483647;
            button.click();
            await new Promise(requestAnimationFrame);
            const state = Object.fromEntries(names.map(name => [name, element.bnModel.get(name)]));
            seen.push([state, element.querySelector('.bn-now').innerText, element.innerHTML]);
          }
          return seen;
        }""",
        [list(names), count],
    )
    return [(state, said, html) for state, said, html in seen]


def drag(page: Page, handle: Locator, dx: float, dy: float, at: tuple[float, float] = (22, 22)) -> None:
    """Press the mouse on a handle, so far from its corner, move it by dx and dy, and let go."""
    box = handle.bounding_box()
    assert box, "it cannot be seen"
    x, y = box["x"] + at[0], box["y"] + at[1]
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + dx, y + dy, steps=5)
    page.mouse.up()


def swipe(page: Page, start: tuple[float, float], way: tuple[float, float]) -> None:
    """Put a finger on the page at `start`, move it by `way`, and lift it."""
    touch = page.context.new_cdp_session(page)
    (x, y), (dx, dy) = start, way
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
    for part in (0.25, 0.5, 0.75, 1):
        point = {"x": x + part * dx, "y": y + part * dy}
        touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def collisions(page: Page, texts: str, marks: str) -> list[tuple[str, str]]:
    """Which of these texts, and which of these marks, lie over each other on the screen; both are CSS selectors."""
    found: list[tuple[str, str]] = page.evaluate(
        """([texts, marks]) => {
          const box = (element) => element.getBoundingClientRect();
          const apart = (a, b) => a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top;
          return [...document.querySelectorAll(texts)].flatMap((text) =>
            [...document.querySelectorAll(marks)].filter((mark) => mark !== text && !apart(box(text), box(mark)))
              .map((mark) => [text.textContent, mark.outerHTML.slice(0, 200)]));
        }""",
        [texts, marks],
    )
    return found
