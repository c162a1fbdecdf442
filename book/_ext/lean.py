"""Sphinx extension: a page loads what it uses, and nothing that it loads stands between a reader and the text.

The theme sends each page two thousand icons, all of Bootstrap's styles and a search that only the search page needs: a
megabyte and twenty-five requests. When the pages are written, this makes one stylesheet of those that they name,
without the rules that cannot apply (`stylesheet`), cuts the fonts of icons down to those that are shown, leaves out
scripts that have nothing to do, and lets the others wait until the text is there. A browser paints while it still reads
the page; it is asked to read the first screen before, so that nothing on it moves.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import re
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path

from execution import ROOT, fingerprint
from fontTools import subset
from fontTools.ttLib import TTFont
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from stylesheet import characters, of_formulas, purged, whole, with_fonts, words
from tags import pages

logging.getLogger("fontTools").setLevel(logging.ERROR)  # it remarks on the dates in KaTeX's fonts

NAME = "site.css"
MADE_BY = ("_ext", "_static", "_templates")
SEARCH = ("searchtools.js", "language_data.js", "searchindex.js")

# Scripts that nothing on a page may need, and what on the page needs them.
NEEDED_BY = {
    "fontawesome.js": r"(?!)",  # icons are a font here
    "design-tabs.js": r'class="[^"]*\bsd-tab',
    "togglebutton.js": r'class="(?:[^"]* )?(?:toggle|admonition[^"]* dropdown)[ "]',
    "clipboard.min.js": r'class="highlight',
    "copybutton.js": r'class="highlight',
}

# Fonts of which the pages use few characters, and those that come with the stylesheet: a formula or a button that took
# its size only when its font had come would move the text.
CUT = ("vendor/fontawesome/", "vendor/katex/")
AT_ONCE = re.compile(r"fa-solid-900|KaTeX_(Main-Regular|Math-Italic|Size\d-Regular)")

# A stylesheet for paper stays one of its own: its rules hold on paper only.
LINK = re.compile(
    r'[ \t]*<link\b(?=[^>]*\brel="stylesheet")(?![^>]*\bmedia="print")'
    r'[^>]*\bhref="([^"?]*_static/)([^"?]+)[^"]*"[^>]*>\n?'
)
PRELOAD = re.compile(r'[ \t]*<link rel="preload" as="script"[^>]*>\n?')
SCRIPT = re.compile(r'[ \t]*<script\b([^>]*)\bsrc="([^"?]*?)([^"/?]+)(\?[^"]*)?"([^>]*)></script>\n?')
# What these say is what holds without them, and they would have to run before the page is read.
OPTIONS = re.compile(
    r"[ \t]*<script>(?:DOCUMENTATION_OPTIONS\.\w+ = [^<]*|let toggle\w+ = [^<]*|var togglebutton[^<]*)</script>\n?"
)
HEAD_SCRIPT = re.compile(r'(<script data-cfasync="false">)[^<]*(</script>)')

# The theme's own says "auto" at first, which is drawn light; its script, which comes late, knows what the reader wants.
AT_FIRST = """
    {
      const mode = localStorage.getItem("mode") || "auto";
      const dark = matchMedia("(prefers-color-scheme: dark)").matches;
      const theme = mode === "auto" ? (dark ? "dark" : "light") : mode;
      Object.assign(document.documentElement.dataset, { mode, theme });
      // Who comes to a place further down, or back to one, needs all that is above it.
      const visit = performance.getEntriesByType("navigation")[0]?.type;
      if (visit === "navigate" && !location.hash) document.documentElement.classList.add("bn-coming");
    }
  """


# Fonts that come with the stylesheet are still read only when a text asks for them, which is after it was placed.
READ_FONTS = """  <script>
    for (const font of ["900 1em 'Font Awesome 6 Free'", "1em KaTeX_Main", "italic 1em KaTeX_Math", "1em KaTeX_Size1",
      "1em KaTeX_Size2", "1em KaTeX_Size3", "1em KaTeX_Size4"]) document.fonts.load(font);
  </script>
"""


# The theme asks every box of code and every output whether it scrolls, when the page comes and again whenever a figure
# adds a line: each time the whole page is placed. book.js asks once.
ASK_ALL = re.compile(r'document\.querySelectorAll\(\["pre",[^\]]*\]\.join\(", "\)\)')
ASK_NONE = "[/* book.js */]"


def asking_once(script: str) -> str:
    """The theme's script without this."""
    script, found = ASK_ALL.subn(ASK_NONE, script)
    if not found and ASK_NONE not in script:
        raise ExtensionError("The theme's script looks for what scrolls in another way than it did: see lean.ASK_ALL.")
    return script


NO_TEXT = re.compile(r"<[^>]*>|\s+")
# Text that fills a screen of a desktop, without its spaces; a formula counts as what it says three times over.
A_SCREEN = 800
FIRST_SCREEN = "first-screen"


def painted_whole(page: str) -> str:
    """The page with a word to the browser: what half a formula or half a line would look like is not to be seen.

    A formula in the middle of its line, or a row at its right end, moves with every part of it that is read. So the
    end of the paragraph that ends the first screen has a name, and until that is read nothing is painted. More than
    that would cost a phone time. A browser that does not know this link (HTML standard, "link type expect") paints as
    it did.
    """
    before, article, rest = page.partition("<article")
    ends = [match.end() for match in re.finditer("</p>", rest)]
    if not ends or 'rel="expect"' in page:
        return page
    place = next((end for end in ends if len(NO_TEXT.sub("", rest[:end])) > A_SCREEN), ends[-1])
    link = f'<link rel="expect" href="#{FIRST_SCREEN}" blocking="render">'
    before = before.replace("</title>", f"</title>\n    {link}", 1)
    return f'{before}{article}{rest[:place]}<span id="{FIRST_SCREEN}" hidden></span>{rest[place:]}'


