"""A page that comes in pieces: a browser paints nothing of it until the first screen is there, so nothing moves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest
from built import DESKTOP, PHONE, chromium
from playwright.sync_api import Browser, Page

pytestmark = chromium

EXPECT = '<link rel="expect"'

WATCH = """
  window.moved = [];
  const watch = (list) => list.getEntries().forEach(({ value, sources }) => {
    moved.push([value, ...sources.map(({ node }) => node?.textContent.trim().slice(0, 60))]);
  });
  new PerformanceObserver(watch).observe({ type: "layout-shift", buffered: true });
"""
PAINTED = "() => performance.getEntriesByName('first-contentful-paint').length > 0"


class InPieces(SimpleHTTPRequestHandler):
    """The page up to `cut`, and the rest when `rest` is set. What else the page asks for comes at once."""

    def __init__(self, *args: object, page: bytes, cut: int, rest: Event, **options: object) -> None:
        self.page, self.cut, self.rest = page, cut, rest
        super().__init__(*args, **options)

    def do_GET(self) -> None:
        if not self.path.endswith("?in-pieces"):
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(self.page)))
        self.end_headers()
        self.wfile.write(self.page[: self.cut])
        self.wfile.flush()
        self.rest.wait(timeout=60)
        self.wfile.write(self.page[self.cut :])

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def in_pieces(
    browser: Browser, site: Path, name: str, page: str, cut: int, viewport: dict[str, int] = DESKTOP
) -> Iterator[tuple[Page, Event]]:
    """The page in a tab, so far as it has come, and what lets the rest of it come."""
    rest = Event()
    piece = len(page[:cut].encode())
    handler = partial(InPieces, directory=str(site), page=page.encode(), cut=piece, rest=rest)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, daemon=True).start()
        context = browser.new_context(viewport=viewport)
        tab = context.new_page()
        tab.add_init_script(WATCH)
        tab.goto(f"http://127.0.0.1:{server.server_port}/{name}?in-pieces", wait_until="commit")
        try:
            yield tab, rest
        finally:
            rest.set()
            context.close()
            server.shutdown()


def moved(tab: Page) -> list[list]:
    """What moved, once all is there; as exactly as Lighthouse's figures are read, to four places."""
    tab.wait_for_load_state("networkidle")
    tab.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    return [each for each in tab.evaluate("moved") if round(each[0], 4)]


PLACES = {
    "the sidebar": ("book/chapters/04-backward-pass.html", '<main id="main-content"'),
    "the row of buttons": ("book/chapters/06-batch-size.html", 'aria-label="Search"'),
    "half a formula of its own line": ("book/chapters/04-backward-pass.html", 'class="mop op-symbol large-op"'),
    "half a formula in a line": ("book/chapters/06-batch-size.html", 'class="msupsub"'),
    "the front page's sentence": ("book/index.html", "</h1>"),
}


@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("place", PLACES)
def test_nothing_moves_wherever_a_page_is_cut(
    browser: Browser, built_site: Path, place: str, viewport: dict[str, int]
) -> None:
    name, mark = PLACES[place]
    page = (built_site / name).read_text(encoding="utf-8")
    cut = page.index(mark, page.index("<body")) + len(mark)
    with in_pieces(browser, built_site, name, page, cut, viewport) as (tab, rest):
        tab.wait_for_timeout(500)
        assert not tab.evaluate(PAINTED), "painted before the first screen was there"
        rest.set()
        tab.wait_for_function(PAINTED)
        assert moved(tab) == []


def test_without_the_link_half_a_formula_moves(browser: Browser, built_site: Path) -> None:
    """What the link is for; should this fail one day, browsers do without it."""
    name, mark = PLACES["half a formula of its own line"]
    page = (built_site / name).read_text(encoding="utf-8").replace(EXPECT, '<link rel="nothing"', 1)
    with in_pieces(browser, built_site, name, page, page.index(mark, page.index("<body"))) as (tab, rest):
        tab.wait_for_function(PAINTED)
        rest.set()
        assert moved(tab) != []
