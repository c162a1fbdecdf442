"""Sphinx extension: where executed chapters are cached, and executing the ones that are not on all cores.

MyST-NB executes one chapter after another, and its cache knows a chapter only by its cells: after a change in `bn_lib`
it would serve the old numbers. So the cache lives in a folder named after everything else that the numbers depend on,
and chapters that are not in it are executed beforehand, one kernel on each core. MyST-NB then finds them there; it
executes again, and reports in its usual way, those that failed. Runs of experiments are kept in the same folder.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn, JupyterCacheAbstract
from jupyter_cache.executors.utils import ExecutionResult, single_nb_execution
from myst_nb.core.read import create_nb_reader
from nbformat import NotebookNode
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

from bn_book import runs
from bn_exercises.translation import ENGLISH, spoken
from bn_site import ROOT

logger = logging.getLogger(__name__)

SOURCES = (
    "bn_lib",
    "book/bn_book",
    "benchmarks/results",
    "exercises/bn_exercises",
    "exercises/source",
    "requirements.txt",
    "pyproject.toml",
)
CACHES_KEPT = 3

# Kernels share the cores, so each does its linear algebra on one; and sums that are split over threads differ in their
# last digits from one machine to the next.
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def fingerprint(paths: Iterable[Path]) -> str:
    """Return a short hash of Python's version and of the names and contents of all source files at or below `paths`."""
    digest = hashlib.sha256(sys.version.encode())
    for file in sorted(file for path in paths for file in _source_files(path)):
        digest.update(str(file.relative_to(ROOT)).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _source_files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    for file in path.rglob("*"):
        if file.is_file() and "__pycache__" not in file.parts:
            yield file


def place_cache(app: Sphinx, _config: object) -> None:
    """Give this state of the code its own cache beside the pages, and forget all but the last few states."""
    caches = Path(os.environ.get("BOOK_CACHE") or Path(app.outdir).parent / ".jupyter_cache").resolve()
    here = caches / fingerprint(ROOT / source for source in SOURCES)
    # What cells put out on questions is in the language that is set.
    here = here if spoken() == ENGLISH else here.with_name(f"{here.name}-{spoken()}")
    here.mkdir(parents=True, exist_ok=True)
    os.utime(here)
    others = sorted((other for other in caches.iterdir() if other != here), key=lambda other: -other.stat().st_mtime)
    for other in others[CACHES_KEPT - 1 :]:
        shutil.rmtree(other, ignore_errors=True)
    app.config.nb_execution_cache_path = str(here)
    os.environ[runs.FOLDER] = str(here / "runs")
    for variable in ONE_THREAD:
        os.environ.setdefault(variable, "1")


def execute_in_parallel(_app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Execute the chapters about to be read that are not in the cache, and put them there."""
    settings: Any = env.mystnb_config  # type: ignore[attr-defined]
    if settings.execution_mode != "cache":
        return
    cache = get_cache(settings.execution_cache_path)
    waiting = {}
    for docname in docnames:
        path = env.doc2path(docname)
        notebook = read_notebook(path, env)
        if notebook is not None and not _is_cached(cache, notebook):
            waiting[path] = notebook
    if not waiting:
        return
    importlib.import_module("matplotlib.font_manager")  # else the first chapter to build its cache says so on stderr

    def execute(path: str) -> tuple[str, ExecutionResult]:
        folder = str(Path(path).parent)
        # A kernel's own warnings (it tells that it is not encrypted) are no one's business but ours.
        quiet = ["--IPKernelApp.log_level=40"]
        return path, single_nb_execution(
            waiting[path], folder, settings.execution_timeout, allow_errors=False, extra_arguments=quiet
        )

    workers = min(os.cpu_count() or 1, len(waiting))
    logger.info("executing %d chapters, %d at a time", len(waiting), workers)
    began = time.monotonic()
    with ThreadPoolExecutor(workers) as pool:
        for path, result in pool.map(execute, waiting):
            if result.err is None:
                result.nb.metadata.pop("widgets", None)  # all frames of all figures, which the outputs hold already
                bundle = CacheBundleIn(result.nb, path, data={"execution_seconds": result.time})
                cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
                logger.info("executed %s in %.1f s", Path(path).name, result.time)
            else:
                logger.info("%s failed, and will be executed again for its report", Path(path).name)
    logger.info("executed all in %.1f s", time.monotonic() - began)


def read_notebook(path: str, env: BuildEnvironment) -> NotebookNode | None:
    """Read a chapter as MyST-NB will, so that the cache knows it again; None if it is a page without cells."""
    text = Path(path).read_text(encoding="utf-8")
    reader = create_nb_reader(path, env.myst_config, env.mystnb_config, text)  # type: ignore[attr-defined]
    if reader is None:
        return None
    notebook = reader.read(text)
    return notebook if any(cell.cell_type == "code" for cell in notebook.cells) else None


def _is_cached(cache: JupyterCacheAbstract, notebook: NotebookNode) -> bool:
    try:
        cache.match_cache_notebook(notebook)
    except KeyError:
        return False
    return True


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.connect("config-inited", place_cache)
    app.connect("env-before-read-docs", execute_in_parallel)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
