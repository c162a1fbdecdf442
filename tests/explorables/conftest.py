"""An explorable in a real browser, on a page that holds nothing else and can reach nothing else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from bn_book.colours import of_page
from bn_book.explorables import KINDS, Explorable
from bn_book.explorables._bundle import stylesheet

ROOT = Path(__file__).parents[2]
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 900}


@pytest.fixture(scope="session")
def stage_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts and looks that a built site has in its _static folder."""
    folder = tmp_path_factory.mktemp("stage")
    scripts = folder / "explorables"
    scripts.mkdir()
    shutil.copy(ROOT / "book/_static/explorables.js", folder)
    shutil.copy(ROOT / "book/_static/book.css", folder)
    shutil.copytree(ROOT / "book/_static/vendor/fonts", folder / "vendor" / "fonts")
    (scripts / "explorable.css").write_text(of_page() + stylesheet(*(kind.module for kind in KINDS)))
    for kind in KINDS:
        (scripts / f"{kind.module}.js").write_text(kind.page_script())
    return folder


_DRAWN: dict[str, tuple[str, str]] = {}


def html_of(explorable: Explorable) -> str:
    """What the book's page has of it. Node.js draws each first view once, and most tests begin with the same."""
    state = explorable._everything()
    uid = state.pop("uid")
    of_it = json.dumps([explorable.module, state])
    if of_it not in _DRAWN:
        _DRAWN[of_it] = uid, explorable.to_html()
    first, html = _DRAWN[of_it]
    return html.replace(first, uid)


@pytest.fixture(scope="session")
def stages(browser: Browser, stage_folder: Path) -> Callable[[], AbstractContextManager[Callable[..., Page]]]:
    """What makes a stage that several tests share."""
    return lambda: staged(browser, stage_folder)


@pytest.fixture
def stage(browser: Browser, stage_folder: Path) -> Iterator[Callable[..., Page]]:
    """Put explorables on a page, open it from its file, and wait until they are awake (unless `scripts` is False)."""
    with staged(browser, stage_folder) as show:
        yield show


@contextmanager
def staged(browser: Browser, stage_folder: Path) -> Iterator[Callable[..., Page]]:
    """A stage, whose pages are closed afterwards."""
    contexts = []

    def show(
        *explorables: Explorable,
        viewport: dict[str, int] = DESKTOP,
        theme: str = "light",
        scripts: bool = True,
        touch: bool = False,
        reduced_motion: str = "no-preference",
    ) -> Page:
        page_file = stage_folder / f"page{len(contexts)}.html"
        page_file.write_text(
            f'<!doctype html><html lang="en" data-theme="{theme}"><meta charset="utf-8"><title>stage</title>'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            '<link rel="stylesheet" href="vendor/fonts/fonts.css"><link rel="stylesheet" href="book.css">'
            '<link rel="stylesheet" href="explorables/explorable.css">'
            '<script src="explorables.js" defer></script>'
            "<style>body{margin:0 auto;max-width:60rem;padding:8px;font-family:sans-serif;background:var(--bn-paper)}"
            "</style><main>" + "".join(map(html_of, explorables)) + "</main></html>",
            encoding="utf-8",
        )
        context = browser.new_context(
            viewport=viewport, java_script_enabled=scripts, has_touch=touch, reduced_motion=reduced_motion
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: pytest.fail(f"a script failed: {error}"))
        page.goto(page_file.as_uri())
        if scripts:
            for element in page.locator("[data-explorable]").all():
                element.scroll_into_view_if_needed()
                element.and_(page.locator("[data-awake]")).wait_for()
        return page

    yield show
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def bn_js(browser: Browser) -> Iterator[Callable[..., object]]:
    """Call a function of bn.js in Chromium: bn_js("batchNorm", [1, 2], 1, 0, 1e-5)."""
    page = browser.new_context().new_page()
    source = (ROOT / "book/bn_book/explorables/bn.js").read_text(encoding="utf-8")
    page.evaluate(
        "async text => { window.bn = await import(URL.createObjectURL(new Blob([text], {type: 'text/javascript'}))); }",
        source,
    )
    yield lambda name, *arguments: page.evaluate("([name, args]) => bn[name](...args)", [name, list(arguments)])
    page.context.close()
