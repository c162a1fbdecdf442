"""A reader who opens a page tells nobody: no other host is asked, nothing follows, and the pages' policy forbids it.

All pages are read from top to end by one Chromium, at an address below a path and as files, and what that browser asked
for is taken from its own log of the network: it holds the requests of workers and of the browser itself, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from built import chromium, one_of_each_folder, pages, read_through, served
from headless import launch
from playwright.sync_api import BrowserContext, Playwright
from tour import Tour, listen, page_of, requested, take

pytestmark = chromium

BASE = "/batch-normalization/book/"

# What pages keep in the reader's browser, and for what. Nothing of it leaves the browser.
KEPT = {
    "mode": "the theme that the reader chose, or the system's",
    "theme": "light or dark, as it follows from the mode",
    "bn-progress": "which chapters the reader has read, and which questions answered",
    "bn-run": 'that the reader agreed to load Python, in "Run it here"',
    "sidebar-scroll-top": "where the list of chapters stood (for the session)",
}


def test_no_page_asks_another_host_for_anything(tour: Tour) -> None:
    assert tour.foreign() == []


def test_no_page_has_a_name_looked_up(built_site: Path) -> None:
    """Which is less than a request, and no policy forbids it."""
    ahead = re.compile(r"<link[^>]*\srel=[\"'](dns-prefetch|preconnect)", re.IGNORECASE)
    assert [name for name in pages(built_site) if ahead.search((built_site / name).read_text(encoding="utf-8"))] == []


def test_no_page_sets_a_cookie(tour: Tour) -> None:
    assert tour.found(lambda seen: seen.cookies) == []


def test_what_pages_keep_in_the_browser_is_known(tour: Tour) -> None:
    assert tour.found(lambda seen: sorted(set(seen.stored) - KEPT.keys())) == []


def test_a_page_of_each_folder_loads_from_files_without_complaint(
    playwright: Playwright, built_site: Path, tmp_path: Path
) -> None:
    """`'self'` of the policy is, for a page opened from a disk, what lies on the disk, wherever the page lies."""
    browser = launch(playwright, f"--log-net-log={tmp_path / 'files.json'}")
    page = browser.new_page(reduced_motion="reduce")
    complaints = listen(page)
    for name in one_of_each_folder(built_site):
        read_through(page, (built_site / name).as_uri())
        assert complaints == [], name
    browser.close()
    assert [
        each for each in requested(tmp_path / "files.json") if not each.startswith(("file:", "data:", "blob:"))
    ] == []


# That the tests above can fail

ASKS = {
    "image": '<img src="https://tracker.example/image" alt="">',
    "worker": "<script>new Worker(URL.createObjectURL(new Blob(['fetch(\"https://tracker.example/worker\")'])))</script>",
    "late": '<p style="height: 4000px"></p><img loading="lazy" src="https://tracker.example/late" alt="">',
}


def test_a_page_that_asks_another_host_is_found(tmp_path: Path) -> None:
    for what, asks in ASKS.items():
        (tmp_path / f"{what}.html").write_text(page_of(asks))
    with served(tmp_path) as address:
        found = take(address, [f"{what}.html" for what in ASKS], tmp_path, in_both=[]).foreign()
    assert sorted(found) == [f"https://tracker.example/{what}" for what in sorted(ASKS)]


# The policy


def policy(page: str) -> str:
    found = re.findall(r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">', page)
    assert len(found) == 1
    return found[0]


def test_every_page_has_its_policy_before_its_first_script(built_site: Path) -> None:
    for name in pages(built_site):
        page = (built_site / name).read_text(encoding="utf-8")
        scripts = next(part for part in policy(page).split("; ") if part.startswith("script-src"))
        assert "unsafe" not in scripts, name
        assert "default-src 'none'" in policy(page), name
        before, _, _ = page.partition("Content-Security-Policy")
        assert not re.search(r"<(script|style|link|img)\b", before), name
        assert not re.search(r"<[a-z][^>]*\son[a-z]+\s*=\s*[\"']", page), f"{name}: a script in an attribute"


@pytest.fixture(scope="module")
def context(playwright: Playwright) -> Iterator[BrowserContext]:
    browser = launch(playwright)
    yield browser.new_context()
    browser.close()


# What is put into a page, and what its policy says of it: by which directive it is refused, and what was asked for.
INJECTED = [
    ("<script>window.injected = true</script>", "script-src", "inline"),
    ('<img src="x.png" alt="" onerror="window.injected = true">', "script-src", "inline"),
    ('<script src="https://tracker.example/x.js"></script>', "script-src", "https://tracker.example/x.js"),
    ('<img src="https://tracker.example/pixel.png" alt="">', "img-src", "https://tracker.example/pixel.png"),
    ('<link rel="stylesheet" href="https://tracker.example/x.css">', "style-src", "https://tracker.example/x.css"),
    ('<iframe src="https://tracker.example/"></iframe>', "frame-src", "https://tracker.example"),
    ('<object data="https://tracker.example/x"></object>', "object-src", "https://tracker.example"),
    (
        "<style>@font-face {font-family: f; src: url(https://x.example/f)} * {font-family: f}</style>",
        "font-src",
        "https://x.example/f",
    ),
]


@pytest.mark.parametrize("scheme", ["http", "file"])
def test_the_policy_forbids_each_thing_that_is_not_ours_and_nothing_else(
    context: BrowserContext, built_site: Path, tmp_path: Path, scheme: str
) -> None:
    page = (built_site / "book/references.html").read_text(encoding="utf-8")
    (tmp_path / "_static").symlink_to(built_site / "_static")
    tampered = tmp_path / "book" / "tampered.html"
    tampered.parent.mkdir()
    extras = "".join(extra for extra, _, _ in INJECTED)
    tampered.write_text(page.replace("</body>", f"{extras}</body>"), encoding="utf-8")
    tab = context.new_page()
    tab.add_init_script(
        "window.refused = []; addEventListener('securitypolicyviolation', "
        "({ effectiveDirective, blockedURI }) => refused.push([effectiveDirective, blockedURI]))"
    )
    with served(tmp_path, BASE) as address:
        tab.goto(f"{address}book/tampered.html" if scheme == "http" else tampered.as_uri(), wait_until="load")
        refused = [(each.removesuffix("-elem").removesuffix("-attr"), what) for each, what in tab.evaluate("refused")]
        injected = tab.evaluate("window.injected === true")
        tab.close()
    assert not injected
    assert sorted(refused) == sorted((directive, what) for _, directive, what in INJECTED)


def test_a_script_of_ours_may_not_either(context: BrowserContext, built_site: Path) -> None:
    """As if one of the files that the pages load had turned against the reader."""
    asks = {
        "fetch('https://tracker.example/').catch(() => {})": "connect-src",
        "new Image().src = 'https://tracker.example/pixel.png'": "img-src",
        "eval('1 + 1')": "script-src",
        "new Function('return 1')()": "script-src",
    }
    body = "window.refused = []; addEventListener('securitypolicyviolation', e => refused.push(e.effectiveDirective));"
    body += "".join(f"try {{ {ask} }} catch {{}} " for ask in asks) + "document.body.dataset.worked = 'yes';"
    with served(built_site, BASE) as address:
        page = context.new_page()
        page.route("**/print.js*", lambda route: route.fulfill(body=body, content_type="text/javascript"))
        page.goto(f"{address}book/references.html", wait_until="load")
        assert page.locator("body").get_attribute("data-worked") == "yes"
        assert sorted(page.evaluate("refused")) == sorted(asks.values())
        page.close()
