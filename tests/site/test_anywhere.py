"""The site below any path of a server, and from a folder: everything loads, figures move, words are found."""

import re
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.needs("chromium", package="chromium (Debian)")

DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
DEEP = "some/deep/path"
CHAPTER = "book/chapters/forward.html"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def deep(built_site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("server")
    (folder / DEEP).parent.mkdir(parents=True)
    (folder / DEEP).symlink_to(built_site)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/{DEEP}/"
        server.shutdown()


@pytest.fixture(scope="module", params=["deep", "file"])
def root(request: pytest.FixtureRequest, built_site: Path) -> str:
    """The address of the site's folder: on a server, and as the file that it is."""
    return request.getfixturevalue("deep") if request.param == "deep" else f"{built_site.as_uri()}/"


@pytest.fixture
def page(browser: Browser, root: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page in which every complaint, and every request that fails or leaves the site, is kept in `wrong`."""
    viewport = getattr(request, "param", DESKTOP)
    context = browser.new_context(viewport=viewport, has_touch=viewport is PHONE, color_scheme="light")
    page = context.new_page()
    page.wrong = []
    page.on("console", lambda message: page.wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    # Leaving a page breaks off what it was still fetching: nothing is wrong with that.
    left = "net::ERR_ABORTED"
    page.on("requestfailed", lambda asked: asked.failure == left or page.wrong.append(f"failed: {asked.url}"))
    page.on("response", lambda got: page.wrong.append(f"{got.status} {got.url}") if got.status >= 400 else None)
    inside = (root, "data:", "blob:")
    page.on("request", lambda asked: None if asked.url.startswith(inside) else page.wrong.append(asked.url))
    yield page
    context.close()


def results(page: Page) -> list[str]:
    # `wait_for_function` would evaluate its words in the page, again and again, which the page's policy forbids.
    expect(page.locator("#search-results .search-summary")).to_have_text(re.compile("found|No page"))
    return [link.inner_text() for link in page.locator("#search-results li > a").all()]


class TestAnyPlace:
    @pytest.mark.parametrize("name", ["index.html", CHAPTER, "search.html"])
    def test_pages_load_without_a_failed_request(self, page, root, name):
        page.goto(root + name, wait_until="networkidle")
        assert page.evaluate("document.fonts.ready.then(() => document.styleSheets.length)") or name == "index.html"
        assert page.wrong == []

    @pytest.mark.parametrize("name", ["index.html", "404.html", CHAPTER])
    def test_no_page_leaves_its_icon_to_the_servers_root(self, built_site, name):
        """A browser asks for `/favicon.ico` where none is named, which is somebody else's, or nobody's."""
        icons = re.findall(r'<link rel="icon" href="([^"]+)"', (built_site / name).read_text(encoding="utf-8"))
        assert icons
        assert (built_site / name).parent.joinpath(icons[0].lstrip("/")).exists()

    def test_the_door_leads_in(self, page, root):
        page.goto(root + "index.html")
        page.wait_for_url(root + "book/index.html")
        assert page.locator("h1").first.inner_text()

    def test_figures_move(self, page, root):
        page.goto(root + CHAPTER, wait_until="load")
        figure = page.locator(".bn-explorable").first
        figure.scroll_into_view_if_needed()
        expect(figure).to_have_attribute("data-awake", "")  # before, its slider is another
        handle = figure.get_by_role("slider").first
        handle.focus()
        before = figure.inner_html()
        page.keyboard.press("ArrowRight")
        expect(figure).not_to_have_js_property("innerHTML", before)
        assert page.wrong == []

    def test_the_theme_can_be_switched_and_stays(self, page, root):
        page.goto(root + CHAPTER, wait_until="load")
        theme = "document.documentElement.dataset.theme"
        assert page.evaluate(theme) == "light"
        for _ in range(3):  # from auto to light to dark, wherever it begins
            page.locator(".theme-switch-button:visible").first.click()
            if page.evaluate(theme) == "dark":
                break
        assert page.evaluate(theme) == "dark"
        page.goto(root + "book/index.html", wait_until="load")
        assert page.evaluate(theme) == "dark"
        assert page.wrong == []

    @pytest.mark.parametrize(
        ("words", "title"),
        [("epsilon", "The forward pass"), ("learning rate", "Why scale matters"), ("Moments", "bn_lib.Moments")],
    )
    def test_words_and_names_are_found(self, page, root, words, title):
        page.goto(root + CHAPTER, wait_until="load")
        page.keyboard.press("Control+k")
        page.keyboard.type(words)
        page.keyboard.press("Enter")
        page.wait_for_url("**/search.html?q=*")
        assert any(title in found for found in results(page))
        if root.startswith("http"):  # where a page may read another, the words around the hit are shown
            excerpts = page.locator("#search-results li p.context")
            excerpts.first.wait_for()
            shown = " ".join(excerpts.all_inner_texts())
            assert not re.search(r"\\(hat|frac|sqrt|sigma|gamma|mu|displaystyle|begin)", shown), (
                "TeX is nothing to read"
            )
        assert page.wrong == []
        with page.expect_navigation():
            page.locator("#search-results li > a", has_text=title).first.click()
        assert page.url.startswith(root + "book/")

    @pytest.mark.parametrize("page", [PHONE], ids=["phone"], indirect=True)
    def test_words_are_found_on_a_phone(self, page, root):
        page.goto(root + CHAPTER, wait_until="load")
        page.locator(".search-button__button:visible").first.tap()
        page.keyboard.type("variance")
        page.keyboard.press("Enter")
        page.wait_for_url("**/search.html?q=*")
        assert results(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        assert page.wrong == []

    def test_what_is_nowhere_gets_a_sentence_that_helps(self, page, root):
        page.goto(root + "search.html?q=wombat", wait_until="load")
        assert results(page) == []
        assert "No page has all of these words." in page.locator("#search-results").inner_text()
        assert page.wrong == []
