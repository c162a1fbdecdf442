"""Every link inside the site leads to a file and a place in it, wherever the site is put; and a broken one is found."""

from pathlib import Path

import pytest
from links import look


def test_every_link_inside_the_site_leads_somewhere(built_site: Path) -> None:
    found = look(built_site)
    assert not found.broken, "\n".join(found.broken)
    assert found.followed > 1000


def test_links_to_other_sites_are_encrypted(built_site: Path) -> None:
    links = look(built_site).elsewhere
    assert links
    assert [link for link in links if not link.startswith("https://")] == []


@pytest.mark.parametrize(
    ("page", "complaint"),
    [
        ('<a href="other.html#there">', None),
        ('<a href="other.html?q=1#there">', None),
        ('<a href="#%C3%A9">', "no place"),
        ('<a href="#here">', None),
        ('<a href="#nowhere">', "no place"),
        ('<a href="other.html#nowhere">', "no place"),
        ('<a href="missing.html">', "no file"),
        ('<a href="../outside.html">', "no file"),
        ('<a href="/other.html">', "top of its host"),
        ('<img src="missing.png">', "no file"),
        ('<img srcset="other.html 1x, missing.png 2x">', "no file"),
        ('<link rel="stylesheet" href="sub/good.css">', None),
        ('<link rel="stylesheet" href="sub/bad.css">', "no file"),
        ('<p style="background: url(missing.png)">', "no file"),
        ("<style>p { background: url('missing.png') }</style>", "no file"),
        ('<svg><use href="#here"/></svg>', None),
        ('<svg><use href="#nowhere"/></svg>', "no place"),
        ('<svg><path clip-path="url(#nowhere)"/></svg>', "no place"),
        ('<form action="missing.html">', "no file"),
        ('<meta http-equiv="refresh" content="0; url=missing.html">', "no file"),
        ('<a href="https://example.org">', None),
    ],
)
def test_what_is_broken_is_found(tmp_path: Path, page: str, complaint: str | None) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "other.html").write_text('<p id="there">')
    (tmp_path / "sub/good.css").write_text('@import url("../sub/good.css"); /* url(missing.png) */')
    if "bad.css" in page:
        (tmp_path / "sub/bad.css").write_text("p { background: url(missing.png) }")
    (tmp_path / "page.html").write_text(f'<p id="here">{page}')
    broken = look(tmp_path).broken
    assert len(broken) == (complaint is not None), broken
    if complaint:
        assert complaint in broken[0]


def test_the_page_for_what_is_not_found_may_name_the_top(tmp_path: Path) -> None:
    (tmp_path / "404.html").write_text('<a href="/index.html">')
    assert not look(tmp_path).broken
