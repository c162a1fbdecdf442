"""One reader's tour of all pages: what a page asked for, said, kept and showed on each screen, and what axe says of it.

A page is opened on a phone, where things are tight; then the screen grows, and the theme changes. To open a page and
read it to its end takes a second or two, and there are dozens. So it is done once for all tests, by whichever process
needs it first, and they look at what was seen there. What belongs to one page, or wants a page that nobody has touched,
opens its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from built import DESKTOP, NODE_MODULES, PHONE, SHIFTS, THROUGH, settled
from headless import launch
from playwright.sync_api import Browser, Page, sync_playwright

SCREENS = {"desktop": DESKTOP, "phone": PHONE}

# The theme that the reader comes with, which pages have to follow, and the other one.
THEMES = {"desktop": ("light", "dark"), "phone": ("dark", "light")}

# One page of each kind: the others share its styles, so what axe says of those it says on one of them. These pages are
# opened anew on a desktop.
OF_EACH_KIND = (
    "book/index.html",
    "book/chapters/forward.html",
    "book/exercises/conditional.html",
    "book/api.html",
    "search.html",
)

# WCAG 2.2 AA, and beyond it what axe calls best practice.
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]

# All rules are asked of every page, on a phone in one theme, but for those of colours, which take axe half of its time:
# they come with the styles, and are asked of one page of each kind, in both themes. (Whether words are too faint is
# asked of every page, in one theme on a phone and in the other on a desktop: `FAINT`.) What is on a page is the same on
# a larger screen, but for what scrolls, and for how near to each other things to press are.
OF_COLOURS = ["color-contrast", "link-in-text-block"]
AGAIN = [*OF_COLOURS, "target-size", "scrollable-region-focusable"]
RUN = """([only, colours]) => axe.run(document, {
  resultTypes: ["violations"],
  runOnly: only,
  rules: { "color-contrast-enhanced": { enabled: false }, ...colours },
}).then(({ violations }) => violations.flatMap(({ id, nodes }) => nodes.map(
  ({ target, html, failureSummary }) => `${id}: ${target}\\n  ${html.slice(0, 200)}\\n  ${failureSummary}`)))"""

STORED = "() => [...Object.keys(localStorage), ...Object.keys(sessionStorage)]"

# Boxes that scroll sideways, and do not show that they go on: by a faded edge, which is gone at their end.
CUT_OFF = """() => {
  const boxes = [...document.querySelectorAll('.bd-article :is(.bn-formula, pre, table, div)')]
    .filter(box => /auto|scroll/.test(getComputedStyle(box).overflowX) && box.scrollWidth > box.clientWidth + 1)
    .filter(box => box.checkVisibility({ contentVisibilityAuto: true })); // not in a fold
  // How much of the right edge is faded: the mask's gradient, less what of it lies outside of the box.
  const fade = box => {
    const { maskImage, maskSize } = getComputedStyle(box);
    const out = Number(/100% \\+ ([\\d.]+)px/.exec(maskSize)?.[1] ?? 0);
    return maskImage === 'none' ? 0 : Number(/([\\d.]+)px\\)$/.exec(maskImage)[1]) - out;
  };
  const hard = boxes.filter(box => fade(box) < 24);
  for (const box of boxes) box.scrollLeft = box.scrollWidth;
  return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => {
    const faint = boxes.filter(box => fade(box) > 1);
    for (const box of boxes) box.scrollLeft = 0;
    done([...hard, ...faint].map(box => [box.className, box.scrollLeft, box.textContent.slice(0, 80)]));
  })));
}"""

# TeX that a reader would see: mathematics is typeset at build, wherever it comes from.
UNTYPESET = r"""() => {
  const article = document.querySelector('.bd-article') ?? document.body;
  const walker = document.createTreeWalker(article, NodeFilter.SHOW_TEXT);
  const found = [];
  for (let text; (text = walker.nextNode());) {
    if (text.parentElement.closest('pre, code, script, style, annotation')) continue;
    if (/\\[([]|\\(begin|frac|sqrt|mathrm|text|hat|sigma|mu)\b|\$[^$\n]+\$/.test(text.data)) found.push(text.data);
  }
  return found;
}"""

# A name is words of its own or those of another element, which must be there and say something.
UNNAMED = """() => {
  const named = e => (e.getAttribute('aria-labelledby') ?? '').split(' ').filter(Boolean)
    .map(id => document.getElementById(id)?.textContent ?? '').join(' ').trim()
    || (e.getAttribute('aria-label') ?? e.getAttribute('alt') ?? '').trim();
  return [...document.querySelectorAll('.bd-article :is(svg[role=img], img, [role=slider])')]
    .filter(e => !named(e)).map(e => e.outerHTML.slice(0, 200));
}"""

TWICE = """() => {
  const ids = [...document.querySelectorAll('.bn-figure [id]')].map(e => e.id);
  return ids.filter((id, i) => ids.indexOf(id) !== i);
}"""

# Words whose contrast with what they stand on is below 4.5 (WCAG 1.4.3).
FAINT = """() => {
  const parts = colour => colour.match(/[\\d.]+/g).map(Number);
  const luminance = colour => {
    const [r, g, b] = parts(colour).slice(0, 3).map(v => v / 255)
      .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  // What a word in a drawing stands on is drawn just before it: a dot with a number in it.
  const dot = element => {
    const below = element.tagName === 'text' ? element.previousElementSibling : null;
    if (!['circle', 'rect'].includes(below?.tagName) || getComputedStyle(below).fill === 'none') return null;
    const [inner, outer] = [element, below].map(e => e.getBoundingClientRect());
    const middle = (inner.top + inner.bottom) / 2;
    const beside = inner.left < outer.left || inner.right > outer.right;
    const inside = !beside && middle > outer.top && middle < outer.bottom;
    return inside ? getComputedStyle(below).fill : null;
  };
  const behind = element => {
    if (dot(element)) return dot(element);
    for (let e = element; e; e = e.parentElement) {
      const colour = getComputedStyle(e).backgroundColor;
      if ((parts(colour)[3] ?? 1) > 0) return colour;
    }
    return 'rgb(255, 255, 255)';
  };
  const says = e => [...e.childNodes].some(part => part.nodeType === Node.TEXT_NODE && part.data.trim());
  return [...document.querySelectorAll('body :not(script, style, noscript, annotation)')]
    .filter(e => says(e) && e.getBoundingClientRect().width > 0 && e.checkVisibility({ visibilityProperty: true }))
    .filter(e => {
      const style = getComputedStyle(e);
      const [words, paper] = [e.tagName === 'text' ? style.fill : style.color, behind(e)].map(luminance);
      return (Math.max(words, paper) + 0.05) / (Math.min(words, paper) + 0.05) < 4.5;
    })
    .map(e => e.textContent);
}"""

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

# What is cut off at an edge of its box, of which a part comes into view only by scrolling in it; and what stops a Tab.
STOPS = """() => {
  const boxes = ".bd-article :is(.bn-formula, pre, .cell_output > .output, .pst-scrollable-table-container)";
  const cut = (box) => box.scrollWidth > box.clientWidth;
  const found = [...document.querySelectorAll(boxes)].filter((box) => box.checkVisibility());
  const name = (box) => box.className + box.innerText.slice(0, 40);
  return {
    missed: found.filter((box) => cut(box) && box.tabIndex !== 0).map(name),
    needless: found.filter((box) => !cut(box) && box.tabIndex === 0 && box.scrollHeight === box.clientHeight).map(name),
    right: found.filter((box) => cut(box) && box.tabIndex === 0).length,
  };
}"""
UNFOLD = "document.querySelectorAll('.bd-article details').forEach((folded) => { folded.open = true; })"
CUT_FORMULAS = """() => [...document.querySelectorAll('.bn-formula')]
  .filter((box) => box.scrollWidth > box.clientWidth + 1)
  .map((box) => box.querySelector('annotation').textContent)"""

# Fonts are there. Explorables wake up when they come near the screen, not before.
DRAWN = """async () => {
  await document.fonts.ready;
  await new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)));
}"""

# What is asked of a page before it is read, and must find nothing.
FAULTS = {
    "TeX that a reader would see": UNTYPESET,
    "a picture or a slider without a name": UNNAMED,
    "an id of a figure that is there twice": TWICE,
    "words too faint": FAINT,
    "cut off without a sign": CUT_OFF,
}


@dataclass
class Seen:
    """What came of one page on one screen.

    Attributes:
        page: its address, after that of the site.
        screen: on which it was read.
        complaints: errors that it wrote or raised, and answers that were none.
        theme: the one that it came in, or took when the reader's changed.
        width: how wide it is, in CSS pixels.
        faults: what was found, by the names in `FAULTS`.
        texts: the words in figures: how large their letters are, and of which face.
        short: names of figures that leave a part of their measure empty.
        loaded: where it was opened, the bytes that came before the reader touched anything, by address.
        shift: there too, how much moved while it came, as Lighthouse counts it.
        stored: the names under which it keeps something in the reader's browser.
        cookies: what it is.
        axe: what axe finds, by the theme.
        stops: on a phone, what can be scrolled by keyboard: as the page comes, with all unfolded, and on a wide screen.
        formulas: on a phone, those that do not fit, with all unfolded.
    """

    page: str
    screen: str
    complaints: list[str]
    theme: str
    width: int
    faults: dict[str, list[Any]]
    texts: list[dict[str, Any]]
    short: list[str]
    loaded: dict[str, int] = field(default_factory=dict)
    shift: float = 0.0
    stored: list[str] = field(default_factory=list)
    cookies: list[Any] = field(default_factory=list)
    axe: list[str] = field(default_factory=list)
    stops: list[dict[str, Any]] = field(default_factory=list)
    formulas: list[str] = field(default_factory=list)


@dataclass
class Tour:
    """What was seen of each page on each screen of the site at this address, and all addresses that were asked for."""

    address: str
    seen: list[Seen]
    requests: list[str]

    def found(self, what: Callable[[Seen], Any]) -> list[tuple[str, str, Any]]:
        """Where that finds something: page, screen, and what it is."""
        return [(each.page, each.screen, what(each)) for each in self.seen if what(each)]

    def foreign(self) -> list[str]:
        """What was asked for elsewhere."""
        own = (self.address, "data:", "blob:", "chrome:", "about:")
        return [each for each in self.requests if not each.startswith(own)]


def take(address: str, pages: list[str], netlogs: Path, in_both: Collection[str] = OF_EACH_KIND) -> Tour:
    """Read these pages of a site, and those `in_both` in both themes and anew on each screen.

    There are two browsers, each in a thread of its own, which leaves its log of the network in `netlogs`.
    """
    shares = {netlogs / f"{first}.json": pages[first::2] for first in range(min(2, len(pages)))}
    with ThreadPoolExecutor(len(shares)) as pool:
        seen = [each for part in pool.map(partial(_read, address, in_both), shares.values(), shares) for each in part]
    requests = {each: None for netlog in shares for each in requested(netlog)}
    assert {address + page for page in pages} <= requests.keys(), "the log has every page"
    return Tour(address, seen, list(requests))


def page_of(body: str) -> str:
    """A page that is small, follows the reader's theme as the book's do, and is else without fault."""
    return (
        '<!DOCTYPE html><html lang="en"><title>Page</title><meta name="viewport" content="width=device-width">'
        "<style>@media (prefers-color-scheme: dark) { html { background: #000; color: #fff } }</style>"
        "<script>const dark = matchMedia('(prefers-color-scheme: dark)'); const follow = () => "
        "document.documentElement.dataset.theme = dark.matches ? 'dark' : 'light';"
        f'dark.onchange = follow; follow()</script><main class="bd-article">{body}</main></html>'
    )


def _read(address: str, in_both: Collection[str], pages: list[str], netlog: Path) -> list[Seen]:
    with sync_playwright() as playwright:  # one in each thread
        browser = launch(playwright, f"--log-net-log={netlog}")
        seen = [each for page in pages for each in _visits(browser, address, page, page in in_both)]
        browser.close()
    return seen


def _visits(browser: Browser, address: str, name: str, in_both: bool) -> Iterator[Seen]:
    """Open a page on a phone, and then on a desktop: anew, or by having the phone's screen grow."""
    with _opened(browser, address, name, "phone") as (page, seen):
        seen.axe += audit(page, THEMES["phone"][: 1 + in_both], whole=True, of_colours=in_both)
        seen.stops.append(_asked(page, STOPS))
        page.evaluate(UNFOLD)
        seen.stops.append(_asked(page, STOPS))
        seen.formulas += page.evaluate(CUT_FORMULAS)
        complaints = listen(page)
        page.set_viewport_size(DESKTOP)
        seen.stops.append(_asked(page, STOPS))
        yield seen
        if not in_both:
            turn(page, THEMES["desktop"][0])
            shown = _looked(page) | _figures(page)
            yield Seen(name, "desktop", complaints, **shown)
    if in_both:
        with _opened(browser, address, name, "desktop") as (page, seen):
            seen.axe += audit(page, THEMES["desktop"], whole=False)
            yield seen


