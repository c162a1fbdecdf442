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
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ConfigError
from sphinxext.opengraph import get_tags

FRONT = "book/index"
NOT_FOUND = "404"
# Pages that are made from others, which no search should find in their place.
MADE = ("_modules/*", "genindex.html", "search.html", "py-modindex.html", f"{NOT_FOUND}.html")
CARD = "_static/social-card.png"
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


def configure(app: Sphinx, config: Config) -> None:
    """Tell the address to the extensions that need it."""
    address = normalized(os.environ.get("BOOK_URL") or config.html_baseurl)
    config.html_baseurl = address  # type: ignore[attr-defined]
    config.notfound_urls_prefix = urlsplit(address).path or "/"  # type: ignore[attr-defined]
    if address:
        app.setup_extension("sphinx_sitemap")
        config.sitemap_excludes = list(MADE)  # type: ignore[attr-defined]
        config.sitemap_url_scheme = "{link}"  # type: ignore[attr-defined]


def describe(app: Sphinx, page: str, _template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Put a page's description, and what is shown of it where it is shared, into its head."""
    address = app.config.html_baseurl
    if page == NOT_FOUND:
        context["content_root"] = app.config.notfound_urls_prefix  # scripts find their files from here
    if doctree is None:
        context["metatags"] += f'<meta name="description" content="{html.escape(DESCRIPTION)}" />\n'
        context["metatags"] += '<meta name="robots" content="noindex" />\n'
        return
    if page == FRONT:
        context["metatags"] += f'<meta name="description" content="{html.escape(DESCRIPTION)}" />\n'
        context["metatags"] += structured(str(app.config.project), str(app.config.author), address)


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


def without_address(tags: str) -> str:
    """Return the tags of a shared link without those that would name an address we do not know."""
    return re.sub(r'<meta property="og:(url|image\b[^"]*)"[^>]*>\n?|<meta name="twitter:card"[^>]*>\n?', "", tags)
