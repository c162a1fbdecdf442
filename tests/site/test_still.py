"""Nothing moves while a page comes, nor while a handle of a figure is held; what is far from it is then left out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import which
from threading import Event, Thread

import pytest
from built import DESKTOP, HANDLES, LEFT_OUT, PHONE, SHIFTS, chapters, chromium, settled
from playwright.sync_api import Browser, Playwright

pytestmark = chromium


@contextmanager
def halted(site: Path, page: str, size: int) -> Iterator[tuple[str, Event]]:
    """The address of a page of which so many bytes come, and the rest once the event is set."""
    content, go_on = (site / page).read_bytes(), Event()

    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != f"/{page}":
                super().do_GET()
                return
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[:size])
            self.wfile.flush()
            go_on.wait(60)
            self.wfile.write(content[size:])

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(site))) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/{page}", go_on
        go_on.set()
        server.shutdown()


PAINTED = "() => performance.getEntriesByName('first-contentful-paint').length > 0"


@pytest.mark.parametrize("after", ['class="btn__text-container">Run it here', "theme-switch-button", "</h1>"])
def test_nothing_moves_when_the_rest_of_a_page_comes(playwright: Playwright, built_site: Path, after: str) -> None:
    """Seen in one of ten loads on a busy machine: a first paint in the middle of the bar, and without a scrollbar."""
    page = chapters()[3]
    place = (built_site / page).read_bytes().index(after.encode()) + 200
    browser = playwright.chromium.launch(executable_path=which("chromium"), ignore_default_args=["--hide-scrollbars"])
    tab = browser.new_page(viewport=DESKTOP)
    tab.add_init_script(SHIFTS)
    with halted(built_site, page, place) as (address, go_on):
        tab.goto(address, wait_until="commit")
        tab.wait_for_function(PAINTED)
        # Text has its own faces before the rest comes: what they move is another test's (test_fonts).
        tab.evaluate("document.fonts.ready")
        settled(tab)
        before = tab.evaluate("shifts.length")
        go_on.set()
        tab.wait_for_load_state("networkidle")
        settled(tab)
        assert tab.evaluate("innerWidth - document.documentElement.clientWidth") > 0, "no scrollbar"
        assert sum(tab.evaluate("shifts")[before:]) < 0.005
    browser.close()


@pytest.mark.parametrize(
    ("chapter", "viewport"),
    [*((chapter, PHONE) for chapter in chapters()), (chapters()[2], DESKTOP)],
    ids=lambda given: Path(given).stem if isinstance(given, str) else str(given["width"]),
)
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