@contextmanager
def _opened(browser: Browser, address: str, name: str, screen: str) -> Iterator[tuple[Page, Seen]]:
    """Read a page as who has never been here: nothing is in the browser's cache."""
    theme, _ = THEMES[screen]
    context = browser.new_context(viewport=SCREENS[screen], color_scheme=theme)
    page = context.new_page()
    page.add_init_script(SHIFTS)
    complaints = listen(page)
    loaded = weigh(page, address)
    page.goto(address + name, wait_until="networkidle", timeout=120_000)  # a busy machine is no finding
    page.evaluate(DRAWN)
    first, shift = dict(loaded), page.evaluate("shifts.reduce((sum, each) => sum + each, 0)")
    before = _looked(page)
    page.evaluate(THROUGH)
    said = list(complaints)
    # From here on without motion, or a colour might be read while it changes.
    page.emulate_media(reduced_motion="reduce")
    stored = page.evaluate(STORED)
    cookies = [*context.cookies(), *filter(None, [page.evaluate("document.cookie")])]
    shown = before | _figures(page)
    yield page, Seen(name, screen, said, loaded=first, shift=shift, stored=stored, cookies=cookies, **shown)
    context.close()


def _looked(page: Page) -> dict[str, Any]:
    """What is seen of a page as it stands: the fields of these names."""
    return {
        "theme": page.evaluate("document.documentElement.dataset.theme"),
        "width": page.evaluate("document.documentElement.scrollWidth"),
        "faults": {what: page.evaluate(find) for what, find in FAULTS.items()},
    }


