"""Sphinx extension: "Run it here". JupyterLite, built into the site under `lite/`, opens a page's notebook.

- `notebooks` makes the notebooks: of a chapter, and of an exercise as a student gets it;
- `wheels` makes the Python packages that the site serves, from this tree and from this environment;
- `lock` tells Pyodide where each package is, and what it needs;
- `runtime` takes Pyodide itself from a distribution that somebody has at hand (`make lite-runtime DIR=...`);
- `shell` runs JupyterLite's own builder, and closes what it leaves open;
- `boot.js` says so, in JupyterLite's page, where Python does not start;
- `sizes` tells how much each notebook makes a browser fetch;
- `button` puts "Run it here" on the pages.

Only HTML has it. It is built again only when something that it is made of has changed; where that is the text of a
chapter, the chapters' notebooks are all that is made again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import nbformat
from jupyter_cache import get_cache
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util import logging

from bn_book.chapters import FOLDER
from bn_exercises.translation import spoken
from bn_site.content.execution import fingerprint, read_notebook
from bn_site.lite import button, lock, notebooks, runtime, shell, sizes, wheels
from bn_site.lite.notebooks import Links, Numbers

logger = logging.getLogger(__name__)

# What the folder `lite/` is made of: first all but the chapters' notebooks, which takes most of its time.
SOURCES = (
    "bn_lib",
    "book/bn_book",
    "book/lite",
    "book/_ext/bn_site/lite",
    "exercises/bn_exercises",
    "exercises/nbgrader_config.py",
    "exercises/source",
    "pyproject.toml",
    "requirements.txt",
)
TEXTS = ("book/chapters", "book/references.bib")
STAMP = "made-of.txt"
ALREADY = {*lock.KERNEL, *lock.NEEDS["bn-lib"], *lock.NEEDS["pyodide-kernel"]}


def links_of(app: Sphinx) -> dict[str, tuple[str, str]]:
    """What a role in a chapter can point to: pages by name, and labels; each with its page and its title."""
    pages = {name: (name, title.astext()) for name, title in app.env.titles.items()}
    labels = app.env.get_domain("std").data["labels"]
    return {label: (page, str(title)) for label, (page, _, title) in labels.items()} | pages


def build_lite(app: Sphinx, failure: Exception | None) -> None:
    """Build the folder `lite/` beside the pages, unless it is there and made of the same."""
    if failure is not None or app.builder.name != "html":
        return
    output = Path(app.outdir) / "lite"
    links = links_of(app)
    parts, texts = (fingerprint(lock.ROOT / source for source in sources) for sources in (SOURCES, TEXTS))
    names = button.notebooks_of(app.env.found_docs)
    rest = f"{parts} {spoken()} {' '.join(names.values())} "
    made_of = f"{rest}{texts} {hash_of(links)}\n"
    stamp = output / STAMP
    before = stamp.read_text() if stamp.is_file() else ""
    if before == made_of:
        return
    logger.info("building JupyterLite")
    # Made elsewhere and moved when it is whole, so that a build that fails leaves the last one as it was.
    with tempfile.TemporaryDirectory(dir=output.parent.parent, prefix=".lite-") as temporary:
        try:
            numbers = {name: numbers_of(app, name) for name in names if name.startswith(FOLDER)}
            if before.startswith(rest):
                made = made_again(Path(temporary), output, numbers, links, names)
            else:
                made = make(Path(temporary), numbers, links, names)
        except (RuntimeError, KeyError, ValueError) as error:
            raise ExtensionError(f"lite: {error}", error) from error
        (made / STAMP).write_text(made_of)
        shutil.rmtree(output, ignore_errors=True)
        os.replace(made, output)


def hash_of(links: Links) -> str:
    """A short hash of the pages' names, labels and titles."""
    return hashlib.sha256(json.dumps(links, sort_keys=True).encode()).hexdigest()[:16]


def numbers_of(app: Sphinx, docname: str) -> dict[str, str]:
    """The numbers that a chapter's cells handed to its text, in the run that its page shows."""
    notebook = read_notebook(app.env.doc2path(docname), app.env)
    if notebook is None:
        return {}
    cache = get_cache(app.config.nb_execution_cache_path)
    return notebooks.glued(cache.merge_match_into_notebook(notebook)[1])


def make(work: Path, numbers: Mapping[str, Numbers], links: Links, names: Mapping[str, str]) -> Path:
    """Make JupyterLite with everything in it in the empty folder `work`; return where it is.

    Args:
        work: the folder.
        numbers: for each chapter, the numbers in its text.
        links: what a role in a chapter can point to.
        names: for each page that has a notebook, its file name.
    """
    for folder in ("files", "work"):
        (work / folder).mkdir()
    ours = wheels.make(work / "wheels")
    notebooks.of_exercises(work / "files")
    write_chapters(
        work / "files", numbers, links, names, lock.fetched_by(lock.joined(lock.read(lock.PINNED), "", ours))
    )
    output = work / "lite"
    shell.build(output, work / "work", work / "files")
    shutil.move(work / "wheels", output / shell.WHEELS)
    runtime.place(output, runtime.KEPT if runtime.KEPT.is_dir() else None, ours)
    shell.close(output)
    sizes.write(output)
    return output


def made_again(work: Path, last: Path, numbers: Mapping[str, Numbers], links: Links, names: Mapping[str, str]) -> Path:
    """Make JupyterLite again in `work`, of the same parts as `last`, with the chapters' notebooks of today."""
    output = shutil.copytree(last, work / "lite")
    write_chapters(output / "files", numbers, links, names, lock.fetched_by(lock.read(output / shell.LOCK)))
    shell.list_files(output)
    sizes.write(output)
    return output


def write_chapters(
    folder: Path, numbers: Mapping[str, Numbers], links: Links, names: Mapping[str, str], fetched: Mapping[str, str]
) -> None:
    """Write the notebooks of all chapters into `folder`; `fetched` says which package a name is imported from."""
    for docname in numbers:
        notebook = notebooks.of_chapter(lock.ROOT / f"{docname}.md", docname, numbers[docname], links, names)

        def wanted(code: str, docname: str = docname) -> set[str]:
            names = notebooks.reached(notebooks.imported(code), notebooks.our_module) - lock.NEVER
            if missing := names - fetched.keys():
                raise ValueError(
                    f"{docname} can import {', '.join(sorted(missing))}, which book/lite/pyodide-lock.json lacks"
                )
            # The kernel has these, and `bn_lib` brings those: a notebook that names one has them.
            return {name for name in names if fetched[name] not in ALREADY}

        nbformat.write(notebooks.with_imports(notebook, wanted), folder / names[docname])


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx."""
    button.setup(app)
    app.connect("build-finished", build_lite)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
