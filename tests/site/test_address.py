"""What the site says of itself to search engines, to those who share a link and to the lost, at an address or none."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from functools import cache
from itertools import pairwise
from pathlib import Path
from urllib.parse import urljoin, urlsplit
from xml.etree import ElementTree

import pytest
import yaml
from bn_site.address import normalized
from bs4 import BeautifulSoup, Tag
from PIL import Image
from sphinx.errors import ConfigError

ROOT = Path(__file__).parents[2]
TOC = yaml.safe_load((ROOT / "_toc.yml").read_text())
PAGES = [TOC["root"], *(chapter["file"] for part in TOC["parts"] for chapter in part["chapters"])]
ADDRESS = "https://example.org/some/book/"
TITLE = yaml.safe_load((ROOT / "_config.yml").read_text())["title"]


@cache
def head(site: Path, page: str) -> Tag:
    """What a page says before its body, of which nothing is read: that of a chapter takes a quarter of a second."""
    text, _, _ = (site / f"{page}.html").read_text(encoding="utf-8").partition("</head>")
    top = BeautifulSoup(f"{text}</head>", "html.parser").head
    assert top is not None
    return top


def said(page: Tag, name: str) -> list[str]:
    return [tag["content"] for tag in page.select(f'meta[name="{name}"], meta[property="{name}"]')]


def build(folder: Path, address: str) -> subprocess.CompletedProcess:
    """Build a book of two pages with the settings, extensions and files of ours, but without JupyterLite."""
    shutil.copytree(ROOT / "book" / "_ext", folder / "book" / "_ext", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "book" / "_static", folder / "book" / "_static")
    shutil.copy(ROOT / "_config.yml", folder)
    # JupyterLite needs the chapters, the exercises and the lock of Pyodide.
    parts = folder / "book" / "_ext" / "bn_site" / "__init__.py"
    parts.write_text(parts.read_text().replace('    "lite",\n', ""))
    (folder / "book" / "references.bib").touch()
    (folder / "book" / "index.md").write_text("# Front\n\nThe first words.\n")
    (folder / "book" / "deeper").mkdir()
    (folder / "book" / "deeper" / "next.md").write_text('# The "next"\n\nWhat this page is about.\n')
    (folder / "_toc.yml").write_text("format: jb-book\nroot: book/index\nchapters:\n  - file: book/deeper/next\n")
    return subprocess.run(
        [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build", str(folder), "-W", "-n"],
        env=os.environ | {"BOOK_URL": address, "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def placed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site that knows its address."""
    folder = tmp_path_factory.mktemp("placed")
    done = build(folder, ADDRESS.removesuffix("/"))  # as configure-pages gives it
    assert done.returncode == 0, done.stdout[-3000:]
    return folder / "_build" / "html"


class TestEveryPageOfTheBook:
    def test_each_has_one_description_of_its_own(self, built_site):
        descriptions = {page: said(head(built_site, page), "description") for page in PAGES}
        assert {page: found for page, found in descriptions.items() if len(found) != 1} == {}
        assert {page: text for page, (text,) in descriptions.items() if not 40 <= len(text) <= 300} == {}
        count = Counter(text for (text,) in descriptions.values())
        assert {page: text for page, (text,) in descriptions.items() if count[text] > 1} == {}

    @pytest.mark.parametrize("page", PAGES)
    def test_without_an_address_nothing_names_one(self, built_site, page):
        top = head(built_site, page)
        assert not top.select('link[rel="canonical"]')
        assert not said(top, "og:url")
        assert not said(top, "og:image")
        assert said(top, "og:title")

    def test_the_pages_know_which_comes_next(self, built_site):
        for page, following in pairwise(PAGES):
            (link,) = head(built_site, page).select('link[rel="next"]')
            assert urljoin(f"/{page}.html", link["href"]) == f"/{following}.html"
            (link,) = head(built_site, following).select('link[rel="prev"]')
            assert urljoin(f"/{following}.html", link["href"]) == f"/{page}.html"

    def test_there_is_no_map_of_a_site_without_an_address(self, built_site):
        assert not (built_site / "sitemap.xml").exists()
        assert "Sitemap" not in (built_site / "robots.txt").read_text()

    @pytest.mark.parametrize("page", ["search", "genindex", "404"])
    def test_what_is_made_from_other_pages_is_not_found_in_their_place(self, built_site, page):
        assert said(head(built_site, page), "robots") == ["noindex"]
        assert said(head(built_site, page), "description")


class TestASiteThatKnowsItsAddress:
    @pytest.mark.parametrize("page", ["book/index", "book/deeper/next"])
    def test_each_page_names_its_address_and_its_picture(self, placed, page):
        top = head(placed, page)
        (canonical,) = top.select('link[rel="canonical"]')
        assert canonical["href"] == said(top, "og:url")[0] == f"{ADDRESS}{page}.html"
        (picture,) = said(top, "og:image")
        assert picture.startswith(ADDRESS)
        with Image.open(placed / picture.removeprefix(ADDRESS)) as card:
            assert card.size == (1200, 630)
            assert len(card.convert("RGB").getcolors(1 << 20)) > 100, "something is drawn on it"

    def test_the_map_has_the_pages_of_the_book_and_no_others(self, placed):
        root = ElementTree.parse(placed / "sitemap.xml").getroot()
        places = {tag.text for tag in root.iter() if tag.tag.endswith("loc")}
        assert places == {f"{ADDRESS}book/index.html", f"{ADDRESS}book/deeper/next.html"}
        assert f"Sitemap: {ADDRESS}sitemap.xml" in (placed / "robots.txt").read_text()

    def test_the_front_page_says_what_the_book_is_to_machines(self, placed):
        (script,) = head(placed, "book/index").select('script[type="application/ld+json"]')
        data = json.loads(script.string)
        assert data["@type"] == "Book"
        assert data["name"] == TITLE
        assert data["url"] == ADDRESS

    def test_the_door_leads_to_the_front_page_and_can_be_shared(self, placed):
        door = BeautifulSoup((placed / "index.html").read_text(encoding="utf-8"), "html.parser")
        assert door.select_one("meta[http-equiv=refresh]")["content"] == "0; url=book/index.html"
        assert door.select_one("body a")["href"] == "book/index.html"
        assert said(door.head, "og:url") == [ADDRESS]
        assert said(door.head, "og:title") == [TITLE]
        assert said(door.head, "description")

    def test_every_link_of_the_page_for_the_lost_works_at_any_depth(self, placed):
        page = BeautifulSoup((placed / "404.html").read_text(encoding="utf-8"), "html.parser")
        assert page.html["data-content_root"] == "/some/book/"
        links = [tag.get("href") or tag.get("src") for tag in page.select("[href], [src]")]
        links += [form["action"] for form in page.select("form[action]")]
        inside = [link for link in links if not link.startswith(("#", "http", "data:"))]
        assert len(inside) > 10
        for link in inside:
            assert link.startswith("/some/book/"), link
            assert (placed / urlsplit(link).path.removeprefix("/some/book/")).exists(), link


@pytest.mark.parametrize("address", ["example.org/book", "https://", "https://example.org/book?page=1"])
def test_an_address_that_is_none_is_told_at_once(address):
    says = f"BOOK_URL is the site's address, such as https://example.org/book/, and not {address!r}"
    with pytest.raises(ConfigError, match=re.escape(says)):
        normalized(address)


def test_the_citation_names_the_book_and_its_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert citation["title"] == TITLE
    assert f'version = "{citation["version"]}"' in (ROOT / "pyproject.toml").read_text()