def _figures(page: Page) -> dict[str, Any]:
    """The same of its figures."""
    return {"texts": page.evaluate(TEXTS), "short": page.evaluate(SHORT)}


def _asked(page: Page, question: str) -> Any:
    """What a page answers once it has settled."""
    settled(page)
    return page.evaluate(question)


def audit(page: Page, themes: Iterable[str], whole: bool, of_colours: bool = True) -> list[str]:
    """What axe finds on a page: by all rules in the first theme, if it is to be `whole`; else by those asked again."""
    found = []
    page.evaluate((NODE_MODULES / "axe-core/axe.min.js").read_text(encoding="utf-8"))
    only = {"type": "tag", "values": TAGS} if whole else {"type": "rule", "values": AGAIN}
    for theme in themes:
        turn(page, theme)
        found += [
            f"{theme}: {each}"
            for each in page.evaluate(RUN, [only, {rule: {"enabled": of_colours} for rule in OF_COLOURS}])
        ]
        only = {"type": "rule", "values": AGAIN}
    return found


def turn(page: Page, theme: str) -> None:
    """Have the reader's theme change, which the page follows."""
    page.emulate_media(color_scheme=theme)
    page.wait_for_function("theme => document.documentElement.dataset.theme === theme", arg=theme)


def listen(page: Page) -> list[str]:
    """What a page complains about, from now on."""
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("response", lambda got: said.append(f"{got.status} {got.url}") if got.status >= 400 else None)
    return said