def lean_page(page: str, is_search: bool = False) -> str:
    """The page with fewer scripts, which wait for the text, and in the reader's theme from the start."""

    def script(match: re.Match[str]) -> str:
        before, folder, name, version, after = match.groups(default="")
        if (not is_search and name in SEARCH) or (name in NEEDED_BY and not re.search(NEEDED_BY[name], page)):
            return ""
        wait = "" if re.search(r"\b(defer|async|module)\b", before + after) else " defer"
        return f'<script{wait}{before}src="{folder}{name}{version}"{after}></script>\n'

    page = SCRIPT.sub(script, PRELOAD.sub("", page))
    if "togglebutton.js" not in page:
        page = OPTIONS.sub("", page)
    return painted_whole(HEAD_SCRIPT.sub(lambda match: f"{match[1]}{AT_FIRST}{match[2]}", page))


def stylesheets(page: str) -> list[str]:
    """The stylesheets that a page names, as paths below _static."""
    return [match[2] for match in LINK.finditer(page)]


def with_one_stylesheet(page: str, version: str) -> str:
    """The page with one link where it had several."""
    first = True

    def replace(match: re.Match[str]) -> str:
        nonlocal first
        link = f'  <link rel="stylesheet" href="{match[1]}{NAME}?v={version}">\n' if first else ""
        if first and READ_FONTS not in page:
            link += READ_FONTS
        first = False
        return link

    return LINK.sub(replace, page)


def merged(lists: list[list[str]]) -> list[str]:
    """One list of all names in the order in which they stand in each list (Sphinx sorts all pages' by one priority)."""
    result: list[str] = []
    for names in sorted(lists, key=len, reverse=True):
        place = 0
        for name in names:
            if name in result:
                place = result.index(name) + 1
            else:
                result.insert(place, name)
                place += 1
    return result


def cut_font(file: Path, characters: Iterable[str]) -> bytes:
    """The font, as WOFF, with these characters alone."""
    name = 6  # the one of a PDF: without it, all fonts would have the same there
    options = subset.Options(flavor="woff", hinting=False, name_IDs=[name], notdef_outline=False)
    with TTFont(file, recalcTimestamp=False) as font, BytesIO() as cut:
        cutter = subset.Subsetter(options)
        cutter.populate(unicodes=map(ord, characters))
        cutter.subset(font)
        subset.save_font(font, cut, options)
        return cut.getvalue()


def place_font(static: Path, place: str, shown: set[str], icons: set[str]) -> str | None:
    """The address of the font with what the pages show of it, or None if it stays as it is."""
    folder = next((folder for folder in CUT if place.startswith(folder)), None)
    if folder is None:
        return None
    file = next(path for path in (static / f"{place}.woff", static / f"{place}.ttf") if path.exists())
    font = cut_font(file, icons if "fontawesome" in folder else shown)
    if AT_ONCE.fullmatch(file.stem):
        return f"data:font/woff;base64,{base64.b64encode(font).decode()}"
    target = file.with_name(f"{file.stem}-{hashlib.sha256(font).hexdigest()[:8]}.woff")
    target.write_bytes(font)
    return target.relative_to(static).as_posix()


def slim(app: Sphinx, exception: Exception | None) -> None:
    """Slim all pages of a build, those of earlier builds too; doing it again changes nothing."""
    if exception is not None or app.builder.name != "html":
        return
    out, static = Path(app.outdir), Path(app.outdir) / "_static"
    theme = static / "scripts" / "pydata-sphinx-theme.js"
    theme.write_text(asking_once(theme.read_text(encoding="utf-8")), encoding="utf-8")
    slimmed = {path: lean_page(path.read_text(encoding="utf-8"), path.name == "search.html") for path in pages(out)}

    scripts = (path for path in static.rglob("*.js") if path.name != "fontawesome.js")
    known = set().union(*map(words, slimmed.values()), *(words(path.read_text(encoding="utf-8")) for path in scripts))
    sheet = static / NAME
    earlier = re.match(r"/\*(.*?)\*/", sheet.read_text(encoding="utf-8")) if sheet.exists() else None
    lists = [*map(stylesheets, slimmed.values()), earlier[1].split() if earlier else []]
    names = merged([[name for name in names if name != NAME] for names in lists])
    css = "".join(
        purged(whole(name, lambda part: (static / part).read_text(encoding="utf-8")), known) for name in names
    )
    shown = set().union(*map(of_formulas, slimmed.values()))
    icons = {character for character in characters(css) if "\ue000" <= character <= "\uf8ff"}
    css = with_fonts(css, lambda place: place_font(static, place, shown, icons))
    sheet.write_text(f"/*{' '.join(names)}*/{css}", encoding="utf-8")

    version = hashlib.sha256(css.encode()).hexdigest()[:8]
    for path, page in slimmed.items():
        path.write_text(with_one_stylesheet(page, version), encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx, after what writes pages and before what looks at their scripts."""
    # Sphinx writes no page again because a script, a style or an extension has changed. It does for a setting.
    app.add_config_value("pages_made_by", fingerprint(ROOT / "book" / name for name in MADE_BY), "html", str)
    app.connect("build-finished", slim, priority=8_000)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
