"""Every page in a real browser that can reach nothing but the site: it loads, is drawn, moves, and can be read."""

from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import pytest
import yaml
from PIL import Image, ImageStat
from playwright.sync_api import Browser, Page

from bn_book.ledger import FAILS, HOLDS

pytestmark = pytest.mark.needs("chromium", package="chromium (Debian)")

ROOT = Path(__file__).parents[2]
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text())
PAGES = [TOC["root"], *(chapter["file"] for part in TOC["parts"] for chapter in part["chapters"])]
CHAPTERS = [page for page in PAGES if "/chapters/" in page]

DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}


@dataclass
class Seen:
    """A page, and what it asked for and complained about while it loaded."""

    page: Page
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@pytest.fixture
def visit(browser: Browser, address: str):
    """Open a page, wait until it is drawn, and keep what it said."""
    contexts = []

    def open_page(name: str, viewport: dict = DESKTOP, theme: str = "light") -> Seen:
        context = browser.new_context(viewport=viewport, color_scheme=theme)
        contexts.append(context)
        seen = Seen(context.new_page())
        seen.page.on("request", lambda request: seen.requests.append(request.url))
        seen.page.on("console", lambda m: seen.complaints.append(m.text) if m.type == "error" else None)
        seen.page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        seen.page.on("response", lambda r: seen.complaints.append(f"{r.status} {r.url}") if r.status >= 400 else None)
        seen.page.goto(f"{address}{name}.html", wait_until="load")
        seen.page.evaluate(DRAWN)
        return seen

    yield open_page
    for context in contexts:
        context.close()


# Fonts are there. Explorables wake up when they come near the screen, not before.
DRAWN = """async () => {
  await document.fonts.ready;
  await new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)));
}"""


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize(
    ("viewport", "theme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop-light", "phone-dark"]
)
class TestEveryPage:
    def test_it_loads_from_the_site_alone_without_complaint(self, visit, address, name, viewport, theme):
        seen = visit(name, viewport, theme)
        foreign = [url for url in seen.requests if not url.startswith((address, "data:", "blob:"))]
        assert not foreign
        assert not seen.complaints

    def test_it_fits_can_be_read_and_is_named(self, visit, name, viewport, theme):
        page = visit(name, viewport, theme).page
        assert page.evaluate("document.documentElement.dataset.theme") == theme
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
        assert page.evaluate(UNTYPESET) == []
        assert page.evaluate(UNNAMED) == []
        assert page.evaluate(TWICE) == []
        assert page.evaluate(FAINT) == []
        assert page.evaluate(CUT_OFF) == []


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


@pytest.mark.parametrize("name", [page for page in PAGES if "/exercises/" in page and not page.endswith("index")])
def test_on_a_phone_every_formula_of_a_solution_is_whole(visit, name):
    """-0.001797 must not read as -0.001: each fits its box, with all that is folded open."""
    page = visit(name, PHONE).page
    wide = """() => {
      document.querySelectorAll('details').forEach(fold => { fold.open = true; });
      return [...document.querySelectorAll('.bn-formula')].filter(box => box.scrollWidth > box.clientWidth + 1)
        .map(box => box.querySelector('annotation').textContent);
    }"""
    assert page.evaluate(wide) == []


def test_no_line_begins_with_the_comma_after_a_formula(visit):
    """However wide the page is."""
    page = visit(CHAPTERS[2]).page
    orphans = """() => {
      const found = new Set();
      const article = document.querySelector('.bd-article');
      for (let width = 240; width < 640; width += 9) {
        article.style.width = `${width}px`;
        for (const box of article.querySelectorAll('.bn-joined')) {
          const after = box.lastChild;
          const last = [...box.querySelectorAll('.base')].pop();
          if (after.nodeType !== Node.TEXT_NODE || !last?.getClientRects().length) continue;
          const range = document.createRange();
          range.setStart(after, 0);
          range.setEnd(after, 1);
          if (range.getBoundingClientRect().top >= last.getBoundingClientRect().bottom) found.add(box.textContent);
        }
      }
      article.style.width = '';
      return [...found];
    }"""
    assert page.locator(".bn-joined").count() > 20
    assert page.evaluate(orphans) == []
    page.add_style_tag(content=".bn-joined { white-space: normal }")
    assert page.evaluate(orphans), "without the box there are some"


@pytest.mark.parametrize(("width", "wide"), [(1280, 720), (1440, 848), (1920, 900)])
def test_an_explorable_is_wider_than_the_text_and_covers_nothing_beside_it(visit, width, wide):
    page = visit("book/chapters/inference", {"width": width, "height": 900}).page
    explorable, contents, of_the_page = (
        page.locator(selector).first.bounding_box()
        for selector in (
            "[data-explorable]:not([data-explorable=flipbook])",
            ".bd-sidebar-primary",
            ".bd-sidebar-secondary",
        )
    )
    assert explorable["width"] == pytest.approx(wide, abs=1)
    assert contents["x"] + contents["width"] <= explorable["x"]
    assert explorable["x"] + explorable["width"] <= of_the_page["x"]


