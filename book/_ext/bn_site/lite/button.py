"""The button "Run it here" of a page, what it says before anything is fetched, and the list of all notebooks.

The button is a link to the page that explains it, and works as such where there is no JavaScript. With it
(`_static/run.js`), the button opens a dialog, and only the dialog's own button opens JupyterLite.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from html import escape
from typing import Any
from urllib.parse import quote

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

from bn_book.chapters import FOLDER, chapters
from bn_exercises.translation import _, marked
from bn_site.lite import notebooks, runtime, shell, sizes

EXERCISES = "book/exercises/"
EXPLAINED = "book/run"


def notebooks_of(docnames: Collection[str]) -> dict[str, str]:
    """For each page of a chapter or an exercise, the file name of its notebook; in their order.

    An exercise's source has its number in front: `1-basic-calculation.md` belongs to the page `basic-calculation`.
    """
    names = {page: name for name in chapters() if (page := f"{FOLDER}{name}") in docnames}
    for stem in sorted(path.stem for path in notebooks.EXERCISES.glob("*.md")):
        if (name := f"{EXERCISES}{stem.partition('-')[2]}") in docnames:
            names[name] = stem
    return {name: f"{stem}.ipynb" for name, stem in names.items()}


def add_button(
    app: Sphinx, pagename: str, _template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Put the button before the theme's own, and the dialog at the end of the page."""
    if app.builder.name != "html" or doctree is None:
        return
    name = notebooks_of(app.env.found_docs).get(pagename)
    if name is None:
        return
    pathto = context["pathto"]
    explained = f"{pathto(EXPLAINED)}#{anchor(name)}"
    context["header_buttons"].insert(
        0,
        {
            "type": "link",
            "url": explained,
            "tooltip": _("Run this page's notebook in your browser"),
            "icon": "fas fa-play",
            "text": _("Run it here"),
            "label": "run-here",
        },
    )
    if others := elsewhere(app.config.lite_notebooks_url, name):
        group = {"type": "group", "tooltip": _("Run it on another site"), "icon": "fas fa-rocket", "buttons": others}
        context["header_buttons"].insert(1, group | {"label": "launch-buttons"})
    context["body"] += dialog(
        notebook=pathto(f"lite/{shell.APP}/index.html", 1) + f"?path={quote(name)}",
        download=pathto(f"lite/files/{quote(name)}", 1),
        explained=explained,
        sizes_at=pathto(f"lite/{sizes.WRITTEN}", 1),
    )
    app.add_js_file("run.js", loading_method="defer")


GITHUB = re.compile(r"https://github\.com/([\w.-]+)/([\w.-]+)/tree/([\w.-]+)/?")


def elsewhere(notebooks_url: str, name: str) -> list[dict[str, str]]:
    """Buttons that open a notebook on Binder and on Colab; none without an address.

    Both open notebooks that are in a repository, and ours are made at build. So the address is that of a branch which
    holds them: `https://github.com/OWNER/REPOSITORY/tree/BRANCH`.

    Raises:
        ExtensionError: if the address is another kind of address.
    """
    if not notebooks_url:
        return []
    found = GITHUB.fullmatch(notebooks_url)
    if not found:
        raise ExtensionError(
            f"lite_notebooks_url (BOOK_NOTEBOOKS) is {notebooks_url!r}; "
            "expected https://github.com/OWNER/REPOSITORY/tree/BRANCH"
        )
    owner, repository, branch = found.groups()
    return [
        {
            "type": "link",
            "text": "Binder",
            "tooltip": _("Run this page's notebook on {site}", site="Binder"),
            "icon": "_static/images/logo_binder.svg",
            "url": f"https://mybinder.org/v2/gh/{owner}/{repository}/{branch}?urlpath=lab/tree/{quote(name)}",
        },
        {
            "type": "link",
            "text": "Colab",
            "tooltip": _("Run this page's notebook on {site}", site="Colab"),
            "icon": "_static/images/logo_colab.png",
            "url": f"https://colab.research.google.com/github/{owner}/{repository}/blob/{branch}/{quote(name)}",
        },
    ]


def anchor(notebook: str) -> str:
    """The id of a notebook in the list."""
    return "run-" + notebook.removesuffix(".ipynb")


def dialog(notebook: str, download: str, explained: str, sizes_at: str) -> str:
    """What the reader is told before anything is fetched; how much it is, is known when JupyterLite has been built."""
    host = shell.CDN_HOST.partition("//")[2]
    if runtime.KEPT.is_dir():
        origin = _("This site sends it. No other site is asked for anything.")
    else:
        origin = _(
            "It comes from {host}, a public host that is not part of this site and that will see "
            "your address, as every site does. Nothing has been asked of it yet.",
            host=f"<strong>{host}</strong>",
        )
    opens = _("The notebook of this page opens in a new tab, and Python runs in your browser.")
    kept = _(
        "What you write is kept in this browser and is sent nowhere. To keep it elsewhere or hand it in, download it: "
        "{menu}.",
        menu="<em>File</em>, <em>Download</em>",
    )
    served = _(
        "These pages were opened from a file, and a browser lets no file start Python. Open the book where it is "
        "served: online, or by {command} in the book's folder. Or download the notebook and open it in your own "
        "Jupyter.",
        command="<code>make serve</code>",
    )
    return f"""
<dialog id="bn-run" class="bn-run" aria-labelledby="bn-run-title"{marked()}>
<h2 id="bn-run-title">{_("Run it here")}</h2>
<div class="bn-run-served">
<p>{opens} {origin}
<span class="bn-run-size" data-sizes="{escape(sizes_at)}" data-host="{host}"></span></p>
<p>{kept}</p>
</div>
<div class="bn-run-from-file" hidden>
<p>{served}</p>
</div>
<form method="dialog">
<a class="bn-run-open" href="{escape(notebook)}" target="_blank" rel="noopener">{_("Open the notebook")}</a>
<button type="submit">{_("Not now")}</button>
<a href="{escape(download)}" download>{_("Download it")}</a>
<a href="{escape(explained)}">{_("More about this")}</a>
</form>
</dialog>
"""


class Notebooks(SphinxDirective):
    """`{notebooks}`: a list of all notebooks, each to be downloaded."""

    def run(self) -> list[nodes.Node]:
        """Make the list; titles are known when all pages have been read."""
        found = nodes.bullet_list()
        for docname, name in notebooks_of(self.env.found_docs).items():
            paragraph = nodes.paragraph()
            title, _messages = self.parse_inline(f"{{doc}}`/{docname}`")
            paragraph += title
            up = "../" * self.env.docname.count("/")
            paragraph += nodes.Text(", ")
            paragraph += nodes.reference("", name, refuri=f"{up}lite/files/{quote(name)}", internal=True)
            item = nodes.list_item("", paragraph, ids=[anchor(name)])
            found += item
        return [found]


def setup(app: Sphinx) -> None:
    """Connect to Sphinx; after the theme, which begins the list of buttons."""
    app.add_config_value("lite_notebooks_url", os.environ.get("BOOK_NOTEBOOKS", ""), "html", [str])
    app.add_directive("notebooks", Notebooks)
    app.connect("html-page-context", add_button, priority=600)