def weigh(page: Page, address: str) -> dict[str, int]:
    """The bytes of what a page loads, from now on, by address after that of the site."""
    addresses: dict[str, str] = {}
    loaded: dict[str, int] = {}

    def finished(event: dict[str, Any]) -> None:
        name = addresses[event["requestId"]].removeprefix(address).partition("?")[0]
        if not name.startswith("data:"):
            loaded[name] = loaded.get(name, 0) + event["encodedDataLength"]

    session = page.context.new_cdp_session(page)
    session.on("Network.requestWillBeSent", lambda sent: addresses.update({sent["requestId"]: sent["request"]["url"]}))
    session.on("Network.loadingFinished", finished)
    session.send("Network.enable")
    return loaded


def requested(netlog: Path) -> list[str]:
    """Every address that pages asked for, whichever part of Chromium did it for them: a worker, the browser itself.

    What Chromium asks for by itself (updates, accounts) comes from no origin and is no page's.
    """
    log = json.loads(netlog.read_text(encoding="utf-8"))
    kind = log["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    given = [event["params"] for event in log["events"] if event["type"] == kind and "url" in event.get("params", {})]
    of_pages = (each for each in given if each["initiator"] != "not an origin" or each["request_type"] == "main frame")
    return list(dict.fromkeys(each["url"] for each in of_pages))
