"""Sphinx extension: what the site says of itself to search engines, to those who share a link, and to the lost.

The site works at any address, and under several at once. Only what must name it needs to know which: canonical links,
the sitemap, the address and the picture of a shared link, the links of the page for addresses that do not exist. It
comes from the environment variable BOOK_URL (`https://example.org/book/`). Without it these are left out, and the
links of that page begin at the server's root.
"""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ConfigError

from bn_site import social_card
from bn_site.finish.policy import with_policy

FRONT = "book/index"
NOT_FOUND = "404"
CARD = "_static/social-card.png"
NEEDS_ADDRESS = re.compile(r'<meta (property="og:(url|image)|name="twitter:card)[^>]*>\n?')
DESCRIPTION = (
    "A book on Batch Normalization that answers back: every result is computed or cited, every chapter has a figure "
    "to move, and questions say which mistake was made."
)


def normalized(address: str) -> str:
    """Return the site's address with one slash at its end, or nothing where there is none."""
    if not address:
        return ""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise ConfigError(f"BOOK_URL is the site's address, such as https://example.org/book/, and not {address!r}")
    return address.rstrip("/") + "/"


def configure(_app: Sphinx, config: Config) -> None:
    """Tell the address to those who need it."""
    address = normalized(os.environ.get("BOOK_URL") or config.html_baseurl)
    config.html_baseurl = address
    config.ogp_site_url = address
    config.ogp_site_name = config.html_title
    config.notfound_urls_prefix = urlsplit(address).path or "/"


def describe(app: Sphinx, page: str, _template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Put into a page's head what it is about. Where this says nothing, the page's first sentences do."""
    tags = context.get("metatags", "")
    if page == NOT_FOUND:
        context["content_root"] = app.config.notfound_urls_prefix  # where scripts find the site's files
    if doctree is None or page == FRONT:
        tags += f'<meta name="description" content="{html.escape(DESCRIPTION)}" />\n'
    if doctree is None:  # made from other pages, in whose place no search should find it
        tags += '<meta name="robots" content="noindex" />\n'
    if page == FRONT:
        tags += structured(app.config.html_title, app.config.author, app.config.html_baseurl)
    context["metatags"] = tags


def structured(title: str, author: str, address: str) -> str:
    """Return what the book is, in schema.org's words."""
    book = {
        "@context": "https://schema.org",
        "@type": "Book",
        "name": title,
        "description": DESCRIPTION,
        "author": {"@type": "Organization", "name": author},
        "inLanguage": "en",
        "learningResourceType": "textbook",
        "isAccessibleForFree": True,
        "license": "https://creativecommons.org/licenses/by/4.0/",
    } | ({"url": address} if address else {})
    data = json.dumps(book, ensure_ascii=False).replace("</", r"<\/")
    return f'<script type="application/ld+json">{data}</script>\n'


def without_address(app: Sphinx, _page: str, _template: str, context: dict[str, Any], _doctree: object) -> None:
    """Where the site's address is not known, take out the tags of a shared link that would have to name it."""
    if not app.config.html_baseurl:
        context["metatags"] = NEEDS_ADDRESS.sub("", context["metatags"])


def write_files(app: Sphinx, exception: Exception | None) -> None:
    """Write what stands beside the pages: the door at the site's root, robots.txt, the picture of a shared link."""
    if exception or app.builder.name != "html":
        return
    site, address = Path(app.outdir), app.config.html_baseurl
    (site / "index.html").write_text(with_policy(door(app.config.html_title, address)), encoding="utf-8")
    where = f"Sitemap: {address}sitemap.xml\n" if address else ""
    (site / "robots.txt").write_text(f"User-agent: *\nAllow: /\n{where}", encoding="utf-8")
    if address:
        (site / "sitemap.xml").write_text(sitemap(address, app.env.found_docs), encoding="utf-8")
        social_card.draw(site / CARD, app.config.html_title)


def sitemap(address: str, pages: Iterable[str]) -> str:
    """List the pages. (The extension sphinx-sitemap starts a process for it, and a build that fails waits for that.)"""
    places = "".join(f"<url><loc>{address}{page}.html</loc></url>\n" for page in sorted(pages))
    space = "http://www.sitemaps.org/schemas/sitemap/0.9"
    return f'<?xml version="1.0" encoding="utf-8"?>\n<urlset xmlns="{space}">\n{places}</urlset>\n'


def door(title: str, address: str) -> str:
    """Return the page at the site's root: it leads on to the front page, and is what most who share the site share."""
    there = f"{FRONT}.html"
    name, about = html.escape(title), html.escape(DESCRIPTION)
    shared = (
        f"""\
<link rel="canonical" href="{address}{there}">
<meta property="og:title" content="{name}">
<meta property="og:type" content="website">
<meta property="og:url" content="{address}">
<meta property="og:description" content="{about}">
<meta property="og:image" content="{address}{CARD}">
<meta property="og:image:alt" content="{name}">
<meta name="twitter:card" content="summary_large_image">
"""
        if address
        else ""
    )
    return f"""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{name}</title>
<meta name="description" content="{about}">
<link rel="icon" href="_static/favicon.svg">
<meta http-equiv="refresh" content="0; url={there}">
{shared}</head>
<body><main><h1>{name}</h1><p><a href="{there}">Read the book</a></p></main></body>
</html>
"""


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx, around sphinxext.opengraph, which must not describe a page a second time."""
    app.setup_extension("sphinxext.opengraph")
    app.setup_extension("notfound.extension")
    app.connect("config-inited", configure)
    app.connect("html-page-context", describe, priority=450)
    app.connect("html-page-context", without_address, priority=550)
    app.connect("build-finished", write_files)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
