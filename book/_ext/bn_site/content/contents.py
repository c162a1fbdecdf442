"""Sphinx extension: contents.js tells the pages which chapters and questions there are, so that progress.js can count.

A question is known by the name that bn_exercises gave it. What the pages' scripts say comes too, if not in English.
It is a script, not JSON: pages opened from a folder may load a script.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

from bn_book.chapters import FOLDER, chapters
from bn_exercises.translation import spoken
from bn_site import ROOT
from bn_site.language import words

# What readers have kept names chapters as they were called when it was kept.
FORMERLY = {
    "01-why-scale-matters": "scale",
    "02-internal-covariate-shift": "covariate_shift",
    "03-forward-pass": "forward",
    "04-backward-pass": "backward",
    "05-training-and-inference": "inference",
    "06-batch-size": "batch_size",
    "07-convolutions": "convolutions",
    "08-making-it-fast": "speed",
}
QUESTION = re.compile(r'class="bn-question" data-name="([^"]+)"')


def note_questions(app: Sphinx, page: nodes.document) -> None:
    """Note the names of the questions on a page, when it has been read, among what Sphinx keeps of it."""
    found = [name for raw in page.findall(nodes.raw) for name in QUESTION.findall(raw.astext())]
    app.env.metadata[app.env.docname]["questions"] = found


def questions(env: BuildEnvironment) -> list[str]:
    """Return the names of the questions on all pages."""
    return [name for page in sorted(env.found_docs) for name in env.metadata[page].get("questions", ())]


def write_contents(app: Sphinx) -> list[tuple[str, dict[str, object], str]]:
    """Write the file among those that the pages load, also where no page has changed; there are no pages to add."""
    contents = {
        "chapters": [f"{FOLDER}{name}" for name in chapters()],
        "questions": questions(app.env),
        "formerly": {f"{FOLDER}{before}": f"{FOLDER}{now}" for before, now in FORMERLY.items()},
        "language": spoken(),
    }
    script = f"window.bnContents = {json.dumps(contents)};\n"
    if said := words(*(ROOT / "book" / "_static").glob("*.js")):
        script += f"Object.assign(Documentation.TRANSLATIONS, {json.dumps(said)});\n"
    folder = Path(app.outdir) / "_static"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "contents.js").write_text(script, encoding="utf-8")
    return []


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.connect("doctree-read", note_questions)
    app.connect("html-collect-pages", write_contents)
    app.add_js_file("contents.js", loading_method="defer")
    app.add_js_file("progress.js", loading_method="defer", priority=501)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
