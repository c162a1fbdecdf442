"""A page loads what it uses, and no script stands between a reader and the text.

The theme sends each page two thousand icons, all of Bootstrap's styles and a search that only the search page needs: a
megabyte and twenty-five requests. Here one stylesheet is made of those that the pages name, without the rules that
cannot apply (`stylesheet`), the fonts of icons and formulas are cut down to what is shown, scripts that have nothing to
do are left out, and the others wait until the text is there.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import re
from collections.abc import Collection, Iterable
from io import BytesIO
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

from bn_site.finish.stylesheet import characters, of_formulas, purged, whole, with_fonts, words

logging.getLogger("fontTools").setLevel(logging.ERROR)  # it remarks on the dates in KaTeX's fonts

NAME = "site.css"

# Scripts that nothing on a page may need, and what on the page needs them.
SEARCH = r'id="search-results"'
NEEDED_BY = {
    "searchtools.js": SEARCH,
    "language_data.js": SEARCH,
    "searchindex.js": SEARCH,
    "fontawesome.js": r"(?!)",  # icons are a font here
    "design-tabs.js": r'class="[^"]*\bsd-tab',
    "togglebutton.js": r'class="(?:[^"]* )?(?:toggle|admonition[^"]* dropdown)[ "]',
    "clipboard.min.js": r'class="highlight',
    "copybutton.js": r'class="highlight',
}

# Fonts of which the pages use few characters, and those that come with the stylesheet: text, a formula or a button that
# took its size only when its font had come would move what is below. No other font breaks its lines in the same places.
CUT = ("vendor/fontawesome/", "vendor/katex/")
AT_ONCE = re.compile(r"serif|display|fa-solid-900|KaTeX_(Main-Regular|Math-Italic|Size\d-Regular)")

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
    }
  """

# Fonts that come with the stylesheet are still read only when a text asks for them, which is after it was placed.
READ_FONTS = """  <script>
    for (const font of ["1em 'Book Serif'", "1em 'Book Display'", "900 1em 'Font Awesome 6 Free'", "1em KaTeX_Main",
      "italic 1em KaTeX_Math", "1em KaTeX_Size1", "1em KaTeX_Size2", "1em KaTeX_Size3", "1em KaTeX_Size4"])
      document.fonts.load(font);
  </script>
"""


def with_needed_scripts(page: str) -> str:
    """The page with fewer scripts, which wait for the text, and with what has to be known at first."""

    def script(match: re.Match[str]) -> str:
        before, folder, name, version, after = match.groups(default="")
        if name in NEEDED_BY and not re.search(NEEDED_BY[name], page):
            return ""
        wait = "" if re.search(r"\b(defer|async|module)\b", before + after) else " defer"
        return f'<script{wait}{before}src="{folder}{name}{version}"{after}></script>\n'

    slim = SCRIPT.sub(script, PRELOAD.sub("", page))
    if "togglebutton.js" not in slim:
        slim = OPTIONS.sub("", slim)
    return HEAD_SCRIPT.sub(lambda match: f"{match[1]}{AT_FIRST}{match[2]}", slim)


def stylesheets(page: str) -> list[str]:
    """The stylesheets that a page names, as paths below _static."""
    return [match[2] for match in LINK.finditer(page)]


def is_as_written(page: str) -> bool:
    """Whether a page still names Sphinx's own stylesheets. One that names none is not Sphinx's."""
    first = LINK.search(page)
    return first is not None and first[2] != NAME


def has_stylesheet(page: str, version: str) -> bool:
    """Whether a page names the one stylesheet, in this version."""
    return f"{NAME}?v={version}" in page


def with_one_stylesheet(page: str, version: str) -> str:
    """The page with one link where it had several."""
    first = LINK.search(page)
    if first is None:
        return page
    link = f'  <link rel="stylesheet" href="{first[1]}{NAME}?v={version}">\n{READ_FONTS}'
    return page[: first.start()] + link + LINK.sub("", page[first.end() :])


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
    file = next(path for path in (static / f"{place}.{kind}" for kind in ("woff", "ttf", "woff2")) if path.exists())
    if folder is None:
        return in_stylesheet(file.read_bytes(), "woff2") if AT_ONCE.fullmatch(file.stem) else None
    font = cut_font(file, icons if "fontawesome" in folder else shown)
    if AT_ONCE.fullmatch(file.stem):
        return in_stylesheet(font, "woff")
    target = file.with_name(f"{file.stem}-{hashlib.sha256(font).hexdigest()[:8]}.woff")
    target.write_bytes(font)
    return target.relative_to(static).as_posix()


def in_stylesheet(font: bytes, kind: str) -> str:
    """The font itself as an address."""
    return f"data:font/{kind};base64,{base64.b64encode(font).decode()}"


def write_stylesheet(static: Path, pages: Collection[str]) -> str:
    """Make one stylesheet of those that these pages name, and return its version.

    Args:
        static: the folder with the stylesheets, scripts and fonts.
        pages: all of them, with everything that a rule may ask for.
    """
    scripts = (path for path in static.rglob("*.js") if path.name != "fontawesome.js")
    known = set().union(*map(words, pages), *(words(path.read_text(encoding="utf-8")) for path in scripts))
    css = "".join(
        purged(whole(name, lambda part: (static / part).read_text(encoding="utf-8")), known)
        for name in merged([stylesheets(page) for page in pages])
    )
    shown = set().union(*map(of_formulas, pages))
    icons = {character for character in characters(css) if "\ue000" <= character <= "\uf8ff"}
    css = with_fonts(css, lambda place: place_font(static, place, shown, icons))
    (static / NAME).write_text(css, encoding="utf-8")
    return hashlib.sha256(css.encode()).hexdigest()[:8]
