"""What is taken out of pages and stylesheets, and what is not."""

import re
from pathlib import Path

import chapter_map
import lean
import pydata_sphinx_theme
import pytest
import stylesheet
from sphinx.errors import ExtensionError

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("css", "left"),
    [
        (".here{a:b}.gone{a:b}", ".here{a:b}"),
        (".here .gone{a:b}#there{a:b}", "#there{a:b}"),
        (".gone,.here,p{a:b}", ".here,p{a:b}"),
        ("p:not(.gone){a:b}", "p:not(.gone){a:b}"),
        ("@media print{.gone{a:b}}", ""),
        ("@media print{.gone{a:b}.here{a:b}}", "@media print{.here{a:b}}"),
        ("@media print{@supports (a:b){.here{a:b}}}", "@media print{@supports (a:b){.here{a:b}}}"),
        (".bs-tooltip-auto{a:b}", ".bs-tooltip-auto{a:b}"),
        (".w-1\\.5{a:b}", ".w-1\\.5{a:b}"),
        ('[data-x="gone"]{a:b}', '[data-x="gone"]{a:b}'),
        ("@font-face{font-family:gone}", "@font-face{font-family:gone}"),
        ("@keyframes gone{to{a:b}}", "@keyframes gone{to{a:b}}"),
        ("div:has(> *:nth-child(2)) p,p:has(> .here){a:b}", "p:has(> .here){a:b}"),
    ],
)
def test_a_rule_stays_if_it_could_apply(css, left):
    assert stylesheet.purged(css, {"here", "there"}) == left


def test_imports_and_addresses_are_followed():
    files = {
        "styles/a.css": '@import "../b.css";i{c:url(x.svg)}',
        "b.css": "b{c:url('img/y.png') url(data:z) url(#id)}",
    }
    css = stylesheet.whole("styles/a.css", files.__getitem__)
    assert css == "b{c:url(img/y.png) url(data:z) url(#id)}i{c:url(styles/x.svg)}"


def test_stylesheets_keep_their_order():
    merged = lean.merged
    assert merged([["a", "d"], ["a", "b", "d"], ["a", "c", "d", "e"]]) == ["a", "b", "c", "d", "e"]


def test_scripts_that_nothing_needs_are_left_out_and_the_others_wait():
    page = (
        '<script src="_static/doctools.js?v=1"></script>\n<script src="_static/clipboard.min.js"></script>\n'
        '<script defer src="_static/scripts/fontawesome.js"></script>\n<script src="searchindex.js"></script>\n'
    )
    lean_page = lean.lean_page
    assert lean_page(page) == '<script defer src="_static/doctools.js?v=1"></script>\n'
    assert "clipboard" in lean_page(page + '<div class="highlight">')
    assert "searchindex" in lean_page(page, is_search=True)


def test_a_page_is_painted_when_the_paragraph_that_fills_a_screen_is_read():
    short, long = "<p>A word.</p>", f"<p>{'word ' * lean.A_SCREEN}</p>"
    page = f"<title>T</title><article class='a'>{short}{long}{short}</article>"
    whole = lean.painted_whole(page)
    assert f'href="#{lean.FIRST_SCREEN}" blocking="render"' in whole.partition("<article")[0]
    assert f'{long}<span id="{lean.FIRST_SCREEN}" hidden></span>{short}</article>' in whole
    assert lean.painted_whole(whole) == whole
    # One that fills none is read to its last paragraph; without paragraphs, nothing is waited for.
    assert f'{short}<span id="{lean.FIRST_SCREEN}"' in lean.painted_whole(page.replace(long, ""))
    without = page.replace("p>", "b>")
    assert lean.painted_whole(without) == without


def test_every_page_has_one_stylesheet_and_no_script_that_holds_it_up(built_site):
    for path in built_site.rglob("*.html"):
        # JupyterLite's pages are its own: nobody reads the book there.
        if path.relative_to(built_site).parts[0] in ("_static", "lite") or path == built_site / "index.html":
            continue
        page = path.read_text(encoding="utf-8")
        assert len(re.findall(r'<link(?![^>]*media="print")[^>]*rel="stylesheet"', page)) == 1, path
        assert [tag for tag in re.findall(r"<script[^>]*src=[^>]*>", page) if "defer" not in tag] == [], path
        assert "fontawesome" not in page, path


def test_every_icon_of_the_pages_is_in_the_stylesheet(built_site):
    css = (built_site / "_static" / "site.css").read_text(encoding="utf-8")
    sizes = {"fa-solid", "fa-regular", "fa-brands", "fa-lg"}
    for path in built_site.rglob("*.html"):
        classes = re.findall(
            r'class="((?:fa-solid|fa-regular|fa-brands|fas|far|fab) [^"]*)"', path.read_text(encoding="utf-8")
        )
        for name in {name for text in classes for name in text.split() if name.startswith("fa-")} - sizes:
            assert re.search(rf"\.{name}:before[^{{]*\{{content:", css), (path, name)


def test_doing_it_again_changes_nothing(built_site):
    page = (built_site / "book" / "index.html").read_text(encoding="utf-8")
    version = re.search(r"site\.css\?v=(\w+)", page)[1]
    assert lean.with_one_stylesheet(lean.lean_page(page), version) == page
    assert lean.stylesheets(page) == ["site.css"]


def test_the_themes_script_does_not_ask_everything_and_another_one_stops_the_build(built_site):
    name = "pydata-sphinx-theme.js"
    script = (Path(pydata_sphinx_theme.__file__).parent / "theme/pydata_sphinx_theme/static/scripts" / name).read_text()
    changed = lean.asking_once(script)
    assert len(script) - 200 < len(changed) < len(script)
    assert lean.asking_once(changed) == changed == (built_site / "_static" / "scripts" / name).read_text()
    with pytest.raises(ExtensionError, match="in another way"):
        lean.asking_once(script.replace('"pre"', '"p"'))


def test_a_page_with_a_map_is_a_cover():
    page = '<html lang="en"><ol class="arabic bn-map simple">'
    assert chapter_map.with_cover(page) == page.replace("<html", '<html class="bn-cover"')
    assert chapter_map.with_cover(chapter_map.with_cover(page)) == chapter_map.with_cover(page)
    assert chapter_map.with_cover("<html><ol>bn-map") == "<html><ol>bn-map"


def test_a_stylesheet_for_paper_stays_one_for_paper():
    page = (
        '<link rel="stylesheet" href="_static/a.css" /><link rel="stylesheet" media="print" href="_static/print.css" />'
    )
    assert lean.stylesheets(page) == ["a.css"]
    assert 'media="print" href="_static/print.css"' in lean.with_one_stylesheet(page, "1")
