"""What is done to finished pages: what is taken out of them and of their stylesheets, and what is not."""

import re

import pytest
from bn_site import finish
from bn_site.finish import slim, stylesheet


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
    assert slim.merged([["a", "d"], ["a", "b", "d"], ["a", "c", "d", "e"]]) == ["a", "b", "c", "d", "e"]


def test_scripts_that_nothing_needs_are_left_out_and_the_others_wait():
    page = (
        '<script src="_static/doctools.js?v=1"></script>\n<script src="_static/clipboard.min.js"></script>\n'
        '<script defer src="_static/scripts/fontawesome.js"></script>\n<script src="searchindex.js"></script>\n'
    )
    needed = slim.with_needed_scripts
    assert needed(page) == '<script defer src="_static/doctools.js?v=1"></script>\n'
    assert "clipboard" in needed(page + '<div class="highlight">')
    assert "searchindex" in needed(page + '<div id="search-results">')


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


def test_only_a_page_as_sphinx_wrote_it_is_put_right_and_what_is_gone_is_forgotten(tmp_path):
    site, kept = tmp_path / "html", tmp_path / "kept"
    as_written, finished = (f'<link rel="stylesheet" href="../_static/{name}?v=1">' for name in ("a.css", slim.NAME))

    def write(name, text):
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(text)

    def keep():
        finish.keep(site, kept)
        return {str(path.relative_to(kept)): path.read_text() for path in kept.rglob("*.html")}

    for name in ("book/index.html", "book/gone.html", "search.html"):
        write(name, f"{as_written}<h1> </h1>{name}")
    write("index.html", "a page that Sphinx did not write")
    write("_static/template.html", as_written)
    assert keep() == {name: as_written + name for name in ("book/index.html", "book/gone.html", "search.html")}
    # The second build writes one page again; and one is there no more.
    write("book/index.html", f"{finished}book/index.html")
    write("search.html", f"{as_written}search, changed")
    (site / "book/gone.html").unlink()
    assert keep() == {"book/index.html": f"{as_written}book/index.html", "search.html": f"{as_written}search, changed"}


def test_code_has_the_themes_colours(built_site):
    css = (built_site / "_static" / "site.css").read_text(encoding="utf-8")
    for theme in ("light", "dark"):
        assert f'html[data-theme="{theme}"] .highlight .nn{{' in css
    assert not re.search(r"(?<!\] )\.highlight \.nn\{", css)


def test_a_page_with_a_map_is_a_cover():
    page = '<html lang="en"><ol class="arabic bn-map simple">'
    assert finish.with_cover(page) == page.replace("<html", '<html class="bn-cover"')
    assert finish.with_cover("<html><ol>bn-map") == "<html><ol>bn-map"


def test_a_stylesheet_for_paper_stays_one_for_paper():
    page = (
        '<link rel="stylesheet" href="_static/a.css" /><link rel="stylesheet" media="print" href="_static/print.css" />'
    )
    assert slim.stylesheets(page) == ["a.css"]
    assert 'media="print" href="_static/print.css"' in slim.with_one_stylesheet(page, "1")
