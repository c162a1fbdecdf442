"""What the checks of the built site share: its pages, an address for it, a browser, and npm's tools."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from playwright.sync_api import Page

from bn_book.chapters import FOLDER
from bn_book.chapters import chapters as in_order

HERE = Path(__file__).parent
NODE_MODULES = HERE / "node_modules"
NODE = Path(sys.executable).with_name("node")

chromium = pytest.mark.needs("chromium", package="chromium (Debian)")

DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}


def npm(package: str) -> pytest.MarkDecorator:
    """Skip without this npm package: `make test` installs it."""
    return pytest.mark.needs(f"npm:{package}", package=f"{package} (npm ci in tests/site)")


def pages(site: Path) -> list[str]:
    """Every page of the book, relative to the site. `lite/` is JupyterLite's own, `_static/` no page."""
    found = (path.relative_to(site) for path in sorted(site.rglob("*.html")))
    return [str(path) for path in found if path.parts[0] not in ("lite", "_static")]


def is_redirect(page: str) -> bool:
    """Whether a page only sends the reader on."""
    return re.search(r'<meta http-equiv="refresh"', page, re.IGNORECASE) is not None


def readable(site: Path) -> list[str]:
    """The pages that a reader stays on."""
    return [page for page in pages(site) if not is_redirect((site / page).read_text(encoding="utf-8"))]


def of_every_kind(site: Path) -> list[str]:
    """The pages that a reader stays on; of the listings of sources, which are one page with other code, the longest."""
    found = readable(site)
    listings = [page for page in found if page.startswith("_modules/")]
    longest = max(listings, key=lambda page: (site / page).stat().st_size)
    return [page for page in found if page not in listings or page == longest]


def one_of_each_folder(site: Path) -> list[str]:
    """The longest page of each folder, for what comes from a page's template and from where it stands."""
    longest = {
        Path(page).parent: page for page in sorted(of_every_kind(site), key=lambda page: (site / page).stat().st_size)
    }
    return sorted(longest.values())


def chapters() -> list[str]:
    """The pages of the chapters, relative to the site, in their order."""
    return [f"{FOLDER}{name}.html" for name in in_order()]


@contextmanager
def served(site: Path, base: str = "/") -> Iterator[str]:
    """The site's address, below a path as GitHub Pages gives it. What is asked for elsewhere is not found."""

    class Handler(SimpleHTTPRequestHandler):
        def translate_path(self, path: str) -> str:
            return super().translate_path(f"/{path.removeprefix(base)}" if path.startswith(base) else "/nothing")

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(site))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}{base}"
        server.shutdown()


# To the end of the page, one screen at a time, so that what loads late loads; and then until it has come.
THROUGH = """async () => {
  const frame = () => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
  for (let y = 0; y < document.documentElement.scrollHeight; y += innerHeight) {
    scrollTo({ top: y, behavior: "instant" });
    await frame();
  }
  const asleep = "[data-explorable]:not([data-awake]), img[loading=lazy]:not([data-seen])";
  const late = Date.now() + 120_000;  // a busy machine is no finding
  for (const image of document.querySelectorAll("img[loading=lazy]")) {
    await image.decode().catch(() => {});
    image.dataset.seen = "";
  }
  while (document.querySelector(asleep)) {
    if (Date.now() > late) throw new Error(`still asleep: ${document.querySelector(asleep).outerHTML.slice(0, 200)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await document.fonts.ready;
  scrollTo({ top: 0, behavior: "instant" });
  await frame();
}"""


def read_through(page: Page, url: str) -> None:
    """Open a page and scroll to its end and back, so that all of it is there."""
    page.goto(url, wait_until="load", timeout=120_000)  # a busy machine is no finding
    page.evaluate(THROUGH)


# Where every heading, paragraph, output and figure is in the document, and how long that is.
PLACES = """() => {
  const round = (length) => Math.round(10 * length) / 10;
  const places = [...document.querySelectorAll(".bd-article :is(section, section > *, .bn-explorable)")].map((each) => {
    const { left, top, width, height } = each.getBoundingClientRect();
    const name = `${each.tagName} ${each.id}`;
    return [name, round(left + scrollX), round(top + scrollY), round(width), round(height)].join(" ");
  });
  return [`${document.documentElement.scrollHeight} high, at ${scrollY}`, ...places];
}"""

# Keeps from the first moment what moves in a page that comes, as a part of the screen.
SHIFTS = """
window.shifts = [];
const note = (list) => shifts.push(...list.getEntries().map((entry) => entry.value));
new PerformanceObserver(note).observe({ type: "layout-shift", buffered: true });
"""

# What a figure is moved by.
HANDLES = ".bn-handle, .bn-turntable, .bn-scrub, input[type=range]"

# How many paragraphs are far from the screen, and left out.
LEFT_OUT = """() => {
  const seen = (part) => !part || part.checkVisibility({ contentVisibilityAuto: true });
  const texts = [...document.querySelectorAll(".bd-article section > p")];
  return texts.filter((each) => !seen(each.firstElementChild)).length;
}"""


def settled(page: Page) -> list[str]:
    """The places, once two frames were shown."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return page.evaluate(PLACES)
