"""Where the links of the built site lead: `python tests/site/links.py _build/html` lists those to other sites.

All of them: of pages (`href`, `src`, `srcset`, forms), of figures (`<use>`, `url(#...)`) and of stylesheets (`url()`).
Inside the site each has to lead to a file, and to a place in it. Other sites are not asked: `make linkcheck` does that.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

URL = re.compile(r"""url\(\s*(?:"([^"]*)"|'([^']*)'|([^)"'\s]*))\s*\)""")
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)


def urls_of_css(css: str) -> Iterator[str]:
    for match in URL.finditer(COMMENT.sub("", css)):
        yield next(group for group in match.groups() if group is not None)


def urls_of_srcset(srcset: str) -> Iterator[str]:
    for candidate in re.split(r",\s+", srcset.strip()):
        if candidate:
            yield candidate.split()[0]


@dataclass
class Found(HTMLParser):
    """The links of a page, and the places in it that a link can lead to."""

    links: list[str] = field(default_factory=list)
    places: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()
        self.in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.in_style = tag == "style"
        for name, value in attrs:
            if value is None:
                continue
            if name == "id" or (name == "name" and tag == "a"):
                self.places.add(value)
            elif name in ("href", "xlink:href", "src", "action", "poster", "data") and not (
                tag == "link" and ("rel", "canonical") in attrs  # this page's own address, which may not be published
            ):
                self.links.append(value)
            elif name in ("srcset", "imagesrcset"):
                self.links += urls_of_srcset(value)
            elif "url(" in value and name != "data-question":
                self.links += urls_of_css(value)
            elif tag == "meta" and name == "content" and value.partition("url=")[1]:
                self.links.append(value.partition("url=")[2])

    def handle_data(self, data: str) -> None:
        if self.in_style:
            self.links += urls_of_css(data)


@dataclass
class Links:
    """What is wrong inside the site, and which pages lead to which other sites."""

    broken: list[str] = field(default_factory=list)
    elsewhere: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    followed: int = 0


def look(site: Path) -> Links:
    """Follow every link of the pages and stylesheets of a built site, except those of JupyterLite's own pages."""
    site = site.resolve()
    pages: dict[Path, Found] = {}
    for path in site.rglob("*.html"):
        pages[path] = Found()
        pages[path].feed(path.read_text(encoding="utf-8"))
    found = Links()
    for path in sorted([*pages, *site.rglob("*.css")]):
        own = path.relative_to(site).parts[0]
        if own == "lite" or (
            own == "_static" and path in pages
        ):  # JupyterLite; the theme's templates, which are no pages
            continue
        links = pages[path].links if path in pages else urls_of_css(path.read_text(encoding="utf-8"))
        for link in dict.fromkeys(links):
            _follow(found, link, path, site, pages)
    return found


def _follow(found: Links, link: str, path: Path, site: Path, pages: dict[Path, Found]) -> None:
    page = str(path.relative_to(site))
    parts = urlsplit(link)
    if parts.scheme in ("data", "mailto"):
        return
    if parts.scheme or parts.netloc:
        found.elsewhere[link].append(page)
        return
    found.followed += 1
    if link.startswith("/"):
        # The page for what is not found is shown at any depth, so it cannot say where it is.
        if path != site / "404.html":
            found.broken.append(f"{page}: {link} works only where the site is at the top of its host")
        return
    address, place = urldefrag(link)
    target = (path.parent / unquote(urlsplit(address).path)).resolve() if address else path
    if target.is_dir():
        target /= "index.html"
    if not target.is_relative_to(site) or not target.is_file():
        found.broken.append(f"{page}: {link} leads to no file")
    elif place and target in pages and unquote(place) not in pages[target].places and place != "top":
        found.broken.append(f"{page}: {link} leads to no place in that page")


def main() -> int:
    """List the links to other sites, and say what is broken inside."""
    found = look(Path(sys.argv[1]))
    for link, where in sorted(found.elsewhere.items()):
        print(f"{link}\n    {', '.join(where)}")
    print("\n".join(found.broken), file=sys.stderr)
    return bool(found.broken)


if __name__ == "__main__":
    sys.exit(main())
