"""Sphinx extension: files that a page's cells make and offer for download.

A cell leaves them in the folder that `BOOK_DOWNLOADS` names. That folder is with the executed chapters in their cache:
who has the cell's output from there has its files, too.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from sphinx.application import Sphinx

from bn_book.quiz.downloads import FOLDER


def name_folder(app: Sphinx, _config: object) -> None:
    """Tell the kernels where to leave files."""
    os.environ[FOLDER] = str(Path(app.config.nb_execution_cache_path) / "downloads")


def copy_files(app: Sphinx, error: Exception | None) -> None:
    """Put them beside the pages."""
    folder = Path(os.environ[FOLDER])
    if error is None and app.builder.format == "html" and folder.is_dir():
        shutil.copytree(folder, Path(app.outdir) / "_static", dirs_exist_ok=True)


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.connect("config-inited", name_folder)
    app.connect("build-finished", copy_files)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