# TeX that a reader would see: mathematics is typeset at build, wherever it comes from.
UNTYPESET = r"""() => {
  const walker = document.createTreeWalker(document.querySelector('.bd-article'), NodeFilter.SHOW_TEXT);
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

# Words in figures and beside sliders whose contrast with the page is below 4.5 (WCAG 1.4.3).
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
    const inside = inner.left >= outer.left && inner.right <= outer.right;
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
  const words = '.bn-figure text, .bn-figure figcaption, .bn-explorable :is(text, p, span, td, th)';
  return [...document.querySelectorAll(words)]
    .filter(e => e.getBoundingClientRect().width > 0 && e.textContent.trim())
    .filter(e => {
      const style = getComputedStyle(e);
      const [words, paper] = [e.tagName === 'text' ? style.fill : style.color, behind(e)].map(luminance);
      return (Math.max(words, paper) + 0.05) / (Math.min(words, paper) + 0.05) < 4.5;
    })
    .map(e => e.textContent);
}"""


@pytest.mark.parametrize("name", CHAPTERS)
def test_the_reader_can_move_something_by_keyboard_and_by_mouse(visit, name):
    """Flipbooks here, on their page; each explorable has its own tests in tests/explorables."""
    page = visit(name).page
    assert page.locator("[data-explorable]").count(), "a chapter has at least one figure that a reader can move"
    for figure in page.locator("[data-explorable]").all():
        figure.scroll_into_view_if_needed()
        figure.and_(page.locator("[data-awake]")).wait_for()
    for book in page.locator("[data-explorable=flipbook]").all():
        frame = book.locator("svg[role=img]")
        handle = book.get_by_role("slider")
        readout = book.locator(".bn-value")

        def state(frame=frame, readout=readout):
            assert frame.count() == 1
            return frame.get_attribute("aria-label"), frame.inner_html(), readout.inner_text()

        handle.scroll_into_view_if_needed()
        handle.focus()
        page.keyboard.press("Home")
        first = state()
        page.keyboard.press("ArrowRight")
        second = state()
        assert all(a != b for a, b in zip(first, second, strict=True)), "the frame, its name and the value all change"
        assert handle.get_attribute("aria-valuetext") == second[2]
        page.keyboard.press("ArrowLeft")
        assert state() == first

        track = handle.bounding_box()
        height = track["y"] + track["height"] / 2
        page.mouse.move(track["x"] + 8, height)
        page.mouse.down()
        page.mouse.move(track["x"] + track["width"], height, steps=5)
        page.mouse.up()
        last = state()
        page.keyboard.press("End")
        assert state() == last != first


def test_the_theme_is_the_readers_choice(visit):
    page = visit(CHAPTERS[0]).page
    colour = "getComputedStyle(document.querySelector('.bn-figure text')).fill"
    light = page.evaluate(colour)
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    assert page.evaluate(colour) != light


def test_pictures_of_programs_are_dark_on_a_dark_page(visit):
    def bright(theme: str) -> float:
        picture = visit("book/teaching", theme=theme).page.locator(".bn-screen img").first
        picture.scroll_into_view_if_needed()
        picture.evaluate("image => image.decode()")
        return ImageStat.Stat(Image.open(BytesIO(picture.screenshot())).convert("L")).mean[0]

    assert bright("light") > 200
    assert bright("dark") < 80


def test_a_word_can_be_searched_for(visit):
    page = visit("search").page
    page.goto(page.url + "?q=learning")
    page.locator("#search-results li a").first.wait_for(timeout=10_000)


def test_on_paper_a_dark_page_is_ink_on_white(visit):
    """Also what names a colour of the book's: figures, formulas, boxes."""
    page = visit(CHAPTERS[2], theme="dark").page
    colours = """() => {
      const styles = getComputedStyle(document.documentElement);
      return ["ink", "paper", "wash", "with-bn"].map((name) => styles.getPropertyValue(`--bn-${name}`));
    }"""
    dark = page.evaluate(colours)
    page.emulate_media(media="print")
    on_paper = page.evaluate(colours)
    assert all(one != other for one, other in zip(dark, on_paper, strict=True))
    light = visit(CHAPTERS[2]).page
    assert on_paper == light.evaluate(colours)
    [title] = [heading.inner_text() for heading in page.locator("h1:visible").all()]
    assert title.startswith("3.")
    code = "[...document.querySelectorAll('.highlight span')].map((span) => getComputedStyle(span).color)"
    assert set(page.evaluate(code)) == {"rgb(27, 27, 31)"}


def test_a_root_is_as_high_on_paper_as_on_the_screen(visit):
    """It is a drawing, wider than the box that cuts it off."""
    page = visit(CHAPTERS[3]).page
    heights = "[...document.querySelectorAll('.katex .sqrt svg')].map((root) => root.getBoundingClientRect().height)"
    page.evaluate("document.querySelectorAll('.bn-later').forEach((box) => box.classList.remove('bn-later'))")
    on_screen = page.evaluate(heights)
    page.emulate_media(media="print")
    on_paper = page.evaluate(heights)
    assert len(on_screen) > 5
    assert min(on_screen) > 8
    # The sheet's letters are smaller, all by the same.
    assert min(on_paper) / min(on_screen) == pytest.approx(max(on_paper) / max(on_screen), rel=0.1)
    assert min(on_paper) > 8


def test_no_claim_of_the_ledger_is_otherwise_than_the_book_says(built_site):
    text = (built_site / "book" / "claims.html").read_text(encoding="utf-8")
    assert HOLDS in text
    assert FAILS not in text
